"""What a user of a requantisation unit needs to know, as JSON types."""

from __future__ import annotations

from typing import Any

from rtl.requant import LoadableSpec, PartialSumSpec, RequantSpec

from .mac import CLOCK, encoding, ports_manifest, versions

__all__ = ["requant_manifest", "unit_manifest"]

_PROTOCOL = """\
rst 1 at a clock edge: nothing that has entered comes out any more; parameters stay, and none are loaded
load_valid 1: set load_group takes load_parameters, for what enters in this cycle and later; no set has values at first
in_valid 1: accumulator, two's complement, enters and is computed with the parameter set group"""
_CODE = "out_valid is in_valid, latency_cycles later, beside the code of that accumulator; one may enter every cycle"
_TOTAL = """\
first 1 beside in_valid starts a sum, last 1 ends it; it may have as many accumulators as there are groups
out_valid is in_valid and last, latency_cycles later: then total is the sum since first, two's complement"""
_FIELDS = (
    "each number of a set is stored in load_parameters at bits low and up, width bits: "
    "(number - stored_less) modulo 2**width"
)


def requant_manifest(spec: LoadableSpec) -> dict[str, Any]:
    """Ports, protocol, parameters and rule of a unit: enough to drive it without anything else."""
    code = (_TOTAL if isinstance(spec, PartialSumSpec) else _CODE).splitlines()
    return {
        **unit_manifest(spec),
        "clock": CLOCK,
        "reset": "rst, synchronous, high; empties the pipeline, parameters stay",
        "protocol": [*_PROTOCOL.splitlines(), *code],
        "versions": versions(),
    }


def unit_manifest(spec: LoadableSpec) -> dict[str, Any]:
    """What is the same of a unit on its own and at the drain of an array."""
    low, fields = 0, []
    for item in spec.parameter_fields:
        fields.append(
            {
                "name": item.name,
                "low": low,
                "width": item.width,
                "range": [item.low, item.high],
                "stored_less": item.base,
            }
        )
        low += item.width
    return {
        "module": spec.name,
        "design": spec.design,
        "summary": spec.summary,
        "parameters": spec.parameters,
        "latency_cycles": spec.latency,
        "groups": spec.groups,
        "accumulator_range": list(spec.accumulator_range),
        "rule": spec.rule,
        **({"total_range": list(spec.total_range)} if isinstance(spec, PartialSumSpec) else {}),
        **(_codes(spec) if isinstance(spec, RequantSpec) else {}),
        "field_rule": _FIELDS,
        "parameter_fields": fields,
        "ports": ports_manifest(spec.ports),
    }


def _codes(spec: RequantSpec) -> dict[str, Any]:
    low, high = spec.code_range
    return {
        "lowest": low,
        "step": (high - low) // ((1 << spec.bits) - 1),
        "code_bits": spec.bits,
        "code_range": [low, high],
        "code_encoding": encoding(spec.code_values),
    }
