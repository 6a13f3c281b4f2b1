"""Costs of one design, or of a whole table of them at once, from the fitted model of a library.

    estimate(UniformSpec(lanes=16), "freepdk45", 500.0)               a Cost
    estimate(frame, "freepdk45", 500.0)                               a DataFrame with a row of costs for each row

The first time a design, or a design under a stream, is seen its gates are counted and its transitions found (some
milliseconds, fewer for each of many); all further rows of it are arithmetic on arrays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from hwmodel.operands import Stream, StreamPlan
from rtl.mac import design_named
from rtl.spec import MacSpec, Precision
from siliquant.inputs import InputError, InputTypeError

from .features import Vector, find, lacking
from .file import load_model
from .model import Cost, LibraryModel, cost_of, energies_of, minimum_periods_ns, pressures, shape_of, strains
from .paths import ALONE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["default_plan", "estimate", "parse_precision"]

_PRECISION = re.compile(r"w([1-8])a([1-8])([su])")
_FEW = 32  # new designs that are counted without a bar
_OWN = ("library", "clock_mhz", "precision", "stream")


@overload
def estimate(
    specs: MacSpec,
    library: str | LibraryModel = ...,
    clock_mhz: float = ...,
    activity: StreamPlan | None = ...,
    *,
    strict: bool = ...,
) -> Cost: ...
@overload
def estimate(
    specs: pd.DataFrame,
    library: str | LibraryModel = ...,
    clock_mhz: float = ...,
    activity: StreamPlan | None = ...,
    *,
    strict: bool = ...,
) -> pd.DataFrame: ...
def estimate(
    specs: MacSpec | pd.DataFrame,
    library: str | LibraryModel = "freepdk45",
    clock_mhz: float = 500.0,
    activity: StreamPlan | None = None,
    *,
    strict: bool = False,
) -> Cost | pd.DataFrame:
    """Area, power and minimum period.

    specs: one design; or a table with a column ``design`` and one for each parameter that is not at its default (NaN
    where a design has no such parameter), and optionally ``library``, ``clock_mhz``, ``precision`` (as w4a4s) and
    ``stream`` (as uniform), which then take the place of the other arguments. activity: the operand stream; by default
    uniform codes at the design's widest precision. strict: refuse designs outside what the model was fitted on.

    For a table the result has its index and the columns area_um2, leakage_uw, settled_power_uw (without glitches),
    power_uw, energy_pj (a cycle, leakage included), minimum_period_ns, meets_clock, pressure and in_range.

    >>> from rtl.mac import SubwordSpec, UniformSpec
    >>> narrow, wide = (estimate(UniformSpec(weight_bits=b, activation_bits=b), "freepdk45") for b in (2, 8))
    >>> narrow.total_area_um2 < wide.total_area_um2, narrow.meets_clock
    (True, True)
    >>> import pandas as pd
    >>> found = estimate(pd.DataFrame({"design": ["subword", "loom"], "units": [4, 64]}), "freepdk45", 400.0)
    >>> abs(float(found.area_um2[0]) - estimate(SubwordSpec(units=4), "freepdk45", 400.0).total_area_um2) < 1e-6
    True

    Raises TypeError for anything else than a design or a table, ValueError for a design or parameter that does not
    exist, a library without a model, a clock that is not positive, a precision the design lacks, and, where ``strict``,
    the first design outside the range of the model.
    """
    if isinstance(specs, MacSpec):
        model = load_model(library) if isinstance(library, str) else library
        cost = cost_of(specs, activity or default_plan(specs), model, clock_mhz)
        if strict and cost.outside:
            raise InputError(f"{specs.name} must be within the range of the model: it has {'; '.join(cost.outside)}")
        return cost
    return _estimate_frame(specs, library, clock_mhz, activity, strict)


@lru_cache(maxsize=65536)
def default_plan(spec: MacSpec) -> StreamPlan:
    """Uniform codes at the widest precision of a design, activations signed where it has that."""
    widest = max(spec.precisions, key=lambda p: (p.weight_bits * p.activation_bits, p.activation_signed))
    return StreamPlan(widest)


def parse_precision(text: str) -> Precision:
    """A precision from text such as w4a4s. Raises ValueError that quotes it.

    >>> parse_precision("w4a8u")
    Precision(weight_bits=4, activation_bits=8, activation_signed=False)
    """
    match = _PRECISION.fullmatch(text)
    if match is None:
        raise InputError(f"precision must look like w4a4s or w4a8u, not {text!r}")
    return Precision(int(match[1]), int(match[2]), match[3] == "s")


def _estimate_frame(
    frame: pd.DataFrame, library: str | LibraryModel, clock_mhz: float, activity: StreamPlan | None, strict: bool
) -> pd.DataFrame:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputTypeError(f"specs must be a MAC design or a DataFrame of designs, not {type(frame).__name__}")
    if "design" not in frame.columns:
        raise InputError(f"a table of designs must have a column design, not only {', '.join(map(str, frame.columns))}")
    spec_of, firsts = _groups(frame, [name for name in frame.columns if name not in _OWN])
    specs = [_spec_of(frame.iloc[first]) for first in firsts]
    models, model_of = _models(frame, library)
    plans, plan_of = _plans(frame, activity)
    clocks = np.full(len(frame), clock_mhz, dtype=np.float64)
    if "clock_mhz" in frame.columns:
        clocks = frame["clock_mhz"].to_numpy(np.float64)
    wrong = ~((clocks > 0) & (clocks < np.inf))
    if wrong.any():
        raise InputError(f"clock_mhz must be a positive number, not {clocks[wrong][0]}")

    # What differs in nothing but the clock is looked up once.
    at, firsts = _numbered((spec_of * len(models) + model_of) * len(plans) + plan_of)
    cases = [(specs[spec_of[i]], models[model_of[i]], plans[plan_of[i]]) for i in firsts]
    if not strict:
        _count(cases)
    shapes = [shape_of(spec, model) for spec, model, _ in cases]
    for (spec, *_), shape in zip(cases, shapes, strict=True):
        if strict and shape.outside:
            raise InputError(f"{spec.name} must be within the range of the model: it has {'; '.join(shape.outside)}")
    if strict:
        _count(cases)
    energies = [energies_of(spec, plan or default_plan(spec), model) for spec, model, plan in cases]

    def spread(values: Iterable[float]) -> Vector:
        return np.fromiter(values, np.float64, len(cases))[at]

    def coefficient(name: str) -> Vector | float:
        values = [float(getattr(model.coefficients, name)) for model in models]
        return np.array(values)[model_of] if len(values) != 1 else values[0]

    relaxed_ns = spread(shape.relaxed_ns for shape in shapes)
    fastest_ns = spread(shape.fastest_ns for shape in shapes)
    u = pressures(relaxed_ns, fastest_ns, clocks)
    s = strains(u, coefficient("strain_from"), coefficient("strain_to"))
    area_um2 = spread(shape.area_um2.sum() for shape in shapes) + s * spread(each.grows_um2.sum() for each in shapes)
    leakage_nw = spread(shape.leakage_nw.sum() for shape in shapes)
    leakage_uw = leakage_nw * (1e-3 * (1 + coefficient("leakage_growth") * s))
    uw_a_pj = (1 + coefficient("energy_growth") * s) * clocks
    energy_pj = spread(whole_pj.sum() for _, whole_pj, _ in energies)
    ahead_pj = spread(shape.ripple * each.sum() for shape, (*_, each) in zip(shapes, energies, strict=True))
    energy_pj = energy_pj + (u > 0) * ahead_pj
    power_uw = leakage_uw + energy_pj * uw_a_pj
    period_ns = minimum_periods_ns(relaxed_ns, fastest_ns, clocks, coefficient("margin"))
    columns = {
        "area_um2": area_um2,
        "leakage_uw": leakage_uw,
        "settled_power_uw": leakage_uw + spread(settled_pj.sum() for settled_pj, *_ in energies) * uw_a_pj,
        "power_uw": power_uw,
        "energy_pj": power_uw / clocks,
        "minimum_period_ns": period_ns,
        "meets_clock": period_ns <= 1000.0 / clocks,
        "pressure": u,
        "in_range": np.array([not shape.outside for shape in shapes], dtype=np.bool_)[at],
    }
    return pd.DataFrame(columns, index=frame.index, copy=False)


def _count(cases: Sequence[tuple[MacSpec, LibraryModel, StreamPlan | None]]) -> None:
    """Counts designs that were never counted before, while a bar shows how far it is. Each is kept at once."""
    asked: dict[MacSpec, list[StreamPlan]] = {}
    for spec, _, plan in cases:
        asked.setdefault(spec, []).append(plan or default_plan(spec))
    models = dict.fromkeys(model.coefficients for _, model, _ in cases)
    delays = [(model.relaxed_ns, model.fastest_ns, ALONE) for model in models]
    new = lacking(asked, delays)
    if len(new) <= _FEW:
        for _ in find(new, delays):
            pass
        return
    from rich.console import Console
    from rich.progress import track

    for _ in track(find(new, delays), "counting gates", len(new), console=Console(stderr=True), transient=True):
        pass


def _groups(frame: pd.DataFrame, names: Sequence[str]) -> tuple[npt.NDArray[np.int64], list[int]]:
    """A number for each row, the same where all columns named are equal; and the first row of each number."""
    import pandas as pd

    key, size = np.zeros(len(frame), dtype=np.int64), 1
    for name in names:
        codes, values = pd.factorize(frame[name], use_na_sentinel=False)
        if size * len(values) >= 1 << 62:
            key, firsts = _numbered(key)
            size = len(firsts)
        key, size = key * len(values) + codes, size * len(values)
    return _numbered(key)


def _numbered(key: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Numbers from 0 in the order in which different keys appear; and the first place of each."""
    import pandas as pd

    numbers, _ = pd.factorize(key)
    newest = np.maximum.accumulate(numbers)
    return numbers.astype(np.int64, copy=False), np.flatnonzero(np.diff(newest, prepend=-1)).tolist()


