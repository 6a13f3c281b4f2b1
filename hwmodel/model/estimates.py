"""Costs of one design, or of a whole table of them at once, from the fitted model of a library.

    estimate(UniformSpec(lanes=16), "freepdk45", 500.0)               a Cost
    estimate(frame, "freepdk45", 500.0)                               a DataFrame with a row of costs for each row

The first time a design, or a design under a stream, is seen its gates are counted and its transitions found (some
milliseconds, fewer for each of many); all further rows of it are arithmetic on arrays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

from hwmodel.operands import Stream, StreamPlan
from rtl.mac import DESIGNS, design_named
from rtl.spec import MacSpec, Precision, read_widths
from siliquant.inputs import InputError, InputTypeError, short

from .features import Vector, find, lacking
from .file import load_model
from .model import (
    Cost,
    Energies,
    LibraryModel,
    Shape,
    cost_of,
    energies_of,
    minimum_periods_ns,
    pressures,
    shape_of,
    strains,
)
from .paths import ALONE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["default_plan", "estimate", "parse_precision"]

Numbers = npt.NDArray[np.int64]
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
_PRECISION = re.compile(r"w([1-8])a([1-8])([su])")
_FEW = 32  # new designs that are counted without a bar
_OWN = ("library", "clock_mhz", "precision", "stream")
_LISTS = frozenset(
    name for each in DESIGNS for name, (default, _) in each.parameter_help().items() if isinstance(default, tuple)
)
"""Parameters whose cells may be lists."""


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
    specs: pd.DataFrame | Sequence[MacSpec],
    library: str | LibraryModel = ...,
    clock_mhz: float = ...,
    activity: StreamPlan | None = ...,
    *,
    strict: bool = ...,
) -> pd.DataFrame: ...
def estimate(
    specs: MacSpec | pd.DataFrame | Sequence[MacSpec],
    library: str | LibraryModel = "freepdk45",
    clock_mhz: float = 500.0,
    activity: StreamPlan | None = None,
    *,
    strict: bool = False,
) -> Cost | pd.DataFrame:
    """Area, power and minimum period.

    specs: one design; a list of designs; or a table with a column ``design`` and one for each parameter that is not at
    its default (NaN where a design has no such parameter), and optionally ``library``, ``clock_mhz``, ``precision`` (as
    w4a4s) and ``stream`` (as uniform), which then take the place of the other arguments. activity: the operand
    stream; by default uniform codes at the widest precision of a design. strict: refuse those outside what the model
    was fitted on.

    For a table or list the result has its index and the columns area_um2, leakage_uw, idle_uw (power while no operands
    come), settled_power_uw (without glitches), power_uw, energy_pj (a cycle, leakage included), minimum_period_ns,
    meets_clock, pressure and in_range.
    Where a row cannot be estimated, since its design, library, clock or stream makes no sense, its numbers are NaN,
    meets_clock and in_range are False, and there is one more column, error: the sentence that says what is wrong, empty
    elsewhere.

    >>> from rtl.mac import SubwordSpec, UniformSpec
    >>> narrow, wide = (estimate(UniformSpec(weight_bits=b, activation_bits=b), "freepdk45") for b in (2, 8))
    >>> narrow.total_area_um2 < wide.total_area_um2, narrow.meets_clock
    (True, True)
    >>> import pandas as pd
    >>> found = estimate(pd.DataFrame({"design": ["subword", "loom"], "units": [4, 64]}), "freepdk45", 400.0)
    >>> abs(float(found.area_um2[0]) - estimate(SubwordSpec(units=4), "freepdk45", 400.0).total_area_um2) < 1e-6
    True

    Raises TypeError for anything else than a design, a table or a list, ValueError for a library without a model, a
    clock that is not positive, a precision the design lacks, a table without a column that it needs, and, where
    ``strict``, the first design outside the range of the model.
    """
    if isinstance(specs, MacSpec):
        model = _model_of(library)
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


@dataclass(frozen=True)
class _Table:
    """Rows as numbers into what is different in them; a sentence in place of what makes no sense."""

    specs: Sequence[MacSpec | str]
    models: Sequence[LibraryModel | str]
    plans: Sequence[StreamPlan | str | None]
    spec_of: Numbers
    model_of: Numbers
    plan_of: Numbers


def _read(specs: pd.DataFrame | Sequence[MacSpec], library: str | LibraryModel, activity: StreamPlan | None) -> _Table:
    import pandas as pd

    if isinstance(specs, list | tuple):
        for number, spec in enumerate(specs):
            if not isinstance(spec, MacSpec):
                raise InputTypeError(f"a list of designs must hold MAC designs, not {short(spec)} at place {number}")
        model = _model_of(library)
        still = np.zeros(len(specs), dtype=np.int64)
        return _Table(specs, [model], [activity], np.arange(len(specs)), still, still)
    if not isinstance(specs, pd.DataFrame):
        raise InputTypeError(f"specs must be a MAC design, or a DataFrame or list of them, not {type(specs).__name__}")
    if not specs.columns.is_unique:
        again = specs.columns[specs.columns.duplicated()][0]
        raise InputError(f"a table of designs must have each column once, not {short(str(again))} twice")
    if "design" not in specs.columns:
        raise InputError(f"a table of designs must have a column design, not only {', '.join(map(str, specs.columns))}")
    spec_of, firsts = _groups(specs, [name for name in specs.columns if name not in _OWN])
    models, model_of = _models(specs, library)
    plans, plan_of = _plans(specs, activity)
    return _Table([_tried(_spec_of, specs.iloc[first]) for first in firsts], models, plans, spec_of, model_of, plan_of)


def _model_of(library: str | LibraryModel) -> LibraryModel:
    if isinstance(library, LibraryModel):
        return library
    if not isinstance(library, str):
        raise InputTypeError(f"library must be the name of a library or its model, not {short(library)}")
    return load_model(library)


def _tried(make: Callable[[_Given], _Made], given: _Given) -> _Made | str:
    """What is made of it, or the sentence that says why nothing is: designs of one's own raise what they like."""
    try:
        return make(given)
    except (ValueError, TypeError, ArithmeticError) as error:
        return str(error)


