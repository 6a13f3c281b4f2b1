"""Several at once: the same command, on the same output folder and cache."""

from __future__ import annotations

from tests.faults.processes import fork
from tests.faults.trial import Trial

__all__ = ["writers"]

_IN_USE = r"is in use by another|holds a run already|must (be made by|hold)"


def writers(trial: Trial) -> None:
    """Starts 2 to 20 of the command at once. Each ends well or says that another has the folder; one ends well at
    least, the results are those of one alone, and the cache is whole.
    """
    reference = trial.reference()
    most = max(2, min(20, int(40 / max(reference.seconds, 0.1))))
    while trial.goes_on():
        world = trial.world()
        number = trial.draw.randint(2, max(2, min(most, trial.count)))
        streams = [world.place / f"streams{at}" for at in range(number)]
        all_started = []
        for folder in streams:
            folder.mkdir()
            all_started.append(
                fork(trial.job.main, world.line(), world.folder("work"), world.environment(), streams=folder)
            )
        codes = [trial.end(each, number * reference.seconds, alone=False) for each in all_started]
        for each in all_started:
            trial.gone(each, f"{number} at once")
        trial.tally.cases += number
        for folder, code in zip(streams, codes, strict=True):
            (world.place / "stderr").write_bytes((folder / "stderr").read_bytes())
            trial.tally.ended("ended well" if code == 0 else "refused")
            if code:
                trial.refused(world, code, f"one of {number} at once", _IN_USE)
            else:
                (world.place / "stdout").write_bytes((folder / "stdout").read_bytes())
                trial.same(world, reference, f"one of {number} at once")
            trial.undamaged(world, f"one of {number} at once")
        if 0 not in codes:
            trial.wrong(f"none of {number} at once ended well: {codes}")
        trial.differ(world.left(), f"{number} at once")
        trial.again(world, reference, f"{number} at once")