def _spec_of(row: pd.Series[Any]) -> MacSpec:
    """The design of one row. Raises ValueError for a design or parameter that does not exist."""
    import pandas as pd

    design = design_named(row["design"])
    known = design.parameter_help()
    values: dict[str, int | bool] = {}
    for parameter, cell in row.items():
        value: Any = cell.item() if isinstance(cell, np.generic) else cell
        if parameter in ("design", *_OWN) or pd.isna(value):
            continue
        if parameter not in known:
            raise InputError(f"parameters of {design.design} must be among {', '.join(known)}, not {parameter!r}")
        name = str(parameter)
        values[name] = _flag(name, value) if isinstance(known[name][0], bool) else _integer(name, value)
    return design(**values)


def _integer(name: str, value: Any) -> int:
    """A whole number, which a column with NaN holds as a float."""
    if isinstance(value, str | bool) or not float(value).is_integer():
        raise InputError(f"{name} must be an integer, not {value!r}")
    return int(value)


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, str) or value not in (0, 1):
        raise InputError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def _models(frame: pd.DataFrame, library: str | LibraryModel) -> tuple[list[LibraryModel], npt.NDArray[np.int64]]:
    """The models of the rows' libraries, and for each row which it is."""
    import pandas as pd

    if "library" not in frame.columns:
        model = load_model(library) if isinstance(library, str) else library
        return [model], np.zeros(len(frame), dtype=np.int64)
    codes, names = pd.factorize(frame["library"], use_na_sentinel=False)
    return [load_model(str(name)) for name in names], codes.astype(np.int64)


def _plans(frame: pd.DataFrame, activity: StreamPlan | None) -> tuple[list[StreamPlan | None], npt.NDArray[np.int64]]:
    """The operand streams of the rows, None for the default of each design; and for each row which it is."""
    names = [name for name in ("precision", "stream") if name in frame.columns]
    if not names:
        return [activity], np.zeros(len(frame), dtype=np.int64)
    if "precision" not in names:
        raise InputError("a table with a column stream must have a column precision, too")
    codes, firsts = _groups(frame, names)
    plans: list[StreamPlan | None] = []
    for first in firsts:
        row = frame.iloc[first]
        stream = Stream(str(row["stream"])) if "stream" in names else Stream()
        plans.append(StreamPlan(parse_precision(str(row["precision"])), stream))
    return plans, codes
