"""Trains what docs/results.md reports, and writes that document.

    python benchmarks/qat_accuracy.py --runs runs/ [--only vit-mnist] [--jobs 2]      train what is missing, then write
    python benchmarks/qat_accuracy.py --write                                         write from the kept records alone

Each run is one `python -m qat.train` command. Of each finished run, run.json and metrics.csv are kept in
reports/results/training, a file a study; the document is made from those, and so are the records that a report shows by
default (reports/results/records). A run that was cut off is resumed.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.experiments import Experiment, difference, folders, kept, mean_interval, records, run_all
from reports.inputs import Accuracies, metrics_csv, to_json
from reports.runs import run_of
from siliquant.commandline import Parser, add_jobs, read_jobs, run
from siliquant.files import write_atomically

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "results.md"
RECORDS = ROOT / "reports" / "results" / "records"
DATE = "2026-11-23"  # of the newest run: what is kept of runs has none

_VIT = ("--model", "vit-mnist", "--data", "mnist5k")
_FULL = (*_VIT, "--bits", "32", "--lr", "2e-3", "--warmup", "1", "--weight-decay", "0.05")
_PLAIN = ("--granularity", "tensor", "--gradient-scale", "lsq")
_PUBLISHED = (*_PLAIN, "--scale-start", "mean", "--scale-steps", "absolute")
_STUDENT = (*_VIT, "--start", "{runs}/vit-mnist-fp", "--epochs", "8")
_CROPS = ("--soft-labels", "{runs}/vit-mnist-soft")
_OBR = ("--obr", "0.01")
_FAST, _SLOW = ("--lr", "2e-3"), ("--lr", "5e-4")  # at 2 bits as validation chose; at more bits the paper's
_BERT = ("--model", "minilm", "--data", "mr", "--batch-size", "32", "--weight-decay", "0.01", "--warmup", "0.1")
_SHORT = ("--epochs", "1", "--limit", "3000", "--max-length", "32", "--lr", "2e-4")
_DISTILLED = ("--teacher", "{runs}/minilm-fp", "--distill", "layers", *_SHORT)


def _vit(bits: int, seeds: int) -> Iterator[Experiment]:
    """Post-training quantisation, plain LSQ and all three remedies."""
    label, stem = f"W{bits}A{bits}", f"vit-mnist-w{bits}a{bits}"
    width = ("--bits", str(bits), *(_FAST if bits == 2 else _SLOW))
    table, full = "vit-mnist", ("vit-mnist-fp",)
    calibrated = (*_VIT, "--start", "{runs}/vit-mnist-fp", "--epochs", "0", "--bits", str(bits))
    yield Experiment(f"{stem}-ptq", table, f"{label} calibrated only", calibrated, 1, full)
    yield Experiment(f"{stem}-plain", table, f"{label} plain LSQ", (*_STUDENT, *width, *_PUBLISHED), seeds, full)
    remedies = (*_STUDENT, *width, *_OBR, *_CROPS)
    yield Experiment(f"{stem}-all", table, f"{label} all three", remedies, seeds, (*full, "vit-mnist-soft"))


METHODS = {
    "plain": ("plain LSQ", _PUBLISHED),
    "lsq": ("LSQ, our starts and steps", _PLAIN),
    "all": ("all three", (*_OBR, *_CROPS)),
}  # what is compared at 2 bits
RATES = ("5e-4", "1e-3", "2e-3", "4e-3")
PAPER = "5e-4"
CHOSEN = {"plain": "2e-3", "lsq": "4e-3", "all": "2e-3"}  # by mean accuracy on the validation split


def _validation(seeds: int) -> Iterator[Experiment]:
    """2 bits at each learning rate, trained on four fifths of the training images and judged on the others."""
    data = ("--model", "vit-mnist", "--data", "mnist5k@validation")
    full, soft = "vit-mnist-val-fp", "vit-mnist-val-soft"
    whole = (*data, *_FULL[len(_VIT) :], "--epochs", "40")
    yield Experiment(full, "validation", "full precision", whole)
    labels = ("--teacher", f"{{runs}}/{full}", *data[2:], "--crops", "16", "--top-k", "5")
    yield Experiment(soft, "", "", labels, after=(full,), module="qat.softlabels")
    for method, (title, arguments) in METHODS.items():
        own = tuple(argument.replace("vit-mnist-soft", soft) for argument in arguments)
        for rate in RATES:
            student = (*data, "--start", f"{{runs}}/{full}", "--epochs", "8", "--bits", "2", "--lr", rate, *own)
            name = f"vit-mnist-val-{rate}-{method}"
            yield Experiment(name, "validation", f"W2A2 {title}, {rate}", student, seeds, (full, soft))


def _compared(seeds: int) -> Iterator[Experiment]:
    """2 bits, tested: LSQ with our starts at the rate that validation chose for it; the others at the paper's rate."""
    full = ("vit-mnist-fp", "vit-mnist-soft")
    for method, rate in (("lsq", CHOSEN["lsq"]), ("plain", "5e-4"), ("all", "5e-4")):
        title, arguments = METHODS[method]
        student = (*_STUDENT, "--bits", "2", "--lr", rate, *arguments)
        name = f"vit-mnist-w2a2-{rate}-{method}"
        yield Experiment(name, "vit-mnist", f"W2A2 {title}, learning rate {rate}", student, seeds, full)


