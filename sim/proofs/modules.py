"""A module from its Verilog to what it computes, and those that are proved as a matter of course."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from rtl.mac import DESIGNS, BitBladeSpec, BitFusionSpec, LoomSpec, UniformSpec, XnorSpec
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MAX_BITS, MacSpec
from sim.simulators import Source

from .datapath import prove_datapath
from .frame import prove_frame
from .netlist import prove_netlist
from .requantisers import prove_requantiser

__all__ = ["MacProof", "UnitProof", "prove_mac", "prove_unit", "standard_macs", "standard_units"]

_SIZES = (1, 2, 3, 5, 8, 16)  # lanes or units
_LARGE: tuple[MacSpec, ...] = (
    UniformSpec(weight_bits=8, activation_bits=8, lanes=64),
    UniformSpec(weight_bits=8, activation_bits=8, lanes=64, booth=True, pipeline_stages=1),
    UniformSpec(weight_bits=4, activation_bits=4, lanes=256, pipeline_stages=2),
    XnorSpec(lanes=1024),
    BitFusionSpec(units=64),
    BitBladeSpec(units=64, pipeline_stages=1),
    LoomSpec(units=256),
)


@dataclass(frozen=True)
class MacProof:
    """What was checked of one MAC, as in :class:`sim.proofs.DatapathProof` and :class:`sim.proofs.NetlistProof`."""

    name: str
    design: str
    pipeline_stages: int
    gates: int
    sums: int
    states: int
    precisions: int
    cycles: int
    cells: int
    registers: int
    verilog_sha256: str
    seconds: float


def prove_mac(spec: MacSpec, source: Source | None = None) -> MacProof:
    """Proves that the Verilog of ``spec``, or that of a file in its place, shows the sum of all products since the last
    clear, for all operands, precisions, resets and pauses.

    Raises ProofError with the step that does not hold, InputError where the file does not have the module with its
    ports, ToolError where Yosys cannot read the Verilog.
    """
    built = spec.build()
    netlist, datapath = prove_netlist(spec, source, built), prove_datapath(spec, built)
    frame = prove_frame(spec.pipeline_stages)
    return MacProof(
        spec.name,
        spec.design,
        spec.pipeline_stages,
        datapath.gates,
        datapath.sums,
        datapath.states,
        datapath.precisions,
        datapath.cycles,
        netlist.cells,
        netlist.registers,
        netlist.verilog_sha256,
        round(datapath.seconds + netlist.seconds + frame.seconds, 3),
    )


@dataclass(frozen=True)
class UnitProof:
    """What was checked of one requantisation unit. groups: its parameter sets."""

    name: str
    design: str
    pipeline_stages: int
    gates: int
    groups: int
    cells: int
    registers: int
    verilog_sha256: str
    seconds: float


def prove_unit(spec: LoadableSpec, source: Source | None = None) -> UnitProof:
    """Proves that the Verilog of ``spec``, or that of a file in its place, gives what the rule of the unit says, for
    all accumulators, legal parameters, loads, resets and pauses. Raises as :func:`prove_mac`.
    """
    built = spec.build()
    netlist, rule = prove_netlist(spec, source, built), prove_requantiser(spec, built)
    frame = prove_frame(spec.pipeline_stages, partial=isinstance(spec, PartialSumSpec))
    seconds = round(rule.seconds + netlist.seconds + frame.seconds, 3)
    return UnitProof(
        spec.name,
        spec.design,
        spec.pipeline_stages,
        rule.gates,
        rule.groups,
        netlist.cells,
        netlist.registers,
        netlist.verilog_sha256,
        seconds,
    )


def standard_units() -> tuple[LoadableSpec, ...]:
    """Every kind of unit at every number of bits, with one and with several parameter sets."""
    found: list[LoadableSpec] = []
    for bits, groups, signed in product(range(1, MAX_BITS + 1), (1, 3, 12), (True, False)):
        if bits < MAX_BITS or groups < 12:  # that many thresholds take a minute to write
            found.append(ThresholdSpec(bits=bits, groups=groups, signed=signed, pipeline_stages=(bits + groups) % 3))
        stages, shift_bits = (bits + groups + 1) % 3, bits % 5
        found.append(
            MultiplierSpec(bits=bits, groups=groups, signed=signed, shift_bits=shift_bits, pipeline_stages=stages)
        )
    for width, groups, stages in product((8, 16, 24, 32), (1, 3, 12), (0, 1, 2)):
        found.append(PartialSumSpec(accumulator_width=width, groups=groups, pipeline_stages=stages))
        found.append(MultiplierSpec(accumulator_width=width, groups=groups, pipeline_stages=stages))
        found.append(ThresholdSpec(accumulator_width=width, bits=3, groups=groups, pipeline_stages=stages))
    return tuple(dict.fromkeys(found))


def standard_macs() -> tuple[MacSpec, ...]:
    """Every kind and form of every design in several sizes, every pair of widths of uniform MACs, and large ones."""
    return tuple(dict.fromkeys([*_kinds(), *_pairs(), *_LARGE]))


def _kinds() -> Iterator[MacSpec]:
    for design in DESIGNS:
        for kind, size in product(design.variants(), _SIZES):
            for number, form in enumerate(design(**{**kind, design.size_parameter: size}).forms):
                yield replace(form, pipeline_stages=(size + number) % 3)


def _pairs() -> Iterator[MacSpec]:
    for weight_bits, activation_bits, lanes in product(range(1, MAX_BITS + 1), range(1, MAX_BITS + 1), (1, 3)):
        spec = UniformSpec(weight_bits=weight_bits, activation_bits=activation_bits, lanes=lanes)
        for number, form in enumerate(spec.forms):
            yield replace(form, pipeline_stages=(weight_bits + activation_bits + number) % 3)
