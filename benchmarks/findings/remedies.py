"""The claims about the remedies: what each wins over what it is added to, seed by seed, on the test images."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.experiments import Kept, difference, folders
from benchmarks.studies.images import BITS, EPOCHS

from .evidence import Evidence
from .verdict import Verdict, outcome_of

__all__ = ["epochs_to", "remedy_verdicts", "won_back"]


def remedy_verdicts(evidence: Evidence) -> list[Verdict]:
    """On each remedy, on all three, and on their cost in epochs."""
    return [
        _wins("A scale a head (module-dependent scales) is worth more than one a tensor.", "head", "lsq", evidence),
        _wins("Gradient scaling is worth more beside a scale a head.", "mdq", "head", evidence),
        _wins("The bin regulariser (OBR) is worth more than nothing.", "obr", "lsq", evidence),
        _wins("Multi-crop distillation (MCKD) is worth more than training on labels.", "mckd", "lsq", evidence),
        _wins("All three are worth more than LSQ as published.", "all", "plain", evidence),
        _wins("All three are worth more than LSQ with our starts and steps.", "all", "lsq", evidence),
        _half_of_the_epochs(evidence),
    ]


def _wins(claim: str, method: str, base: str, evidence: Evidence) -> Verdict:
    shown, said = [], []
    for bits in BITS:
        found = difference(evidence.trained(base, bits), evidence.trained(method, bits))
        if found is None or found.half is None:
            continue
        shown.append(found.significant and found.mean > 0)
        said.append(f"{bits} bits: {found}")
    rule = "the interval of the mean difference lies above 0, at each width, each method at its best learning rate"
    return Verdict(claim, rule, outcome_of(shown), tuple(said))


def _half_of_the_epochs(evidence: Evidence) -> Verdict:
    shown, said = [], []
    for bits in BITS:
        needed = epochs_to("mckd", "lsq", bits, evidence)
        if needed is None:
            continue
        shown.append(needed <= EPOCHS // 2)
        reached = f"after {needed} of {EPOCHS} epochs" if needed <= EPOCHS else f"not in {EPOCHS} epochs"
        said.append(f"{bits} bits: the accuracy of LSQ at its end is reached {reached}")
    return Verdict(
        "Multi-crop distillation reaches the baseline's accuracy in half the epochs.",
        f"the mean accuracy over seeds is at LSQ's last one after at most {EPOCHS // 2} epochs, at each width",
        outcome_of(shown),
        tuple(said),
    )


def epochs_to(method: str, base: str, bits: int, evidence: Evidence) -> int | None:
    """The first epoch after which a method's mean accuracy is at least that of ``base`` after its last; one more than
    there are where it never is. None where either has no runs.
    """
    known, curves = evidence.studies["cifar10"], []
    experiment = evidence.experiments.get(f"cifar10-w{bits}a{bits}-{method}")
    goal = evidence.trained(base, bits)
    for name in folders(experiment) if experiment else ():
        if name in known:
            scores = {
                int(line["epoch"]): float(line["test_score"]) for line in known[name].epochs if line["test_score"]
            }
            curves.append(scores)
    if not curves or not goal:
        return None
    wanted = statistics.fmean(run.score for run in goal)
    for epoch in range(1, EPOCHS + 1):
        if all(epoch in curve for curve in curves) and statistics.fmean(c[epoch] for c in curves) >= wanted:
            return epoch
    return EPOCHS + 1


def won_back(method: Sequence[Kept], plain: Sequence[Kept], full: Sequence[Kept]) -> float | None:
    """The share of plain LSQ's loss against full precision that a method wins back; None where one has no runs, or
    plain LSQ loses nothing.
    """
    if not (method and plain and full):
        return None
    means = [statistics.fmean(run.score for run in runs) for runs in (method, plain, full)]
    return (means[0] - means[1]) / (means[2] - means[1]) if means[2] > means[1] else None
