"""The calls that most people make: what the commands answer, as objects and tables.

    import siliquant

    mac = siliquant.design("uniform", weight_bits=4, activation_bits=4)
    siliquant.estimate(mac).energy_pj                 energy a cycle, by part
    siliquant.generate(mac, "build")                  Verilog and a manifest
    siliquant.compare([4])                            uniform against mixed precision, a DataFrame
    grid = siliquant.array(mac, "16x16")
    siliquant.network_cost("deit-tiny", grid).latency_us
    siliquant.verify("integer", grid)                 a trained network on the array, to the bit

Paths are str or Path. Everything raises ValueError, TypeError or OSError with one sentence for an input that will not
do. Whatever is below these calls can be imported from the packages themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from hwmodel.comparison import ModelAnswers, compare_rows, contenders, frame, measured_or, settings
from hwmodel.inference import (
    NetworkCost,
    Overlap,
    costs_of,
    elements_of,
    multiplier,
    network_frame,
    network_rows,
    sram_of,
)
from hwmodel.inference import network_cost as cost_of_network
from hwmodel.library import find_library
from hwmodel.measurement import Bench
from hwmodel.model import LibraryModel, estimate, load_model
from hwmodel.workload import (
    Assignment,
    Pair,
    Scales,
    Width,
    Workload,
    assign,
    check_width,
    load_workload,
    read_mean,
    read_sensitivity,
    read_width,
    uniform,
)
from rtl.array import DRAINS, Architecture, ArraySpec, drained
from rtl.mac import design_named
from rtl.manifests import Spec
from rtl.names import HELPER_PREFIX
from rtl.options import array_size
from rtl.requant import RequantSpec
from rtl.spec import MAX_BITS, MacSpec, check_integer
from siliquant.files import torch_folder
from siliquant.inputs import InputError, InputTypeError, listing, positive_number, short

if TYPE_CHECKING:
    import pandas as pd

    from qat.integers import Subject
    from sim.harness import Equivalence

__all__ = [
    "array",
    "compare",
    "compare_network",
    "design",
    "estimate",
    "generate",
    "network_cost",
    "verify",
]

_Item = TypeVar("_Item")
_Choice = TypeVar("_Choice", bound=Enum)


def design(name: str, **parameters: int | bool | Sequence[int]) -> MacSpec:
    """A MAC design by its name and parameters, as ``siliquant gen --list`` shows them.

    >>> design("bitfusion", units=4).name, design("bitfusion", widths=(4, 2)).name
    ('bitfusion_u4_w842', 'bitfusion_u4_w42')

    Raises ValueError for a name, a parameter or a value that does not exist.
    """
    kind = design_named(_text("design", name))
    known = [field.name for field in fields(kind)]
    for given in parameters:
        if given not in known:
            raise InputError(f"{name} must have parameters among {listing(known)}, not {short(given)}")
    return kind(**cast("Any", parameters))


def array(
    mac: MacSpec, size: str = "16x16", *, architecture: str = "broadcast", depth: int = 2048, drains: int = DRAINS,
    requant: RequantSpec | None = None,
) -> ArraySpec:  # fmt: skip
    """An output-stationary array of a MAC, with the memories of ``siliquant gen`` and ``siliquant verify``.

    size: ROWSxCOLUMNS. architecture: broadcast or systolic. depth: words of each operand memory; ``siliquant latency``
    and ``compare --model`` have 512, or those of one tile of a network's longest sums where these are more. The result
    memory holds as many rows of sums, or one tile. drains: sums that
    leave a column in a cycle, at most. requant: the requantiser at the end of each column, None for accumulators as
    results.

    >>> array(design("loom"), "8x4").columns
    4
    """
    if not isinstance(mac, MacSpec):
        raise InputTypeError(f"mac must be a MAC design, as siliquant.design makes one, not {short(mac)}")
    rows, columns = array_size(_text("size", size))
    return ArraySpec(
        mac=mac, rows=rows, columns=columns, architecture=_chosen(Architecture, "architecture", architecture),
        activation_depth=depth, weight_depth=depth, requant=requant, **drained(rows, drains, depth),
    )  # fmt: skip


def compare(
    bits: Sequence[int | str | Pair[int]] = (2, 3, 4), *, designs: Sequence[str] | None = None,
    mixtures: Sequence[str] = (),
    model: str | Path | Workload | None = None, lanes: int = 16, units: int = 4,
    library: str | LibraryModel = "freepdk45", clock_mhz: float = 500.0, jobs: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Uniform against mixed precision at the same mean: the rows of ``siliquant compare``.

    What was measured before is looked up, in the package too; the cost model estimates the rest (column ``source``),
    and all of it where ``library`` is a model.

    bits: means, 2 to 8; "4/8" is 4 of weights and 8 of activations. designs: precision-scalable ones, by default all.
    mixtures: texts such as ``4=2:1/3,4:1/2,8:1/6``; by default those that the policy assigns to the network of
    ``model`` (as in
    :func:`compare_network`), or standard ones. lanes, units: of the uniform MAC at equal throughput, and
    of every design at equal units, 1 to 64. jobs: processes. Units of the columns are in their names; ratios are to
    the uniform MAC of the same mean and normalisation.
    """
    chosen = settings(
        bits=_means(bits), mixtures=_texts("mixtures", mixtures), designs=_designs(designs),
        lanes=check_integer("lanes", lanes, 1, 64), units=check_integer("units", units, 1, 64),
        jobs=check_integer("jobs", jobs, 1, 1024), workload=None if model is None else _workload(model),
    )  # fmt: skip
    clock_mhz, questions = positive_number("clock_mhz", clock_mhz), [entry.question for entry in chosen.entries]
    answers = ModelAnswers(_model(library), clock_mhz, chosen.jobs)
    answers.prepare(questions)
    if not isinstance(library, str):
        return frame(compare_rows(chosen.entries, answers.get))
    get, *_ = measured_or(lambda: Bench(find_library(library), clock_mhz), questions, (), answers)
    return frame(compare_rows(chosen.entries, get, answers.get))


