"""Uniform against mixed-precision hardware at one mean bit-width, in two normalisations.

Equal units: as many units (or serial lanes) as the uniform MAC has lanes, each side summed into one accumulator,
compared per unit. Equal throughput: as few units as give at least the products a cycle of the uniform MAC on the
mixture, all summed into one accumulator, compared per product a cycle.

Every design is asked for in every kind that runs the mixture and has no width that the mixture does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

from hwmodel.measurement import Measurement, settled_power_uw
from hwmodel.operands import Stream, StreamPlan
from hwmodel.workload import Mixture, Pair, Width, parts_of, precision_of
from rtl.mac import DESIGNS, UniformSpec
from rtl.spec import MacSpec, Precision
from siliquant.inputs import InputError

from .kinds import kinds_of

__all__ = [
    "EQUAL_THROUGHPUT",
    "EQUAL_UNITS",
    "REDUCTION_LENGTH",
    "Answer",
    "Entry",
    "Question",
    "Row",
    "compare_rows",
    "contenders",
    "flow_of",
    "is_estimated",
    "is_uniform",
    "measured_answer",
    "mixes",
    "precisions_asked",
    "questions",
]

EQUAL_UNITS = "equal units"
EQUAL_THROUGHPUT = "equal throughput"
REDUCTION_LENGTH = 4096
"""Products of the longest sums of every design."""


@dataclass(frozen=True)
class Question:
    """One spec to measure and the precisions whose power is needed."""

    spec: MacSpec
    precisions: tuple[Precision, ...]


def flow_of(source: str) -> str:
    """The flow whose netlists a model was fitted to, of a row's source; empty where that is the flow of today.

    >>> flow_of("model of 20 designs of flow 2, out of range"), flow_of("model")
    ('2', '')
    """
    return source.partition(" of flow ")[2].split(",")[0]


def is_estimated(source: str) -> bool:
    """Whether the source of a row or an answer says that it is the cost model's."""
    return source.startswith("model")


def precisions_asked(asked: Iterable[Question]) -> dict[MacSpec, tuple[Precision, ...]]:
    """Every precision that is asked of each design."""
    wanted: dict[MacSpec, tuple[Precision, ...]] = {}
    for question in asked:
        wanted[question.spec] = tuple(dict.fromkeys((*wanted.get(question.spec, ()), *question.precisions)))
    return wanted


@dataclass(frozen=True)
class Answer:
    """What a design of a question costs at one clock, estimated or measured; None where a tool was missing.

    spec: with the pipelining chosen.  power_uw, settled_uw: by precision, with and without glitches; idle_uw: of a
    design without operands, by the precision that came last.  products_per_cycle: of the operands that power is of, by
    precision, in cycles that have some.  utilisation: the share of such cycles.  source: "model", or the recipe of
    synthesis.  toggles: what power_uw counts, "glitch-aware" or "zero-delay".  outside: why the design lies outside
    what the model was fitted on.
    """

    spec: MacSpec
    area_um2: float
    power_uw: Mapping[Precision, float | None]
    settled_uw: Mapping[Precision, float | None]
    idle_uw: Mapping[Precision, float | None]
    products_per_cycle: Mapping[Precision, float]
    minimum_period_ns: float | None
    meets_clock: bool | None
    source: str
    library: str
    corner: str
    clock_mhz: float
    activity: str
    toggles: str
    outside: tuple[str, ...] = ()
    utilisation: float = 1.0

    def at(self, utilisation: float) -> Answer:
        """An answer at full rate where only a share of the cycles, above 0, has operands."""
        if utilisation == 1:
            return self

        def partly(powers_uw: Mapping[Precision, float | None]) -> dict[Precision, float | None]:
            found: dict[Precision, float | None] = {}
            for precision, power_uw in powers_uw.items():
                idle_uw = self.idle_uw[precision]
                if power_uw is None or idle_uw is None:
                    found[precision] = None
                else:
                    found[precision] = utilisation * power_uw + (1 - utilisation) * idle_uw
            return found

        return replace(
            self,
            power_uw=partly(self.power_uw),
            settled_uw=partly(self.settled_uw),
            activity=f"{self.activity}; operands in {utilisation:g} of the cycles",
            utilisation=utilisation,
        )


