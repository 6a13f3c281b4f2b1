"""A report from what is there: every section that has its input, and a line for each that has not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

from hwmodel.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, ModelAnswers, Row, compare_rows, is_uniform, settings
from hwmodel.inference import NoArrayError
from hwmodel.measurement import RowStore, SynthesisRow
from hwmodel.model import PACKAGED_MODELS, LibraryModel, known_models, load_model
from hwmodel.workload import SensitivityTable, Width, Workload, load_workload, standard_mixture
from reports.inputs import Accuracies, Analysis, Equivalence, Oscillation, checked
from reports.numbers import (
    Breakdown,
    Network,
    Subject,
    by_model,
    by_rows,
    curves,
    inferences,
    libraries,
    network,
    requantisers,
    shown_name,
    subjects,
)
from reports.sections import (
    Document,
    Missing,
    Section,
    accuracy_section,
    analysis_section,
    area_section,
    clock_section,
    energy_section,
    equivalence_section,
    hardware_section,
    model_section,
    network_section,
    oscillation_section,
    own_workloads,
    published_workloads,
    ratios_figure,
    requantiser_section,
    sensitivity_section,
)
from reports.values import Source, file_note, model_tools, row_tools
from reports.wording import answer, error_sentence, headline, key_numbers, order_of, question, widths_of

__all__ = ["Inputs", "assemble", "computed_rows"]

Working = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """rows: of the comparison, from the file ``compare`` or computed. workload: whose inference is shown, a name or
    the path of a file of GEMMs. analysis: shown where there is one. cost_models: the folder with the model of the
    library. Records with the note on the files they are from.
    """

    rows: tuple[Row, ...]
    equivalence: tuple[Equivalence, str]
    accuracy: Accuracies
    oscillation: tuple[tuple[Oscillation, ...], str]
    sensitivity: tuple[SensitivityTable, str]
    analysis: tuple[Analysis, str] | None = None
    compare: Path | None = None
    workload: str = "deit-tiny"
    cost_models: Path = PACKAGED_MODELS


def computed_rows(model: LibraryModel, clock_mhz: float, widths: Sequence[Width]) -> tuple[Row, ...]:
    """What ``hwmodel.compare`` asks by default, answered by the cost model alone."""
    chosen = settings(bits=widths, mixtures=[], designs=None, lanes=16, units=4, jobs=1)
    answers = ModelAnswers(model, clock_mhz, 1)
    return checked(compare_rows(chosen.entries, answers.get))


def assemble(inputs: Inputs, working: Working = lambda _: nullcontext()) -> Document:
    """The report. working: shows what is being done. Raises ValueError for input that does not fit together."""
    rows, widths = inputs.rows, widths_of(inputs.rows)
    library = rows[0].library
    folder = inputs.cost_models
    model = load_model(library, folder) if library in known_models(folder) else None
    found, unlike = _subjects(rows)
    source, estimated = _source(inputs, model), _estimated(inputs, model)
    with working("checking the model"):
        validated = libraries()
    done: list[Section | Missing] = [hardware_section(rows, source)]
    with working("parts and clocks"):
        done += _breakdowns(inputs, found, model, source, unlike)
        done.append(_clock(found, model, replace(estimated, command=_own_command(inputs)), library, unlike))
    with working("requantisers"):
        done.append(_requantisers(rows, model, estimated, library))
    workload = load_workload(inputs.workload)
    with working(f"one inference of {shown_name(workload.name)}"):
        inference, lacking = _inference(workload, rows, model)
    done += _networks(inputs, widths, model, inference or lacking, estimated)
    done.append(
        model_section(validated, library)
        if validated
        else Missing("Model against synthesis", "no calibration table is there")
    )
    done += [
        equivalence_section(*inputs.equivalence),
        oscillation_section(*inputs.oscillation),
        sensitivity_section(*inputs.sensitivity),
        *([] if inputs.analysis is None else [analysis_section(*inputs.analysis)]),
    ]
    errors = next((each for each in validated if each.name == library), None)
    return Document(
        question=question(rows),
        headline=headline(rows),
        numbers=key_numbers(rows, inference),
        figure=ratios_figure(rows, EQUAL_THROUGHPUT, source),
        answer=answer(rows, inference, errors),
        note=error_sentence(rows, errors) if inference is not None else "",
        date=source.date or "an unknown date",
        sections=tuple(each for each in done if isinstance(each, Section)),
        missing=tuple(each for each in done if isinstance(each, Missing)),
    )


def _subjects(rows: Sequence[Row]) -> tuple[tuple[Subject, ...], str]:
    """The designs of the rows, or none and why there are none."""
    try:
        return subjects(rows), ""
    except ValueError as error:
        return (), str(error)


def _breakdowns(
    inputs: Inputs, found: Sequence[Subject], model: LibraryModel | None, source: Source, unlike: str
) -> list[Section | Missing]:
    """Area by part and power by cause, both measured or both estimated, as the rows are."""
    chosen = [subject for subject in found if subject.row.normalisation == EQUAL_THROUGHPUT]
    measured = not all(row.source.startswith("model") for row in inputs.rows)
    titles = ("Area by part", "Power by cause")
    parts: dict[Subject, Breakdown] = {}
    if unlike:
        return [Missing(title, unlike) for title in titles]
    if measured:
        look = by_rows(_rows_beside(inputs.compare))
        looked = {subject: look(subject) for subject in chosen}
        parts = {subject: each for subject, each in looked.items() if each is not None}
        if len(parts) < len(chosen):
            reason = "the rows of synthesis (rows/*.jsonl) are not beside the comparison"
            return [Missing(title, reason) for title in titles]
    elif model is None:
        return [Missing(title, f"{inputs.rows[0].library} has no cost model") for title in titles]
    else:
        parts = {subject: by_model(subject, model) for subject in chosen}
    order = order_of(inputs.rows)
    made: list[Section | Missing] = [area_section(parts, order, source, measured)]
    if all(each.energy_fj for each in parts.values()):
        made.append(energy_section(parts, order, source))
    else:
        made.append(Missing(titles[1], "the power of some designs, or its parts, are not known"))
    return made


def _clock(
    found: Sequence[Subject], model: LibraryModel | None, source: Source, library: str, unlike: str
) -> Section | Missing:
    if model is None or unlike:
        return Missing("Area against clock period", unlike or f"{library} has no cost model")
    return clock_section(curves(found, model), source)


def _requantisers(rows: Sequence[Row], model: LibraryModel | None, source: Source, library: str) -> Section | Missing:
    if model is None:
        return Missing("Requantisation", f"{library} has no cost model")
    lanes = next(row.units for row in rows if is_uniform(row) and row.normalisation == EQUAL_THROUGHPUT)
    found = requantisers(model, rows[0].clock_mhz, lanes)
    return requantiser_section(found, replace(source, note="cost model; requantisers measured where they are kept"))


def _inference(workload: Workload, rows: Sequence[Row], model: LibraryModel | None) -> tuple[Network | None, str]:
    """One inference, or None and why there is none."""
    if model is None:
        return None, f"{rows[0].library} has no cost model"
    try:
        return network(workload, rows, model), ""
    except NoArrayError as error:
        return None, str(error)


def _networks(
    inputs: Inputs, widths: Sequence[Width], model: LibraryModel | None, inference: Network | str, source: Source
) -> list[Section | Missing]:
    """The inference, or why there is none, and accuracies against the energy of it and of others."""
    if model is None or isinstance(inference, str):
        title = f"One inference of {shown_name(load_workload(inputs.workload).name)}"
        reason = str(inference)
        return [Missing(title, reason), Missing("Accuracy against energy", reason)]
    alike = [bits for bits in widths if isinstance(bits, int)]
    costs = inferences(published_workloads(alike), inputs.rows, model, alike)
    for name, mean in own_workloads(inputs.accuracy):
        costs |= inferences([name], inputs.rows, model, [mean])
    made: list[Section | Missing] = [network_section(inference, source)]
    if not alike:
        reason = "accuracies were published at one width for weights and activations only"
        return [*made, Missing("Accuracy against energy", reason)]
    own_source = replace(source, command=_own_command(inputs))
    made.append(accuracy_section(alike, costs, inference, inputs.accuracy, own_source))
    return made


def _source(inputs: Inputs, model: LibraryModel | None) -> Source:
    """Where the rows come from."""
    first, note = inputs.rows[0], "" if inputs.compare is None else file_note(inputs.compare)
    where = f"{first.library}, {first.corner}, {first.clock_mhz:g} MHz"
    estimated = all(row.source.startswith("model") for row in inputs.rows)
    if estimated and model is not None:
        tools, date = model_tools(model), model.provenance.get("calibration_date", "")
    else:
        tools, date = row_tools(_rows_beside(inputs.compare))
    return Source(command=_command(inputs.rows, estimated), where=where, tools=tools, date=date, note=note)


def _estimated(inputs: Inputs, model: LibraryModel | None) -> Source:
    """Where the numbers come from that only the cost model has."""
    first = inputs.rows[0]
    return Source(
        command=" ".join([_command(inputs.rows, True, inputs.workload), *_models(inputs)]),
        where=f"{first.library}, {first.corner}, {first.clock_mhz:g} MHz",
        tools={} if model is None else model_tools(model),
        date="" if model is None else model.provenance.get("calibration_date", ""),
        note="cost model",
    )


def _rows_beside(compare: Path | None) -> list[SynthesisRow]:
    """The rows of synthesis that hwmodel.compare writes beside its tables."""
    if compare is None:
        return []
    return list(RowStore(compare.parent / "rows" / "none", compare.parent / "rows").rows())


def _own_command(inputs: Inputs) -> str:
    """The command of this report, as far as it decides what the cost model is asked."""
    rows, words = inputs.rows, ["python -m reports.render"]
    if inputs.compare is not None:
        words.append(f"--compare {inputs.compare.name}")
    else:
        widths = ",".join(map(str, widths_of(rows)))
        words += [f"--bits {widths}"] if widths != "2,3,4" else []
        words += [f"--library {rows[0].library}"] if rows[0].library != "freepdk45" else []
        words += [f"--clock-mhz {rows[0].clock_mhz:g}"] if rows[0].clock_mhz != 500 else []
    words += [f"--model {_model(inputs.workload)}"] if inputs.workload != "deit-tiny" else []
    return " ".join([*words, *_models(inputs)])


def _models(inputs: Inputs) -> list[str]:
    """Where the cost model is, where that is not the package."""
    own = inputs.cost_models != PACKAGED_MODELS
    return [f"--cost-models {quote(inputs.cost_models.name)}"] if own else []


def _command(rows: Sequence[Row], estimated: bool, workload: str = "") -> str:
    """The command that makes such rows."""
    widths, first = widths_of(rows), rows[0]
    words = ["python -m hwmodel.compare", f"--bits {','.join(map(str, widths))}"]
    if first.library != "freepdk45":
        words.append(f"--library {first.library}")
    if first.clock_mhz != 500:
        words.append(f"--clock-mhz {first.clock_mhz:g}")
    for name, normalisation, usual in (("lanes", EQUAL_THROUGHPUT, 16), ("units", EQUAL_UNITS, 4)):
        size = next(row.units for row in rows if is_uniform(row) and row.normalisation == normalisation)
        if size != usual:
            words.append(f"--{name} {size}")
    for mean in widths:
        text = next(row.mixture for row in rows if row.bits == mean and not is_uniform(row))
        if text != str(standard_mixture(mean)):
            words.append(f"--mixture {mean}={text.replace('b:', ':').replace(' ', ',')}")
    if not estimated:
        words.append("--synthesise")
    if workload:
        words.append(f"--model {_model(workload)}")
    return " ".join(words)


def _model(workload: str) -> str:
    """A name, or the name of a file without its folder, as a shell takes it."""
    return quote(Path(workload).name)
