"""Trains what docs/evidence.md reports of the paper's claims on real data.

    python benchmarks/evidence.py --runs DIR --data DIR [--only cifar10] [--jobs 2]
    python benchmarks/evidence.py --write              write docs/evidence.md and its figure from the kept records alone

Runs whatever is missing in --runs, --jobs at once, and may be stopped at any moment: what was cut off goes on next
time. --data holds cifar10/train/CLASS/*, cifar10/test/CLASS/* and glue/TASK/*.tsv. Of each finished run, run.json and
metrics.csv are kept in reports/results/training, a file a study; analyses in reports/results/analysis.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.experiments import finished, folders, run_all
from benchmarks.studies import evidence_experiments
from siliquant.commandline import Parser, add_jobs, read_jobs, run
from siliquant.files import write_atomically

DOCS = Path(__file__).resolve().parents[1] / "docs"
PROG = "python benchmarks/evidence.py"


def main() -> None:
    parser = Parser(prog=PROG, description=__doc__)
    parser.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the data sets")
    parser.add_argument("--only", metavar="NAME", default="", help="runs whose name starts so")
    parser.add_argument("--list", action="store_true", help="print what is missing, and end")
    parser.add_argument("--write", action="store_true", help="only write the document")
    add_jobs(parser, 2)
    options = parser.parse_args()
    if options.write:
        from benchmarks.findings import Evidence, document, figures

        evidence = Evidence.read()
        write_atomically(DOCS / "evidence.md", document(evidence))
        for place, data in figures(evidence).items():
            write_atomically(DOCS / place, data)
        return
    if options.runs is None:
        raise ValueError("--runs must be given: the folder of the runs")
    runs, chosen = options.runs.resolve(), [e for e in evidence_experiments() if e.name.startswith(options.only)]
    if options.list:
        missing = [name for e in chosen for seed, name in enumerate(folders(e)) if not finished(e, seed, runs)]
        print("\n".join([*missing, f"{len(missing)} of {sum(e.seeds for e in chosen)} runs are missing"]))
        return
    if options.data is None:
        raise ValueError("--data must be given: the folder of the data sets")
    run_all(runs, chosen, read_jobs(options.jobs), {"data": str(options.data.resolve())})


if __name__ == "__main__":
    run(PROG, main)
