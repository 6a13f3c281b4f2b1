"""Quality of results: areas beside plain RTL of the same function, beside goals, and along the clock.

    python benchmarks/qor.py [--library NAME | --liberty FILE] [--only PART,...] [--out FILE]

plain: `uniform` with 16 lanes; mac: one 8 x 8-bit MAC with registers; both against `sum + w0*a0 + ...` with the same
ports, registers, enables and clear, for any synthesiser to make the best of. It goes through the strongest flow for it
that is known, with the same clock gates, cover and buffers as ours, and through Yosys' default flow, which is weak.
units: one sum-together and one bit-serial unit. clock: the smallest netlists for several clocks. Goals are for
freepdk45. Each figure is written to --out as it is found, and is not made again while it is there.
"""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from hwmodel.library import Library
from hwmodel.measurement import tool_versions
from hwmodel.options import add_library_file, library_of
from hwmodel.synthesis import FLOW_VERSION, Recipe, ToolMissing, Workspace, analyse
from hwmodel.synthesis.mapping import map_recipe, modules
from rtl.mac import BitFusionSpec, BitSerialSpec, SubwordSpec, UniformSpec
from rtl.spec import MacSpec
from rtl.verilog import numbered_verilog
from siliquant.commandline import Parser, add_out_file, run, working
from siliquant.files import scratch, write_atomically
from siliquant.inputs import InputError, read_json, short

F = TypeVar("F", bound=MacSpec)

RELAXED_NS = 100.0  # a clock that every netlist meets: the smallest is kept
WIDE = [UniformSpec(weight_bits=bits, activation_bits=bits, lanes=16) for bits in (2, 3, 4, 8)]
MAC = UniformSpec(weight_bits=8, activation_bits=8, lanes=1, reduction_length=16)
UNITS = (SubwordSpec(units=1, reduction_length=16), BitSerialSpec(units=1, reduction_length=16))
FUSION = BitFusionSpec(units=1, widths=(8, 4))
PARTS = ("plain", "mac", "units", "clock")
GOALS: Mapping[str, Mapping[str, float]] = {
    "freepdk45": {"plain": 0.62, MAC.name: 0.93, UNITS[0].name: 800, UNITS[1].name: 380}
}
"""By library: the geometric mean of the ratios of ``plain``, the ratio of the MAC, areas of the units in um2."""
CLOCKS: Mapping[str, Sequence[tuple[MacSpec, Mapping[float, float | None]]]] = {
    "freepdk45": (
        (MAC, dict.fromkeys((2.0, 1.6, 1.4, 1.2, 1.0))),
        (WIDE[2], {1.66: 2101, 1.42: 2118, 1.29: 2137, 1.20: 2252, 1.10: 2423, 1.05: None, 1.00: 3064, 0.95: None}),
        (UNITS[0], {1.40: None, 1.25: None, 1.15: 907, 1.07: None, 1.00: 981, 0.93: None}),
        (FUSION, {1.90: None, 1.60: None, 1.40: None, 1.30: 1112, 1.20: None, 1.13: None, 1.08: None}),
    ),
    "sky130hd": ((UNITS[0], {6.0: None, 5.5: None, 5.0: 4803, 4.7: None, 4.4: None, 4.2: None}),),
}
"""By library: designs, and for each clock period in ns the area in um2 that is the goal."""
YOSYS = "import sys; from pyosys import libyosys; d = libyosys.Design(); [d.run_pass(c) for c in sys.argv[1:]]"
STRONG: Sequence[tuple[str, Recipe]] = (
    ("synth -flatten -booth -top plain", Recipe("logic", "ripple", "area")),
    ("synth -flatten -booth -top plain", Recipe("logic", "ripple", "flow")),
    ("synth -flatten -booth -top plain -run begin:fine", Recipe("cell", "chain", "area")),
    ("synth -flatten -booth -top plain -run begin:fine; techmap -map adders.v", Recipe("cell", "chain", "area")),
)
"""Front ends for plain RTL and the recipe of ours that covers what each gives; the smallest netlist counts. The third
has the last adder in full-adder cells, the fourth Booth's compressors, too.
"""
ADDERS = """
(* techmap_celltype = "$fa" *)
module _80_siliquant_fa (A, B, C, X, Y);
  parameter WIDTH = 1;
  (* force_downto *) input [WIDTH-1:0] A, B, C;
  (* force_downto *) output [WIDTH-1:0] X, Y;
  genvar i;
  generate for (i = 0; i < WIDTH; i = i + 1) begin : bits
    siliquant_full_adder adder (.a(A[i]), .b(B[i]), .c(C[i]), .sum(Y[i]), .carry(X[i]));
  end endgenerate
endmodule
"""


