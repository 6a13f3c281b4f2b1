"""A module and a mutant of it side by side, as a circuit whose output ``apart`` is 1 where they can be told apart.

Both have the same inputs, begin with registers of 0, and a reset comes first. Looked at are all outputs, results only
where out_valid is 1, and accumulators from there to the next reset, since they are held. Memories are taken out: what
is written to those of results must be the same, and what is read is anything, but the same in both where that must be
so: the same was written, and both read the same address.

Registers often differ where nobody reads them. The other outputs are guesses of :mod:`sim.mutants.guesses` that say so,
each 1 where it is wrong; a checker that looks for signals that are always 0 keeps those that hold by induction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from .guesses import Guesses

__all__ = ["alone_verilog", "side_by_side_verilog"]

Widths = Mapping[str, int]
_VALID = "out_valid"
_HELD = "accumulator"


def side_by_side_verilog(
    inputs: Widths,
    outputs: Widths,
    memory_pins: Widths,
    registers: Widths,
    both: Collection[str],
    assumed: Sequence[str],
    accepted: Widths,
    apart: Collection[str] | None = None,
) -> str:
    """The module ``both`` of ``right`` and ``wrong``, which have these ports, memories as ``NAME.PIN``.

    registers: shown by ``right`` as outputs; those in ``both`` by ``wrong``, too, since a mutant may lack one. assumed:
    expressions over input ports that hold in every cycle. accepted: of an array, the largest number in each register of
    settings that its check lets pass. apart: the registers that may differ, about which is guessed; None: that each of
    those in both is the same is all that is guessed, in their order.
    """
    memories = sorted({name.rpartition(".")[0] for name in memory_pins})
    read = {memory: memory_pins[f"{memory}.read_data"] for memory in memories}
    free = {f"read_{memory}": width for memory, width in read.items()}
    free |= {f"other_{memory}": width for memory, width in read.items()}
    right, wrong = (partial(_net, which) for which in _BOTH)
    guesses = Guesses(registers, both, right, wrong, apart or (), [f"same_{memory}" for memory in memories])
    differences = list(_differences(outputs, memories))
    if apart is None:
        guessed = [(registers[name], f"({right(name)}^ {wrong(name)})") for name in both]
    else:
        guessed = [*((1, each) for each in differences), *guesses.wrong()]
    texts = [(width, f"{{{width}{{looked}}}} & {text}") for width, text in guessed]
    # In the first cycle there is no reset yet that was seen, and a register is 0: induction has to be told both.
    texts += [(registers[name], f"{{{registers[name]}{{!begun}}}} & {right(name)}") for name in registers]
    texts += [(registers[name], f"{{{registers[name]}{{!begun}}}} & {wrong(name)}") for name in both]
    header = [f"input [{width - 1}:0] {name}" for name, width in {**inputs, **free}.items()]
    header += ["output apart", *(f"output [{width - 1}:0] guess_{place}" for place, (width, _) in enumerate(texts))]
    alike = {**outputs, **{name: registers[name] for name in both}, **memory_pins}
    shown = {"right": {**registers, **alike}, "wrong": alike}
    held = [f"({each})" for each in (*assumed, *guesses.accepted(accepted))]
    body = [
        *(f"  wire [{width - 1}:0] {_net(which, name)};" for which in _BOTH for name, width in shown[which].items()),
        *(_instance(which, inputs, shown[which]) for which in _BOTH),
        "  reg begun = 0, legal = 1;",
        f"  wire now = legal{''.join(f' && {each}' for each in held)} && (begun || rst);",
        "  wire looked = now && begun;",
        "  always @(posedge clk) begin begun <= 1; legal <= now; end",
        *_shown(outputs),
        *(line for memory in memories for line in _memory(memory)),
        *guesses.declared(),
        f"  assign apart = looked && ({' || '.join(differences)});",
        *(f"  assign guess_{place} = {text};" for place, (_, text) in enumerate(texts)),
    ]
    lines = "\n".join(body)
    return f"module both({', '.join(header)});\n{lines}\nendmodule\n"


def alone_verilog(
    inputs: Widths, memory_pins: Widths, registers: Widths, assumed: Sequence[str], accepted: Widths
) -> str:
    """The module ``both`` of ``right``, an array, alone. Its output ``apart`` is 1 where a run does not go on though
    operands or sums are on their way, while all else that is taken for granted holds, and ``ended`` where a run that
    was accepted has just ended. Memories give anything. What it takes is as of :func:`side_by_side_verilog`.
    """
    read = {name: width for name, width in memory_pins.items() if name.endswith(".read_data")}
    right = partial(_net, "right")
    guesses = Guesses(registers, (), right, partial(_net, "wrong"), ())
    shown = {**registers, **memory_pins}
    held = "".join(f" && ({each})" for each in (*assumed, guesses.bounded(accepted)))
    body = [
        *(f"  wire [{width - 1}:0] {right(name)};" for name, width in shown.items()),
        _instance("right", inputs, shown),
        "  reg begun = 0, legal = 1, ran = 0;",
        f"  wire now = legal{held} && (begun || rst);",
        f"  wire runs = {right('running')}&& !{right('stop')}&& !rst;",
        "  always @(posedge clk) begin begun <= 1; legal <= now; ran <= runs; end",
        *(f"  assign {right(name)} = \\free.{name} ;" for name in read),
        f"  assign apart = now && begun && !({guesses.goes_on()});",
        f"  assign ended = now && begun && ran && !{right('running')};",
    ]
    ports = {**inputs, **{f"\\free.{name} ": width for name, width in read.items()}}
    header = [*(f"input [{width - 1}:0] {name}" for name, width in ports.items()), "output apart", "output ended"]
    lines = "\n".join(body)
    return f"module both({', '.join(header)});\n{lines}\nendmodule\n"


_BOTH = ("right", "wrong")


def _net(which: str, name: str) -> str:
    return f"\\{which}.{name} "


def _instance(which: str, inputs: Widths, shown: Widths) -> str:
    pins = [f".{name}({name})" for name in inputs]
    pins += [f".\\{name} ({_net(which, name)})" for name in shown]
    return f"  {which} {which}_module({', '.join(pins)});"


def _shown(outputs: Widths) -> Iterator[str]:
    """Whether a result was there since the last reset."""
    if _HELD in outputs:
        yield "  reg shown = 0;"
        yield f"  always @(posedge clk) shown <= !rst && (shown || {_net('right', _VALID)});"


def _memory(name: str) -> Iterator[str]:
    """What is read of a memory: ``same`` says whether both hold the same word, ``spoiled`` whether its words differ."""
    pins = ("read_enable", "read_address", "read_data", "write_enable", "write_address", "write_data")
    right, wrong = ({pin: _net(which, f"{name}.{pin}") for pin in pins} for which in _BOTH)
    equal = {pin: f"{right[pin]}== {wrong[pin]}" for pin in pins}
    yield f"  wire wrote_{name} = {equal['write_enable']} && (!{right['write_enable']}"
    yield f"    || ({equal['write_address']} && {equal['write_data']}));"
    yield f"  reg spoiled_{name} = 0, same_{name} = 1;"
    yield "  always @(posedge clk) begin"
    yield f"    spoiled_{name} <= looked && (spoiled_{name} || !wrote_{name});"
    yield f"    if (!looked) same_{name} <= 1;"  # before the first reset, and where nothing is looked at any more
    yield f"    else if ({right['read_enable']} && {wrong['read_enable']})"
    yield f"      same_{name} <= !spoiled_{name} && wrote_{name} && {equal['read_address']};"
    yield f"    else if ({right['read_enable']} || {wrong['read_enable']}) same_{name} <= 0;"
    yield "  end"
    yield f"  assign {right['read_data']} = read_{name};"
    yield f"  assign {wrong['read_data']} = same_{name} ? read_{name} : other_{name};"


def _differences(outputs: Widths, memories: Sequence[str]) -> Iterator[str]:
    for name in outputs:
        valid = f"({_net('right', _VALID)}{'|| shown' if name == _HELD else ''}) && "
        looked = valid if _VALID in outputs and name != _VALID else ""
        yield f"({looked}{_net('right', name)}!= {_net('wrong', name)})"
    yield from (f"!wrote_{name}" for name in memories if name.startswith("result"))