def _estimate_frame(
    designs: pd.DataFrame | Sequence[MacSpec], library: str | LibraryModel, clock_mhz: float,
    activity: StreamPlan | None, strict: bool,
) -> pd.DataFrame:  # fmt: skip
    import pandas as pd

    table = _read(designs, library, activity)
    frame = designs if isinstance(designs, pd.DataFrame) else pd.DataFrame(index=range(len(designs)))
    clocks, wrong = _clocks(frame, clock_mhz)

    # What differs in nothing but the clock is looked up once.
    models, plans, model_of = table.models, table.plans, table.model_of
    at, firsts = _numbered((table.spec_of * len(models) + model_of) * len(plans) + table.plan_of)
    cases = [_case(table, first) for first in firsts]
    found = _found(cases, strict)

    def spread(value: Callable[[_Parts], float]) -> Vector:
        return np.array([math.nan if isinstance(parts, str) else value(parts) for parts in found], np.float64)[at]

    def coefficient(name: str) -> Vector | float:
        values = [math.nan if isinstance(each, str) else float(getattr(each.coefficients, name)) for each in models]
        return np.array(values)[model_of] if len(values) != 1 else values[0]

    relaxed_ns = spread(lambda parts: parts.shape.relaxed_ns)
    fastest_ns = spread(lambda parts: parts.shape.fastest_ns)
    u = pressures(relaxed_ns, fastest_ns, clocks)
    s = strains(u, *map(coefficient, ("strain_from", "strain_to", "strain_power")))
    area_um2 = spread(lambda parts: parts.shape.area_um2.sum()) + s * spread(lambda parts: parts.shape.grows_um2.sum())
    leakage_nw = spread(lambda parts: parts.shape.leakage_nw.sum())
    leakage_uw = leakage_nw * (1e-3 * (1 + coefficient("leakage_growth") * s))
    clock_uw_a_pj = (1 + coefficient("clock_growth") * s) * clocks
    settled_pj = spread(lambda parts: parts.energies.settled_pj.sum())
    settled_uw = settled_pj * ((1 + coefficient("settled_growth") * s) * clocks)
    settled_power_uw = leakage_uw + spread(lambda parts: parts.energies.clock_pj.sum()) * clock_uw_a_pj + settled_uw
    ahead_pj = spread(lambda parts: parts.shape.ripple * parts.energies.ahead_pj.sum())
    glitch_pj = spread(lambda parts: parts.energies.glitch_pj.sum()) + (u > 0) * ahead_pj
    glitch_pj *= 1 + coefficient("glitch_growth") * s
    glitch_pj += settled_pj * (coefficient("glitch_share") * s)
    power_uw = settled_power_uw + glitch_pj * clocks
    period_ns = minimum_periods_ns(relaxed_ns, fastest_ns, clocks, coefficient("margin"))
    columns = {
        "area_um2": area_um2,
        "leakage_uw": leakage_uw,
        "idle_uw": leakage_uw + spread(lambda parts: parts.energies.idle_pj.sum()) * clock_uw_a_pj,
        "settled_power_uw": settled_power_uw,
        "power_uw": power_uw,
        "energy_pj": power_uw / clocks,
        "minimum_period_ns": period_ns,
        "meets_clock": period_ns <= 1000.0 / clocks,
        "pressure": u,
        "in_range": np.array([not isinstance(parts, str) and not parts.shape.outside for parts in found], np.bool_)[at],
    }
    result = pd.DataFrame(columns, index=frame.index, copy=False)
    failed = np.array([isinstance(parts, str) for parts in found], np.bool_)[at]
    if failed.any() or wrong.any():
        errors = np.array([parts if isinstance(parts, str) else "" for parts in found], dtype=object)[at]
        for row in np.flatnonzero(wrong & ~failed):
            errors[row] = f"clock_mhz must be a positive number, not {frame['clock_mhz'].iloc[row]}"
        numbers = [name for name in columns if name not in ("meets_clock", "in_range")]
        result.loc[wrong, numbers] = math.nan
        result.loc[wrong, "in_range"] = False
        result["error"] = errors
    return result


