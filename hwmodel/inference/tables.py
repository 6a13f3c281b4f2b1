"""The inference of a network as text: Markdown, a tidy table, and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING

from hwmodel.comparison import markdown_table, mixes
from hwmodel.workload import Pair, Width, parts_of, published_source, width_records
from siliquant.commandline import console, print_notes, print_table
from siliquant.inputs import listing

from .rows import DEPTH, EQUAL_AREA, EQUAL_LATENCY, UNIFORM, NetworkRow

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "NETWORK_HEADERS",
    "network_cells",
    "network_frame",
    "network_markdown",
    "network_notes",
    "network_sentence",
    "print_network",
]

NETWORK_HEADERS = (
    "design",
    "array",
    "at equal",
    "widths by MACs",
    "area mm2",
    "of it logic",
    "latency us",
    "utilisation",
    "energy uJ",
    "MACs uJ",
    "requant. uJ",
    "SRAM uJ",
    "off chip uJ",
    "leakage uJ",
    "off chip MB",
    "logic area ratio",
    "latency ratio",
    "energy ratio",
    "accuracy %",
)


_SHORT = (*NETWORK_HEADERS[:3], "area mm2", "latency us", "energy uJ", "energy ratio")
_WIDE = (*_SHORT, *(name for name in NETWORK_HEADERS if name not in _SHORT))
"""The columns in the order of a terminal: what decides comes first."""
_TEXT_HEADERS = (*NETWORK_HEADERS[:3], "widths by MACs")
_TEXT = tuple(_WIDE.index(header) for header in _TEXT_HEADERS)
_KEYS = NETWORK_HEADERS[:3]
_MARKDOWN = (
    ("area, time and energy", _SHORT),
    ("beside the uniform array", (*_KEYS, "logic area ratio", "latency ratio", "energy ratio", "accuracy %")),
    ("use of the array", (*_KEYS, "widths by MACs", "of it logic", "utilisation", "off chip MB")),
    ("energy of logic", (*_KEYS, "MACs uJ", "requant. uJ", "leakage uJ")),
    ("energy of memories and traffic", (*_KEYS, "SRAM uJ", "off chip uJ")),
)
"""Columns of the tables in Markdown: every one is in one of them."""


_NEAR = 0.05  # bits: no number of a table would look otherwise
_NO_MEMORIES = "Memories are not counted: there is no table of them for this technology."


def network_cells(rows: Sequence[NetworkRow]) -> list[tuple[Width, list[str]]]:
    """(mean bits, cells under NETWORK_HEADERS) for each row."""
    return [(row.bits, _cells(row)) for row in rows]


def _cells(row: NetworkRow) -> list[str]:
    return [
        row.design,
        f"{row.rows}x{row.columns}" + (" (misses)" if row.meets_clock is False else ""),
        "" if row.normalisation == UNIFORM else row.normalisation.removeprefix("equal "),
        row.mixture,
        f"{row.area_um2 / 1e6:.2f}",
        f"{row.logic_area_um2 / 1e6:.2f}",
        f"{row.latency_us:,.0f}" if row.latency_us >= 10 else f"{row.latency_us:.2g}",
        f"{row.utilisation:.0%}",
        _short(row.energy_uj),
        f"{row.mac_uj:,.1f}",
        f"{row.requantisation_uj:,.1f}",
        f"{row.sram_uj:,.1f}",
        f"{row.off_chip_uj:,.1f}" if row.off_chip_uj else "",
        f"{row.leakage_uj:,.1f}",
        f"{row.off_chip_bytes / 1e6:.1f}",
        f"{row.logic_area_ratio:.2f}",
        f"{row.latency_ratio:.2f}",
        f"{row.energy_ratio:.2f}",
        "" if row.accuracy_percent is None else f"{row.accuracy_percent:.2f}",
    ]


def network_notes(rows: Sequence[NetworkRow]) -> list[str]:
    """What a reader must know beside the numbers."""
    first = rows[0]
    lines = [
        *_deviations(rows),
        (
            f"One inference of {first.model}, batch 1, at {first.clock_mhz:g} MHz. GEMMs only: layer norms, softmax, "
            "GELU and residuals are the host's and cost nothing here. First and last layers at 8 bits on every design."
        ),
        (
            "Every design runs the same mixed network at the mean, the uniform one that of one width. Arrays of each "
            "design have at most the logic area, or at most the latency, of the uniform one; memories keep their "
            "capacity."
        ),
        "Energy of MACs and requantisers has that of their clocks while they wait; SRAM is that of its accesses.",
        *_of_activations(rows),
        *_deeper(rows),
    ]
    mixtures = {row.bits: row.mixture for row in rows if row.normalisation != UNIFORM}
    if mixtures:
        shares = "; ".join(f"mean of {bits} bits: {mixture}" for bits, mixture in mixtures.items())
        lines.append(
            f"Shares of the mixed network's MACs by width, first and last layers left out, are what the policy assigns "
            f"({shares}); the tables of MACs take a standard mixture of the same mean."
        )
    if not any(row.sram_area_um2 for row in rows):
        lines.append(_NO_MEMORIES)
    if not any(row.off_chip_uj for row in rows):
        lines.append("Off-chip traffic is counted in bytes; its energy is not in any number.")
    if any(row.accuracy_percent is not None for row in rows):
        lines.append(f"Accuracy: published, not ours; {published_source()}. None was published for the mixed networks.")
    if any(row.meets_clock is False for row in rows):
        lines.append("(misses): a part of the array does not meet the clock.")
    if any(row.meets_clock is None for row in rows):
        lines.append("Whether the arrays meet the clock is unknown.")
    return lines


def network_markdown(rows: Sequence[NetworkRow]) -> str:
    """Tables in Markdown of at most seven columns, those that decide first; notes below."""
    parts = []
    for what, headers in _MARKDOWN:
        for bits in dict.fromkeys(row.bits for row in rows):
            lines = [line for at, line in network_cells(rows) if at == bits]
            title = f"{rows[0].model}, mean of {bits} bits: {what}"
            columns = [NETWORK_HEADERS.index(header) for header in headers]
            parts.append(markdown_table(title, NETWORK_HEADERS, lines, columns, left=_TEXT_HEADERS))
    parts.append("\n".join(f"- {note}" for note in network_notes(rows)))
    return "\n\n".join(parts) + "\n"


def network_frame(rows: Sequence[NetworkRow]) -> pd.DataFrame:
    """A tidy table: one line a row, units in the names of columns; means that differ for weights and activations as
    :func:`hwmodel.workload.width_records` has them.
    """
    import pandas as pd

    if not rows:
        return pd.DataFrame(columns=[field.name for field in fields(NetworkRow)])
    return pd.DataFrame(width_records(rows, ("bits", "mean_bits")))


def print_network(rows: Sequence[NetworkRow], *, wide: bool = False) -> None:
    """Prints the answer, a table a mean bit-width, and notes.

    wide: every column of the files, in as many tables as the terminal asks for.
    """
    out = console()
    out.print(network_sentence(rows), soft_wrap=False)  # prose is broken between words
    out.print()
    headers = _WIDE if wide else _SHORT
    for bits in dict.fromkeys(row.bits for row in rows):
        lines = [_arranged(line, headers) for at, line in network_cells(rows) if at == bits]
        print_table(out, f"{rows[0].model}, mean of {bits} bits", headers, lines, left=_TEXT, keys=3)
    print_notes(out, _short_notes(rows, wide))


def network_sentence(rows: Sequence[NetworkRow]) -> str:
    """What mixing widths costs in an inference: the least energy and time of any design at equal logic area, by mean.

    Means at which nothing is mixed, or no mix comes near, are left out; where that is all of them, it says what the
    uniform arrays take.
    """
    model, means = rows[0].model, list(dict.fromkeys(row.bits for row in rows))
    mixed = {bits: [row for row in rows if row.bits == bits and row.normalisation == EQUAL_AREA] for bits in means}
    known = [
        bits for bits in means
        if mixed[bits] and _apart(mixed[bits][0].mean_bits, bits) <= _NEAR and mixes(mixed[bits][0].mixture)
    ]  # fmt: skip
    if not known:
        energies = listing(_short(row.energy_uj) for row in rows if row.normalisation == UNIFORM)
        return f"One inference of {model} takes {energies} uJ at {listing(map(str, means))} bits."
    energy = listing(f"{min(row.energy_ratio for row in mixed[bits]):.2f}" for bits in known)
    time = listing(f"{min(row.latency_ratio for row in mixed[bits]):.2f}" for bits in known)
    return (
        f"One inference of {model} on a precision-scalable array of equal logic area takes at least {energy} times the "
        f"energy and {time} times the time of the uniform array at a mean of {listing(map(str, known))} bits."
    )


def _short_notes(rows: Sequence[NetworkRow], wide: bool) -> list[str]:
    """Few short lines."""
    first = rows[0]
    lines = [f"Batch 1, {first.clock_mhz:g} MHz, GEMMs only; first and last layers at 8 bits on every design."]
    if not any(row.sram_area_um2 for row in rows):
        lines[0] = f"{_NO_MEMORIES} {lines[0]}"
    lines += [*_deviations(rows), *_of_activations(rows), *_deeper(rows)]
    mixes = {row.bits: row.mixture for row in rows if row.normalisation != UNIFORM}
    if mixes:
        parts = "; ".join(f"{bits} bits is {mixture}" for bits, mixture in mixes.items())
        lines.append(f"Mixed, by MACs: {parts}.")
    if any(row.meets_clock is False for row in rows):
        lines.append("(misses): a part of the array does not meet the clock.")
    elif any(row.meets_clock is None for row in rows):
        lines.append("Whether the arrays meet the clock is unknown.")
    elif published := {row.bits: row.accuracy_percent for row in rows if row.accuracy_percent is not None}:
        parts = listing(f"{percent:.2f} % at {bits} bits" for bits, percent in published.items())
        lines.append(f"Published accuracy, uniform, not ours: {parts}.")
    more = "" if wide else "--wide: every column. "
    lines.append(f"{more}Method: docs/network.md; limits: docs/limits.md.")
    return lines


def _of_activations(rows: Sequence[NetworkRow]) -> list[str]:
    """What runs in products of two activations where weights have another width."""
    if not any(isinstance(row.bits, Pair) for row in rows):
        return []
    said = "a/b bits: of weights, of activations. Scores and context multiply two activations, both of their width: "
    return [said + "where weights are narrower the uniform MAC takes passes for them."]


def _deeper(rows: Sequence[NetworkRow]) -> list[str]:
    """That the longest sums ask for more words than memories have else."""
    base = [row for row in rows if row.normalisation == UNIFORM]
    depth = max(max(row.activation_depth_words, row.weight_depth_words) for row in base)
    if depth <= DEPTH:
        return []
    words = f"{depth:,} words, not {DEPTH}, to hold a tile of the longest sums"
    return [f"Operand memories of the uniform array: {words} ({base[0].longest_sum:,} products)."]


def _deviations(rows: Sequence[NetworkRow]) -> list[str]:
    """Means that no mixture of the network comes near, and arrays that there are not."""
    lines = []
    for bits in dict.fromkeys(row.bits for row in rows):
        mixed = [row for row in rows if row.bits == bits and row.normalisation != UNIFORM]
        if mixed and _apart(mixed[0].mean_bits, bits) > _NEAR:
            mean = mixed[0].mean_bits
            found = (
                f"{mean:.2f}" if isinstance(mean, float) else "/".join(f"{float(each):.2f}" for each in parts_of(mean))
            )
            lines.append(f"The mix at {bits} bits has a mean of {found}: none of these GEMMs is nearer.")
        for name in (EQUAL_AREA, EQUAL_LATENCY):
            there = {row.design for row in mixed if row.normalisation == name}
            if without := [row.design for row in mixed if row.design not in there]:
                lines.append(f"No array at {name} and {bits} bits: {', '.join(dict.fromkeys(without))}.")
    return lines


def _apart(mean: float | Pair[Fraction], bits: Width) -> float:
    """How far a mean is from what was asked for, of weights or activations, whichever is farther."""
    found = map(float, parts_of(mean)) if isinstance(mean, Pair) else (mean, mean)
    return max(abs(one - other) for one, other in zip(found, parts_of(bits), strict=True))


def _short(energy_uj: float) -> str:
    return f"{energy_uj:,.1f}" if energy_uj >= 1 else f"{energy_uj:.2g}"


def _arranged(line: Sequence[str], headers: Sequence[str]) -> list[str]:
    return [line[NETWORK_HEADERS.index(header)] for header in headers]
