"""Options that several commands of hwmodel have; nothing heavy is imported, so that help comes at once."""

from __future__ import annotations

import sys
from argparse import Namespace, _ActionsContainer
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rtl.spec import MAX_BITS
from siliquant.commandline import Parser
from siliquant.inputs import InputError, ToolError, integer, number, number_list

if TYPE_CHECKING:
    from hwmodel.library import LibertyFiles, Library
    from hwmodel.model import LibraryModel
    from hwmodel.operands import StreamPlan
    from hwmodel.placement import Placing
    from hwmodel.workload import Mean
    from rtl.spec import MacSpec

__all__ = [
    "LIBRARIES",
    "MEMORIES",
    "NETWORKS",
    "add_calibration",
    "add_clock",
    "add_cost_models",
    "add_effort",
    "add_fresh",
    "add_library",
    "add_library_file",
    "add_library_or_liberty",
    "add_memories",
    "add_mix",
    "add_network",
    "add_operands",
    "add_placement",
    "add_utilisation",
    "check_library_options",
    "liberty_of",
    "library_of",
    "model_of",
    "naming",
    "placing_of",
    "plan_of",
    "read_mix",
    "read_utilisation",
    "say_unstated",
    "spec_of",
]

LIBRARIES = ("freepdk45", "sky130hd", "ihp-sg13g2", "asap7")
"""Libraries that go by name."""
NETWORKS = tuple(sorted(path.stem for path in (Path(__file__).parent / "data" / "workloads").glob("*.json")))
"""Networks whose GEMM lists come with the package."""
MEMORIES = ("hp", "lop", "lstp-lop")
"""Transistors of memories, the default last."""


def add_library(
    parser: Parser, group: _ActionsContainer | None = None, *, several: bool = False, otherwise: str = ""
) -> None:
    """``--library NAME``, in a group of ``parser`` where given. several: may be repeated; all by default.
    otherwise: what is taken where none is given, in words; the value is None then.
    """
    otherwise = otherwise or ("all that have a table" if several else "")
    (group or parser).add_argument(
        "--library", metavar="NAME", default=None if otherwise else LIBRARIES[0],
        action="append" if several else "store",
        help=f"cells: {', '.join(LIBRARIES)}{f' (default: {otherwise})' if otherwise else ''}",
    )  # fmt: skip
    parser.suggestions["library"] = LIBRARIES


def add_library_file(parser: Parser, *, full_adder: bool = True) -> None:
    """``--library NAME`` or ``--liberty FILE``, and what belongs to it: ``--operating-conditions``, ``--full-adder``,
    ``--pdk-dir``, ``--accept-library``. :func:`library_of` reads them.
    """
    add_library_or_liberty(parser)
    parser.add_argument("--operating-conditions", metavar="NAME",
                        help="those of the Liberty file (default: its default, or its nominal ones)")  # fmt: skip
    if full_adder:
        parser.add_argument("--full-adder", metavar="CELL", help="its full-adder cell (default: found by function)")
    parser.add_argument(
        "--pdk-dir", type=Path, metavar="DIR", help="Liberty files of the open PDKs (default: $SILIQUANT_PDK_DIR)"
    )
    parser.add_argument(
        "--accept-library", action="store_true", help="take a library whose numbers look as if a unit were wrong"
    )


def add_library_or_liberty(parser: Parser) -> None:
    """``--library NAME`` or ``--liberty FILE``; :func:`model_of` reads them where they name a cost model."""
    which = parser.add_mutually_exclusive_group()
    add_library(parser, which)
    which.add_argument(
        "--liberty", type=Path, metavar="FILE", action="append",
        help="file of another library, .lib, .lib.gz or .lib.xz; may be repeated",
    )  # fmt: skip


def liberty_of(options: Namespace) -> LibertyFiles | None:
    """The files of ``--liberty`` and the conditions of ``--operating-conditions``; None where none is given.

    Raises InputError as :class:`hwmodel.library.LibertyFiles`.
    """
    from hwmodel.library import LibertyFiles

    if options.liberty is None:
        return None
    return LibertyFiles(tuple(options.liberty), getattr(options, "operating_conditions", None))


def library_of(options: Namespace) -> Library:
    """The library of :func:`add_library_file`; lines to stderr as :func:`say_unstated`.

    Raises FileError and InputError as :func:`hwmodel.library.library.find_library`.
    """
    from hwmodel.library import find_library

    library = find_library(
        options.library,
        liberty=liberty_of(options),
        pdk_dir=options.pdk_dir,
        full_adder=options.full_adder if "full_adder" in options else None,
        accept=options.accept_library,
    )
    say_unstated(library)
    return library


