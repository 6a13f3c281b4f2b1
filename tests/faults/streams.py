"""Standard streams that are closed, full, or that nobody reads."""

from __future__ import annotations

from tests.faults.trial import Trial

__all__ = ["streams"]

# What a shell has after the command, the exit codes that are right, and whether it still does its work.
CASES = (
    (">&-", (0,), True),
    ("2>&-", (0,), True),
    ("0<&-", (0,), True),
    ("0<&- >&- 2>&-", (0,), True),
    ("2>/dev/full", (0,), True),
    (">/dev/full", (0, 2), False),
    (">/dev/full 2>&1", (0, 2), False),
    ("| true", (0, 1), False),
    ("2>&1 | true", (0, 1), False),
    ("| head -1", (0, 1), False),
)


def streams(trial: Trial) -> None:
    """Runs it with each: the exit code is right, nobody sees a traceback, and where standard output is closed or only
    standard error lost, the results are the same.
    """
    reference = trial.reference()
    for after, codes, works in CASES:
        if not trial.goes_on():
            break
        if after.startswith(">/dev/full") and trial.job.printed:  # a result is lost
            codes = (2,)
        world = trial.world()
        closed, pipe, reader = after.partition("|")
        # The exit code of the command, not of what reads it.
        noted = f"{closed}; echo $? >{world.place}/code; }} |{reader}"
        started = trial.start(world, shell=noted if pipe else after)
        code = trial.end(started, reference.seconds)
        if pipe:
            code = int((world.place / "code").read_text())
        trial.tally.cases += 1
        trial.tally.ended(f"{after}: {code}")
        if code not in codes:
            trial.wrong(f"{after}: ended with {code}: {world.said()[-400:]}")
        trial.silent(world, after)
        if code == 2 and "No space left on device" not in world.said() and "2>" not in after:
            trial.wrong(f"{after}: did not say that no space is left: {world.said()[-400:]}")
        if works:
            trial.same(world, reference, after, printed=">&-" not in after.replace("2>&-", ""))
        trial.differ(world.left(), after)