def compare_network(
    model: str | Path | Workload, bits: Sequence[int | str | Pair[int]] = (2, 3, 4), *,
    designs: Sequence[str] | None = None, lanes: int = 16, library: str | LibraryModel = "freepdk45",
    clock_mhz: float = 500.0, off_chip_pj_per_bit: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """One inference of a network on arrays of the uniform MAC and of every precision-scalable design, at equal area and
    at equal latency: the rows of ``siliquant compare --model``. Arguments as in :func:`compare`.

    Memories are counted where they are known for the library's node: for freepdk45. For others their area and energy
    are 0.
    """
    known, clock_mhz = _model(library), positive_number("clock_mhz", clock_mhz)
    costs = costs_of(known, clock_mhz, sram_of(known.library), off_chip_pj_per_bit)
    workload = _workload(model)
    chosen = contenders(_designs(designs))
    check_integer("lanes", lanes, 1, 64)
    elements = elements_of(lanes, chosen, known, clock_mhz, longest_sum=workload.longest_sum())
    return network_frame(network_rows(workload, _means(bits), costs, elements=elements))


def network_cost(
    model: str | Path | Workload, array: ArraySpec, *, bits: int | str | Pair[int] | None = None,
    mean: float | str | None = None, widths: Sequence[int] | None = None,
    activation_widths: Sequence[int] | None = None, sensitivity: str | Path | None = None, requantise: bool = True,
    scales: str = "head", overlap: str = "none", library: str | LibraryModel = "freepdk45", clock_mhz: float = 500.0,
    off_chip_pj_per_bit: float | None = None,
) -> NetworkCost:  # fmt: skip
    """Cycles, energy and area of one inference of a network on an array, by the model.

    model: the name of a packaged network, a file of GEMMs, or a workload. bits: one width everywhere, by default 4; or
    mean: the mixture of widths (2, 4 and 8) that the sensitivity table (a file; default the paper's order) assigns.
    "4/8" is 4 bits of weights and 8 of activations; activation_widths: those of activations, by default as widths.
    requantise: a multiplier at the drain of each column, where the array has no requantiser. scales: tensor, head, or
    head-reduced (along the sums of projections too). overlap: none, or double, where operands are loaded while the
    array runs. Memories are counted where they are known for the library's node: for freepdk45; for others their area
    and energy are 0.

    >>> found = network_cost("deit-tiny", array(design("uniform")))
    >>> found.cycles == network_cost("deit-tiny", array(design("uniform")), bits=4).cycles
    True

    Raises ValueError where a memory is too small for the network, for both ``bits`` and ``mean``, and for ``widths``,
    ``activation_widths`` or ``sensitivity`` without ``mean``.
    """
    _check_array(array)
    assignment = _assignment(_workload(model), bits, mean, (widths, activation_widths), sensitivity)
    if requantise and array.requant is None:
        array = replace(array, requant=multiplier(assignment.drained_bits))
    known, clock_mhz = _model(library), positive_number("clock_mhz", clock_mhz)
    costs = costs_of(
        known, clock_mhz, sram_of(known.library), off_chip_pj_per_bit, rows=array.rows, columns=array.columns
    )  # fmt: skip
    return cost_of_network(
        array, assignment, costs,
        scales=_chosen(Scales, "scales", scales), overlap=_chosen(Overlap, "overlap", overlap),
    )  # fmt: skip


def generate(specs: Spec | Sequence[Spec], out: str | Path = "build", *, prefix: str = HELPER_PREFIX) -> list[Path]:
    """Writes Verilog-2001 and a manifest of MACs, arrays or requantisers into a folder, as ``siliquant gen`` does.

    Returns the paths. prefix: what the names of modules that designs share begin with.
    """
    from rtl.verilog import write_files

    chosen = [specs] if isinstance(specs, Spec | str) else list(specs)
    if not chosen:
        raise InputError("specs must have at least one design")
    if not str(out):
        raise InputError("out must be a folder, not ''")
    for spec in chosen:
        if not isinstance(spec, Spec):
            raise InputTypeError(f"specs must be MACs, arrays or requantisers, not {short(spec)}")
    return write_files(chosen, Path(out), prefix)


def verify(
    checkpoint: str | Path | Subject, array: ArraySpec, *, samples: int | None = None, requantise: bool = True,
    jobs: int | None = None,
) -> Equivalence:  # fmt: skip
    """Runs a network in integers on the simulated array and compares with PyTorch, bit for bit: every accumulator, all
    logits, and every code that is requantised at the drain.

    checkpoint: a folder of ``siliquant export`` or ``siliquant train``, or an open network, which has its samples.
    samples: inputs of a folder to run, by default 1. requantise: thresholds at the drain of each column, where the
    array has no requantiser. jobs: simulators at a time, by default one a core. What comes back says what was compared
    and how long it took. Raises :class:`sim.bench.MismatchError` at the first difference; needs the extras sim and
    qat, and a C++ compiler.
    """
    torch_folder()  # before torch is loaded
    from qat.integers import Subject, open_subject
    from sim.harness import requantiser_of
    from sim.harness import verify as run

    _check_array(array)
    if isinstance(checkpoint, Subject):
        if samples is not None:
            raise InputError("samples must be given with a folder only: an open network has its own")
        subject = checkpoint
    else:
        subject = open_subject(Path(checkpoint), 1 if samples is None else samples)
    if requantise and array.requant is None:
        array = replace(array, requant=requantiser_of(subject.model))
    return run(subject, array, jobs=jobs)


def _model(library: str | LibraryModel) -> LibraryModel:
    return library if isinstance(library, LibraryModel) else load_model(_text("library", library))


def _check_array(array: object) -> None:
    if not isinstance(array, ArraySpec):
        raise InputTypeError(f"array must be an array, as siliquant.array makes one of a MAC, not {short(array)}")


def _workload(model: str | Path | Workload) -> Workload:
    return model if isinstance(model, Workload) else load_workload(str(model))


def _assignment(
    workload: Workload, bits: int | str | Pair[int] | None, mean: float | str | None,
    widths: tuple[Sequence[int] | None, Sequence[int] | None], sensitivity: str | Path | None,
) -> Assignment:  # fmt: skip
    """widths: of weights, and of activations where they are others."""
    named = {"sensitivity": sensitivity, "widths": widths[0], "activation_widths": widths[1]}
    if mean is None:
        for name, value in named.items():
            if value is not None:
                raise InputError(f"{name} must be given with mean only: one width everywhere needs none")
        width = 4 if bits is None else bits
        return uniform(workload, read_width("bits", width) if isinstance(width, str) else width)
    if bits is not None:
        raise InputError("bits and mean must not be given together")
    table = None if sensitivity is None else read_sensitivity(sensitivity)
    return assign(
        workload, read_mean("mean", mean, 1, MAX_BITS) if isinstance(mean, str) else mean,
        (2, 4, 8) if widths[0] is None else _list("widths", widths[0]),
        activation_widths=None if widths[1] is None else _list("activation_widths", widths[1]), sensitivity=table,
    )  # fmt: skip


def _means(bits: Sequence[int | str | Pair[int]]) -> list[Width]:
    """Distinct mean widths."""
    found = [
        read_width("bits", each, 2, 8) if isinstance(each, str) else check_width("bits", _plain(each), 2, 8)
        for each in _list("bits", bits)
    ]
    if not found or len(set(found)) < len(found):
        raise InputError(f"bits must be different means, one at least, not [{', '.join(map(str, found))}]")
    return found


def _plain(value: object) -> object:
    """An integer of NumPy as one of Python."""
    return value.item() if isinstance(value, np.integer) else value


def _designs(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else _texts("designs", names)


def _texts(name: str, values: Sequence[str]) -> list[str]:
    return [_text(f"one of the {name}", each) for each in _list(name, values)]


def _list(name: str, values: Sequence[_Item]) -> list[_Item]:
    """A list, and no text, which would be one of letters."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputTypeError(f"{name} must be a list, not {short(values)}")
    return list(values)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputTypeError(f"{name} must be a text, not {short(value)}")
    return value


def _chosen(kind: type[_Choice], name: str, value: str) -> _Choice:
    """A member of an enumeration by its text."""
    known = {str(each.value): each for each in kind}
    if value not in known:
        raise InputError(f"{name} must be {listing(known, 'or')}, not {short(value)}")
    return known[value]
