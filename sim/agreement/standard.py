"""What is run in both simulators as a matter of course: the modules that are mutated, and arrays."""

from __future__ import annotations

from rtl.array import Architecture, ArraySpec
from rtl.mac import BitSerialSpec, UniformSpec
from rtl.requant import MultiplierSpec, ThresholdSpec
from sim.mutants import standard_modules

from .stimuli import Spec

__all__ = ["agreed_specs"]

_WIDTH = 20  # of results
_UNITS = (
    None,
    ThresholdSpec(accumulator_width=_WIDTH, bits=2, groups=2),
    MultiplierSpec(accumulator_width=_WIDTH, bits=3, multiplier_width=6, offset_width=14, shift=6),
)


def agreed_specs() -> tuple[Spec, ...]:
    """Two configurations of every MAC design, every kind of requantisation unit, and arrays of both architectures with
    none of them at their drains and with each that can be there.
    """
    uniform = UniformSpec(weight_bits=2, activation_bits=2, lanes=2, reduction_length=40)
    serial = BitSerialSpec(units=2, maximum_bits=2, reduction_length=40, pipeline_stages=1)
    arrays = tuple(
        ArraySpec(
            mac=mac,
            rows=2,
            columns=columns,
            architecture=architecture,
            activation_depth=64,
            weight_depth=64,
            result_depth=32,
            result_width=_WIDTH,
            requant=unit,
        )
        for architecture in Architecture
        for mac, columns, units in ((uniform, 2, _UNITS), (serial, 1, _UNITS[:1]))
        for unit in units
    )
    return (*standard_modules(), *arrays)