def check_library_options(made: Parser, options: Namespace) -> None:
    """Raises InputError for options of :func:`add_library_file` that have no effect beside the others."""
    known = options.liberty is None and options.library in LIBRARIES[1:]
    made.only_with("--liberty", options.liberty is not None, "--operating-conditions")
    made.only_with(f"--library {', '.join(LIBRARIES[1:-1])} or {LIBRARIES[-1]}", known, "--pdk-dir")


@contextmanager
def naming(library: Library) -> Iterator[None]:
    """Names the library in errors of what is done with it: a tool that stops, a netlist that computes something else.

    It may have caused them or not (a full disk), so it is named, not blamed. Raises InputError.
    """
    from hwmodel.operands import Mismatch

    try:
        yield
    except (ToolError, Mismatch) as error:
        raise InputError(f"{error}; the library is {library.files}") from error
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(f"{error.sentence}; the library is {library.files}", place=error.place) from error


def say_unstated(library: Library) -> None:
    """A line to stderr each where the library does not state the area or capacitance, or the power, of every cell that
    could be used, and where it has clock gates of which none can be used.
    """
    if library.unstated:
        names = ", ".join(f"{cell} ({why})" for cell, why in library.unstated[:3])
        more = f" and {len(library.unstated) - 3} more" if len(library.unstated) > 3 else ""
        print(f"{library.files}: cells are left out: {names}{more}", file=sys.stderr)
    if library.unused_gates:
        names = ", ".join(library.unused_gates[:3]) + (", ..." if len(library.unused_gates) > 3 else "")
        needed = "area, capacitances, leakage, energy, delays, setup times and the part of each pin"
        print(f"{library.files}: no clock gates: {names} must state {needed}", file=sys.stderr)
    why = library.no_power(library.areas)
    if why:
        print(f"{library.files} states {why}: netlists with them get no power figure", file=sys.stderr)


def add_clock(parser: Parser, otherwise: str = "") -> None:
    """``--clock-mhz F``, as text for :func:`siliquant.inputs.numbers.read_clock_mhz`. otherwise: as of
    :func:`add_library`."""
    parser.add_argument(
        "--clock-mhz", metavar="F", default=None if otherwise else "500",
        help=f"clock, MHz{f' (default: {otherwise})' if otherwise else ''}",
    )  # fmt: skip


def add_utilisation(parser: Parser) -> None:
    """``--utilisation U``, as text for :func:`read_utilisation`."""
    parser.add_argument("--utilisation", metavar="U", default="1",
                        help="share of the cycles with operands, for power")  # fmt: skip


def read_utilisation(options: Namespace) -> float:
    """``--utilisation``. Raises InputError."""
    from hwmodel.operands import LEAST_UTILISATION

    return number("utilisation", options.utilisation, LEAST_UTILISATION, 1)


def add_effort(parser: Parser) -> None:
    """``--effort NAME``."""
    parser.add_argument("--effort", choices=("quick", "normal", "high"), default="normal", metavar="NAME",
                        help="synthesis recipes tried")  # fmt: skip


def add_fresh(parser: Parser) -> None:
    """``--fresh``."""
    parser.add_argument("--fresh", action="store_true", help="do again what is known already")


def add_placement(parser: Parser) -> None:
    """``--place`` with ``--core-utilisation``, ``--lef`` and ``--wires``; :func:`placing_of` reads them."""
    parser.add_argument("--place", action="store_true",
                        help="place netlists: timing and power with the wires of the placement")  # fmt: skip
    parser.add_argument("--core-utilisation", metavar="P", default="70", help="percent of the core that cells take")
    parser.add_argument("--lef", type=Path, metavar="FILE", action="append", default=[],
                        help="LEF of the cells or the technology; may be repeated")  # fmt: skip
    parser.add_argument("--wires", metavar="FF,OHM", help="capacitance in fF and resistance in Ohm of one um of wire")


def placing_of(made: Parser, options: Namespace, library: Library) -> Placing | None:
    """How netlists are placed by the options of :func:`add_placement`; None without ``--place``.

    Raises FileError and InputError, also for those of its options that are given without it.
    """
    made.only_with("--place", options.place, "--core-utilisation", "--lef", "--wires")
    if not options.place:
        return None
    from hwmodel.placement import UTILISATIONS, Placing, need_placer, read_wire, technology_of

    need_placer()
    utilisation = number("core_utilisation", options.core_utilisation, *UTILISATIONS)
    wire = None if options.wires is None else read_wire(options.wires)
    return Placing(technology_of(library, options.lef, wire), utilisation)


def add_cost_models(parser: Parser, default: str = "the package's") -> None:
    """``--cost-models DIR``."""
    parser.add_argument("--cost-models", type=Path, metavar="DIR", help=f"fitted cost models (default: {default})")


def add_calibration(parser: Parser) -> None:
    """``--calibration DIR``."""
    parser.add_argument("--calibration", type=Path, metavar="DIR", help="calibration tables (default: the package's)")


