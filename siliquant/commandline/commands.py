"""The commands of siliquant: what each is called, which module it is, and where its options are."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec

from siliquant.inputs import InputError

from .cli import Parser

__all__ = ["COMMANDS", "Command", "command_named", "installed"]


@dataclass(frozen=True)
class Command:
    """``siliquant name`` is ``python -m module``.

    parser: "module:function" that makes its parser, of a module that loads nothing heavy; by default ``parser`` of the
    command's own module. extra: optional dependencies that it needs. long: real work takes it minutes, so the campaign
    of tests/faults tries it. Modules are named as text and loaded when they are asked for, since this package imports
    none of the others.
    """

    name: str
    module: str
    summary: str
    parser: str = ""
    extra: str = ""
    long: bool = False

    def make_parser(self) -> Parser:
        """Its options. Raises ModuleNotFoundError where the module is not installed."""
        module, _, function = (self.parser or f"{self.module}:parser").partition(":")
        made: Parser = getattr(import_module(module), function)()
        return made

    def run(self) -> None:
        """Runs it on the arguments in ``sys.argv``."""
        import_module(self.module).main()


COMMANDS = (
    Command("compare", "hwmodel.compare", "uniform against mixed-precision MAC hardware", long=True),
    Command("explain", "hwmodel.explain", "where an estimate comes from, term by term"),
    Command("gen", "rtl.gen", "Verilog of MAC designs, of arrays of them, and of requantisers", long=True),
    Command("synth", "hwmodel.synthesise", "area, timing and power of one design, synthesised", long=True),
    Command("gates", "hwmodel.gates", "netlists do what their RTL does: proved, and simulated", long=True),
    Command(
        "calibrate", "hwmodel.calibrate", "the cost model of a library, from designs that are synthesised", long=True
    ),
    Command("validate", "hwmodel.validate", "how wrong the cost model is, on designs it never saw", long=True),
    Command("policy", "hwmodel.policy", "which GEMM of a network runs at which width"),
    Command("latency", "hwmodel.latency", "cycles, utilisation and memory traffic of one inference"),
    Command("train", "qat.train", "trains a transformer at low bit-widths", "qat.parsers:train", "qat", long=True),
    Command("evaluate", "qat.evaluate", "accuracy of a trained run", "qat.parsers:evaluate", "qat", long=True),
    Command("analyse", "qat.analyse", "why a network is hard to quantise", "qat.parsers:analyse", "qat", long=True),
    Command(
        "softlabels", "qat.softlabels", "a teacher's labels of many crops", "qat.parsers:softlabels", "qat", long=True
    ),
    Command("export", "qat.export", "a trained run as integers", "qat.parsers:export", "qat", long=True),
    Command("trace", "qat.trace", "the matrix products of a network, by shape", "qat.parsers:trace", "qat"),
    Command(
        "verify",
        "sim.equivalence",
        "a network on a simulated array, bit for bit",
        "sim.parsers:equivalence",
        "sim,qat",
        long=True,
    ),
    Command(
        "mutate",
        "sim.mutate",
        "faults of the hardware, and how many the tests find",
        "sim.parsers:mutate",
        "sim",
        long=True,
    ),
    Command(
        "fuzz",
        "sim.fuzz",
        "random designs, arrays and networks, until something differs",
        "sim.parsers:fuzz",
        "sim",
        long=True,
    ),
    Command("prove", "sim.prove", "MACs compute their sums, for all inputs", "sim.parsers:prove", "sim", long=True),
    Command(
        "agree", "sim.agree", "two simulators show the same of every design", "sim.parsers:agree", "sim", long=True
    ),
    Command("record", "sim.record", "operand streams of a trained network", "sim.parsers:record", "sim,qat"),
    Command("report", "reports.render", "one page with tables and figures of all results", long=True),
    Command("demo", "reports.demo", "from a trained network to silicon numbers", extra="sim,qat", long=True),
)


def installed() -> tuple[Command, ...]:
    """The commands whose module is there."""
    return tuple(command for command in COMMANDS if _exists(command.module))


def command_named(name: str) -> Command:
    """The installed command of that name. Raises ValueError where there is none."""
    known = {command.name: command for command in installed()}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"; the nearest is {near[0]}" if near else ""
    raise InputError(f"there is no command {name!r}{hint}; siliquant --help lists all")


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the whole package
        return False
