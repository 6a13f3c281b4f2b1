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

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodel.comparison import ModelAnswers, compare_rows, contenders, frame, settings
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
from hwmodel.model import LibraryModel, estimate, load_model
from hwmodel.workload import Assignment, Scales, Workload, assign, load_workload, read_sensitivity, uniform
from rtl.array import Architecture, ArraySpec
from rtl.mac import design_named
from rtl.manifests import Spec
from rtl.names import HELPER_PREFIX
from rtl.options import array_size
from rtl.requant import RequantSpec
from rtl.spec import MacSpec
from siliquant.inputs import InputError

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


def design(name: str, **parameters: int | bool) -> MacSpec:
    """A MAC design by its name and parameters, as ``siliquant gen --list`` shows them.

    >>> design("bitfusion", units=4).name
    'bitfusion_u4_m2'

    Raises ValueError for a name or a value that does not exist, TypeError for another parameter.
    """
    return design_named(name)(**parameters)


def array(
    mac: MacSpec, size: str = "16x16", *, architecture: str = "broadcast", depth: int = 512,
    requant: RequantSpec | None = None,
) -> ArraySpec:  # fmt: skip
    """An output-stationary array of a MAC.

    size: ROWSxCOLUMNS. architecture: broadcast or systolic. depth: words of each operand memory; the result memory has
    as many, or one a row. requant: the requantiser at the drain of each column, None for accumulators as results.

    >>> array(design("loom"), "8x4").columns
    4
    """
    rows, columns = array_size(size)
    return ArraySpec(
        mac=mac, rows=rows, columns=columns, architecture=Architecture(architecture), activation_depth=depth,
        weight_depth=depth, result_depth=max(depth, rows), requant=requant,
    )  # fmt: skip


def compare(
    bits: Sequence[int] = (2, 3, 4), *, designs: Sequence[str] | None = None, mixtures: Sequence[str] = (),
    lanes: int = 16, units: int = 4, library: str | LibraryModel = "freepdk45", clock_mhz: float = 500.0, jobs: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Uniform against mixed precision at the same mean, estimated: the rows of ``siliquant compare``.

    bits: means, 2 to 8. designs: precision-scalable ones, by default all. mixtures: texts such as
    ``4=2:1/3,4:1/2,8:1/6``, of widths 2, 4 and 8 by default. lanes, units: of the uniform MAC at equal throughput, and
    of every design at equal units. jobs: processes. Units of the columns are in their names; ratios are to the uniform
    MAC of the same mean and normalisation.
    """
    chosen = settings(bits=bits, mixtures=mixtures, designs=designs, lanes=lanes, units=units, jobs=jobs)
    answers = ModelAnswers(_model(library), clock_mhz, jobs)
    answers.prepare([entry.question for entry in chosen.entries])
    return frame(compare_rows(chosen.entries, answers.get))


def compare_network(
    model: str | Path | Workload, bits: Sequence[int] = (2, 3, 4), *, designs: Sequence[str] | None = None,
    lanes: int = 16, library: str | LibraryModel = "freepdk45", clock_mhz: float = 500.0,
    off_chip_pj_per_bit: float | None = None,
) -> pd.DataFrame:  # fmt: skip
    """One inference of a network on arrays of the uniform MAC and of every precision-scalable design, at equal area and
    at equal latency: the rows of ``siliquant compare --model``. Arguments as in :func:`compare`.
    """
    known = _model(library)
    costs = costs_of(known, clock_mhz, sram_of(known.library), off_chip_pj_per_bit)
    workload = _workload(model)
    elements = elements_of(lanes, contenders(designs), known, clock_mhz, longest_sum=workload.longest_sum)
    return network_frame(network_rows(workload, bits, costs, elements=elements))


def network_cost(
    model: str | Path | Workload, array: ArraySpec, *, bits: int | None = None, mean: float | None = None,
    widths: Sequence[int] = (2, 4, 8), sensitivity: str | Path | None = None, requantise: bool = True,
    scales: str = "head", overlap: str = "none", library: str | LibraryModel = "freepdk45", clock_mhz: float = 500.0,
    off_chip_pj_per_bit: float | None = None,
) -> NetworkCost:  # fmt: skip
    """Cycles, energy and area of one inference of a network on an array, by the model.

    model: the name of a packaged network, a file of GEMMs, or a workload. bits: one width everywhere, by default 4; or
    mean and widths: the mixture that the sensitivity table (a file; default the paper's order) assigns. requantise: a
    multiplier at the drain of each column, where the array has no requantiser. scales: tensor, head, or head-reduced
    (along the sums of projections too). overlap: none, or double, where operands are loaded while the array runs.

    >>> found = network_cost("deit-tiny", array(design("uniform")))
    >>> found.cycles == network_cost("deit-tiny", array(design("uniform")), bits=4).cycles
    True

    Raises ValueError where a memory is too small for the network, and for both ``bits`` and ``mean``.
    """
    assignment = _assignment(_workload(model), bits, mean, widths, sensitivity)
    if requantise and array.requant is None:
        array = replace(array, requant=multiplier(assignment.drained_bits))
    known = _model(library)
    costs = costs_of(
        known, clock_mhz, sram_of(known.library), off_chip_pj_per_bit, rows=array.rows, columns=array.columns
    )  # fmt: skip
    return cost_of_network(array, assignment, costs, scales=Scales(scales), overlap=Overlap(overlap))


def generate(specs: Spec | Sequence[Spec], out: str | Path = "build", *, prefix: str = HELPER_PREFIX) -> list[Path]:
    """Writes Verilog-2001 and a manifest of MACs, arrays or requantisers into a folder, as ``siliquant gen`` does.

    Returns the paths. prefix: what the names of modules that designs share begin with.
    """
    from rtl.verilog import write_files

    return write_files([specs] if isinstance(specs, Spec) else list(specs), Path(out), prefix)


def verify(
    checkpoint: str | Path | Subject, array: ArraySpec, *, samples: int = 1, jobs: int | None = None
) -> Equivalence:
    """Runs a network in integers on the simulated array and compares every accumulator, code and logit with PyTorch's.

    checkpoint: a folder of ``siliquant export``, or an open one. samples: inputs of it to run. jobs: simulators at a
    time, by default one a core. What comes back says what was compared and how long it took. Raises
    :class:`sim.bench.MismatchError` at the first difference; needs the extras sim and qat, and a C++ compiler.
    """
    from qat.integers import Subject, open_subject
    from sim.harness import verify as run

    subject = checkpoint if isinstance(checkpoint, Subject) else open_subject(Path(checkpoint), samples)
    return run(subject, array, jobs=jobs)


def _model(library: str | LibraryModel) -> LibraryModel:
    return load_model(library) if isinstance(library, str) else library


def _workload(model: str | Path | Workload) -> Workload:
    return model if isinstance(model, Workload) else load_workload(str(model))


def _assignment(
    workload: Workload, bits: int | None, mean: float | None, widths: Sequence[int], sensitivity: str | Path | None
) -> Assignment:
    if mean is None:
        if sensitivity is not None:
            raise InputError("sensitivity must be given with mean only: one width everywhere needs none")
        return uniform(workload, 4 if bits is None else bits)
    if bits is not None:
        raise InputError("bits and mean must not be given together")
    table = None if sensitivity is None else read_sensitivity(sensitivity)
    return assign(workload, mean, widths, sensitivity=table)
