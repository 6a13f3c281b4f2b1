"""The points of a calibration: which designs, how large, how pipelined, at which pressure of the clock.

A point's clock is relative to the design itself: at pressure 1 the clock is so slow that only area counts; at pressure
p above 1 the period is the minimum period of that netlist over p. So every library, fast or slow, is seen from relaxed
to nearly impossible clocks.

The sizes of most designs are chosen here; any other design of the list in ``rtl.mac`` is measured at a few usual sizes.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from hwmodel.operands import LSQ_GAUSSIAN, STREAM_NAMES, UNIFORM, Stream, StreamPlan, operand_sums
from rtl.array import Architecture, CoreSpec
from rtl.mac import (
    DESIGNS,
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    Dc1dSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.spec import MacSpec, Precision
from siliquant.inputs import InputError

__all__ = [
    "PRESSURES",
    "RELAXED_MHZ",
    "SweepDesign",
    "clock_for",
    "first_designs",
    "held_out",
    "plans_for",
    "sweep_cores",
    "sweep_designs",
]

RELAXED_MHZ = 10.0
"""The clock at which only area counts, in MHz; every library here is many times faster."""
PRESSURES = ((1.0, 1.15, 1.5), (1.0, 1.3, 2.0))
"""The pressures of a design's points, for each half of the designs; large designs have the first. A pressure is the
minimum period of the smallest netlist over the period of the clock; 1 stands for the relaxed clock.
"""
_LARGEST_HURRIED = 192  # bits of operands: the fastest netlist of a larger design takes long to find
_OF_ARRAYS = (1.0, 1.15)


@dataclass(frozen=True)
class SweepDesign:
    """One design of the sweep: a MAC, or the core of an array.

    held_out: why it is never fitted ("family", "width", "lanes", "size", "array"), or None.  pressures: those of its
    points, rising.  other_stream: name of the stream with which power is measured beside that of uniform codes.
    """

    spec: MacSpec | CoreSpec
    held_out: str | None
    pressures: tuple[float, ...]
    other_stream: str


def clock_for(pressure: float, relaxed_period_ns: float) -> float:
    """Clock in MHz of a point, a whole number; ``relaxed_period_ns`` is the minimum period at :data:`RELAXED_MHZ`.

    >>> [clock_for(pressure, 2.0) for pressure in PRESSURES[1]]
    [10.0, 650.0, 1000.0]
    """
    if pressure == 1.0:
        return RELAXED_MHZ
    return float(round(1000.0 * pressure / relaxed_period_ns))


def sweep_designs() -> tuple[SweepDesign, ...]:
    """Every design of the sweep, in an order in which any first part of it is a fair sample.

    Order, pressures and streams hang on the names of designs: one more changes nothing for the others.
    """
    others = [name for name in STREAM_NAMES if name != UNIFORM]
    found = []
    for spec in sorted(dict.fromkeys(_specs()), key=_lot):
        lot = _lot(spec)
        hurried = lot % 2 and sum(port.width for port in spec.operand_ports) <= _LARGEST_HURRIED
        found.append(SweepDesign(spec, held_out(spec), PRESSURES[bool(hurried)], others[lot // 2 % len(others)]))
    return tuple(found)


def first_designs(fitted: int) -> tuple[SweepDesign, ...]:
    """The first part of the sweep with so many designs that are fitted, and those held out among them.

    Raises InputError where the sweep has fewer.
    """
    every = sweep_designs()
    places = [index for index, design in enumerate(every) if design.held_out is None]
    if not 1 <= fitted <= len(places):
        raise InputError(f"designs must be 1 to {len(places)}, those of the sweep that are fitted, not {fitted}")
    return every[: places[fitted - 1] + 1]


def sweep_cores() -> tuple[SweepDesign, ...]:
    """Whole arrays, never fitted: every design, broadcast or systolic, at the relaxed clock and a little pressure."""
    return tuple(SweepDesign(spec, "array", _OF_ARRAYS, LSQ_GAUSSIAN) for spec in (*_CORES, *_other_cores()))


def _lot(spec: MacSpec) -> int:
    """A number drawn for a design: always the same."""
    return zlib.crc32(spec.name.encode())


def plans_for(design: SweepDesign, pressure: float) -> tuple[StreamPlan, ...]:
    """The operand streams under which the power of a point is measured.

    Relaxed: uniform codes at the one precision of a uniform design, at up to three of others, and the design's other
    stream at the first of them (Gaussian codes where that stream has none of this width, or codes that the design does
    not hold); under pressure, uniform codes at the first.
    """
    precisions = [p for p in design.spec.precisions if p.activation_signed]
    if len(precisions) > 1:
        precisions = [p for p in (Precision(4, 4), Precision(8, 8), Precision(2, 2)) if p in precisions]
    plans = [StreamPlan(precision) for precision in precisions]
    if pressure > 1.0:
        return tuple(plans[:1])
    main = precisions[0]
    for name in (design.other_stream, LSQ_GAUSSIAN):
        if name == LSQ_GAUSSIAN and 1 in (main.weight_bits, main.activation_bits):
            continue  # there are no signed Gaussian codes of one bit
        try:
            plan = StreamPlan(main, Stream(name))
            if isinstance(design.spec, MacSpec):
                operand_sums(design.spec, plan)
        except ValueError:  # the network has no codes of that width, or others than the design holds
            continue
        plans.append(plan)
        break
    return tuple(plans)


_LARGE: tuple[MacSpec, ...] = (
    UniformSpec(weight_bits=6, activation_bits=6, lanes=48),
    PaddedSpec(units=16, gating=True),
    SubwordSpec(units=10, widths=(8, 4), pipeline_stages=1),
    BitFusionSpec(units=6, pipeline_stages=1),
    BitSerialSpec(units=64, pipeline_stages=1),
    BitSerialSpec(units=128, pipeline_stages=1),
    XnorSpec(lanes=512, pipeline_stages=1),
)
"""Larger than anything that is fitted: whether the model holds there as well."""


def held_out(spec: MacSpec) -> str | None:
    """Whether and why a design is kept from the fit: a whole family, operand widths, lane counts, and large sizes."""
    if isinstance(spec, BitBladeSpec | LoomSpec):
        return "family"
    if isinstance(spec, UniformSpec) and {spec.weight_bits, spec.activation_bits} & {3, 7}:
        return "width"
    size = int(getattr(spec, spec.size_parameter))
    if isinstance(spec, UniformSpec) and size in (12, 32):
        return "lanes"
    if spec in _LARGE:
        return "size"
    return "lanes" if size in (3, 6, 24, 48, 96) else None


_USUAL = ((4, 0), (8, 0), (16, 1), (24, 0), (32, 0))
"""Sizes and pipeline stages of a design that has none of its own here; one of them is held out."""

_BROADCAST, _SYSTOLIC = Architecture.BROADCAST, Architecture.SYSTOLIC
_CORES: tuple[CoreSpec, ...] = tuple(
    CoreSpec(mac=mac, rows=rows, columns=columns, architecture=architecture)
    for mac, rows, columns, architecture in (
        (UniformSpec(weight_bits=4, activation_bits=4, lanes=4), 4, 4, _BROADCAST),
        (UniformSpec(weight_bits=2, activation_bits=2, lanes=16, pipeline_stages=1), 3, 3, _BROADCAST),
        (UniformSpec(weight_bits=4, activation_bits=4, lanes=8), 3, 3, _SYSTOLIC),
        (PaddedSpec(units=1), 3, 4, _SYSTOLIC),
        (SubwordSpec(units=1), 3, 3, _BROADCAST),
        (BitFusionSpec(units=1, pipeline_stages=1), 2, 2, _BROADCAST),
        (BitBladeSpec(units=1, widths=(8, 4)), 2, 3, _SYSTOLIC),
        (Dc1dSpec(units=1), 2, 3, _BROADCAST),
        (BitSerialSpec(units=8), 3, 3, _BROADCAST),
        (LoomSpec(units=16), 3, 2, _SYSTOLIC),
        (XnorSpec(lanes=32), 4, 4, _BROADCAST),
    )
)
"""Small arrays of small elements: what grows with an array is the fan-out of its edge, and how sums drain."""


def _other_cores() -> Iterator[CoreSpec]:
    for design in _others({type(core.mac) for core in _CORES}):
        size: dict[str, Any] = {design.size_parameter: 4}
        mac = design(**size)
        yield CoreSpec(mac=mac, rows=3, columns=3, architecture=_BROADCAST)


def _specs() -> Iterator[MacSpec]:
    chosen = list(_chosen())
    yield from chosen
    for design in _others({type(spec) for spec in chosen}):
        for given, (size, stages) in product(design.variants(), _USUAL):
            yield design(**given, **{design.size_parameter: size}, pipeline_stages=stages)


def _others(known: Collection[type[MacSpec]]) -> list[type[MacSpec]]:
    return [design for design in DESIGNS if design not in known]


def _chosen() -> Iterator[MacSpec]:
    yield from _uniform()
    yield from _forms()
    yield from _LARGE
    for gating in (False, True):
        for units, stages in ((1, 0), (2, 0), (4, 0), (3, 1), (6, 0), (4, 2)):
            yield PaddedSpec(units=units, gating=gating, pipeline_stages=stages)
    for units, stages in ((4, 0), (16, 0)):
        yield PaddedSpec(units=units, gating=True, widths=(4, 2), pipeline_stages=stages)
    for units, stages in ((1, 0), (2, 1), (3, 0), (4, 0), (4, 1), (6, 2)):
        for widths in ((8, 4), (8, 4, 2)):
            yield SubwordSpec(units=units, widths=widths, pipeline_stages=stages)
    for design in (BitFusionSpec, BitBladeSpec):
        for widths in ((8, 4), (8, 4, 2)):
            for units, stages in ((1, 0), (2, 1), (3, 0), (4, 1)):
                yield design(units=units, widths=widths, pipeline_stages=stages)
    yield BitBladeSpec(units=6, pipeline_stages=1)
    yield from _other_sets()
    for units, stages, length in (
        (1, 0, 4096), (2, 0, 4096), (3, 0, 4096), (11, 0, 4096),
        (4, 0, 4096), (8, 0, 4096), (16, 0, 4096), (24, 0, 4096), (32, 0, 4096), (16, 1, 4096), (8, 1, 65536),
    ):  # fmt: skip
        yield BitSerialSpec(units=units, pipeline_stages=stages, reduction_length=length)
    for units, stages in ((16, 0), (48, 1)):
        yield BitSerialSpec(units=units, maximum_bits=4, pipeline_stages=stages)
    for units, stages in ((5, 0), (16, 0), (32, 0), (64, 0), (32, 1), (128, 0), (320, 1)):
        yield LoomSpec(units=units, pipeline_stages=stages)
    yield LoomSpec(units=64, maximum_bits=4)
    for lanes, stages in ((16, 0), (32, 0), (48, 0), (64, 0), (96, 1), (128, 0), (128, 1)):
        yield XnorSpec(lanes=lanes, pipeline_stages=stages)


def _other_sets() -> Iterator[MacSpec]:
    """Units narrower than 8 bits, or without a width between, and those that divide weights alone."""
    for units, stages in ((4, 0), (8, 0), (12, 1)):
        yield SubwordSpec(units=units, widths=(4, 2), pipeline_stages=stages)
    for widths, units, stages in (((8, 2), 2, 0), ((8, 2), 4, 1), ((4, 2, 1), 4, 0), ((4, 2, 1), 8, 1)):
        yield SubwordSpec(units=units, widths=widths, pipeline_stages=stages)
    for design in (BitFusionSpec, BitBladeSpec):
        for widths, units, stages in (((4, 2), 4, 0), ((4, 2), 8, 1), ((8, 2), 2, 1), ((4, 2, 1), 2, 0)):
            yield design(units=units, widths=widths, pipeline_stages=stages)
    for units, stages in ((1, 0), (2, 1), (3, 0), (4, 1)):
        for widths in ((8, 4), (8, 4, 2)):
            yield Dc1dSpec(units=units, widths=widths, pipeline_stages=stages)
    for units, stages in ((4, 0), (8, 1)):
        yield Dc1dSpec(units=units, widths=(4, 2), activation_bits=4, pipeline_stages=stages)


def _forms() -> Iterator[MacSpec]:
    """Booth's recoding, and half adders, where they may be chosen: 8-bit products, few lanes."""
    for weight_bits, activation_bits, lanes, stages in (
        (8, 8, 1, 0), (8, 8, 3, 0), (8, 8, 4, 0), (8, 8, 16, 0), (8, 8, 12, 1), (4, 8, 8, 0), (6, 8, 4, 0),
    ):  # fmt: skip
        yield UniformSpec(
            weight_bits=weight_bits, activation_bits=activation_bits, lanes=lanes, pipeline_stages=stages, booth=True
        )
    yield PaddedSpec(units=2, booth=True)
    yield UniformSpec(weight_bits=8, activation_bits=8, lanes=1, booth=True, half_adders=True)
    for bits, lanes, stages in ((8, 1, 0), (4, 2, 0), (4, 4, 1), (3, 8, 0)):
        yield UniformSpec(weight_bits=bits, activation_bits=bits, lanes=lanes, pipeline_stages=stages, half_adders=True)
    yield SubwordSpec(units=1, half_adders=True)
    yield BitFusionSpec(units=1, widths=(8, 4), half_adders=True)
    yield BitSerialSpec(units=4, half_adders=True)


