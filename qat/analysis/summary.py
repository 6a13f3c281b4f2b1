"""What an analysis found, in one sentence and a few tables, from its record as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from siliquant.inputs import counted, listing

__all__ = ["Shown", "sentence", "tables"]

_MOST_ROWS = 10
_MOST_WIDTHS = 6


class Shown(NamedTuple):
    """A table: title, headers and lines; note: below it."""

    title: str
    headers: tuple[str, ...]
    lines: Sequence[tuple[str, ...]]
    note: str = ""


def sentence(found: Mapping[str, Any]) -> str:
    """The answer, in one sentence."""
    about, sensitivity = found["subject"], found["sensitivity"]
    bits = min(entry["bits"] for entry in sensitivity["quantised"])
    whole = next(entry for entry in sensitivity["quantised"] if entry["bits"] == bits)
    classes = [entry for entry in _of(sensitivity, bits, "class", "alone") if entry["change"]["low"] > 0]
    where = f"On {counted(about['samples'], 'sample')} of {about['data']}, {bits} bits everywhere cost"
    cost = _cost(whole)
    if not classes:
        return f"{where} {cost}; no class of operands alone costs what can be told from nothing."
    worst = max(classes, key=lambda entry: entry["change"]["loss"])
    change = worst["change"]
    return (
        f"{where} {cost}; alone, {_name(worst)} costs most: {_signed(change['loss'])} "
        f"({_signed(change['low'])} to {_signed(change['high'])})."
    )


def _cost(entry: Mapping[str, Any]) -> str:
    change = entry["change"]
    accuracy = "" if change["accuracy"] is None else f" and {_points(change['accuracy'])} points of accuracy"
    return f"{_signed(change['loss'])} of loss{accuracy}"


def tables(found: Mapping[str, Any]) -> list[Shown]:
    """At most 7 columns and 10 rows each; all the rest is in the record."""
    sensitivity = found["sensitivity"]
    widths = sorted({entry["bits"] for entry in sensitivity["quantised"]})
    shown = [_classes(sensitivity, widths[0])]
    if len(widths) > 1:
        shown.append(_widths(sensitivity, widths[:_MOST_WIDTHS]))
    shown.append(_rows(sensitivity))
    shown += [_fine(sensitivity, kind, widths[0]) for kind in ("layer", "head") if _of(sensitivity, widths[0], kind)]
    shown.append(_outliers(found["outliers"]))
    oscillation = found["oscillation"]
    if oscillation["runs"]:
        shown += [_runs(oscillation), *_correlations(oscillation)]
    return shown


def _of(sensitivity: Mapping[str, Any], bits: int, kind: str, how: str | None = None) -> list[Mapping[str, Any]]:
    return [
        entry for entry in sensitivity["parts"]
        if entry["bits"] == bits and entry["kind"] == kind and how in (None, entry["how"])
    ]  # fmt: skip


def _name(entry: Mapping[str, Any]) -> str:
    name = f"head {entry['name']}" if entry["kind"] == "head" else entry["name"].replace("_", " ")
    return name if entry["layer"] is None else f"{name} of layer {entry['layer']}"


def _signed(value: float) -> str:
    return f"{value:+.4f}" if abs(value) < 0.1 else f"{value:+.3f}"


def _points(share: float | None) -> str:
    return "" if share is None else f"{100 * share:+.1f}"


def _marked(change: Mapping[str, Any]) -> str:
    """In brackets where it cannot be told from 0."""
    text = _signed(change["loss"])
    return text if change["low"] > 0 or change["high"] < 0 else f"({text})"


def _interval(change: Mapping[str, Any]) -> str:
    return f"{_signed(change['low'])} to {_signed(change['high'])}"


_BRACKETS = "In brackets: cannot be told from 0 (interval of 95 % of a bootstrap over samples)."
_DETAILS = ("rise of loss", "95 %", "accuracy, points", "McNemar p", "saved if left out")


def _details(alone: Sequence[Mapping[str, Any]], left_out: Sequence[Mapping[str, Any]]) -> Sequence[tuple[str, ...]]:
    saved = {(entry["name"], entry["layer"]): entry["change"] for entry in left_out}
    lines = []
    for entry in alone:
        change, other = entry["change"], saved.get((entry["name"], entry["layer"]))
        p_value = "" if change["p_value"] is None else f"{change['p_value']:.2g}"
        lines.append((_name(entry), _marked(change), _interval(change), _points(change["accuracy"]), p_value,
                      "" if other is None else _marked(other)))  # fmt: skip
    return lines


def _classes(sensitivity: Mapping[str, Any], bits: int) -> Shown:
    lines = _details(_of(sensitivity, bits, "class", "alone"), _of(sensitivity, bits, "class", "left out"))
    return Shown(f"Operands by class, alone at {bits} bits", ("class", *_DETAILS), lines[:_MOST_ROWS], _BRACKETS)


def _widths(sensitivity: Mapping[str, Any], widths: Sequence[int]) -> Shown:
    names = [_name(entry) for entry in _of(sensitivity, widths[0], "class", "alone")]
    columns = [[_marked(e["change"]) for e in _of(sensitivity, bits, "class", "alone")] for bits in widths]
    lines = list(zip(names, *columns, strict=True))[: _MOST_ROWS - 1]
    whole = {entry["bits"]: _marked(entry["change"]) for entry in sensitivity["quantised"]}
    lines.append(("all", *(whole[bits] for bits in widths)))
    return Shown("Rise of the loss by width", ("class", *(f"{bits} bits" for bits in widths)), lines)


def _rows(sensitivity: Mapping[str, Any]) -> Shown:
    rows = sorted((row for row in sensitivity["rows"] if row["layer"] is None), key=lambda row: -row["sensitivity"])
    lines = [
        (row["role"].replace("_", " "), f"{row['macs']:,}", f"{row['sensitivity']:.3g}",
         f"{row['low']:.2g} to {row['high']:.2g}", "yes" if row["told"] else "no")
        for row in rows
    ]  # fmt: skip
    return Shown(
        "Sensitivity of GEMMs, loss per MAC and 4^-bits", ("GEMM", "MACs", "sensitivity", "95 %", "told from 0"),
        lines[:_MOST_ROWS], "sensitivity.json and .csv: siliquant policy --sensitivity FILE.",
    )  # fmt: skip


def _fine(sensitivity: Mapping[str, Any], kind: str, bits: int) -> Shown:
    alone = sorted(_of(sensitivity, bits, kind, "alone"), key=lambda entry: -entry["change"]["loss"])
    lines = _details(alone[:_MOST_ROWS], _of(sensitivity, bits, kind, "left out"))
    what = {"layer": "GEMMs of single layers", "head": "Heads"}[kind]
    more = f", {_MOST_ROWS} of {len(alone)}" if len(alone) > _MOST_ROWS else ""
    return Shown(f"{what}, alone at {bits} bits, the most sensitive first{more}", (kind, *_DETAILS), lines)


def _outliers(outliers: Mapping[str, Any]) -> Shown:
    found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for entry in outliers["statistics"]:
        if not entry["end"]:
            found.setdefault((entry["network"], entry["tensor"], entry["part"]), []).append(entry)
    ranked = sorted(found.items(), key=lambda item: -_most(e["kurtosis"] for e in item[1]))
    beside = [item for item in ranked if item[0][0] == "convnet"]
    mine = [item for item in ranked if item[0][0] != "convnet"][: _MOST_ROWS - len(beside)]
    lines = []
    for (network, tensor, part), entries in mine + beside:
        kurtoses = [entry["kurtosis"] for entry in entries if entry["kurtosis"] is not None]
        spreads = [
            [entry[each]["ratio"] for entry in entries if entry[each] and entry[each]["ratio"] is not None]
            for each in ("channels", "heads")
        ]
        name = f"ConvNet, {part}" if network == "convnet" else part.replace("_", " ")
        lines.append((
            name, f"{tensor}s", f"{median(kurtoses):.1f}" if kurtoses else "",
            f"{max(kurtoses):.1f}" if kurtoses else "", f"{_most(e['peak'] for e in entries):.1f}",
            *(f"{max(ratios):.3g}" if ratios else "" for ratios in spreads),
        ))  # fmt: skip
    convnet = outliers["convnet"]
    note = "" if convnet is None else (
        f"The ConvNet has {convnet['parameters']:,} parameters and {100 * convnet['accuracy']:.1f} % accuracy there."
    )  # fmt: skip
    headers = ("class", "tensors", "kurtosis median", "kurtosis largest", "largest / deviation", "channels max/min",
               "heads max/min")  # fmt: skip
    return Shown("Outliers and spread, at full precision", headers, lines, note)


def _most(values: Iterable[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0)


def _runs(oscillation: Mapping[str, Any]) -> Shown:
    lines = []
    for run in oscillation["runs"][:_MOST_ROWS]:
        name, share = max(((name, each[-1]) for name, each in run["by_class"].items()), key=lambda pair: pair[1])
        lines.append((run["name"], f"{run['weight_bits']}/{run['activation_bits']}", f"{100 * run['score']:.2f}",
                      f"{100 * run['shares'][-1]:.2f}", name.replace("_", " "), f"{100 * share:.2f}"))  # fmt: skip
    more = len(oscillation["runs"]) - len(lines)
    headers = ("run", "bits W/A", "score, %", "oscillating, %", "most in", "there, %")
    return Shown("Oscillating weights after the last epoch", headers, lines, f"and {more} more" if more > 0 else "")


def _correlations(oscillation: Mapping[str, Any]) -> list[Shown]:
    shown, few = [], []
    for group in oscillation["groups"]:
        if not group["correlations"]:
            few += group["runs"]
            continue
        lines = []
        for name, each in group["correlations"].items():
            known = each["value"] is not None
            lines.append((name.replace("_", " "), f"{each['value']:+.2f}" if known else "",
                          f"{each['low']:+.2f} to {each['high']:+.2f}" if known else "",
                          f"{each['p_value']:.2g}" if known else ""))  # fmt: skip
        title = f"Spearman correlation of oscillating weights with the score, {len(group['runs'])} runs"
        shown.append(Shown(title, ("weights of", "correlation", "95 %", "permutation p"), lines[:_MOST_ROWS]))
    if few and shown:
        last = shown[-1]
        shown[-1] = last._replace(note=f"Nothing is said of {listing(few[:5])}: fewer than 5 that can be compared.")
    return shown
