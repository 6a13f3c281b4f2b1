"""What a user of a module needs to know, as JSON types."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from .spec import MacSpec, Port

__all__ = ["manifest", "ports_manifest"]


def ports_manifest(ports: Sequence[Port]) -> list[dict[str, Any]]:
    """Name, direction, width and packing of each port, as JSON types."""
    return [
        {
            "name": port.name,
            "direction": "input" if port.is_input else "output",
            "width": port.width,
            "packing": port.packing,
        }
        for port in ports
    ]


def manifest(spec: MacSpec) -> dict[str, Any]:
    """What a user of the module needs to know, as JSON types."""
    low, high = spec.accumulator_range
    return {
        "module": spec.name,
        "design": spec.design,
        "summary": spec.summary,
        "parameters": spec.parameters,
        "clock": "clk, rising edge",
        "reset": "rst, synchronous, high; empties the pipeline, the first operands after it must carry clear",
        "ports": ports_manifest(spec.ports),
        "latency_cycles": spec.latency,
        "accumulator_width": spec.accumulator_width,
        "accumulator_range": [low, high],
        "reduction_length": spec.reduction_length,
        "precisions": [
            {
                "weight_bits": precision.weight_bits,
                "activation_bits": precision.activation_bits,
                "activation_signed": precision.activation_signed,
                "weight_range": list(spec.weight_range(precision)),
                "activation_range": list(spec.activation_range(precision)),
                "products_per_step": spec.products_per_step(precision),
                "cycles_per_step": spec.cycles_per_step(precision),
            }
            for precision in spec.precisions
        ],
        "versions": {name: version(name) for name in ("siliquant", "amaranth", "pyosys")},
    }
