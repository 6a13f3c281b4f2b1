"""Mixed precision trained as uniform precision is: the widths that the policy chooses by sensitivities measured on the
validation split, for GEMMs and for single heads of attention, with all three remedies.

At a mean of 2 bits there is nothing to mix: a signed code of one bit is -1 or +1, which takes two bits of two's
complement on every array here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from benchmarks.experiments import Experiment

from .images import judged
from .methods import METHODS

__all__ = ["CLASSES", "MEANS", "POLICY", "WORKLOAD", "mixed_experiments"]

MEANS = ("2.5", "3", "4")
CLASSES: Mapping[str, str] = MappingProxyType({"scalable": "2,4,8", "serial": "2,3,4,5,6,7,8"})
"""Widths that are mixed, of designs that double theirs and of those that take a bit at a time."""
_SEEDS = 3
WORKLOAD, POLICY = "vit-cifar-gemms", "vit-cifar-policy-{name}-{mean}"
"""What is kept of the network and of the policies, in reports/results/analysis."""
_WORKLOAD, _SENSITIVITY = "cifar10-gemms", "cifar10-val-sensitivity"


def mixed_experiments() -> Iterator[Experiment]:
    """The list of GEMMs, the sensitivities, the policies, then the trainings of each."""
    yield Experiment(
        _WORKLOAD, WORKLOAD, "", ("--model", "vit-cifar", "--labels", "10"), module="qat.trace", file="gemms.json"
    )
    yield Experiment(
        _SENSITIVITY, "vit-cifar", "", ("--checkpoint", "{runs}/cifar10-val-fp", "--by-layer", "--by-head"),
        after=("cifar10-val-fp",), module="qat.analyse",
    )  # fmt: skip
    for stem, title, more in (("", "", ()), ("heads-", ", by head", ("--by-head",))):
        for name, widths in CLASSES.items():
            for mean in MEANS:
                policy = f"cifar10-val-policy-{stem}{name}-{mean}"
                given = ("--model", f"{{runs}}/{_WORKLOAD}/gemms.json", "--mean", mean, "--mix-widths", widths, *more)
                measured = ("--sensitivity", f"{{runs}}/{_SENSITIVITY}/sensitivity.json")
                yield Experiment(
                    policy, POLICY.format(name=f"{stem}{name}", mean=mean), "", (*given, *measured),
                    after=(_WORKLOAD, _SENSITIVITY), module="hwmodel.policy", file="policy.json",
                )  # fmt: skip
                yield from judged(
                    f"mix-{stem}{name}-{mean}", f"mean of {mean} bits, {name} widths{title}", METHODS["all"],
                    ("--policy", f"{{runs}}/{policy}/policy.json"), _SEEDS, (policy,),
                )  # fmt: skip