def measured_answer(measured: Measurement, stream: Stream | None = None) -> Answer:
    """The answer of synthesis. stream: what its power is of, where that is not uniform codes."""
    spec, row, powered = measured.chosen.spec, measured.chosen.row, measured.chosen.powered
    plans = {precision: StreamPlan(precision, stream or Stream()) for precision in powered}
    return Answer(
        spec=spec,
        area_um2=row.area_um2,
        power_uw={precision: each.power_uw for precision, each in powered.items()},
        settled_uw={precision: settled_power_uw(each) for precision, each in powered.items()},
        idle_uw={precision: each.idle_uw for precision, each in powered.items()},
        products_per_cycle={precision: plan.products_per_cycle(spec) for precision, plan in plans.items()},
        minimum_period_ns=row.minimum_period_ns,
        meets_clock=row.meets_clock,
        source=row.recipe,
        library=row.library,
        corner=row.corner,
        clock_mhz=row.clock_mhz,
        activity="; ".join(sorted({each.activity for each in powered.values() if each.activity})),
        toggles="; ".join(sorted({each.toggles for each in powered.values() if each.toggles})),
    )


@dataclass(frozen=True)
class Entry:
    """One design in one normalisation at one mean bit-width: what must be measured for it."""

    bits: Width
    normalisation: str
    spec: MacSpec
    mixture: Mixture
    run_as: Mixture

    @property
    def question(self) -> Question:
        """What to ask of the measurement."""
        return Question(self.spec, tuple(precision_of(bits) for bits in self.run_as.widths))


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Power and energy are for the mixture: time-weighted over its precisions, with the transitions that ``toggles``
    names; settled_energy_fj_per_mac is without glitches. Energy is of the products that there were: sums of 768 do not
    fill the last step of every design, so it may be more than power over the most products a cycle. They are at full
    rate unless ``activity`` says what share of the cycles has operands: idle cycles are counted in then. ``*_ratio``
    are to the uniform design of the same ``bits`` and normalisation: area and power per unit, or area per product a
    cycle and energy per product; those of an estimated row are to the estimate of the uniform design, also where that
    was measured. There is no ratio of powers where one counts glitches and the other does not. family: the short name
    of the design; design: that with its widths. ``source``: "model", or the recipe of synthesis. Timing and power are
    None where OpenSTA is missing.
    """

    bits: Width
    normalisation: str
    family: str
    design: str
    spec: str
    units: int
    mixture: str
    run_as: str
    run_as_mean_bits: float | Pair[Fraction]
    pipeline_stages: int
    macs_per_cycle: float
    area_um2: float
    area_um2_per_unit: float
    area_um2_per_mac_per_cycle: float
    power_uw: float | None
    power_uw_per_unit: float | None
    energy_fj_per_mac: float | None
    minimum_period_ns: float | None
    meets_clock: bool | None
    settled_energy_fj_per_mac: float | None
    area_ratio: float | None
    power_ratio: float | None
    source: str
    library: str
    corner: str
    clock_mhz: float
    activity: str
    toggles: str


def is_uniform(row: Row) -> bool:
    """Whether a row is of the uniform design, with which the others of its width are compared."""
    return row.family == UniformSpec.design


def mixes(mixture: str) -> bool:
    """Whether a mixture, as rows have it, has more than one width: "2b:1/2 4b:1/2", not "2b:1"."""
    return " " in mixture


def contenders(names: Sequence[str] | None = None) -> tuple[type[MacSpec], ...]:
    """Every precision-scalable design, or those named.

    Raises ValueError for a name that is no precision-scalable design.
    """
    scalable = [design for design in DESIGNS if design.mixes_precisions]
    known = [design.design for design in scalable]
    for name in names or ():
        if name not in known:
            raise InputError(f"designs must be among {', '.join(known)}, not {name!r}")
    if again := [name for name in names or () if (names or ()).count(name) > 1]:
        raise InputError(f"designs must be different ones, not {again[0]} twice")
    return tuple(design for design in scalable if names is None or design.design in names)


def questions(
    bits: Width,
    lanes: int,
    units: int,
    designs: Sequence[type[MacSpec]],
    mixture: Mixture,
    reduction_length: int = REDUCTION_LENGTH,
) -> tuple[Entry, ...]:
    """Every entry of one bit-width, the uniform design first.

    lanes: of the uniform design at equal throughput; units: of every design at equal units; designs: as
    :func:`contenders` gives them.
    """
    common: dict[str, Any] = {"reduction_length": reduction_length}
    whole = Mixture(((bits, Fraction(1)),))
    weights, activations = parts_of(bits)
    sizes: dict[str, Any] = {"weight_bits": weights, "activation_bits": activations}
    entries = [
        Entry(bits, name, UniformSpec(**sizes, lanes=size, **common), whole, whole)
        for name, size in ((EQUAL_UNITS, units), (EQUAL_THROUGHPUT, lanes))
    ]
    for one in (kind for design in designs for kind in kinds_of(design, mixture)):
        run_as = mixture.run_on(one)
        enough = ceil(lanes / run_as.macs_per_cycle(one))
        for name, size in ((EQUAL_UNITS, units), (EQUAL_THROUGHPUT, enough)):
            spec = type(one)(**{**one.parameters, one.size_parameter: size, **common})
            entries.append(Entry(bits, name, spec, mixture, run_as))
    return tuple(entries)


def compare_rows(
    entries: Sequence[Entry],
    answer: Callable[[Question], Answer],
    estimate: Callable[[Question], Answer] | None = None,
) -> list[Row]:
    """The lines of the comparison, one an entry, in their order.

    estimate: where some answers are measured and others estimated, what the uniform designs are by estimate, so that no
    ratio mixes the two.
    """
    rows: list[Row] = []
    base: dict[tuple[Width, str], tuple[Entry, Mapping[str, Any]]] = {}
    for entry in entries:
        figures = _figures(entry, answer(entry.question))
        first, uniform = base.setdefault((entry.bits, entry.normalisation), (entry, figures))
        if estimate is not None and is_estimated(figures["source"]) and not is_estimated(uniform["source"]):
            uniform = _figures(first, estimate(first.question))
        if entry.normalisation == EQUAL_UNITS:
            compared = ("area_um2_per_unit", "power_uw_per_unit")
        else:
            compared = ("area_um2_per_mac_per_cycle", "energy_fj_per_mac")
        area, power = (_ratio(figures[name], uniform[name]) for name in compared)
        alike = figures["toggles"] == uniform["toggles"]
        rows.append(Row(**figures, area_ratio=area, power_ratio=power if alike else None))
    return rows


def _figures(entry: Entry, answer: Answer) -> dict[str, Any]:
    spec, mean = answer.spec, entry.run_as.mean_bits
    units = int(getattr(spec, spec.size_parameter))
    rate = entry.run_as.macs_per_cycle(spec)
    power_uw = _over_mixture(entry, answer, answer.power_uw)

    return {
        "bits": entry.bits,
        "normalisation": entry.normalisation,
        "family": spec.design,
        "design": spec.label,
        "spec": spec.name,
        "units": units,
        "mixture": str(entry.mixture),
        "run_as": str(entry.run_as),
        "run_as_mean_bits": mean if isinstance(mean, Pair) else float(mean),
        "pipeline_stages": spec.pipeline_stages,
        "macs_per_cycle": float(rate),
        "area_um2": answer.area_um2,
        "area_um2_per_unit": answer.area_um2 / units,
        "area_um2_per_mac_per_cycle": answer.area_um2 / float(rate),
        "power_uw": power_uw,
        "power_uw_per_unit": None if power_uw is None else power_uw / units,
        "energy_fj_per_mac": _energy_fj(entry, answer, answer.power_uw),
        "settled_energy_fj_per_mac": _energy_fj(entry, answer, answer.settled_uw),
        "minimum_period_ns": answer.minimum_period_ns,
        "meets_clock": answer.meets_clock,
        "source": answer.source,
        "library": answer.library,
        "corner": answer.corner,
        "clock_mhz": answer.clock_mhz,
        "activity": "none" if power_uw is None else answer.activity,
        "toggles": "none" if power_uw is None else answer.toggles,
    }


def _energy_fj(entry: Entry, answer: Answer, power_uw: Mapping[Precision, float | None]) -> float | None:
    """Mean energy of a product over the mixture, of those that there were."""
    total = 0.0
    for bits, share in entry.run_as.shares:
        precision = precision_of(bits)
        one_uw = power_uw[precision]
        if one_uw is None:
            return None
        total += float(share) * 1e3 * one_uw / answer.clock_mhz / answer.products_per_cycle[precision]
    return total / answer.utilisation


def _over_mixture(entry: Entry, answer: Answer, power_uw: Mapping[Precision, float | None]) -> float | None:
    """Mean power over the mixture: each precision weighted by the time it takes."""
    total = 0.0
    for bits, share in entry.run_as.time_shares(answer.spec):
        one_uw = power_uw[precision_of(bits)]
        if one_uw is None:
            return None
        total += float(share) * one_uw
    return total


def _ratio(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value / base