def _ablations(seeds: int) -> Iterator[Experiment]:
    """What each part does alone at 2 bits."""
    width, stem = ("--bits", "2", *_FAST), "vit-mnist-w2a2"
    base = (*_STUDENT, *width, *_PLAIN)
    parts = {
        "lsq": ("LSQ, our starts and steps", base),
        "mdq": ("the same, a scale a head", (*_STUDENT, *width)),
        "obr": ("the same, bin regulariser", (*base, *_OBR)),
        "mckd": ("the same, multi-crop distillation", (*base, *_CROPS)),
    }
    for name, (title, arguments) in parts.items():
        after = ("vit-mnist-fp", "vit-mnist-soft") if name == "mckd" else ("vit-mnist-fp",)
        yield Experiment(f"{stem}-{name}", "vit-mnist", f"W2A2 {title}", arguments, seeds, after)


EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("vit-mnist-fp", "vit-mnist", "full precision", (*_FULL, "--epochs", "40")),
    Experiment(
        "vit-mnist-soft",
        "",
        "",
        ("--teacher", "{runs}/vit-mnist-fp", "--data", "mnist5k", "--crops", "16", "--top-k", "5"),
        after=("vit-mnist-fp",),
        module="qat.softlabels",
    ),
    *_validation(2),
    *_vit(2, 5),
    *_vit(3, 2),
    *_vit(4, 2),
    *_compared(5),
    *_ablations(3),
    Experiment("minilm-fp", "minilm", "full precision", (*_BERT, "--bits", "32", "--epochs", "1", "--lr", "5e-5")),
    *(
        Experiment(
            f"minilm-w{b}a{b}",
            "minilm",
            f"W{b}A{b}",
            (*_BERT, *_DISTILLED, "--bits", str(b), "--start", "{runs}/minilm-fp"),
            after=("minilm-fp",),
        )
        for b in (4, 2)
    ),
    *(
        Experiment(
            f"minilm-w1a{b}",
            "minilm",
            f"W1A{b}" + (f", from W1A{2 * b}" if b < 4 else ""),
            (
                *_BERT, *_DISTILLED, "--weight-bits", "1", "--activation-bits", str(b),
                "--start", "{runs}/minilm-fp" if b == 4 else f"{{runs}}/minilm-w1a{2 * b}",
            ),
            after=("minilm-fp",) if b == 4 else (f"minilm-w1a{2 * b}",),
        )
        for b in (4, 2, 1)
    ),
)  # fmt: skip


def main() -> None:
    parser = Parser(prog="python benchmarks/qat_accuracy.py", description=__doc__)
    parser.add_argument("--runs", type=Path, metavar="DIR", help="folder of the runs")
    parser.add_argument("--only", metavar="NAME", help="runs whose name starts so")
    add_jobs(parser, 2)
    parser.add_argument("--write", action="store_true", help="only write the document")
    arguments = parser.parse_args()
    if not arguments.write:
        if arguments.runs is None:
            raise ValueError("--runs must be given: the folder of the runs")
        chosen = [e for e in EXPERIMENTS if e.name.startswith(arguments.only or "")]
        run_all(arguments.runs.resolve(), chosen, read_jobs(arguments.jobs), {})
    write_atomically(DOCUMENT, document())
    for path, text in packaged_records().items():
        write_atomically(path, text)


def table(title: str) -> Iterator[str]:
    """Markdown of one table."""
    yield "| run | seeds | epochs | accuracy, % | deviation over seeds | 95 % interval | oscillating weights, % |"
    yield "| --- | ---: | ---: | ---: | ---: | --- | ---: |"
    for experiment in EXPERIMENTS:
        if experiment.study != title or not (records := kept(experiment)):
            continue
        scores = [100 * record.score for record in records]
        low, high = mean_interval(records)
        spread = f"{statistics.stdev(scores):.2f}" if len(scores) > 1 else ""
        flips = [100 * r.oscillation for r in records if r.oscillation is not None]
        yield (
            f"| {experiment.title} | {len(scores)} | {records[0].epochs} | {statistics.mean(scores):.2f} | {spread} "
            f"| {100 * low:.1f} to {100 * high:.1f} | {f'{statistics.mean(flips):.2f}' if flips else ''} |"
        )


def paired(first: str, second: str) -> str:
    """A sentence: mean difference of two experiments over their common seeds, with a 95 % interval by Student's t."""
    by_name = {experiment.name: experiment for experiment in EXPERIMENTS}
    found = difference(kept(by_name[first]), kept(by_name[second]))
    if found is None:
        return ""
    return f"- {by_name[second].title} against {by_name[first].title}: {found}."