@dataclass(frozen=True)
class Figure:
    """A netlist: area in um2, minimum period in ns (None without OpenSTA), and which way it was made."""

    area_um2: float
    minimum_period_ns: float | None
    way: str

    @property
    def text(self) -> str:
        period = "unknown" if self.minimum_period_ns is None else f"{self.minimum_period_ns:.2f}"
        return f"{self.area_um2:,.0f} ({period})"


class Known:
    """The figures that there are, in the file of ``--out`` where it is given: each is written when it is found."""

    def __init__(self, path: Path | None, library: Library, news: Callable[[str], None]) -> None:
        self.figures = _read(path) if path is not None and path.exists() else {}
        self._path, self._library, self._news = path, library, news
        self._tools = {tool: tool_versions()[tool] for tool in ("yosys", "opensta")}

    def find(self, what: str, verilog: str, how: object, make: Callable[[], Figure]) -> Figure:
        """The figure of a design made in one way, by ``make`` where it is not known."""
        about = [verilog, how, self._library.use_sha256, FLOW_VERSION, self._tools]
        key = f"{what}, {hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]}"
        if key not in self.figures:
            self._news(what)
            self.figures[key] = make()
            self.write({})
        return self.figures[key]

    def write(self, values: Mapping[str, Any]) -> None:
        """Write ``values`` and all figures."""
        if self._path is not None:
            known = {key: list(asdict(figure).values()) for key, figure in self.figures.items()}
            write_atomically(self._path, json.dumps({**values, "known": known}, indent=1) + "\n")


def _read(path: Path) -> dict[str, Figure]:
    data = read_json(path)
    try:
        known = data["known"]
        figures = {key: Figure(*values) for key, values in known.items()}
        valid = all(
            each.area_um2 > 0 and (each.minimum_period_ns or 1) > 0 and isinstance(each.way, str)
            for each in figures.values()
        )
    except (AttributeError, KeyError, TypeError):
        valid = False
    if not valid:
        raise InputError("must hold figures of benchmarks/qor.py under known, or not be there", file=str(path))
    return figures


def plain_rtl(spec: UniformSpec) -> str:
    """The same module as ``spec`` in behavioural Verilog: signed products, one sum, no adder said."""
    w, a, lanes, width = spec.weight_bits, spec.activation_bits, spec.lanes, spec.accumulator_width
    products = "".join(
        f"\n      + $signed(weights_q[{w * k} +: {w}])"
        f" * $signed({{activation_signed_q & activations_q[{a * k + a - 1}], activations_q[{a * k} +: {a}]}})"
        for k in range(lanes)
    )
    return f"""\
module plain(input clk, input rst, input in_valid, input clear, input [{w * lanes - 1}:0] weights,
             input [{a * lanes - 1}:0] activations, input activation_signed,
             output reg out_valid, output [{width - 1}:0] accumulator);
  reg valid_q0, activation_signed_q, clear_q;
  reg [{w * lanes - 1}:0] weights_q;
  reg [{a * lanes - 1}:0] activations_q;
  reg signed [{width - 1}:0] accumulator_q;
  wire signed [{width - 1}:0] base = clear_q ? {width}'sd0 : accumulator_q;
  assign accumulator = accumulator_q;
  always @(posedge clk) begin
    valid_q0 <= rst ? 1'b0 : in_valid;
    out_valid <= rst ? 1'b0 : valid_q0;
    if (in_valid) begin
      weights_q <= weights;
      activations_q <= activations;
      activation_signed_q <= activation_signed;
      clear_q <= clear;
    end
    if (valid_q0) accumulator_q <= base{products};
  end
endmodule
"""


def default_flow(verilog: str, top: str, library: Library) -> Figure:
    """Yosys' own flow with the library: no adder cell, no clock gate, no constraint."""
    with _design(verilog, library) as folder:
        _yosys(
            folder, "read_verilog design.v", f"synth -flatten -top {top}", "dfflibmap -liberty cells.lib",
            "abc -liberty cells.lib", "opt_clean -purge", "tee -q -o mapped.json stat -json -liberty cells.lib",
            "write_verilog -noattr -noexpr -simple-lhs mapped.v",
        )  # fmt: skip
        area_um2 = float(json.loads((folder / "mapped.json").read_text())["design"]["area"])
        netlist = folder / "mapped.v"
        netlist.write_text(netlist.read_text().replace(" signed ", " "))
        return Figure(area_um2, _period_ns(netlist, top, library), "synth, abc")


def strong_flow(verilog: str, front: str, recipe: Recipe, library: Library) -> Figure:
    """Plain RTL through a front end of Yosys, then our flow from there on, by one recipe."""
    with _design(verilog, library) as folder:
        (folder / "adders.v").write_text(ADDERS)
        _yosys(folder, "read_verilog design.v", *front.split("; "), "write_rtlil design.il")
        found = map_recipe(
            folder / "mapped", folder / "design.il", "plain", modules(verilog), library, recipe, RELAXED_NS
        )
        return Figure(found.area_um2, _period_ns(found.path, "plain", library), f"{front}; {recipe.name}")


