"""MiniLM on five tasks of GLUE: full precision, 4 and 2 bits, and one bit, with all that serves texts: a scale a head,
gradient scaling, the bin regulariser and distillation of hidden states and attention.

Rates and epochs are set beforehand, the same for all tasks; the development sets, which are what GLUE publishes with
labels, are looked at once. One bit is reached by way of 4 and 2 bits of activations, as for BERT in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from benchmarks.experiments import Experiment

__all__ = ["LENGTHS", "WIDTHS", "sentence_experiments"]

LENGTHS: Mapping[str, int] = MappingProxyType({"sst2": 32, "cola": 24, "mrpc": 80, "rte": 96, "stsb": 48})
"""Tokens by task: nearly all of its sentences fit."""
_STUDY = "glue"
_SEEDS = 3
_LIMIT = ("--limit", "4000")
_MODEL = ("--model", "minilm", "--batch-size", "32", "--weight-decay", "0.01", "--warmup", "0.1")
_REMEDIES = ("--distill", "layers", "--obr", "0.01", "--lr", "2e-4")
WIDTHS = {
    "w4a4": ("W4A4", ("--bits", "4", "--epochs", "1"), "fp"),
    "w2a2": ("W2A2", ("--bits", "2", "--epochs", "1"), "fp"),
    "w1a4": ("W1A4", ("--weight-bits", "1", "--activation-bits", "4", "--epochs", "1"), "fp"),
    "w1a2": ("W1A2, from W1A4", ("--weight-bits", "1", "--activation-bits", "2", "--epochs", "1"), "w1a4"),
    "w1a1": ("W1A1, from W1A2", ("--weight-bits", "1", "--activation-bits", "1", "--epochs", "2"), "w1a2"),
}


def sentence_experiments() -> Iterator[Experiment]:
    """All, task by task, each after its start; then why MiniLM is hard to quantise."""
    for task, length in LENGTHS.items():
        data = ("--data", f"glue:{task}:{{data}}/glue", "--max-length", str(length), *_LIMIT)
        full = f"glue-{task}-fp"
        yield Experiment(full, _STUDY, f"{task}, full precision", (*_MODEL, *data, "--bits", "32", "--epochs", "3",
                         "--lr", "5e-5"))  # fmt: skip
        for name, (title, widths, start) in WIDTHS.items():
            began = f"{{runs}}/{full}" if start == "fp" else f"{{runs}}/glue-{task}-{start}{{seed}}"
            given = ("--start", began, "--teacher", f"{{runs}}/{full}")
            needs = (full, f"glue-{task}-{start}") if start != "fp" else (full,)
            arguments = (*_MODEL, *data, *given, *_REMEDIES, *widths)
            yield Experiment(f"glue-{task}-{name}", _STUDY, f"{task}, {title}", arguments, _SEEDS, needs)
    yield Experiment(
        "glue-sst2-analysis", "minilm-sst2", "",
        ("--checkpoint", "{runs}/glue-sst2-fp", "--data", "glue:sst2:{data}/glue", "--by-head"),
        after=("glue-sst2-fp",), module="qat.analyse",
    )  # fmt: skip