def validated(method: str, rate: str) -> float:
    """Mean accuracy of a method at 2 bits on the validation split, in percent."""
    (experiment,) = (e for e in EXPERIMENTS if e.name == f"vit-mnist-val-{rate}-{method}")
    return 100 * statistics.mean(record.score for record in kept(experiment))


def packaged_records() -> dict[Path, str]:
    """What a report shows by default: accuracies on the test split of the methods that are compared, at the rates that
    validation chose, and which weights oscillated in the first seed of each at 2 bits.
    """
    two = [f"vit-mnist-w2a2{'-4e-3' * (method == 'lsq')}-{method}" for method in METHODS]
    compared = ["vit-mnist-fp", *two]
    compared += [f"vit-mnist-w{bits}a{bits}-{method}" for bits in (3, 4) for method in ("plain", "all")]
    by_name = {experiment.name: experiment for experiment in EXPERIMENTS}
    titles = {"fp": "full precision", **{method: title for method, (title, _) in METHODS.items()}}
    known = records("vit-mnist")
    runs = [
        replace(run_of(known[folder]), name=titles[name.rpartition("-")[2]])
        for name in compared
        for folder in folders(by_name[name])
        if folder in known
    ]
    found = {RECORDS / "accuracy.json": to_json(Accuracies("python benchmarks/qat_accuracy.py", DATE, tuple(runs)))}
    for name in two:
        title = "-".join(titles[name.rpartition("-")[2]].lower().replace(",", "").split())
        found[RECORDS / "oscillation" / title / "metrics.csv"] = metrics_csv(known[name])
    return found


def document() -> str:
    """docs/results.md."""
    two = "vit-mnist-w2a2"
    lsq = f"{two}-{CHOSEN['lsq']}-lsq"
    pairs = [(f"vit-mnist-w{b}a{b}-plain", f"vit-mnist-w{b}a{b}-all") for b in (2, 3, 4)]
    pairs += [(f"{two}-5e-4-plain", f"{two}-5e-4-all"), (f"{two}-plain", lsq), (lsq, f"{two}-all")]
    pairs += [(f"{two}-lsq", f"{two}-{what}") for what in ("mdq", "obr", "mckd")]
    lines = [
        "# Accuracy of our own runs",
        "",
        "Made by `python benchmarks/qat_accuracy.py --runs runs/` on two CPU cores; the records of all runs are in",
        "reports/results/training, and `python benchmarks/qat_accuracy.py --write` makes this page from",
        "them. The model of a run is that of its last epoch. Accuracies are means over seeds, with standard",
        "deviation; intervals of 95 % are Wilson's, for the size of the test split. Intervals of differences are by",
        "Student's t over the seeds alone: all runs share one test split and one full-precision start, so another of",
        "either may give more or less.",
        "",
        "## vit-mnist: a ViT of 0.7 M parameters on 4,000 images of MNIST, 1,000 to test",
        "",
        "All quantised runs start from the full-precision run and see the same number of samples. Distillation is",
        "from the same run, through 16 stored crops an image. The learning rate is 5e-4, the paper's, at 3 and 4",
        "bits. First and last layers have 8 bits.",
        "",
        "At 2 bits the rate of each method is the one of 5e-4, 1e-3, 2e-3 and 4e-3 with the best mean accuracy over 2",
        "seeds on a validation split: four fifths of the training images to train (the full-precision start and the",
        "teacher too), the others to judge. The test images have no part in it. Plain LSQ is LSQ as published, in",
        "its start and steps of scales; our own starts and relative steps are in the other lines. At the paper's rate",
        "the three remedies are far above plain LSQ; with the best rate of each they still are above it, by less;",
        "and LSQ with our starts, at its best rate, comes so near to them that the difference is not significant:",
        "on this small problem a good start and relative steps of scales do most of what the remedies do. On the",
        "validation split that is so at the paper's rate, too: over 2 seeds LSQ with our starts has",
        f"{validated('lsq', PAPER):.2f} %, the three remedies {validated('all', PAPER):.2f} %.",
        "",
        "Accuracy on the validation split:",
        "",
        *table("validation"),
        "",
        "Accuracy on the test split:",
        "",
        *table("vit-mnist"),
        "",
        *filter(None, (paired(a, b) for a, b in pairs)),
        "",
        "## MiniLM (BERT, 6 layers of width 384) on movie reviews: 6,824 sentences to train, 1,706 to test",
        "",
        "Quantised runs start from the full-precision run, except where said, and distil its logits, hidden states",
        "and attention, in 93 steps on 3,000 of the sentences, cut at 32 tokens: what a CPU does in minutes, not",
        "what the method can reach.",
        "",
        *table("minilm"),
        "",
        "## The commands",
        "",
        *(
            f"    python -m {e.module} {' '.join(a.format(runs='runs') for a in e.arguments)} --out runs/{e.name}"
            for e in EXPERIMENTS
            if e.module != "qat.train" or kept(e)
        ),
        "",
        "Further seeds: `--seed 1` and so on.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    run("python benchmarks/qat_accuracy.py", main)
