"""The question and its answer, in sentences that follow from the rows of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from hwmodel.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row, mixes, scalable_rows
from hwmodel.workload import Width
from reports.numbers import Library, Network, shown_name
from reports.values import amount, bits, counted, number, times
from siliquant.inputs import listing

__all__ = [
    "KeyNumber", "answer", "error_sentence", "headline", "key_numbers", "mixed_widths", "order_of", "question",
    "ratio_title", "widths_of",
]  # fmt: skip

_COMPARED = {"area": "area", "energy": "power"}  # at equal throughput, and the start of the ratio's field


@dataclass(frozen=True)
class KeyNumber:
    """A number with its unit, what it is of, and where it was reached."""

    value: str
    what: str
    where: str


def widths_of(rows: Sequence[Row]) -> list[Width]:
    """The mean bit-widths, in their order."""
    return list(dict.fromkeys(row.bits for row in rows))


def order_of(rows: Sequence[Row]) -> list[str]:
    """The families of precision-scalable designs by their area at equal throughput, over all widths, the smallest
    first.
    """
    products: dict[str, float] = {}
    for row in scalable_rows(rows, EQUAL_THROUGHPUT):
        products[row.family] = products.get(row.family, 1.0) * (row.area_ratio or 1.0)
    return sorted(products, key=lambda design: products[design])


def question(rows: Sequence[Row]) -> str:
    """What is asked, at the widths of the rows."""
    widths = listing(map(str, widths_of(rows)), "or")
    return (
        f"A transformer is to run in silicon with a mean of {widths} bits. Should all of it have one bit-width, on "
        "multiply-accumulate units (MACs) of that width, or should widths be mixed, on MACs that switch precision?"
    )


def mixed_widths(rows: Sequence[Row]) -> list[Width]:
    """The means at which widths are mixed: some design runs several."""
    return list(dict.fromkeys(row.bits for row in rows if mixes(row.run_as)))


def headline(rows: Sequence[Row]) -> str:
    """The verdict at equal throughput in a few words, over the means that mix where there are some."""
    mixed = mixed_widths(rows)
    if mixed:
        rows = [row for row in rows if row.bits in mixed]
        one, mix = ("one bit-width", "one of the same mean"), ("a mix of bit-widths", "a mix of the same mean")
    else:
        one = ("a MAC of one bit-width", "one of one bit-width")
        mix = ("a MAC that can switch precision", "one that can switch precision")
    named = {name: _verdict(rows, EQUAL_THROUGHPUT, f"{field}_ratio") for name, field in _COMPARED.items()}
    more = [name for name, verdict in named.items() if verdict == "more"]
    less = [name for name, verdict in named.items() if verdict == "less"]
    if more and not less:
        return f"At equal throughput {one[0]} costs less {' and '.join(more)} than {mix[1]}"
    if less and not more:
        return f"At equal throughput {mix[0]} costs less {' and '.join(less)} than {one[1]}"
    if more and less:
        return f"At equal throughput {one[0]} costs less {more[0]}, {mix[1]} less {less[0]}"
    return f"At equal throughput it depends on the design whether {one[0]} or {mix[0]} costs less"


def key_numbers(rows: Sequence[Row], network: Network | None) -> tuple[KeyNumber, ...]:
    """The least area and energy at equal throughput and of an inference, as multiples of uniform ones; over the means
    that mix where there are some. What is not known is left out.
    """
    means = mixed_widths(rows) or widths_of(rows)
    found = [row for row in scalable_rows(rows, EQUAL_THROUGHPUT) if row.bits in means]
    made = []
    for name, field in _COMPARED.items():
        if _known(found, f"{field}_ratio"):
            best = min(found, key=attrgetter(f"{field}_ratio"))
            made.append(
                KeyNumber(
                    f"{getattr(best, f'{field}_ratio'):.2f}×",
                    "the area of the uniform MAC" if name == "area" else "its energy a product",
                    f"at best, {best.design} at a mean of {best.bits} bits, equal throughput",
                )
            )
    arrays = [] if network is None else [network.best(mean) for mean in network.bits if mean in means]
    arrays = [row for row in arrays if mixes(row.mixture)] or arrays
    if network is not None and arrays:
        least = min(arrays, key=lambda row: row.energy_ratio)
        made.append(
            KeyNumber(
                f"{least.energy_ratio:.2f}×",
                f"the energy of a uniform array, {shown_name(network.workload.name)}",
                f"at best, {least.design} at a mean of {least.bits} bits, one inference in the same time",
            )
        )
    return tuple(made)


def answer(rows: Sequence[Row], network: Network | None, library: Library | None) -> tuple[str, str, str]:
    """Three sentences: at equal throughput, unit for unit, and for a whole network or else how sure the numbers are."""
    last = _network_sentence(network) if network is not None else error_sentence(rows, library)
    return _throughput_sentence(rows), _units_sentence(rows), last


def error_sentence(rows: Sequence[Row], library: Library | None) -> str:
    """How far the numbers can be trusted. library: the errors of the model of the rows' library."""
    if not any(row.source.startswith("model") for row in rows):
        return "All these numbers were measured on synthesised netlists."
    if library is None:
        name = rows[0].library
        return f"These numbers are estimates, and how wrong they are is not known: {name} has no calibration table."
    area, power, period = (library.quantity(name) for name in ("area", "power", "period"))
    return (
        f"These numbers are estimates of a model that, on {counted(library.held_out, 'design')} it was not fitted to, "
        f"is wrong by {area.mean_percent:.1f} % in area, {power.mean_percent:.1f} % in power and "
        f"{period.mean_percent:.1f} % in clock period on average."
    )


