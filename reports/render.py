"""Writes the comparison as a report: one page that needs no network, and its tables and figures as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodel.options import add_clock, add_cost_models, add_library, add_network
from siliquant.commandline import Parser, add_out_folder, run, working
from siliquant.inputs import InputError, number_list, read_clock_mhz

if TYPE_CHECKING:
    from argparse import Namespace

    from hwmodel.comparison import Row
    from hwmodel.workload import Width
    from reports.page import Inputs
    from reports.sections import Document

__all__ = ["main", "parser", "write_report"]

PROG = "reports.render"
EPILOG = """\
Records that are not given are those of the package. A section that cannot be made is left out, and the page says so.
DIR gets index.html, tables/ (CSV, Markdown, LaTeX) and figures/ (SVG, PNG, PDF). docs/report.md describes them.

examples:
  python -m reports.render --out build/report
  python -m reports.render --compare build/compare/compare.json --equivalence build/demo/equivalence.json
  python -m reports.render --accuracy own.json --oscillation runs/w2a2/metrics.csv --model vit-mnist"""


def parser() -> Parser:
    """The options; their defaults are in the help."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    add_out_folder(made, "page, tables and figures", "build/report")
    made.add_argument("--compare", type=Path, metavar="FILE",
                      help="compare.json or .csv of hwmodel.compare (default: the cost model answers now)")  # fmt: skip
    made.add_argument("--equivalence", type=Path, metavar="FILE",
                      help="what sim.equivalence --out wrote (default: of the demonstration)")  # fmt: skip
    made.add_argument("--accuracy", type=Path, metavar="FILE",
                      help="accuracies of own runs, as reports.runs writes them (default: the package's)")  # fmt: skip
    made.add_argument("--oscillation", type=Path, action="append", metavar="FILE", help="metrics.csv or .jsonl of a "
                      "run of qat.train; may be given several times (default: the package's runs)")  # fmt: skip
    made.add_argument("--sensitivity", type=Path, metavar="FILE",
                      help="table of sensitivities, JSON or CSV (default: the paper's order)")  # fmt: skip
    made.add_argument("--analysis", type=Path, metavar="FILE", help="analysis.json of qat.analyse (default: none)")
    add_network(made, "deit-tiny", ", one inference of which is shown")
    made.add_argument("--bits", metavar="LIST", help="mean bits of weights and activations, 2 to 8, or 4/8 "
                      "(default: 2,3,4, or those of --compare)")  # fmt: skip
    add_library(made, otherwise="freepdk45, or that of --compare; one with a cost model")
    add_cost_models(made)
    add_clock(made, otherwise="500, or that of --compare")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    from hwmodel.workload import load_workload
    from reports.page import assemble
    from siliquant.files import alone

    load_workload(options.model)
    with working("reading what there is"):
        inputs = _inputs(options)
    with alone(options.out, "report"):
        document = assemble(inputs, working)
        with working("drawing") as news:
            written = write_report(document, options.out, news)
    for missing in document.missing:
        print(missing.line)
    print(f"{written[0]}: {len(document.charts())} figures, {len(document.tables())} tables, {len(written)} files")


def write_report(document: Document, folder: Path, news: object = None) -> list[Path]:
    """Writes index.html, tables/ and figures/ and returns their paths, the page first. Equal reports, equal bytes."""
    from reports.charts import render
    from reports.page import report_html
    from reports.values import csv, forms, latex, markdown
    from siliquant.files import write_atomically

    writers = {"csv": csv, "md": markdown, "tex": latex}
    contents: dict[Path, str | bytes] = {}
    rendered = {}
    for chart in document.charts():
        if callable(news):
            news(chart.name)
        rendered[chart.name] = render(chart)
        for form, data in rendered[chart.name].files.items():
            contents[folder / "figures" / f"{chart.name}.{form}"] = data
    for table in document.tables():
        for form in forms(table):
            contents[folder / "tables" / f"{table.name}.{form}"] = writers[form](table)
    page = folder / "index.html"
    write_atomically(page, report_html(document, rendered))
    for path, content in contents.items():
        write_atomically(path, content)
    return [page, *contents]


def _inputs(options: Namespace) -> Inputs:
    """Everything that was given, read before any work is done."""
    from hwmodel.model import PACKAGED_MODELS
    from hwmodel.workload import default_sensitivity, read_sensitivity
    from reports.inputs import (
        PACKAGED_ACCURACY,
        PACKAGED_EQUIVALENCE,
        packaged_oscillations,
        read_accuracies,
        read_analysis,
        read_equivalence,
        read_oscillation,
    )
    from reports.page import Inputs
    from reports.values import file_note

    record, table = options.equivalence or PACKAGED_EQUIVALENCE, options.sensitivity
    runs = options.oscillation or packaged_oscillations()
    read = tuple(read_oscillation(path) for path in runs)
    names = [each.name for each in read]
    if len(set(names)) != len(names):
        raise InputError(f"oscillation must be of runs in folders with different names, not {', '.join(names)}")
    return Inputs(
        compare=options.compare,
        workload=options.model,
        cost_models=options.cost_models or PACKAGED_MODELS,
        equivalence=(read_equivalence(record), file_note(record)),
        accuracy=read_accuracies(options.accuracy or PACKAGED_ACCURACY),
        oscillation=(read, "; ".join(file_note(path) for path in runs)),
        sensitivity=(read_sensitivity(table), file_note(table)) if table else (default_sensitivity(), ""),
        analysis=(read_analysis(options.analysis), file_note(options.analysis)) if options.analysis else None,
        rows=_rows(options),
    )


def _rows(options: Namespace) -> tuple[Row, ...]:
    """From the file, or by the cost model."""
    from hwmodel.model import PACKAGED_MODELS, load_model
    from reports.inputs import read_rows
    from reports.page import computed_rows

    widths = None if options.bits is None else _widths(options.bits)
    clock_mhz = None if options.clock_mhz is None else read_clock_mhz(options.clock_mhz)
    if options.compare is None:
        model = load_model(options.library or "freepdk45", options.cost_models or PACKAGED_MODELS)
        return computed_rows(model, clock_mhz or 500.0, widths or [2, 3, 4])
    rows = read_rows(options.compare)
    known = {
        "library": rows[0].library,
        "clock_mhz": rows[0].clock_mhz,
        "bits": list(dict.fromkeys(r.bits for r in rows)),
    }
    for name, value in (("library", options.library), ("clock_mhz", clock_mhz), ("bits", widths)):
        if value is not None and value != known[name]:
            raise InputError(f"{name} must be {_text(known[name])}, as {options.compare} has it, not {_text(value)}")
    return rows


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _widths(text: str) -> list[Width]:
    from hwmodel.workload import read_width

    return number_list("bits", text, lambda name, part: read_width(name, part, 2, 8), 7)


if __name__ == "__main__":
    run(PROG, main)
