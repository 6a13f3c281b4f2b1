"""Requantisers as measured, area against plain RTL, and cycles of arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from docs_tools.commands import printed_and_written
from docs_tools.markdown import spread, table
from docs_tools.results import read_result
from hwmodel.comparison import contenders, units
from hwmodel.measurement import packaged_calibration
from hwmodel.model import FLIP_FLOPS, Part, structure_of
from rtl.array import DRAINS, Architecture, ArraySpec
from rtl.mac import BitSerialSpec, LoomSpec, UniformSpec, XnorSpec
from rtl.requant import ThresholdSpec
from rtl.spec import MacSpec, Precision

__all__ = ["OWNS", "texts"]

OWNS = ("parts", "requantisers", "qor", "forms", "array", "cycles")
COUNTED: Mapping[str, Sequence[Part]] = {
    "AND terms": (Part.AND_TERMS,),
    "OR / XOR gates": (Part.OR_GATES, Part.XOR_GATES),
    "multiplexers": (Part.MULTIPLEXERS,),
    "full adders": (Part.FULL_ADDERS,),
    "carry-propagate bits": (Part.CARRY_BITS,),
}
PRODUCT = (197, 192, 192)  # M, K, N: a query projection of DeiT-T


def texts() -> dict[str, str]:
    """By place."""
    return {"parts": _parts(), **_requantisers(), **_plain_rtl(), **_forms(), **_cycles()}


def _parts() -> str:
    """What small designs of every kind are made of."""
    specs: list[MacSpec] = [UniformSpec(weight_bits=bits, activation_bits=bits, lanes=4) for bits in (4, 8)]
    specs += [design(**{**kind, design.size_parameter: 4}) for design in contenders() for kind in design.variants()]
    specs.append(XnorSpec(lanes=64))
    lines = []
    for spec in specs:
        counts = structure_of(spec).counts
        flip_flops = sum(counts[part] for part in FLIP_FLOPS)
        cells = (
            " / ".join(f"{counts[part]:,}" if counts[part] else "" for part in parts) for parts in COUNTED.values()
        )
        lines.append((spec.label, *cells, f"{flip_flops:,}"))
    return table(("design", *COUNTED, "flip-flops"), lines)


def _requantisers() -> dict[str, str]:
    """The section on requantisation of the measured comparison, and what it says."""
    command = ("-m", "hwmodel.compare", "--bits", "2,3,4", "--synthesise", "--jobs", "1", "--out", "OUT")
    shown, (text,) = printed_and_written(*command, "--format", "markdown", names=["requantisation.json"])
    start = shown.index("| code bits | unit |")
    found = json.loads(text)

    def number(bits: int, unit: str, sets: int, name: str) -> float:
        (one,) = (each for each in found if (each["bits"], each["design"], each["groups"]) == (bits, unit, sets))
        return float(one[name])

    heads = max(each["groups"] for each in found)
    bits = sorted({each["bits"] for each in found})
    verdicts = []
    for sets, name in ((1, "With one parameter set"), (heads, "with one a head")):
        ratios = [number(b, "thresholds", sets, "area_um2") / number(b, "multiplier", sets, "area_um2") for b in bits]
        said = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        verdicts.append(f"{name} thresholds have {said} times the area of the multiplier")
    partial = [number(b, "partialsum", heads, "area_ratio") for b in bits]
    sizes = {
        name: spread([number(b, name, heads, "parameter_width") for b in bits], ".0f")
        for name in ("thresholds", "multiplier")
    }
    wide = ThresholdSpec(accumulator_width=units([8], 16)[0].mac.accumulator_width, bits=8)
    return {
        "requantisers": shown[start : shown.index("\n\n", start)],
        "requantisers-verdict": f"{verdicts[0]} at {', '.join(map(str, bits))} bits, {verdicts[1]}: they hold "
        f"{sizes['thresholds']} bits a set where the multiplier holds {sizes['multiplier']}.",
        "requantisers.partial": spread(partial),
        "requantisers.wide-bits": f"{wide.parameter_width:,}",
    }


def _plain_rtl() -> dict[str, str]:
    own = read_result("qor-freepdk45")
    headers = ("operands", "plain, strong flow", "plain, default flow", "uniform, default flow", "uniform, our flow",
               "to the strong flow", "to the default flow")  # fmt: skip
    lines = [
        [
            _bits(row),
            *(_area_and_period(row[name]) for name in ("strong", "weak", "unmapped", "ours")),
            f"{row['ratio']:.3f}",
            f"{row['weak_ratio']:.3f}",
        ]
        for row in (*own["plain"], own["mac"])
    ]
    every = [own, *(read_result(f"qor-{name}") for name in ("sky130hd", "ihp-sg13g2", "asap7"))]
    bits = [_bits(row) for row in (*own["plain"], own["mac"])]
    return {
        "qor": table(headers, lines, left=0),
        "qor.geomean": f"{own['geomean']:.3f}",
        "qor.weak-geomean": f"{own['weak_geomean']:.3f}",
        **{f"qor.{row['design'].split('_')[0]}": f"{row['ours']['area_um2']:,.0f}" for row in own["units"]},
        "qor-libraries": table(
            ("library", *bits, "geometric mean, 16 lanes"),
            [[one["library"], *map(_both, (*one["plain"], one["mac"])), f"{one['geomean']:.3f}"] for one in every],
        ),
        "qor-booth": table(
            ("library", "16 lanes", "one lane"),
            [[one["library"], *(_booth(row) for row in (one["plain"][-1], one["mac"]))] for one in every],
        ),
        "qor-clock": table(
            ("design", "clock ns", "area um2 (minimum period ns)", "change", "form"),
            [line for curve in own["clock"] for line in _curve(curve)],
        ),
    }


def _bits(row: Mapping[str, Any]) -> str:
    """Of one line of the comparison with plain RTL."""
    width = row["design"].partition("x")[2]
    return f"{width} bits" if row["lanes"] > 1 else f"{width} bits, one lane"


def _area_and_period(figure: Mapping[str, Any]) -> str:
    return f"{figure['area_um2']:,.0f} ({figure['minimum_period_ns']:.2f})"


def _both(row: Mapping[str, Any]) -> str:
    """Area of uniform in our flow, and of plain RTL in the strong flow."""
    return f"{row['ours']['area_um2']:,.0f} / {row['strong']['area_um2']:,.0f}"


def _booth(row: Mapping[str, Any]) -> str:
    """By how much Booth's recoding changes the area."""
    recoded, plain = (
        [um2 for name, um2 in row["forms"].items() if name.endswith("_b1") is wanted] for wanted in (True, False)
    )
    return _percent(recoded[0] / plain[0])


