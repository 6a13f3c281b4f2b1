"""What is mutated as a matter of course: two configurations of every MAC design and of each requantisation unit, an
array of each architecture, and the controllers of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtl.array import Architecture, ArraySpec
from rtl.mac import (
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
from rtl.requant import small_units
from sim.controllers import CONTROLLERS
from sim.fuzzing import Spec

__all__ = ["Subject", "standard_modules", "standard_subjects", "subjects_of"]


@dataclass(frozen=True)
class Subject:
    """What is mutated: a MAC, a unit, an array without its controllers, or one of these, by the end of its name."""

    spec: Spec | ArraySpec
    part: str = ""

    @property
    def name(self) -> str:
        """Module name, with the part behind it."""
        return f"{self.spec.name}_{self.part}" if self.part else self.spec.name

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter by name, as JSON types."""
        return {"spec": self.spec.parameters, "part": self.part}

    @property
    def kind(self) -> str:
        """The design, or the part of an array."""
        return self.part or ("array" if isinstance(self.spec, ArraySpec) else self.spec.design)


def standard_subjects() -> tuple[Subject, ...]:
    """All that is mutated where nothing else is asked for."""
    arrays = (subject for spec in _arrays() for subject in subjects_of(spec))
    return (*(Subject(spec) for spec in standard_modules()), *arrays)


def subjects_of(spec: ArraySpec) -> tuple[Subject, ...]:
    """An array without its controllers, and each of these."""
    return tuple(Subject(spec, part) for part in ("", *CONTROLLERS))


def _arrays() -> tuple[ArraySpec, ...]:
    """Elements whose controls differ from cycle to cycle; memories with room for what the tests load, and of sizes that
    are no powers of two.
    """
    memories: dict[str, Any] = {"activation_depth": 75, "weight_depth": 60, "result_depth": 40, "result_width": 12}
    serial = BitSerialSpec(units=1, maximum_bits=2, reduction_length=7)
    binary = XnorSpec(lanes=2, reduction_length=7)
    return (
        ArraySpec(mac=serial, rows=3, columns=2, drains=2, **memories),
        ArraySpec(mac=binary, rows=3, columns=2, drains=2, architecture=Architecture.SYSTOLIC, **memories),
    )


def standard_modules() -> tuple[Spec, ...]:
    """Small enough that the suite plays on units like them, large enough that all parts of a design are there."""
    return (
        UniformSpec(weight_bits=4, activation_bits=4, lanes=2, reduction_length=40),
        UniformSpec(weight_bits=3, activation_bits=6, lanes=3, reduction_length=40, pipeline_stages=2, booth=True),
        PaddedSpec(units=2, widths=(8, 4, 2), reduction_length=40),
        PaddedSpec(units=2, widths=(4, 2, 1), gating=True, reduction_length=40, pipeline_stages=1),
        SubwordSpec(units=1, widths=(8, 4, 2), reduction_length=40),
        SubwordSpec(units=2, widths=(4, 2), reduction_length=40, pipeline_stages=1),
        Dc1dSpec(units=2, widths=(4, 2), activation_bits=4, reduction_length=40),
        Dc1dSpec(units=1, widths=(8, 4, 2), activation_bits=8, reduction_length=40, pipeline_stages=1),
        BitFusionSpec(units=1, widths=(8, 4), reduction_length=40),
        BitFusionSpec(units=2, widths=(4, 2), reduction_length=40, pipeline_stages=2),
        BitBladeSpec(units=2, widths=(4, 2), reduction_length=40),
        BitBladeSpec(units=1, widths=(8, 4), reduction_length=40, pipeline_stages=1),
        BitSerialSpec(units=2, maximum_bits=4, reduction_length=40),
        BitSerialSpec(units=3, maximum_bits=2, reduction_length=18, pipeline_stages=2),
        LoomSpec(units=3, maximum_bits=4, reduction_length=40),
        LoomSpec(units=1, maximum_bits=2, reduction_length=18, pipeline_stages=2),
        XnorSpec(lanes=5, reduction_length=40),
        XnorSpec(lanes=9, reduction_length=40, pipeline_stages=1),
        *small_units(),
    )  # fmt: skip
