"""Changes of the Python that decides numbers, and which of them no test notices: ``python -m tests.mutation``.

Each mutant is one changed number, operator, condition or call of a module, in memory alone. Only tests that reach the
changed line are run, and that pass where nothing is changed, up to the first that fails. A run that was stopped goes on
where it was. Exit code 1 where a group is left with more than one in ten.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from siliquant.commandline import Parser, add_jobs, add_out_file, console, print_table, read_jobs, run
from siliquant.files import write_atomically
from siliquant.inputs import integer

__all__ = ["main"]

PROG = "tests.mutation"
EPILOG = """\
examples:
  python -m tests.mutation --count 60
  python -m tests.mutation --seed 7 --count 200 hwmodel.model rtl.requant.fit"""
_HEADERS = ("group", "places", "mutants", "killed", "of them late", "died", "equivalent", "left", "score")
_LEAST = 0.9
_KEPT = Path("build/mutation")


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    made.add_argument("modules", nargs="*", metavar="MODULE", help="a module or package (default: all groups)")
    made.add_argument("--count", default="60", metavar="N", help="mutants of each group or module, 1 to 100000")
    made.add_argument("--seed", default="1", metavar="N", help="which of them")
    add_jobs(made, 1)
    add_out_file(made, "what became of them, as JSON")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    count, seed = integer("count", options.count, 1, 100_000), integer("seed", options.seed, 0, 1 << 62)
    jobs = read_jobs(options.jobs)
    from .campaign import campaign
    from .groups import GROUPS, ROOT, files_of, group_files

    if options.modules:
        groups = {name: files_of(name) for name in options.modules}
    else:
        groups = {name: group_files(name) for name in GROUPS}
    found = campaign(groups, count, seed, jobs, ROOT / _KEPT)
    values = [_counted(name, groups[name], places, outcomes) for name, (places, outcomes) in found.items()]
    for each in values:
        for survivor in each["survivors"]:
            print(f"{survivor['place']}: {survivor['before']} -> {survivor['after']}")
    print_table(console(), "mutants", _HEADERS, [_line(each) for each in values])
    if options.out:
        write_atomically(options.out, json.dumps({"seed": seed, "count": count, "groups": values}, indent=1) + "\n")
    if any(each["killed"] < _LEAST * (each["mutants"] - each["equivalent"]) for each in values):
        sys.exit(1)


def _counted(name: str, files: Sequence[str], places: int, outcomes: Sequence[Any]) -> dict[str, Any]:
    how = [outcome.how for outcome in outcomes]
    return {
        "name": name,
        "files": list(files),
        "places": places,
        "mutants": len(how),
        "killed": how.count("killed") + how.count("late"),
        "late": how.count("late"),
        "died": how.count("died"),
        "equivalent": how.count("equivalent"),
        "survivors": [outcome.as_json() for outcome in outcomes if outcome.how == "left"],
    }


def _line(values: Mapping[str, Any]) -> tuple[str, ...]:
    judged = values["mutants"] - values["equivalent"]
    score = f"{values['killed'] / judged:.1%}" if judged else ""
    counts = (values[key] for key in ("places", "mutants", "killed", "late", "died", "equivalent"))
    return (values["name"], *(f"{count:,}" for count in counts), str(len(values["survivors"])), score)


if __name__ == "__main__":
    run(PROG, main)