def _clocks(frame: pd.DataFrame, clock_mhz: float) -> tuple[Vector, npt.NDArray[np.bool_]]:
    """The clock of each row, and which are none. Raises ValueError where that of all is none."""
    import pandas as pd

    if "clock_mhz" not in frame.columns:
        if not 0 < clock_mhz < math.inf:
            raise InputError(f"clock_mhz must be a positive number, not {clock_mhz}")
        return np.full(len(frame), clock_mhz, dtype=np.float64), np.zeros(len(frame), dtype=np.bool_)
    clocks = pd.to_numeric(frame["clock_mhz"], errors="coerce").to_numpy(np.float64, na_value=math.nan)
    wrong = ~((clocks > 0) & (clocks < np.inf))
    return np.where(wrong, math.nan, clocks), wrong


@dataclass(frozen=True)
class _Case:
    """A design under a stream in a library."""

    spec: MacSpec
    model: LibraryModel
    plan: StreamPlan


@dataclass(frozen=True)
class _Parts:
    """Of a case: what its cost is added up of."""

    shape: Shape
    energies: Energies


def _case(table: _Table, row: int) -> _Case | str:
    """The case of a row, or the first thing in it that makes no sense."""
    spec, model = table.specs[table.spec_of[row]], table.models[table.model_of[row]]
    plan = table.plans[table.plan_of[row]]
    if isinstance(spec, str) or isinstance(model, str) or isinstance(plan, str):
        return next(each for each in (spec, model, plan) if isinstance(each, str))
    return _Case(spec, model, plan or default_plan(spec))


def _found(cases: Sequence[_Case | str], strict: bool) -> list[_Parts | str]:
    """What the costs of the cases are added up of. Raises ValueError where strict, for the first out of range."""
    good = [case for case in cases if isinstance(case, _Case)]
    if strict:
        for case in good:
            if outside := shape_of(case.spec, case.model).outside:
                raise InputError(f"{case.spec.name} must be within the range of the model: it has {'; '.join(outside)}")
    try:
        _count(good)
    except (ValueError, TypeError, ArithmeticError):  # of one of them; what is counted of the others is kept
        return [case if isinstance(case, str) else _tried(_alone, case) for case in cases]
    return [case if isinstance(case, str) else _parts(case) for case in cases]