def ratio_title(rows: Sequence[Row], normalisation: str) -> str:
    """What the figure of all ratios shows."""
    found = scalable_rows(rows, normalisation)
    second = "energy" if normalisation == EQUAL_THROUGHPUT else "power"
    start = "At equal throughput" if normalisation == EQUAL_THROUGHPUT else "Unit for unit"
    counts = {"area": _below(found, "area_ratio"), second: _below(found, "power_ratio")}
    if _known(found, "power_ratio"):
        names = list(counts)
    else:
        names = ["area"]
    if all(counts[name] == 0 for name in names):
        return f"{start}, no precision-scalable design costs less {' or '.join(names)} than the uniform MAC"
    if all(counts[name] == len(found) for name in names):
        return f"{start}, every precision-scalable design costs less {' and '.join(names)} than the uniform MAC"
    parts = [f"{_count(counts[name], len(found))} less {name}" for name in names]
    return f"{start}, of {len(found)} precision-scalable cases {' and '.join(parts)} than the uniform MAC"


def _throughput_sentence(rows: Sequence[Row]) -> str:
    found, widths = scalable_rows(rows, EQUAL_THROUGHPUT), widths_of(rows)
    least = times(_least(found, "area_ratio", widths))
    text = (
        f"At equal throughput {_first(found, 'area_ratio', 'area', ' of the same mean width')} (at {bits(widths)} the "
        f"smallest takes {least} times as much)"
    )
    if not _known(found, "power_ratio"):
        return f"{text}; energies are not known.{_unmixed_sentence(rows)}"
    least = times(_least(found, "power_ratio", widths))
    second = f"{_second(found, 'power_ratio', 'energy a product')} (the most frugal {least} times as much)"
    return f"{text}, and {second}.{_unmixed_sentence(rows)}"


def _unmixed_sentence(rows: Sequence[Row]) -> str:
    """That nothing is mixed at some of the means, where it is so."""
    unmixed = [mean for mean in widths_of(rows) if mean not in mixed_widths(rows)]
    return f" At {bits(unmixed)} nothing is mixed: there the designs could switch, and do not." if unmixed else ""


