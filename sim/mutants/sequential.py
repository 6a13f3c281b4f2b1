"""A module and a mutant of it side by side, as a circuit with one output that is 1 where they can be told apart.

Both have the same inputs, begin with the same registers, and a reset comes first. Looked at are all outputs, results
only where out_valid is 1. Memories are taken out: what is written to those of results must be the same, and what is
read is anything, but the same in both where that must be so: the same was written, and both read the same address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["side_by_side_verilog"]

Ports = Mapping[str, Mapping[str, Any]]
_VALID = "out_valid"


def side_by_side_verilog(ports: Ports, assumed: Sequence[str]) -> str:
    """The module ``both`` of ``right`` and ``wrong``, whose ports Yosys writes in JSON, memories as ``NAME.PIN``.

    assumed: expressions over input ports that hold in every cycle.
    """
    inside = {name: port for name, port in ports.items() if "." in name}
    outside = {name: port for name, port in ports.items() if "." not in name}
    inputs = {name: len(port["bits"]) for name, port in outside.items() if port["direction"] == "input"}
    outputs = {name: len(port["bits"]) for name, port in outside.items() if port["direction"] == "output"}
    memories = sorted({name.partition(".")[0] for name in inside})
    read = {memory: len(ports[f"{memory}.read_data"]["bits"]) for memory in memories}
    free = {f"read_{memory}": width for memory, width in read.items()}
    free |= {f"other_{memory}": width for memory, width in read.items()}
    header = [f"input [{width - 1}:0] {name}" for name, width in {**inputs, **free}.items()]
    body = [
        *_wires(outputs, inside),
        *(_instance(which, inputs, outputs, inside) for which in ("right", "wrong")),
        "  reg begun = 0, legal = 1;",
        f"  wire now = legal{''.join(f' && ({each})' for each in assumed)} && (begun || rst);",
        "  always @(posedge clk) begin begun <= 1; legal <= now; end",
        *(line for memory in memories for line in _memory(memory)),
        f"  assign apart = now && begun && ({' || '.join(_differences(outputs, memories))});",
    ]
    lines = "\n".join(body)
    return f"module both({', '.join(header)}, output apart);\n{lines}\nendmodule\n"


def _pin(which: str, name: str) -> str:
    return f"{which}_{name.replace('.', '_')}"


def _wires(outputs: Mapping[str, int], inside: Ports) -> Iterator[str]:
    widths = {**outputs, **{name: len(port["bits"]) for name, port in inside.items()}}
    for which in ("right", "wrong"):
        yield from (f"  wire [{width - 1}:0] {_pin(which, name)};" for name, width in widths.items())


def _instance(which: str, inputs: Mapping[str, int], outputs: Mapping[str, int], inside: Ports) -> str:
    pins = [f".{name}({name})" for name in inputs]
    pins += [f".\\{name} ({_pin(which, name)})" for name in (*outputs, *inside)]
    return f"  {which} {which}({', '.join(pins)});"


def _memory(name: str) -> Iterator[str]:
    """What is read of a memory: ``same`` says whether both hold the same word, ``spoiled`` whether its words differ."""
    right, wrong = f"right_{name}", f"wrong_{name}"
    written = f"(!{right}_write_enable || ({right}_write_address == {wrong}_write_address && "
    written += f"{right}_write_data == {wrong}_write_data))"
    yield f"  wire wrote_{name} = {right}_write_enable == {wrong}_write_enable && {written};"
    yield f"  reg spoiled_{name} = 0, same_{name} = 1;"
    yield "  always @(posedge clk) begin"
    yield f"    spoiled_{name} <= spoiled_{name} || !wrote_{name};"
    yield f"    if ({right}_read_enable && {wrong}_read_enable)"
    yield f"      same_{name} <= !spoiled_{name} && wrote_{name} && {right}_read_address == {wrong}_read_address;"
    yield f"    else if ({right}_read_enable || {wrong}_read_enable) same_{name} <= 0;"
    yield "  end"
    yield f"  assign {right}_read_data = read_{name};"
    yield f"  assign {wrong}_read_data = same_{name} ? read_{name} : other_{name};"


def _differences(outputs: Mapping[str, int], memories: Sequence[str]) -> Iterator[str]:
    for name in outputs:
        differs = f"right_{name} != wrong_{name}"
        looked = f"right_{_VALID} && " if _VALID in outputs and name != _VALID else ""
        yield f"({looked}{differs})"
    yield from (f"!wrote_{name}" for name in memories if name.startswith("result"))
