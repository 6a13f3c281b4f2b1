"""What a user of an array's Verilog needs to know, as JSON types."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from ..manifest import manifest, ports_manifest
from ..requant import RequantSpec
from .element import control_ports
from .layout import step_manifest
from .run import REFUSAL_CYCLES, Refusal, Run
from .spec import ArraySpec

__all__ = ["array_manifest"]

_PROTOCOL = """\
rst: nothing goes on and error is 0; memories keep their words
load_weights, load_activations, load_control: a word each, in any cycle in which no run reads that word
start with busy 0: a run begins; settings count in that cycle and may change after it; with busy 1 start is ignored
error: from the end of a run that is refused until the next start, its code of errors; no word of it is written
hold: no operands are read; what has been read goes on
written: so many result words of the run, from word result_base on, can be read; while busy is 1 only if the run does not accumulate
result_address: result_data is that word in the next cycle; any word but those that the run still writes may be read"""  # noqa: E501
_REQUANT_PROTOCOL = """\
load_requant: the requantisers of those columns take load_parameters as set load_group, unless a run uses that set
column tile t of a run with requantise 1 uses set group + t where group_step is 1, else set group"""
_PACKING = """\
a word of weight_words and activation_words is the word of one column or row for one plane
field: for i from 0 to count - 1, bits [bit + i * bit_stride, ... + width) of that word are bits [code_bit, ... + width)
 of the code of operand number operand + i * operand_stride of the step; ones: bits that are 1; all other bits are 0
codes: two's complement, or plain binary where the range begins at 0; in the range -1, 1 of one bit, 0 is -1 and 1 is +1
control_words: of each cycle of a step, which reads weight plane cycle / activation_planes, rounded down, and activation
 plane cycle mod activation_planes
a last step of fewer products: all bits of the fields of operands that it lacks are 0 and control words the same, unless
 short_steps has an entry for so many products: then the bits weight_ones and activation_ones of each plane are 1 in
 every column and row, and control_words are those for the last step"""


def array_manifest(spec: ArraySpec) -> dict[str, Any]:
    """Ports, memory layout, protocol and cycles of an array, and the modules that it is made of."""
    mac = manifest(spec.mac)
    weights, activations = spec.element.operand_widths
    shortest = Run(steps=1, weight_planes=1, activation_planes=1, row_tiles=1, column_tiles=1)
    banks = (spec.rows, spec.columns) if spec.systolic else (1, 1)
    precisions = [
        {
            **known,
            **dict(zip(("weight_planes", "activation_planes"), spec.planes(precision), strict=True)),
            "step": step_manifest(spec.mac, precision),
        }
        for known, precision in zip(mac["precisions"], spec.mac.precisions, strict=True)
    ]
    return {
        "module": spec.name,
        "parameters": spec.parameters,
        "clock": mac["clock"],
        "reset": "rst, synchronous, high; ends a run, memories keep their words",
        "ports": ports_manifest(spec.ports),
        "protocol": [*_PROTOCOL.splitlines(), *(_REQUANT_PROTOCOL.splitlines() if spec.requant else [])],
        "settings": [{"name": port.name, "width": port.width, "meaning": port.packing} for port in spec.settings],
        "errors": [
            {"code": cause.value, "name": cause.name.lower(), "meaning": cause.meaning}
            for cause in Refusal
            if spec.requant is not None or cause is not Refusal.REQUANT_SETS
        ],
        "memories": {
            "activation": {
                "words": spec.activation_depth,
                "width": spec.rows * activations,
                "banks": banks[0],
                "base": "activation_base",
                "layout": "word activation_base + (row_tile * steps + step) * activation_planes + plane",
                "fields": {"count": spec.rows, "width": activations, "order": "row 0 lowest"},
            },
            "weight": {
                "words": spec.weight_depth,
                "width": spec.columns * weights,
                "banks": banks[1],
                "base": "weight_base",
                "layout": "word weight_base + (column_tile * steps + step) * weight_planes + plane",
                "fields": {"count": spec.columns, "width": weights, "order": "column 0 lowest"},
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
                "width": spec.columns * spec.result_width,
                "banks": banks[1],
                "base": "result_base",
                "layout": "word result_base + (column_tile * row_tiles + row_tile) * rows + (rows - 1 - row)",
                "fields": {"count": spec.columns, "width": spec.result_width, "order": "column 0 lowest"},
                "sums": "two's complement, sign-extended; beyond the width they wrap around",
                **({"codes": _codes(spec.requant)} if spec.requant else {}),
            },
        },
        "packing": _joined(_PACKING),
        "cycles": {
            "operands": "steps * weight_planes * activation_planes",
            "run": "(row_tiles * column_tiles - 1) * max(operands, rows) + operands + tail",
            "tail": spec.cycles(shortest) - shortest.cycles_per_tile,
            "rows": spec.rows,
            "refused": REFUSAL_CYCLES,
        },
        "rows": spec.rows,
        "columns": spec.columns,
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


def _joined(text: str) -> list[str]:
    """Sentences, of which those that go on begin with a blank."""
    return text.replace("\n ", " ").splitlines()


def _codes(requant: RequantSpec) -> str:
    """What a result is where it is a code."""
    where = f"code in the {requant.bits} lowest bits, zeros above it"
    if not requant.signed:
        return f"{where}: plain binary"
    if requant.bits == 1:
        return f"{where}: 0 is -1, 1 is +1"
    return f"{where}: two's complement of {requant.bits} bits, which a reader sign-extends"


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
