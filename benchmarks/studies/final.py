"""The last rows on CIFAR-10: all 50,000 training images, at the learning rates that were judged on fewer, and a network
of 9 layers of width 192.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.experiments import Experiment

from .images import CROPS, EPOCHS, FULL, RATES, SHIFT
from .methods import METHODS

__all__ = ["FINAL", "LARGE", "final_experiments"]

FINAL = ("plain", "lsq", "all")
"""Methods of the last rows at 2 bits; at 3 and 4 the first and the last of them."""
LARGE = "vit-cifar-large"
_STUDY = "cifar10-full"
_DATA = ("--data", "imagefolder:{data}/cifar10")
_SEEDS = 3


def final_experiments() -> Iterator[Experiment]:
    """Those at 2 bits first, the larger network last."""
    yield from _start("cifar10-full", "vit-cifar", "full precision", "30")
    for bits in (2, 3, 4):
        for name in FINAL if bits == 2 else (FINAL[0], FINAL[-1]):
            yield _student("cifar10-full", "vit-cifar", bits, name, _SEEDS)
    yield from _start("cifar10-large", LARGE, "full precision, 9 layers of width 192", "15")
    for name in (FINAL[0], FINAL[-1]):
        yield _student("cifar10-large", LARGE, 2, name, 1)


def _start(stem: str, model: str, title: str, epochs: str) -> Iterator[Experiment]:
    arguments = list(FULL)
    arguments[arguments.index("--epochs") + 1] = epochs
    yield Experiment(f"{stem}-fp", _STUDY, title, ("--model", model, *SHIFT, *_DATA, *arguments))
    yield Experiment(
        f"{stem}-soft", "", "", ("--teacher", f"{{runs}}/{stem}-fp", *_DATA, *CROPS), after=(f"{stem}-fp",),
        module="qat.softlabels",
    )  # fmt: skip


def _student(stem: str, model: str, bits: int, name: str, seeds: int) -> Experiment:
    """At the rate that is best on the validation split of 10,000 images."""
    method, part = METHODS[name], f"w{bits}a{bits}-{name}"
    own = [word.replace("{soft}", f"{{runs}}/{stem}-soft") for word in method.arguments]
    seen = () if method.distils else SHIFT
    start = ("--start", f"{{runs}}/{stem}-fp", *_DATA, "--bits", str(bits), "--epochs", str(EPOCHS), "--lr", "{rate}")
    needs = (f"{stem}-fp", *((f"{stem}-soft",) if method.distils else ()))
    large = ", 9 layers of width 192" if model == LARGE else ""
    return Experiment(
        f"{stem}-{part}", _STUDY, f"W{bits}A{bits} {method.title}{large}", ("--model", model, *seen, *start, *own),
        seeds, needs, method.module, rates=tuple((rate, f"cifar10-val-{part}-{rate}") for rate in RATES),
    )  # fmt: skip
