"""The remedies on CIFAR-10: a ViT of 6 layers of width 96 on 10,000 training images, each method at the learning rate
that a validation split judges best.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.experiments import Experiment, folders

from .methods import METHODS, Method

__all__ = [
    "BITS", "CROPS", "EPOCHS", "FULL", "RATES", "SHIFT", "image_experiments", "judged", "oscillation_experiment",
]  # fmt: skip

BITS = (2, 3, 4)
EPOCHS = 10
RATES = ("5e-4", "1e-3", "2e-3")
_STUDY = "cifar10"
_SEEDS = {2: 5, 3: 3, 4: 3}
_VIT = ("--model", "vit-cifar", "--limit", "10000")
SHIFT = ("--augment", "shift")  # and mirrored; a store of soft labels has views of its own
FULL = (
    "--bits", "32", "--epochs", "60", "--lr", "1e-3", "--warmup", "3", "--weight-decay", "0.05",
    "--label-smoothing", "0.1",
)  # fmt: skip
CROPS = ("--crops", "16", "--scale", "0.4,1")
_DATA = {"": "imagefolder:{data}/cifar10", "val-": "imagefolder:{data}/cifar10@validation"}


def image_experiments() -> Iterator[Experiment]:
    """All, those that judge rates before those that are tested."""
    for part, data in _DATA.items():
        yield Experiment(
            f"cifar10-{part}fp", f"{_STUDY}-validation" if part else _STUDY, "full precision",
            (*_VIT, *SHIFT, "--data", data, *FULL),
        )  # fmt: skip
        yield Experiment(
            f"cifar10-{part}soft", "", "",
            ("--teacher", f"{{runs}}/cifar10-{part}fp", "--data", data, "--limit", "10000", *CROPS),
            after=(f"cifar10-{part}fp",), module="qat.softlabels",
        )  # fmt: skip
    for bits in BITS:
        for name, method in METHODS.items():
            if method.remedy or bits == 2:
                yield from _method(bits, name, method)


def oscillation_experiment() -> Experiment:
    """Oscillating weights of all runs at 2 bits beside their scores."""
    tested = [each for each in image_experiments() if each.rates and each.name.startswith("cifar10-w2a2-")]
    runs = [f"{{runs}}/{name}" for each in tested for name in folders(each)]
    return Experiment(
        "cifar10-oscillation", "vit-cifar-oscillation", "",
        ("--checkpoint", "{runs}/cifar10-w2a2-lsq", "--bits", "2", "--convnet-epochs", "0", "--runs", *runs),
        after=tuple(each.name for each in tested), module="qat.analyse",
    )  # fmt: skip


def _method(bits: int, name: str, method: Method) -> Iterator[Experiment]:
    yield from judged(
        f"w{bits}a{bits}-{name}", f"W{bits}A{bits} {method.title}", method, ("--bits", str(bits)), _SEEDS[bits]
    )


def judged(
    stem: str, title: str, method: Method, widths: tuple[str, ...], seeds: int, after: tuple[str, ...] = ()
) -> Iterator[Experiment]:
    """A method at some widths: judged at each rate, then tested at the best. after: what both need besides."""
    judges = tuple((rate, f"cifar10-val-{stem}-{rate}") for rate in RATES)
    for rate, judge in judges:
        arguments, needs = _student("val-", method, widths, rate), (*_needs("val-", method), *after)
        yield Experiment(
            judge, f"{_STUDY}-validation", f"{title}, {rate}", arguments, after=needs, module=method.module
        )  # fmt: skip
    yield Experiment(
        f"cifar10-{stem}", _STUDY, title, _student("", method, widths, "{rate}"), seeds,
        (*_needs("", method), *after), method.module, rates=judges,
    )  # fmt: skip


def _student(part: str, method: Method, widths: tuple[str, ...], rate: str) -> tuple[str, ...]:
    own = [word.replace("{soft}", f"{{runs}}/cifar10-{part}soft") for word in method.arguments]
    seen = () if method.distils else SHIFT
    start = ("--start", f"{{runs}}/cifar10-{part}fp", "--data", _DATA[part])
    return (*_VIT, *seen, *start, *widths, "--epochs", str(EPOCHS), "--lr", rate, *own)


def _needs(part: str, method: Method) -> tuple[str, ...]:
    return (f"cifar10-{part}fp", *((f"cifar10-{part}soft",) if method.distils else ()))
