"""Worker process: makes mutants of a module with Yosys. A Yosys error ends the process, so it has one of its own.

design.v has the module; what it assumes is for the solver alone. A part is a module in it, named by its end; memories
and other parts are left alone. ``list PART SEED COUNT``: the changes that Yosys chooses, a line each, in mutants.txt,
and a module ``mutated`` in mutated.v that has them all: the input ``mutant`` says which one is there, 0 none.
``decide PART``: whether the change in decide.txt can be seen at an output or in a register in the next cycle, where
what design.v assumes holds: Yosys prints what its solver finds. ``never``: whether it can ever be seen at an output,
where what is in assumed.json holds of the inputs: ABC prints what it finds. ``granted``: whether what is then taken
for granted of an array is refuted by any of its first cycles, and whether a run ends in them, in granted.json. ``part
PART``: the part with the change, in part.json.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pyosys
from pyosys import libyosys

from siliquant.processes import OutOfTimeError, run_program
from sim.mutants.sequential import alone_verilog, side_by_side_verilog

__all__ = ["main"]

_CHOICE_BITS = 10
_SECONDS = 900  # for one call of ABC, which mostly takes less than a minute
_CONFLICTS = 2_000_000  # of the solver for one guess: that results are the same takes more than its usual 1,000
_KEPT = ("memory_1r1w", "operand_controller", "drain_controller", "settings_check")
"""Ends of the names of modules that stay apart until the mutants are made."""
_Ports = dict[str, tuple[int, bool]]
_INSTANCES = tuple(f"*{name}" for name in _KEPT)


def main(what: str, module: str, part: str, *arguments: str) -> None:
    """Works in the current folder."""
    design = _read(module)
    target = _target(design, part)
    if what == "list":
        _list(design, target, *map(int, arguments))
    elif what == "decide":
        _decide(design, target)
    elif what == "never":
        _never(design)
    elif what == "granted":
        _granted(design)
    else:
        _run(
            design,
            [Path("decide.txt").read_text().strip(), "dffunmap", f"select {target}", "write_json -selected part.json"],
        )


def _run(design: libyosys.Design, commands: Sequence[str]) -> None:
    for command in commands:
        design.run_pass(command)


def _read(module: str) -> libyosys.Design:
    """The module flat but for what is kept apart, with registers that load by an enable as one cell: a change hits the
    enable or the value.
    """
    design = libyosys.Design()
    _run(design, ["read_verilog -formal design.v", f"hierarchy -top {module}", "proc", "chformal -lower"])
    _run(design, [f"setattr -mod -set keep_hierarchy 1 A:top=0 *{name}" for name in _KEPT])
    _run(design, ["flatten", "opt_clean", "opt_dff -nosdff -simple-dffe", "opt_clean", f"rename {module} mutated"])
    return design


def _target(design: libyosys.Design, part: str) -> str:
    """The name of the module that is changed."""
    if not part:
        return "mutated"
    (found,) = (name.str()[1:] for name in design.modules_ if name.str().endswith(part))
    return str(found)


def _list(design: libyosys.Design, target: str, seed: int, count: int) -> None:
    # Without them here, so that cells have the names that they have for the solver.
    _run(design, ["chformal -remove", "opt_clean", f"mutate -list {count} -seed {seed} -o mutants.txt {target}/*"])
    lines = [line for line in Path("mutants.txt").read_text().splitlines() if line.startswith("mutate ")]
    for number, line in enumerate(lines, start=1):
        design.run_pass(f"{line} -ctrl mutant {_CHOICE_BITS} {number}")
    if target != "mutated":
        _run(design, ["cd mutated", f"add -input mutant {_CHOICE_BITS}"])
        cell = next(name.str() for name, cell in design.top_module().cells_.items() if cell.type.str() == f"\\{target}")
        _run(design, [f"connect -port {cell} mutant \\mutant", "cd .."])
    _run(design, ["setattr -mod -unset keep_hierarchy *", "flatten", "dffunmap", "opt_clean"])
    _run(design, ["attrmap -remove init", "write_verilog -noattr -selected mutated.v"])


def _decide(design: libyosys.Design, target: str) -> None:
    change = Path("decide.txt").read_text().strip()
    taken_out = " ".join(f"{name}/t:{kind}" for name in ("right", "wrong") for kind in ("*dff*", *_INSTANCES))
    _run(design, ["design -save whole", change, "dffunmap", f"rename {target} wrong", "design -stash wrong"])
    _run(
        design, ["design -load whole", "dffunmap", f"rename {target} right", "design -copy-from wrong -as wrong wrong"]
    )
    _run(design, [f"expose -evert -evert-dff {taken_out}", "setattr -mod -unset keep_hierarchy *"])
    _run(design, ["miter -equiv -flatten -make_outputs -make_assert right wrong both"])
    _run(design, ["hierarchy -top both", "opt -full", "opt_merge"])
    design.run_pass("sat -prove-asserts -set-assumes -timeout 60 both")


def _never(design: libyosys.Design) -> None:
    change, given = Path("decide.txt").read_text().strip(), json.loads(Path("assumed.json").read_text())
    _run(design, ["chformal -remove", "design -save before"])
    known = {}
    for name, more in (("wrong", [change]), ("right", [])):
        _run(design, ["design -load before", *more])
        known[name] = _opened(design, bool(given["accepted"]))
        _run(design, [f"rename mutated {name}", f"design -stash {name}"])
    ports, pins, everything = known["right"]
    inputs = {name: width for name, (width, is_input) in ports.items() if is_input}
    outputs = {name: width for name, (width, is_input) in ports.items() if not is_input}
    memory_pins = {name: width for name, (width, _) in pins.items() if name not in ports}
    registers = {name: width for name, (width, _) in everything.items() if name not in pins}
    alike = [name for name in registers if name in known["wrong"][2]]

    def both(apart: Collection[str] | None) -> str:
        return side_by_side_verilog(
            inputs, outputs, memory_pins, registers, alike, given["inputs"], given["accepted"], apart
        )  # fmt: skip

    said = _checked(design, both(None), "scorr", "bmc3 -F 16 -T 10; sat")
    if said and "UNSATISFIABLE" not in said and "was asserted in frame" not in said:
        holding = _holding()
        apart = [name for place, name in enumerate(alike) if not holding[f"guess_{place}"]]
        said = _checked(design, both(apart), f"scorr -C {_CONFLICTS}", "pdr -T 20; sat")
    print(said)


def _granted(design: libyosys.Design) -> None:
    given = json.loads(Path("assumed.json").read_text())
    design.run_pass("chformal -remove")
    ports, pins, everything = _opened(design, whole=True)
    _run(design, ["rename mutated right", "design -stash right"])
    inputs = {name: width for name, (width, is_input) in ports.items() if is_input}
    memory_pins = {name: width for name, (width, _) in pins.items() if name not in ports}
    registers = {name: width for name, (width, _) in everything.items() if name not in pins}
    both = alone_verilog(inputs, memory_pins, registers, given["inputs"], given["accepted"])
    search = f"bmc3 -F {given['cycles']} -T {_SECONDS - 60}"
    found = {place: _checked(design, both, "scorr", search, ("right",), place) for place in ("apart", "ended")}
    Path("granted.json").write_text(json.dumps(found))


def _opened(design: libyosys.Design, whole: bool) -> tuple[_Ports, _Ports, _Ports]:
    """Makes the module flat but for memories, whose pins become its ports, and then registers, too; returns the ports
    before, with the pins, and with all. whole: it is an array, of which two signals are shown as well.
    """
    flat = [f"setattr -mod -unset keep_hierarchy {' '.join(_INSTANCES[1:])}", "flatten", "dffunmap", "opt_clean"]
    _run(design, flat)
    ports = _ports(design)
    _run(design, [f"expose -evert mutated/t:{_INSTANCES[0]}", "opt_clean"])
    pins = _ports(design)
    _run(design, ["expose mutated/w:stop mutated/w:together"] if whole else [])
    _run(design, ["expose -dff mutated", "setundef -zero -init"])
    return ports, pins, _ports(design)


def _checked(
    design: libyosys.Design,
    both: str,
    induction: str,
    more: str,
    names: Sequence[str] = ("right", "wrong"),
    output: str = "apart",
) -> str:
    """What ABC says of one output of ``both``, which instantiates these modules, by ``induction`` over all outputs, and
    then ``more``; nothing where it takes too long.
    """
    Path("both.v").write_text(both)
    design.run_pass("design -reset")
    for name in names:
        design.run_pass(f"design -copy-from {name} -as {name} {name}")
    _run(design, ["read_verilog both.v", "hierarchy -top both", "proc", "flatten", "opt_clean"])
    _run(design, ["delete t:$scopeinfo", "techmap", "opt_expr", "opt_clean", "aigmap"])
    _run(design, ["setundef -zero", "write_aiger -zinit -symbols both.aig"])
    (place,) = re.findall(rf"(?m)^o(\d+) {output}$".encode(), Path("both.aig").read_bytes())
    checker = Path(pyosys.__file__).parent / "yosys-abc"
    steps = (
        f"read_aiger both.aig; strash; {induction}; write_aiger kept.aig; &get; &cone -O {int(place)} -R 1; &put; scorr"
    )
    try:
        done = run_program([str(checker), "-c", f"{steps}; {more}"], timeout=_SECONDS)
    except OutOfTimeError:
        return ""
    if done.returncode != 0:
        sys.exit(f"ABC ended with {done.returncode}: {done.stdout[-300:]}")
    return str(done.stdout) + str(done.stderr)


def _holding() -> dict[str, bool]:
    """Of each output of the two side by side whether all of its bits are always 0, as the checker has found."""
    header, rest = Path("kept.aig").read_bytes().split(b"\n", 1)
    latches, count = (int(number) for number in header.split()[3:5])
    literals = rest.split(b"\n", latches + count)[latches : latches + count]
    names = dict(re.findall(rb"(?m)^o(\d+) ([^\n\[]+)", Path("both.aig").read_bytes()))
    found: dict[str, bool] = {}
    for place, literal in enumerate(literals):
        name = names[b"%d" % place].decode()
        found[name] = found.get(name, True) and literal == b"0"
    return found


def _ports(design: libyosys.Design) -> _Ports:
    """Width of each port of the mutated module, and whether it is an input."""
    wires = next(module for name, module in design.modules_.items() if name.str() == "\\mutated").wires_.values()
    return {wire.name.str()[1:]: (wire.width, wire.port_input) for wire in wires if wire.port_input or wire.port_output}


if __name__ == "__main__":
    main(*sys.argv[1:])