def _units_sentence(rows: Sequence[Row]) -> str:
    found = scalable_rows(rows, EQUAL_UNITS)
    work = [row.macs_per_cycle / row.units for row in found]
    pieces = f"Unit for unit, where one does {_span(min(work), max(work))} a cycle,"
    smallest = min(found, key=lambda row: row.area_ratio or 0.0)
    text = (
        f"{pieces} {_first(found, 'area_ratio', 'area')} (the smallest is {smallest.design} at {smallest.bits} bits "
        f"with {smallest.area_ratio:.2f} times as much)"
    )
    return f"{text}, and {_second(found, 'power_ratio', 'power')}." if _known(found, "power_ratio") else f"{text}."


def _network_sentence(network: Network) -> str:
    widths = list(network.bits)
    ratios = [network.best(mean).energy_ratio for mean in widths]
    energies = listing(amount(network.base(mean).energy_uj) for mean in widths)
    mixed = [mean for mean in widths if mixes(network.best(mean).mixture)]
    saves = [mean for mean in mixed if network.best(mean).energy_ratio < 1]
    costs = [mean for mean in mixed if mean not in saves]
    if not mixed:
        verdict = f"at {bits(widths)} nothing is mixed"
    elif saves and costs:
        verdict = f"so mixing widths saves energy at {bits(saves)} and costs it at {bits(costs)}"
    else:
        where = f" at {bits(mixed)}" if mixed != widths else " at every mean" if len(widths) > 1 else ""
        verdict = f"so mixing widths {'saves' if saves else 'costs'} energy{where}"
    return (
        f"One inference of {shown_name(network.workload.name)} takes {energies} µJ on uniform arrays of "
        f"{bits(widths)}, and {times(ratios)} times as much on the most frugal mixed-precision array that is at least "
        f"as fast: {verdict}."
    )


def _verdict(rows: Sequence[Row], normalisation: str, field: str) -> str:
    found = scalable_rows(rows, normalisation)
    if not _known(found, field):
        return "unknown"
    below = _below(found, field)
    return "more" if below == 0 else "less" if below == len(found) else "both"


def _known(rows: Sequence[Row], field: str) -> bool:
    return all(getattr(row, field) is not None for row in rows)


def _below(rows: Sequence[Row], field: str) -> int:
    """How many take less than the uniform one."""
    return sum((getattr(row, field) or 1.0) < 1 for row in rows)


def _least(rows: Sequence[Row], field: str, widths: Sequence[Width]) -> list[float]:
    """The least ratio at each width."""
    return [min(getattr(row, field) for row in rows if row.bits == mean) for mean in widths]


def _first(rows: Sequence[Row], field: str, what: str, which: str = "") -> str:
    """Who takes less of it than the uniform MAC."""
    below, designs = _below(rows, field), len({row.family for row in rows})
    than = f"less {what} than the uniform MAC{which}"
    if below == 0:
        return f"none of the {number(designs)} precision-scalable designs takes {than}"
    if below == len(rows):
        return f"all {number(designs)} precision-scalable designs take {than}"
    return f"a precision-scalable design takes {than} in {number(below)} of {len(rows)} cases"


def _second(rows: Sequence[Row], field: str, what: str) -> str:
    """The same of another quantity."""
    below = _below(rows, field)
    if below == 0:
        return f"none takes less {what}"
    return f"all take less {what}" if below == len(rows) else f"one takes less {what} in {number(below)} of {len(rows)}"


def _count(below: int, cases: int) -> str:
    if below == 0:
        return "none cost" if cases > 1 else "none costs"
    return f"{'all' if below == cases else number(below)} {'costs' if below == 1 else 'cost'}"


def _span(low: float, high: float) -> str:
    first, last = f"{low:.3g}", f"{high:.3g}"
    text = last if first == last else f"from {first} to {last}"
    return f"{text} product" if text == "1" else f"{text} products"