def _alone(case: _Case) -> _Parts:
    _count([case])
    return _parts(case)


def _parts(case: _Case) -> _Parts:
    return _Parts(shape_of(case.spec, case.model), energies_of(case.spec, case.plan, case.model))


def _count(cases: Sequence[_Case]) -> None:
    """Counts designs that were never counted before, while a bar shows how far it is. Each is kept at once."""
    asked: dict[MacSpec, list[StreamPlan]] = {}
    for case in cases:
        asked.setdefault(case.spec, []).append(case.plan)
    models = dict.fromkeys(case.model.coefficients for case in cases)
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


def _groups(frame: pd.DataFrame, names: Sequence[str]) -> tuple[Numbers, list[int]]:
    """A number for each row, the same where all columns named are equal; and the first row of each number."""
    import pandas as pd

    key, size = np.zeros(len(frame), dtype=np.int64), 1
    for name in names:
        try:
            column = frame[name].map(_tupled) if name in _LISTS else frame[name]
            codes, values = pd.factorize(column, use_na_sentinel=False)
        except TypeError:
            raise InputTypeError(f"the column {name} must hold numbers or texts, not lists or the like") from None
        if size * len(values) >= 1 << 62:
            key, firsts = _numbered(key)
            size = len(firsts)
        key, size = key * len(values) + codes, size * len(values)
    return _numbered(key)


def _tupled(cell: Any) -> Any:
    return tuple(cell) if isinstance(cell, list) else cell


def _numbered(key: Numbers) -> tuple[Numbers, list[int]]:
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
    values: dict[str, Any] = {}
    for parameter, cell in row.items():
        value: Any = cell.item() if isinstance(cell, np.generic) else cell
        if parameter in ("design", *_OWN) or (pd.api.types.is_scalar(value) and pd.isna(value)):
            continue
        if parameter not in known:
            raise InputError(f"parameters of {design.design} must be among {', '.join(known)}, not {parameter!r}")
        name = str(parameter)
        values[name] = _reader(known[name][0])(name, value)
    return design(**values)


def _reader(default: Any) -> Callable[[str, Any], Any]:
    """What reads a cell of the kind of this default."""
    if isinstance(default, tuple):
        return _widths
    return _flag if isinstance(default, bool) else _integer


def _widths(name: str, value: Any) -> tuple[int, ...]:
    """Widths, as text, a list or a tuple."""
    if isinstance(value, tuple | list):
        return tuple(value)
    if not isinstance(value, str):
        raise InputError(f"{name} must be widths such as 8/4/2, not {short(value)}")
    return read_widths(name, value)


def _integer(name: str, value: Any) -> int:
    """A whole number, which a column with NaN holds as a float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be an integer, not {short(value)}")
    return value


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, str) or value not in (0, 1):
        raise InputError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def _models(frame: pd.DataFrame, library: str | LibraryModel) -> tuple[list[LibraryModel | str], Numbers]:
    """The models of the rows' libraries, or why there is none, and for each row which it is."""
    import pandas as pd

    if "library" not in frame.columns:
        model = _model_of(library)
        return [model], np.zeros(len(frame), dtype=np.int64)
    codes, names = pd.factorize(frame["library"], use_na_sentinel=False)
    return [_tried(load_model, str(name)) for name in names], codes.astype(np.int64)


def _plans(frame: pd.DataFrame, activity: StreamPlan | None) -> tuple[list[StreamPlan | str | None], Numbers]:
    """The operand streams of the rows, None for the default of each design; and for each row which it is."""
    names = [name for name in ("precision", "stream") if name in frame.columns]
    if not names:
        return [activity], np.zeros(len(frame), dtype=np.int64)
    if "precision" not in names:
        raise InputError("a table with a column stream must have a column precision, too")
    codes, firsts = _groups(frame, names)
    return [_tried(_plan_of, frame.iloc[first]) for first in firsts], codes


def _plan_of(row: pd.Series[Any]) -> StreamPlan:
    """The stream of one row. Raises ValueError."""
    stream = Stream(str(row["stream"])) if "stream" in row.index else Stream()
    return StreamPlan(parse_precision(str(row["precision"])), stream)
