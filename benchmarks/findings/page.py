"""docs/evidence.md: verdicts first, then the tables that they stand on."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from textwrap import wrap

from benchmarks.experiments import Kept, difference
from benchmarks.studies import METHODS
from benchmarks.studies.images import BITS, EPOCHS, RATES
from benchmarks.studies.sentences import LENGTHS, WIDTHS
from docs_tools.markdown import table

from .equal import Placed, equal_verdict, placed, seeds_interval
from .evidence import STUDIES, Evidence
from .figures import accuracy_figure
from .networks import network_verdicts
from .remedies import epochs_to, remedy_verdicts, won_back
from .verdict import Verdict

__all__ = ["FIGURE", "document", "figures"]

FIGURE = "diagrams/accuracy-against-cost.svg"


def figures(evidence: Evidence) -> dict[str, bytes]:
    """Figures of the page by their place below docs/; none before mixed networks are trained."""
    points = placed(evidence)
    return {FIGURE: accuracy_figure(points)} if points else {}


def document(evidence: Evidence) -> str:
    """The text of the page, of the records that are there."""
    points = placed(evidence)
    verdicts = [*network_verdicts(evidence), *remedy_verdicts(evidence), equal_verdict(points)]
    lines = [
        "# The paper's claims on real data",
        "",
        *_wrapped(
            'What our own trainings say of each claim of "Quantization Variation" (Huang et al., TMLR 2024), at the '
            "scale of two CPU cores: a ViT of 6 layers of width 96 on 10,000 images of CIFAR-10, and MiniLM on five "
            "tasks of GLUE. The paper trained on ImageNet: what does not hold here may hold there, and the other way "
            "round."
        ),
        "    python benchmarks/evidence.py --runs runs/ --data DIR      trains what is missing; stop it at any time",
        "    python benchmarks/evidence.py --write                      writes this page from the kept records alone",
        "",
        *_wrapped(
            "Each verdict follows from its rule by a program (`benchmarks/findings`); nobody chose it. Intervals are "
            "of 95 %, of differences by Student's t over seeds that share their number. All runs share one test split "
            "and one start at full precision, so another of either may give more or less."
        ),
        "## Verdicts",
        "",
        "| claim | verdict |",
        "| --- | --- |",
        *(f"| {verdict.claim} | {verdict.outcome.value} |" for verdict in verdicts),
        "",
        *(line for verdict in verdicts for line in _verdict(verdict)),
        "## Accuracy against cost",
        "",
        *_cost(points),
        "## Images: the remedies and rivals' ingredients",
        "",
        *_images(evidence),
        "## All images, and a larger network",
        "",
        *_final(evidence),
        "## Sentences: MiniLM on GLUE",
        "",
        *_sentences(evidence),
        "## What it took",
        "",
        *_hours(evidence),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _wrapped(text: str) -> Iterator[str]:
    """A paragraph and the empty line after it."""
    yield from wrap(text, 118, break_on_hyphens=False)
    yield ""


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield f"### {verdict.claim}"
    yield ""
    yield from _wrapped(f"**{verdict.outcome.value.capitalize()}.** It holds where {verdict.rule}.")
    if verdict.found:
        yield from (f"- {sentence}" for sentence in verdict.found)
        yield ""


def _cost(points: Sequence[Placed]) -> Iterator[str]:
    if not points:
        yield from _wrapped("Mixed networks are not trained yet.")
        return
    yield f"![Accuracy against energy and area at equal latency]({FIGURE})"
    yield ""
    yield from _wrapped(
        "Uniform networks and mixed ones are trained alike, with all three remedies, each at its best learning rate. "
        "Arrays are those of the cost model of FreePDK45 at 500 MHz that are as fast as the uniform one of 16 x 16 "
        "elements of 16 lanes; of each design it is the one whose product of area and energy is the least. Elements, "
        "requantisers, memories, leakage, passes and the 8-bit first and last layers are counted."
    )
    lines = [
        (
            each.point.design, each.point.mean, each.point.array, f"{each.accuracy:.2f}", _interval(each.runs),
            f"{each.point.energy_uj:.2f}", f"{each.point.area_mm2:.2f}",
        )
        for each in points
    ]  # fmt: skip
    yield table(("design", "mean bits", "array", "accuracy, %", "95 %", "energy, µJ", "area, mm²"), lines)
    yield ""


def _images(evidence: Evidence) -> Iterator[str]:
    full = evidence.runs("cifar10-fp")
    if not full:
        yield from _wrapped("Not trained yet.")
        return
    yield from _wrapped(
        f"At full precision the network has {100 * full[0].score:.2f} % of {full[0].samples:,} test images. Each "
        f"quantised run starts from it and sees the 10,000 training images {EPOCHS} times. The learning rate is the "
        f"one of {', '.join(RATES)} that is best on a validation split (a fifth of the training images; the start and "
        "the teacher are trained without it, too); the test images were looked at once. Methods with a plus are LSQ "
        "with our starts and steps of scales, and what is said. Oscillating: share of weights, after the last epoch. "
        "Epochs: until the mean accuracy is that of LSQ, our starts and steps, at its end."
    )
    for bits in BITS:
        lines = [_method(name, method.title, bits, evidence) for name, method in METHODS.items()]
        lines = [line for line in lines if line]
        if lines:
            seeds = max(len(evidence.trained(name, bits)) for name in METHODS)
            yield f"### {bits} bits, {seeds} seeds"
            yield ""
            headers = ("method", "rate", "accuracy, %", "95 %", "to LSQ, points", "oscillating, %", "epochs")
            yield table(headers, lines)
            yield ""
            plain = evidence.trained("plain", bits)
            best = max(
                (name for name in METHODS if evidence.trained(name, bits)),
                key=lambda n: _mean(evidence.trained(n, bits)),
            )
            share = won_back(evidence.trained(best, bits), plain, full)
            if share is not None:
                found = difference(plain, evidence.trained(best, bits))
                yield from _wrapped(
                    f"The best, {METHODS[best].title}, wins back {100 * share:.0f} % of what LSQ as published loses "
                    f"against full precision ({found})."
                )


def _final(evidence: Evidence) -> Iterator[str]:
    lines = []
    for name, experiment in evidence.experiments.items():
        if experiment.study == "cifar10-full" and (runs := evidence.runs(name)):
            accuracy = f"{100 * _mean(runs):.2f}"
            lines.append(
                (experiment.title, str(len(runs)), str(runs[0].epochs), runs[0].rate, accuracy, _interval(runs))
            )
    if not lines:
        yield from _wrapped("Not trained yet.")
        return
    yield from _wrapped(
        "All 50,000 training images, each method at the learning rate that was best on the validation split of 10,000."
    )
    yield table(("network", "seeds", "epochs", "rate", "accuracy, %", "95 %"), lines)
    yield ""


def _mean(runs: Sequence[Kept]) -> float:
    return statistics.fmean(run.score for run in runs)


def _method(name: str, title: str, bits: int, evidence: Evidence) -> tuple[str, ...]:
    runs = evidence.trained(name, bits)
    if not runs:
        return ()
    found = None if name == "lsq" else difference(evidence.trained("lsq", bits), runs)
    against = "" if found is None else f"{found.mean:+.2f}"
    if found is not None and found.half is not None:
        against += f" ± {found.half:.2f}{'' if found.significant else ' (not told from 0)'}"
    flips = [100 * run.oscillation for run in runs if run.oscillation is not None]
    needed = epochs_to(name, "lsq", bits, evidence)
    epochs = "" if needed is None else str(needed) if needed <= EPOCHS else f"over {EPOCHS}"
    return (
        title, runs[0].rate, f"{100 * _mean(runs):.2f}", _interval(runs), against,
        f"{statistics.fmean(flips):.2f}" if flips else "", epochs,
    )  # fmt: skip


def _interval(runs: Sequence[Kept]) -> str:
    found = seeds_interval(runs)
    return "" if found is None else f"{found[0]:.2f} to {found[1]:.2f}"


def _sentences(evidence: Evidence) -> Iterator[str]:
    lines = []
    for width in ("fp", *WIDTHS):
        cells, any_run = [], False
        for task in LENGTHS:
            runs = evidence.runs(f"glue-{task}-{width}")
            any_run = any_run or bool(runs)
            cells.append(_score(runs))
        if any_run:
            title = "full precision" if width == "fp" else WIDTHS[width][0]
            lines.append((title, *cells))
    if not lines:
        yield from _wrapped("Not trained yet.")
        return
    yield from _wrapped(
        "At most 4,000 sentences of each task, one epoch (two at one bit), a scale a head, gradient scaling, the bin "
        "regulariser, and distillation of hidden states and attention; mean and, in brackets, standard deviation over "
        "seeds, in percent. SST-2 and RTE: accuracy; CoLA: Matthews' correlation; MRPC: F1; STS-B: Pearson's "
        "correlation; all on the development sets, which were looked at once."
    )
    yield table(("network", *(_TASKS[task] for task in LENGTHS)), lines)
    yield ""


_TASKS = {"sst2": "SST-2", "cola": "CoLA", "mrpc": "MRPC", "rte": "RTE", "stsb": "STS-B"}


def _score(runs: Sequence[Kept]) -> str:
    if not runs:
        return ""
    scores = [100 * run.score for run in runs]
    spread = f" ({statistics.stdev(scores):.1f})" if len(scores) > 1 else ""
    return f"{statistics.fmean(scores):.1f}{spread}"


def _hours(evidence: Evidence) -> Iterator[str]:
    lines = []
    for study in STUDIES:
        runs = evidence.studies[study].values()
        seconds = sum(float(epoch["seconds"]) for run in runs for epoch in run.epochs)
        lines.append((study, str(len(runs)), f"{seconds / 3600:.1f}"))
    yield from _wrapped(
        "Hours of one core, as the runs counted them; other work ran beside them, so they are no measure of speed "
        "(that is in [training](training.md#speed))."
    )
    yield table(("study", "runs", "hours"), lines)
    yield ""
