"""What a user of an array's Verilog needs to know, as JSON types."""

from __future__ import annotations

from typing import Any

from rtl.array import REFUSAL_CYCLES, ArraySpec, Run, control_ports
from rtl.names import helper

from .mac import CLOCK, manifest, ports_manifest, versions
from .requant import unit_manifest

__all__ = ["array_manifest"]

_PROTOCOL = """\
rst: nothing goes on, error is 0; memories keep their words
load_weights, load_activations, load_control: a word each, in any cycle in which no run reads that word
start with busy 0: a run begins; settings count in that cycle and may change after it. start with busy 1 is ignored
a run that one of errors applies to is refused: busy is 1 for refused_cycles, no word is written, and from then until \
the next start error is the lowest code that applies; otherwise it is 0
hold: no operands are read; what has been read goes on
written: so many result words of the run, from word result_base on, can be read; while busy is 1 only if the run does \
not accumulate
result_address: result_data is that word in the next cycle, also one that the run does not write; while busy is 1 only \
if the run does not accumulate
result = (result so far if accumulate else 0) + (-1 if negate else 1) * (sum << shift), >> 1 if halve: two's \
complement; one that does not fit wraps
a control table has the words of the steps of a sum and of its last step, which may have another precision where \
controls[].changes allows it"""
_REQUANT_PROTOCOL = """\
load_requant: the requantisers of those columns take load_parameters as set load_group, in any cycle in which no run \
uses that set
requantise 1: result = code of that result, by set group, or group + column_tile if group_step; the code is in the low \
code_bits, all bits above are 0"""


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
        "clock": CLOCK,
        "reset": "rst, synchronous, high; ends a run, memories keep their words",
        "ports": ports_manifest(spec.ports),
        "protocol": [*_PROTOCOL.splitlines(), *(_REQUANT_PROTOCOL.splitlines() if spec.requant else [])],
        "settings": [{"name": port.name, "width": port.width, "meaning": port.packing} for port in spec.settings],
        "errors": [
            {"code": cause.value, "name": cause.name.lower(), "applies": cause.meaning} for cause in spec.refusals
        ],
        "refused_cycles": REFUSAL_CYCLES,
        "memories": {
            "activation": {
                "words": spec.activation_depth,
                "width": spec.rows * activations,
                "banks": banks[0],
                "base": "activation_base",
                "layout": "word activation_base + (row_tile * steps + step) * activation_planes + plane, row 0 lowest",
            },
            "weight": {
                "words": spec.weight_depth,
                "width": spec.columns * weights,
                "banks": banks[1],
                "base": "weight_base",
                "layout": "word weight_base + (column_tile * steps + step) * weight_planes + plane, column 0 lowest",
            },
            "control": {
                "words": spec.control_depth,
                "width": max(1, spec.element.control_width),
                "banks": 1,
                "base": "control_base",
                "layout": "word control_base + cycle of each cycle of a step, weight_plane * activation_planes + "
                "activation_plane; word control_base + last_step + cycle of those of the last step of a sum",
                "last_step": spec.control_cycles,
                "ports": ports_manifest(control_ports(spec.mac)),
            },
            "result": {
                "words": spec.result_depth,
                "width": spec.drains * spec.columns * spec.result_width,
                "banks": spec.drains * banks[1],
                "base": "result_base",
                "layout": "word result_base + (column_tile * row_tiles + row_tile) * drain_rows + (rows - 1 - row) % "
                "drain_rows, place (rows - 1 - row) / drain_rows * columns + column, place 0 lowest",
                "drain_rows": spec.drain_rows,
            },
        },
        "cycles": {
            "operands": "steps * weight_planes * activation_planes",
            "if": "hold is 0 throughout",
            "drain": "drain_rows if shift, negate, accumulate, halve and requantise are 0, else rows",
            "run": "(row_tiles * column_tiles - 1) * max(operands, drain) + operands + drain + rest",
            "rest": spec.cycles(shortest) - shortest.cycles_per_tile - spec.drain_rows,
            "rows": spec.rows,
            "drain_rows": spec.drain_rows,
        },
        "accumulator_width": spec.mac.accumulator_width,
        "reduction_length": spec.mac.reduction_length,
        "controls": mac["controls"],
        "layout_rules": mac["layout_rules"],
        "layouts": mac["layouts"],
        "precisions": precisions,
        "mac": {
            "design": spec.mac.design,
            "summary": spec.mac.summary,
            "parameters": spec.mac.parameters,
            "operand_ports": ports_manifest(spec.mac.operand_ports),
        },
        "element": {"module": spec.element.name, "ports": ports_manifest(spec.element.ports)},
        "grid": {"module": spec.grid.name, "ports": ports_manifest(spec.grid.ports)},
        "requant": None
        if spec.requant is None
        else {**unit_manifest(spec.requant), "module": helper(spec.requant.name)},
        "versions": versions(),
    }