def model_of(options: Namespace) -> LibraryModel:
    """The cost model of the library of :func:`add_library_or_liberty` in the folder of :func:`add_cost_models`.

    Of a Liberty file it is the model of that name, which must have been fitted to this very file. Raises InputError.
    """
    from hwmodel.liberty import sha256_of
    from hwmodel.model import PACKAGED_MODELS, load_model

    folder = options.cost_models or PACKAGED_MODELS
    files = liberty_of(options)
    if files is None:
        return load_model(options.library, folder)
    name, sha256 = files.name, sha256_of(files.packed())
    model = load_model(name, folder)
    fitted = model.provenance.get("library_sha256", "")
    if fitted != sha256:
        raise InputError(
            f"must be the file that the cost model of {name} was fitted to (SHA-256 {fitted[:12]}), not another "
            f"({sha256[:12]})",
            file=str(files),
        )
    return model


def add_network(parser: Parser, default: str | None, more: str = "") -> None:
    """``--model NAME``, of a packaged network or a file of GEMMs, for :func:`hwmodel.workload.load_workload`."""
    parser.add_argument(
        "--model", metavar="NAME", default=default,
        help=f"network{more}: {', '.join(NETWORKS)}, or a file of GEMMs, .json or .csv",
    )  # fmt: skip
    parser.suggestions["model"] = NETWORKS


def add_memories(parser: Parser) -> None:
    """``--memories NAME``."""
    parser.add_argument("--memories", choices=MEMORIES, default=MEMORIES[-1], metavar="NAME",
                        help="transistors of the memories")  # fmt: skip


def add_mix(parser: Parser, default: str | None) -> None:
    """``--mean B``, ``--mix-widths LIST`` and ``--sensitivity FILE``: mixed precision in a network."""
    parser.add_argument("--mean", metavar="B", default=default,
                        help="mean bits of a mix, weighted by MACs; 4/8: of weights, of activations")  # fmt: skip
    parser.add_argument("--mix-widths", metavar="LIST", default="2,4,8",
                        help="widths of a mix; 2,4/4,8: those of weights, of activations")  # fmt: skip
    parser.add_argument("--sensitivity", type=Path, metavar="FILE",
                        help="table of sensitivities, JSON or CSV (default: the paper's order)")  # fmt: skip


def read_mix(options: Namespace) -> tuple[Mean, list[int], list[int]]:
    """The mean, the widths of weights and those of activations of :func:`add_mix`.

    Raises InputError for any that are not from 1 to 8.
    """
    from hwmodel.workload import read_mean

    def widths(name: str, text: str) -> list[int]:
        return number_list(name, text, lambda _, part: integer(name, part, 1, MAX_BITS), MAX_BITS)

    weights, slash, activations = options.mix_widths.partition("/")
    mean = read_mean("mean", options.mean, 1, MAX_BITS)
    if not slash:
        both = widths("mix_widths", weights)
        return mean, both, both
    return mean, widths("mix_widths of weights", weights), widths("mix_widths of activations", activations)


def add_operands(parser: Parser) -> None:
    """``--bits B``, ``--unsigned`` and ``--stream NAME``: what runs on a design, for :func:`plan_of`."""
    parser.add_argument("--bits", metavar="B", help="bits of weights and activations (default: the design's widest)")
    parser.add_argument("--unsigned", action="store_true", help="activations are unsigned")
    parser.add_argument("--stream", metavar="NAME", default="uniform",
                        help="operands: uniform, lsq-gaussian or a recorded network")  # fmt: skip


def spec_of(options: Namespace) -> MacSpec:
    """The design; a uniform one has the operands' bits unless its own are given. Raises ValueError."""
    from rtl.mac import UniformSpec, design_named
    from rtl.options import read_parameters

    design = design_named(options.design)
    values = read_parameters(options, design)
    if design is UniformSpec and options.bits is not None:
        bits = integer("bits", options.bits)
        if {"weight_bits", "activation_bits"} <= values.keys():
            raise InputError("--bits must not be given with both --weight-bits and --activation-bits")
        values = {"weight_bits": bits, "activation_bits": bits, **values}
    return design(**values)


def plan_of(options: Namespace, spec: MacSpec) -> StreamPlan:
    """What runs on ``spec``. Raises ValueError for a precision that it has not, or a stream that there is not."""
    from hwmodel.model import default_plan
    from hwmodel.operands import Stream, StreamPlan
    from rtl.mac import UniformSpec
    from rtl.spec import Precision

    signed = not options.unsigned
    if isinstance(spec, UniformSpec):
        precision = Precision(spec.weight_bits, spec.activation_bits, signed)
    elif options.bits is None:
        widest = default_plan(spec).precision
        precision = Precision(widest.weight_bits, widest.activation_bits, signed)
    else:
        bits = integer("bits", options.bits)
        precision = Precision(bits, bits, signed)
    spec.check_precision(precision)
    return StreamPlan(precision, Stream(options.stream))
