"""The claims about trained networks: which parts are sensitive, outliers, oscillation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from .evidence import Evidence
from .verdict import Outcome, Verdict, outcome_of

__all__ = ["ANALYSES", "network_verdicts"]

ANALYSES: Mapping[str, str] = {"vit-cifar": "the ViT on CIFAR-10", "minilm-sst2": "MiniLM on SST-2"}
"""Networks that are analysed, by the file of their analysis."""
_ATTENTION = ("query", "key", "value", "probabilities", "projection")
_FEED_FORWARD = ("fc1", "fc2")


def network_verdicts(evidence: Evidence) -> list[Verdict]:
    """On sensitivity, outliers and oscillation."""
    made = {title: evidence.analysis(name) for name, title in ANALYSES.items()}
    found = {title: each for title, each in made.items() if each is not None}
    return [
        _attention(found),
        _most_of_all(found),
        _heads(found),
        _outliers(found),
        _oscillation(evidence.analysis("vit-cifar-oscillation")),
    ]


def _parts(found: Mapping[str, Any], bits: int, kind: str) -> list[Mapping[str, Any]]:
    """Changes by quantising each part of a kind alone."""
    return [
        {"name": entry["name"], "layer": entry["layer"], **entry["change"]}
        for entry in found["sensitivity"]["parts"]
        if (entry["bits"], entry["kind"], entry["how"]) == (bits, kind, "alone")
    ]


def _places(found: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any], int]]:
    """Networks and the widths at which they were analysed."""
    for title, each in found.items():
        for bits in each["settings"]["bits"]:
            yield title, each, bits


def _sum(parts: Sequence[Mapping[str, Any]], names: Sequence[str], key: str) -> float:
    return sum(part[key] for part in parts if part["name"] in names)


def _attention(found: Mapping[str, Mapping[str, Any]]) -> Verdict:
    shown, said = [], []
    for title, each, bits in _places(found):
        parts = _parts(each, bits, "class")
        loss = [_sum(parts, names, "loss") for names in (_ATTENTION, _FEED_FORWARD)]
        shown.append(_sum(parts, _ATTENTION, "low") > _sum(parts, _FEED_FORWARD, "high"))
        said.append(f"{title}, {bits} bits: {loss[0]:+.3f} of attention, {loss[1]:+.3f} of the feed-forward layers")
    return Verdict(
        "Attention is more sensitive to low bits than the feed-forward layers.",
        "the rises of the loss (nats) of query, key, value, probabilities and projection, each quantised alone, add up "
        "to more than those of fc1 and fc2, at the lower ends of the intervals of the ones and the upper of the others",
        outcome_of(shown),
        tuple(said),
    )


def _most_of_all(found: Mapping[str, Mapping[str, Any]]) -> Verdict:
    shown, said = [], []
    for title, each, bits in _places(found):
        parts = [part for part in _parts(each, bits, "class") if part["name"] in (*_ATTENTION, *_FEED_FORWARD)]
        (value,) = (part for part in parts if part["name"] == "value")
        worst = max(parts, key=lambda part: part["loss"])
        others = max(part["high"] for part in parts if part is not value)
        shown.append(value["low"] > others)
        said.append(
            f"{title}, {bits} bits: {worst['name']} costs most, {worst['loss']:+.3f}; value {value['loss']:+.3f}"
        )
    return Verdict(
        "Of all, the value matrices are the most sensitive.",
        "the interval of value's rise of the loss lies above those of all other classes, each quantised alone",
        outcome_of(shown),
        tuple(said),
    )


def _heads(found: Mapping[str, Mapping[str, Any]]) -> Verdict:
    shown, said = [], []
    for title, each, bits in _places(found):
        heads = _parts(each, bits, "head")
        if not heads:
            continue
        worst, least = (pick(heads, key=lambda head: head["loss"]) for pick in (max, min))
        shown.append(worst["low"] > least["high"])
        said.append(
            f"{title}, {bits} bits: from {least['loss']:+.4f} ({least['low']:+.4f} to {least['high']:+.4f}) to "
            f"{worst['loss']:+.4f} ({worst['low']:+.4f} to {worst['high']:+.4f}) over {len(heads)} heads"
        )
    return Verdict(
        "Heads differ in their sensitivity.",
        "the interval of the most sensitive head's rise of the loss lies above that of the least sensitive one",
        outcome_of(shown),
        tuple(said),
    )


def _outliers(found: Mapping[str, Mapping[str, Any]]) -> Verdict:
    shown, said = [], []
    for title, each in found.items():
        for tensor in ("weight", "activation"):
            medians = {}
            for network in ("transformer", "convnet"):
                values = [
                    entry["kurtosis"]
                    for entry in each["outliers"]["statistics"]
                    if (entry["network"], entry["tensor"], entry["end"]) == (network, tensor, False)
                    and entry["kurtosis"] is not None
                ]
                if values:
                    medians[network] = median(values)
            if len(medians) < 2:
                continue
            shown.append(medians["transformer"] > medians["convnet"])
            said.append(
                f"{title}, {tensor}s: median excess kurtosis {medians['transformer']:.1f}, of the ConvNet on the same "
                f"images {medians['convnet']:.1f}"
            )
    return Verdict(
        "Weights and activations of transformers have more outliers than those of ConvNets.",
        "the median excess kurtosis over tensors is above that of a ConvNet trained on the same images",
        outcome_of(shown),
        tuple(said),
    )


def _oscillation(analysis: Mapping[str, Any] | None) -> Verdict:
    claim = "Runs whose weights oscillate more are less accurate."
    rule = "Spearman's correlation over runs of one width is negative, and its permutation p-value below 0.05"
    if analysis is None:
        return Verdict(claim, rule, Outcome.OPEN, ())
    shown, said = [], []
    for group in analysis["oscillation"]["groups"]:
        each = group["correlations"].get("all")
        if each is None or each["value"] is None:
            continue
        shown.append(each["value"] < 0 and each["p_value"] < 0.05)
        said.append(
            f"{len(group['runs'])} runs of all methods at 2 bits: {each['value']:+.2f} ({each['low']:+.2f} to "
            f"{each['high']:+.2f}), p = {each['p_value']:.2g}"
        )
    return Verdict(claim, rule, outcome_of(shown), tuple(said))