@contextmanager
def _design(verilog: str, library: Library) -> Iterator[Path]:
    """A folder with design.v and cells.lib."""
    with scratch("qor") as folder:
        (folder / "design.v").write_text(verilog)
        (folder / "cells.lib").symlink_to(library.slim())
        yield folder


def _yosys(folder: Path, *commands: str) -> None:
    subprocess.run([sys.executable, "-c", YOSYS, *commands], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _period_ns(netlist: Path, top: str, library: Library) -> float | None:
    try:
        return analyse(netlist, top, library, RELAXED_NS).minimum_period_ns
    except ToolMissing:
        return None


def our_flow(workspace: Workspace, period_ns: float) -> Figure:
    """This package's flow."""
    found = workspace.synthesise(1000 / period_ns)
    return Figure(found.area_um2, found.timing.minimum_period_ns if found.timing else None, found.recipe)


def each_form(forms: Sequence[F], periods_ns: Sequence[float], library: Library, known: Known) -> list[list[Figure]]:
    """For each form of a design its netlists for each clock period."""

    def netlists(form: F) -> Iterator[Figure]:
        verilog = numbered_verilog([form])
        with Workspace(verilog, form.name, library) as workspace:
            for period_ns in periods_ns:
                make = partial(our_flow, workspace, period_ns)
                yield known.find(f"{form.name}, {period_ns:g} ns", verilog, period_ns, make)

    return [list(netlists(form)) for form in forms]


def by_area(spec: F, library: Library, known: Known) -> list[tuple[Figure, F]]:
    """The netlists of a design's forms, the smallest first; those with half adders, which are larger and faster, are
    left out."""
    forms = [form for form in spec.forms if not form.half_adders]
    figures = [row[0] for row in each_form(forms, [RELAXED_NS], library, known)]
    return sorted(zip(figures, forms, strict=True), key=lambda each: each[0].area_um2)


def against_plain(spec: UniformSpec, library: Library, known: Known) -> dict[str, Any]:
    """Figures of a design and of plain RTL of its function, and the ratios of their areas."""
    plain, name = plain_rtl(spec), f"plain RTL of {spec.name}"
    weak = known.find(f"{name}, default", plain, "default", partial(default_flow, plain, "plain", library))
    strong = []
    for front, recipe in STRONG:
        if recipe.adders == "logic" or library.full_adder is not None:
            make = partial(strong_flow, plain, front, recipe, library)
            strong.append(known.find(f"{name}, {recipe.name}", plain, [front, recipe.name], make))
    best = min(strong, key=lambda figure: figure.area_um2)
    netlists = by_area(spec, library, known)
    ours, form = netlists[0]
    verilog = numbered_verilog([form])
    made = partial(default_flow, verilog, form.name, library)
    return {
        "design": spec.label,
        "lanes": spec.lanes,
        "form": form.name,
        "forms": {other.name: figure.area_um2 for figure, other in netlists},
        "weak": asdict(weak),
        "strong": asdict(best),
        "unmapped": asdict(known.find(f"{form.name}, default", verilog, "default", made)),
        "ours": asdict(ours),
        "ratio": ours.area_um2 / best.area_um2,
        "weak_ratio": ours.area_um2 / weak.area_um2,
    }


def unit(spec: MacSpec, library: Library, known: Known) -> dict[str, Any]:
    """The smallest netlist of a unit."""
    ours, form = by_area(spec, library, known)[0]
    return {"design": spec.name, "form": form.name, "ours": asdict(ours)}


def along_clock(spec: MacSpec, periods_ns: Sequence[float], library: Library, known: Known) -> dict[str, Any]:
    """For each clock period the smallest netlist of all forms that meets it; the fastest where none does."""
    rows, found = [], each_form(spec.forms, periods_ns, library, known)
    for period_ns, figures in zip(periods_ns, zip(*found, strict=True), strict=True):
        tried = list(zip(figures, spec.forms, strict=True))
        met = [each for each in tried if (each[0].minimum_period_ns or 0.0) <= period_ns]
        if met:
            figure, form = min(met, key=lambda each: each[0].area_um2)
        else:
            figure, form = min(tried, key=lambda each: each[0].minimum_period_ns or 0.0)
        meets = None if figure.minimum_period_ns is None else bool(met)
        rows.append({"period_ns": period_ns, "met": meets, "form": form.name, "ours": asdict(figure)})
    return {"design": spec.name, "rows": rows}


def measured(parts: Sequence[str], library: Library, known: Known) -> dict[str, Any]:
    """The values of each part."""
    values: dict[str, Any] = {"library": library.name}
    if "plain" in parts:
        rows = [against_plain(spec, library, known) for spec in WIDE]
        values |= {"plain": rows, "geomean": _geomean(rows, "ratio"), "weak_geomean": _geomean(rows, "weak_ratio")}
    if "mac" in parts:
        values["mac"] = against_plain(MAC, library, known)
    if "units" in parts:
        values["units"] = [unit(spec, library, known) for spec in UNITS]
    if "clock" in parts:
        values["clock"] = [along_clock(spec, tuple(goals), library, known) for spec, goals in CLOCKS[library.name]]
    return values


def tables(values: Mapping[str, Any]) -> Iterator[Table | str]:
    """What is printed."""
    goals = GOALS.get(values["library"], {})
    compared = [*values.get("plain", []), *([values["mac"]] if "mac" in values else [])]
    if compared:
        table = _table(
            f"{values['library']}; area um2 (minimum period ns)", "design", "lanes", "plain, strong flow",
            "plain, default flow (weak)", "ours, default flow", "ours", "form", "ours / strong", "ours / weak",
        )  # fmt: skip
        for row in compared:
            areas = [Figure(**row[name]).text for name in ("strong", "weak", "unmapped", "ours")]
            ratios = f"{row['ratio']:.3f}", f"{row['weak_ratio']:.3f}"
            table.add_row(row["design"], str(row["lanes"]), *areas, row["form"], *ratios)
        yield table
    if "plain" in values:
        yield f"geometric mean, ours / strong: {values['geomean']:.3f}{_goal(values['geomean'], goals.get('plain'))}"
        yield f"geometric mean, ours / weak: {values['weak_geomean']:.3f}"
    if "mac" in values:
        ratio = values["mac"]["ratio"]
        yield f"8x8 MAC, ours / strong: {ratio:.3f}{_goal(ratio, goals.get(MAC.name))}"
    for row in values.get("units", []):
        figure = Figure(**row["ours"])
        yield f"{row['design']}: {figure.text} um2 (ns){_goal(figure.area_um2, goals.get(row['design']))}"
    for curve in values.get("clock", []):
        yield _curve(curve, values["library"])


def _curve(curve: Mapping[str, Any], library: str) -> Table:
    goals = next(goals for spec, goals in CLOCKS[library] if spec.name == curve["design"])
    table = _table(curve["design"], "clock ns", "um2 (period ns)", "goal um2", "ratio", "step", "form", "recipe")
    before = None
    for row in curve["rows"]:
        figure, goal = Figure(**row["ours"]), goals[row["period_ns"]]
        table.add_row(
            f"{row['period_ns']:.2f}", figure.text + (", missed" if row["met"] is False else ""),
            "" if goal is None else f"{goal:,.0f}", "" if goal is None else f"{figure.area_um2 / goal:.3f}",
            "" if before is None else f"{100 * (figure.area_um2 / before - 1):+.1f} %", row["form"], figure.way,
        )  # fmt: skip
        before = figure.area_um2
    return table


def _table(title: str, *headers: str) -> Table:
    table = Table(title=title, title_justify="left")
    for header in headers:
        table.add_column(header, justify="left" if header in ("design", "form", "recipe") else "right")
    return table


def _goal(value: float, goal: float | None) -> str:
    return "" if goal is None else f", goal at most {goal:g}: {'met' if value <= goal else 'missed'}"


def _geomean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    return math.exp(sum(math.log(row[name]) for row in rows) / len(rows))


def parts_of(options: Namespace, library: Library) -> list[str]:
    """``--only``; without it all parts that there are for the library. Raises InputError."""
    has_clocks = library.name in CLOCKS
    if options.only is None:
        return [part for part in PARTS if part != "clock" or has_clocks]
    parts: list[str] = options.only.split(",")
    if len(set(parts)) < len(parts) or not set(parts) <= set(PARTS):
        raise InputError(f"only must be different ones of {', '.join(PARTS)} between commas, not {short(options.only)}")
    if "clock" in parts and not has_clocks:
        raise InputError(f"only must be without clock for {library.name}: there are periods for {', '.join(CLOCKS)}")
    return parts


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = Parser(prog="benchmarks/qor.py", description=__doc__)
    add_library_file(parser)
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(PARTS)} (default: all)")
    add_out_file(parser, "the figures, JSON, to go on from (default: none)")
    options = parser.parse_args(arguments)
    library = library_of(options)
    parts = parts_of(options, library)
    with working("qor") as news:
        known = Known(options.out, library, news)
        values = measured(parts, library, known)
    known.write(values)
    console = Console(width=None if sys.stdout.isatty() else 170, highlight=False)
    for each in tables(values):
        console.print(each)


if __name__ == "__main__":
    run("benchmarks/qor.py", main)
