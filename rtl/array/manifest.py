"""What a user of an array's Verilog needs to know, as JSON types."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from ..manifest import manifest, ports_manifest
from ..requant import RequantSpec
from .element import control_ports
from .run import Run
from .spec import ArraySpec

__all__ = ["array_manifest"]

_PROTOCOL = """\
rst: nothing goes on; memories keep their words
load_weights, load_activations, load_control: a word each, in any cycle in which no run reads that word
start with busy 0: a run begins; sizes, shift, negate, accumulate and halve must not change while busy is 1
hold: no operands are read; what has been read goes on
written: so many result words, from word 0 on, can be read; while busy is 1 only if accumulate is 0
result_address: result_data is that word in the next cycle"""
_REQUANT_PROTOCOL = """\
load_requant: the requantisers of those columns take load_parameters as set load_group, in any cycle with busy 0
requantise, group and group_step must not change while busy is 1"""


def array_manifest(spec: ArraySpec) -> dict[str, Any]:
    """Ports, memory layout, protocol and cycles of an array, and the modules that it is made of."""
    mac = manifest(spec.mac)
    weights, activations = spec.element.operand_widths
    shortest = Run(steps=1, weight_planes=1, activation_planes=1, row_tiles=1, column_tiles=1)
    banks = (spec.rows, spec.columns) if spec.systolic else (1, 1)
    precisions = [
        {**known, "weight_planes": planes[0], "activation_planes": planes[1]}
        for known, planes in zip(mac["precisions"], map(spec.planes, spec.mac.precisions), strict=True)
    ]
    return {
        "module": spec.name,
        "parameters": spec.parameters,
        "clock": mac["clock"],
        "reset": "rst, synchronous, high; ends a run, memories keep their words",
        "ports": ports_manifest(spec.ports),
        "protocol": [*_PROTOCOL.splitlines(), *(_REQUANT_PROTOCOL.splitlines() if spec.requant else [])],
        "memories": {
            "activation": {
                "words": spec.activation_depth,
                "width": spec.rows * activations,
                "banks": banks[0],
                "layout": "word (row_tile * steps + step) * activation_planes + plane, row 0 lowest",
            },
            "weight": {
                "words": spec.weight_depth,
                "width": spec.columns * weights,
                "banks": banks[1],
                "layout": "word (column_tile * steps + step) * weight_planes + plane, column 0 lowest",
            },
            "control": {
                "words": spec.control_depth,
                "width": max(1, spec.element.control_width),
                "banks": 1,
                "layout": "word of each cycle of a step, weight_plane * activation_planes + activation_plane; "
                f"from word {spec.control_depth // 2} on those of the last step of a sum",
                "fields": ports_manifest(control_ports(spec.mac)),
            },
            "result": {
                "words": spec.result_depth,
                "width": spec.columns * spec.result_width,
                "banks": banks[1],
                "layout": "word (column_tile * row_tiles + row_tile) * rows + (rows - 1 - row), column 0 lowest",
            },
        },
        "cycles": {
            "operands": "steps * weight_planes * activation_planes",
            "run": "(row_tiles * column_tiles - 1) * max(operands, rows) + operands + tail",
            "tail": spec.cycles(shortest) - shortest.cycles_per_tile,
            "rows": spec.rows,
        },
        "accumulator_width": spec.mac.accumulator_width,
        "reduction_length": spec.mac.reduction_length,
        "precisions": precisions,
        "mac": {
            "design": spec.mac.design,
            "summary": spec.mac.summary,
            "parameters": spec.mac.parameters,
            "operand_ports": ports_manifest(spec.mac.operand_ports),
        },
        "element": {"module": spec.element.name, "ports": ports_manifest(spec.element.ports)},
        "grid": {"module": spec.grid.name, "ports": ports_manifest(spec.grid.ports)},
        "requant": None if spec.requant is None else _requant_manifest(spec.requant),
        "versions": {name: version(name) for name in ("siliquant", "amaranth", "pyosys")},
    }


def _requant_manifest(requant: RequantSpec) -> dict[str, Any]:
    """The requantiser of a column, and the fields of load_parameters, the first in the lowest bits."""
    return {
        "module": requant.name,
        "design": requant.design,
        "summary": requant.summary,
        "parameters": requant.parameters,
        "latency_cycles": requant.latency,
        "code_range": list(requant.code_range),
        "parameter_fields": [
            {"name": item.name, "width": item.width, "range": [item.low, item.high], "stored_less": item.base}
            for item in requant.parameter_fields
        ],
        "ports": ports_manifest(requant.ports),
    }
