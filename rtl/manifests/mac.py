"""What a user of a module needs to know, and all of it, as JSON types."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rtl.array import control_ports, step_layout
from rtl.logic import Port
from rtl.spec import BIPOLAR, CodeValues, Field, MacSpec, Precision, fields_of

__all__ = ["CLOCK", "LAYOUT_RULES", "encoding", "manifest", "manifest_text", "ports_manifest", "versions"]

CLOCK = "clk, rising edge"

LAYOUT_RULES = """\
A code is written as bits by its encoding: twos_complement, unsigned, bipolar (one bit: 1 is +1, 0 is -1) or table. \
Where weight_codes or activation_codes is a list, it has every value that there is with its bits as a number; where it \
is null, every integer of the range is a value.
A step takes products_per_step pairs of codes, pair i its weight i and its activation i, in cycles_per_step cycles.
Cycle c of a step: weights is word c // n of weight_words, activations is word c % n of activation_words, where n is \
the number of activation_words, and every control port has value c of the controls of the precision.
A word is given by its number in layouts, as fields. Field k (0 to count - 1) of an entry lies at port bits low + k * \
low_step and up, width bits wide; it holds the bits code_low and up, code_width of them, of the code of operand \
index + k * index_step, and above them copies of the last of these bits. Bits in no field are 0.
A step of fewer products has the codes of unused_products in the other places, which come last: weight in all u of \
them, the first of activations in u // 2 of them, the second in the rest; and where balance names a control port it is \
1 if u is odd.
The legal values of a control port are legal in the list controls of the manifest; changes there says whether it may \
change with each step, or must keep its value in all cycles of a sum.
A value that is not legal, or changes where it must not, spoils the sum that it is part of, and nothing else."""

_PROTOCOL = """\
rst 1 at a clock edge: nothing that has entered comes out any more; the first operands after it must carry clear
in_valid 1: the ports hold one cycle of a step; in_valid 0: they are ignored, also within a step
clear 1 beside in_valid, in the first cycle of a step: a new sum starts with these operands; else it goes on
out_valid is in_valid, latency_cycles later: then accumulator is the sum of all products since clear, two's complement
after a cycle of a step that is not its last the accumulator has no meaning
accumulator keeps its value until out_valid is 1 again, but for one that may come in the cycle in which rst is 1
a sum may have reduction_length products of any codes; longer ones are right where they fit accumulator_width"""


def manifest(spec: MacSpec) -> dict[str, Any]:
    """What a user of the module needs to know, as JSON types: enough to drive it without anything else."""
    low, high = spec.accumulator_range
    layouts: dict[tuple[Field, ...], int] = {}
    precisions = [_precision(spec, precision, layouts) for precision in spec.precisions]
    return {
        "module": spec.name,
        "design": spec.design,
        "summary": spec.summary,
        "parameters": spec.parameters,
        "clock": CLOCK,
        "reset": "rst, synchronous, high; empties the pipeline, the first operands after it must carry clear",
        "ports": ports_manifest(spec.ports),
        "protocol": _PROTOCOL.splitlines(),
        "latency_cycles": spec.latency,
        "accumulator_width": spec.accumulator_width,
        "accumulator_range": [low, high],
        "reduction_length": spec.reduction_length,
        "controls": _controls(spec, precisions),
        "layout_rules": LAYOUT_RULES.splitlines(),
        "layouts": [[asdict(field) for field in layout] for layout in layouts],
        "precisions": precisions,
        "versions": versions(),
    }


def manifest_text(described: Mapping[str, Any]) -> str:
    """A manifest as JSON text; lists and objects that hold nothing but numbers and names stand on a line each."""
    text = json.dumps(described, indent=2)
    return re.sub(r"([\[{])\n\s+([^\[\]{}\"]*|[^\[\]{}]*\"low_step\"[^\[\]{}]*)\n\s+([\]}])", _on_a_line, text) + "\n"


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


def encoding(values: CodeValues) -> str:
    """How codes are written as bits."""
    if values == BIPOLAR:
        return "bipolar"
    if not values.plain:
        return "table"
    return "twos_complement" if values.range[0] < 0 else "unsigned"


def versions() -> dict[str, str]:
    """Of what made the Verilog."""
    return {name: version(name) for name in ("siliquant", "amaranth")}


def _precision(spec: MacSpec, precision: Precision, layouts: dict[tuple[Field, ...], int]) -> dict[str, Any]:
    """What is particular to one precision; adds its words to ``layouts``."""
    layout = step_layout(spec, precision, spec.products_per_step(precision))
    weights, activations = spec.weight_values(precision), spec.activation_values(precision)

    def words(planes: Any, bits: int) -> list[int]:
        return [layouts.setdefault(fields_of(plane, bits), len(layouts)) for plane in planes]

    controls, low = {}, 0
    for port in control_ports(spec):
        controls[port.name] = [(word >> low) & ((1 << port.width) - 1) for word in layout.control]
        low += port.width
    unused = spec.unused_products(precision)
    return {
        "weight_bits": precision.weight_bits,
        "activation_bits": precision.activation_bits,
        "activation_signed": precision.activation_signed,
        "weight_range": list(weights.range),
        "activation_range": list(activations.range),
        "weight_encoding": encoding(weights),
        "activation_encoding": encoding(activations),
        "weight_codes": _listed(weights),
        "activation_codes": _listed(activations),
        "products_per_step": spec.products_per_step(precision),
        "cycles_per_step": spec.cycles_per_step(precision),
        "weight_words": words(layout.weights, precision.weight_bits),
        "activation_words": words(layout.activations, precision.activation_bits),
        "controls": controls,
        "unused_products": {
            "weight": unused.weight, "activations": list(unused.activations), "balance": unused.balance
        },
    }  # fmt: skip


def _listed(values: CodeValues) -> list[list[int]] | None:
    """Values and their bits, where range and encoding do not say all."""
    if values.contiguous and values.plain:
        return None
    return [list(pair) for pair in zip(values.values, values.words, strict=True)]


def _controls(spec: MacSpec, precisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The legal values of each control port, and whether it must keep its value inside a sum."""
    found = []
    for port in control_ports(spec):
        legal = {value for each in precisions for value in each["controls"][port.name]}
        legal |= {1 for each in precisions if each["unused_products"]["balance"] == port.name}
        # What follows from the widths alone must be kept where these must.
        of_widths: dict[int, set[tuple[int, ...]]] = {}
        for each in precisions:
            of_widths.setdefault(each["weight_bits"], set()).add(tuple(each["controls"][port.name]))
        kept = spec.one_width_a_sum and all(len(values) == 1 for values in of_widths.values())
        found.append({"port": port.name, "legal": sorted(legal), "changes": "sum" if kept else "step"})
    return found


def _on_a_line(match: re.Match[str]) -> str:
    return match[1] + re.sub(r"\n\s+", " ", match[2]) + match[3]