def _uniform() -> Iterator[MacSpec]:
    for bits, lanes, stages in (
        (1, 8, 0), (1, 16, 0), (1, 32, 0),
        (2, 4, 0), (2, 8, 0), (2, 16, 0), (2, 32, 0), (2, 16, 1), (2, 64, 1),
        (3, 4, 0), (3, 8, 0), (3, 16, 0), (3, 16, 1),
        (4, 1, 0), (4, 2, 0), (4, 4, 0), (4, 8, 0), (4, 12, 0), (4, 16, 0), (4, 32, 0),
        (4, 8, 1), (4, 16, 1), (4, 16, 2),
        (5, 8, 0), (6, 4, 0), (6, 8, 0), (6, 16, 1), (7, 8, 0),
        (8, 1, 0), (8, 2, 0), (8, 4, 0), (8, 8, 0), (8, 12, 1), (8, 4, 1), (8, 8, 2), (8, 16, 0),
    ):  # fmt: skip
        yield UniformSpec(weight_bits=bits, activation_bits=bits, lanes=lanes, pipeline_stages=stages)
    for weight_bits, activation_bits, lanes, stages in (
        (1, 4, 16, 0), (2, 4, 8, 0), (2, 4, 16, 1), (4, 2, 8, 0), (2, 8, 8, 0), (4, 8, 4, 0), (4, 8, 16, 0),
        (8, 4, 8, 1), (3, 6, 8, 0), (1, 8, 16, 0), (6, 3, 16, 0), (7, 4, 8, 0),
    ):  # fmt: skip
        yield UniformSpec(weight_bits=weight_bits, activation_bits=activation_bits, lanes=lanes, pipeline_stages=stages)
    for bits, lanes, length in ((4, 16, 256), (4, 16, 65536), (8, 4, 65536), (2, 16, 256), (2, 8, 65536), (8, 8, 256)):
        yield UniformSpec(weight_bits=bits, activation_bits=bits, lanes=lanes, reduction_length=length)