def _curve(curve: Mapping[str, Any]) -> list[list[str]]:
    """The lines of one design: its areas along the clock, and by how much each differs from the one before."""
    rows = curve["rows"]
    changes = ["", *(_percent(b["ours"]["area_um2"] / a["ours"]["area_um2"]) for a, b in pairwise(rows))]
    return [
        [
            curve["design"],
            f"{row['period_ns']:.2f}",
            _area_and_period(row["ours"]) + ("" if row["met"] else ", misses it"),
            change,
            _form(row["form"]),
        ]
        for row, change in zip(rows, changes, strict=True)
    ]


def _form(name: str) -> str:
    """The form of a design, from the letters that its name has for what is not the default."""
    return " and ".join(word for letters, word in (("_b1", "Booth"), ("_h1", "half adders")) if letters in name)


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f} %"


def _forms() -> dict[str, str]:
    """By how much Booth's recoding and half adders change area and energy of a cycle: every design that the calibration
    of freepdk45 has in both forms, at its relaxed clock.
    """
    table = packaged_calibration("freepdk45")
    rows = table.rows[(table.rows["pressure"] == 1.0) & table.rows["stream"].str.startswith("uniform")]
    specs = dict(zip(table.rows["spec"], table.specs(), strict=True))
    energy = rows["clock_pj"] + rows["settled_pj"] + rows["glitch_pj"]
    keys = [(specs[name], precision) for name, precision in zip(rows["spec"], rows["precision"], strict=True)]
    measured = dict(zip(keys, zip(rows["area_um2"], energy, strict=True), strict=True))
    found: dict[str, str] = {}
    for form in ("booth", "half_adders"):
        changes = [
            [100 * (with_it / without - 1) for with_it, without in zip(values, measured[plain, precision], strict=True)]
            for (spec, precision), values in measured.items()
            if getattr(spec, form, False) and (plain := replace(spec, **{form: False}), precision) in measured
        ]
        for quantity, each in zip(("area", "energy"), zip(*changes, strict=True), strict=True):
            found[f"forms.{form.replace('_', '-')}-{quantity}"] = spread(each, "+.0f")
    return found


def _cycles() -> dict[str, str]:
    designs: tuple[tuple[str, MacSpec], ...] = (
        ("`uniform`, 16 lanes", UniformSpec(weight_bits=4, activation_bits=4, lanes=16)),
        ("`bitserial`, 16 units", BitSerialSpec(units=16)),
        ("`loom`, 64 units", LoomSpec(units=64)),
    )
    lines, values = [], {}
    for name, mac in designs:
        array = ArraySpec(mac=mac, rows=16, columns=16, result_depth=4096, drains=DRAINS)
        systolic = replace(array, architecture=Architecture.SYSTOLIC)
        planned = array.run(*PRODUCT, Precision(4, 4))
        cycles = {changed: array.cycles(planned, changed=changed) for changed in (False, True)}
        lines.append(
            (
                name,
                f"{planned.cycles_per_tile:,}",
                f"{cycles[False]:,}",
                f"{cycles[True]:,}",
                f"{systolic.cycles(planned):,}",
                f"{array.load_cycles(planned):,}",
            )
        )
        macs = PRODUCT[0] * PRODUCT[1] * PRODUCT[2]
        most = array.rows * array.columns * float(mac.macs_per_cycle(Precision(4, 4)))
        values[f"cycles.{mac.design}"] = f"{100 * macs / (cycles[False] * most):.0f} %"
        values.setdefault("cycles.changed", f"{100 * macs / (cycles[True] * most):.0f} %")  # of the first
    return {
        "array-cycles": table(("design", "operands a tile", "broadcast", "changed sums", "systolic", "loading"), lines),
        **values,
        "cycles.steps": lines[0][1],
    }
