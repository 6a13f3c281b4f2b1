"""What each figure shows, as a sentence that follows from its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwmodel.comparison import Row, UnitRow, is_uniform
from reports.charts import FrontPoint, front_of, pareto
from reports.inputs import Equivalence, Oscillation, Rise
from reports.numbers import (
    KINDS,
    Breakdown,
    Curve,
    Library,
    Network,
    Subject,
    ends_share,
    energy_by_kind,
    energy_uj,
    shown_name,
)
from reports.values import bits, capital, counted, number, percent, span
from siliquant.inputs import listing

__all__ = [
    "analysis_finding", "clock_finding", "ends_finding", "energy_finding", "equivalence_finding", "floorplan_finding",
    "front_finding",
    "model_finding", "oscillation_finding", "own_finding", "pareto_finding", "parts_finding", "requantiser_finding",
    "sensitivity_finding",
]  # fmt: skip

Found = Mapping[Subject, Breakdown]


def parts_finding(found: Found) -> str:
    """Where the area goes by which the smallest precision-scalable MAC differs from the uniform one, at each width."""
    said = []
    for mean in dict.fromkeys(subject.row.bits for subject in found):
        there = [subject for subject in found if subject.row.bits == mean]
        base = next(subject for subject in there if subject.uniform)
        best = min((each for each in there if not each.uniform), key=lambda each: sum(found[each].area_um2.values()))
        was, now = found[base].area_um2, found[best].area_um2
        change = {part: now.get(part, 0.0) - was.get(part, 0.0) for part in {**was, **now}}
        total = sum(change.values())
        part = max(change, key=lambda name: change[name] if total > 0 else -change[name])
        verb = "adds" if total > 0 else "saves"
        said.append((verb, part, mean, change[part] / total if total else 0.0))
    texts = []
    for verb, part in dict.fromkeys(each[:2] for each in said):
        here = [each for each in said if each[:2] == (verb, part)]
        shares = listing(f"{100 * share:.0f}" for *_, share in here)
        texts.append((verb, f"{part} at {bits([mean for _, _, mean, _ in here])} ({shares} %)"))
    clauses = []
    for verb in dict.fromkeys(verb for verb, _ in texts):
        clauses.append(f"{verb} above all {listing(text for other, text in texts if other == verb)}")
    return f"The smallest precision-scalable MAC {listing(clauses)}"


def energy_finding(found: Found) -> str:
    """Which cause takes most of a product's energy, and how much glitches do."""
    known = [breakdown.energy_fj for breakdown in found.values() if breakdown.energy_fj]
    shares = [{cause: value / sum(each.values()) for cause, value in each.items()} for each in known]
    most = [max(each, key=lambda cause: each[cause]) for each in shares]
    cause = max(dict.fromkeys(most), key=most.count)
    name = {"data": "Data that settle take", "glitches": "Glitches take", "clock": "The clock takes"}.get(
        cause, f"{cause} takes"
    )
    text = f"{capital(name)} the largest share of a product's energy in {most.count(cause)} of {len(most)} cases"
    if cause != "glitches":
        text += f"; glitches take {span(each.get('glitches', 0.0) for each in shares)}"
    return text


def pareto_finding(rows: Sequence[Row]) -> str:
    """Which designs no other beats in both area and energy, at each mean. rows: at equal throughput."""
    means = dict.fromkeys(row.bits for row in rows)
    fronts = {mean: pareto([row for row in rows if row.bits == mean]) for mean in means}
    if all(is_uniform(row) for best in fronts.values() for row in best):
        where = "at every mean" if len(fronts) > 1 else f"at {bits(list(fronts))}"
        return f"The uniform MAC takes less area and less energy than every other design {where}"
    said = listing(f"{listing(row.design for row in best)} at {mean} bits" for mean, best in fronts.items())
    return f"No design beats in both area and energy {said}"


def clock_finding(curves: Sequence[Curve]) -> str:
    """Whether the uniform MAC is the smallest at every period, and which side reaches the shorter ones."""
    lost, widths, faster = [], list(dict.fromkeys(curve.subject.row.bits for curve in curves)), []
    for mean in widths:
        here = [curve for curve in curves if curve.subject.row.bits == mean]
        base = next(curve for curve in here if curve.subject.uniform)
        others = [curve for curve in here if curve is not base]
        for curve in others:
            for period, area in zip(curve.periods_ns, curve.areas_um2, strict=True):
                uniform = base.area_um2(period)
                if uniform is not None and area < uniform:
                    lost.append((mean, curve.subject.row.design))
                    break
        if min(curve.fastest_ns for curve in others) < base.fastest_ns:
            faster.append(mean)
    if not lost:
        text = "The uniform MAC is the smallest at every clock period that it meets"
    else:
        cases = list(dict.fromkeys(f"{design} at {mean} bits" for mean, design in lost))
        shown = listing(cases) if len(cases) <= 3 else counted(len(cases), "case")
        text = f"At some clock period the uniform MAC is larger than {shown}"
    if not faster:
        return f"{text}, and the fastest" + (" at every width" if len(widths) > 1 else "")
    return f"{text}; at {bits(faster)} another design reaches a shorter one"


def ends_finding(network: Network) -> str:
    """What first and last layers take of the products and of the energy, on uniform arrays."""
    name = shown_name(network.workload.name)
    shares = [energy_by_kind(each.cost).get(KINDS[-1], 0.0) / energy_uj(each.cost) for each in network.uniform]
    widths = [each.row.bits for each in network.uniform]
    energy = listing(f"{100 * share:.0f}" for share in shares)
    return (
        f"First and last layers, at 8 bits, have {percent(ends_share(network.workload), 1)} of the products of {name} "
        f"and take {energy} % of its energy on uniform arrays of {bits(widths)}"
    )


def floorplan_finding(network: Network) -> str:
    """What the mixed array of the highest mean has of the area of the uniform one: elements, and all."""
    one, other = network.uniform[-1].plan, network.mixed[-1].plan
    return (
        f"In the same time, the elements of the most frugal array for a mix of {network.bits[-1]} bits take "
        f"{other.elements_um2 / one.elements_um2:.2f} times the area of the uniform ones, and the whole array "
        f"{other.total_um2 / one.total_um2:.2f} times"
    )


def requantiser_finding(rows: Sequence[UnitRow]) -> str:
    """At which code widths thresholds are smaller than a multiplier, with one scale."""
    areas = {(row.bits, row.design): row.area_um2 for row in rows if row.groups == 1}
    widths = list(dict.fromkeys(row.bits for row in rows))
    smaller = [width for width in widths if areas[width, "thresholds"] < areas[width, "multiplier"]]
    larger = [width for width in widths if width not in smaller]
    most = max(widths, key=lambda width: areas[width, "thresholds"] / areas[width, "multiplier"])
    times_most = areas[most, "thresholds"] / areas[most, "multiplier"]
    if not larger:
        return f"Thresholds take less area than a multiplier at {bits(smaller)}"
    end = f"at {most} bits {times_most:.1f} times as much" if len(larger) > 1 else f"{times_most:.1f} times as much"
    if not smaller:
        return f"Thresholds take more area than a multiplier at {bits(larger)}, {end}"
    return f"Thresholds take less area than a multiplier at {bits(smaller)}, more at {bits(larger)}: {end}"


def front_finding(points: Sequence[FrontPoint]) -> str:
    """Which published networks no other beats in both accuracy and energy."""
    best = front_of(points)
    beaten = [point for point in points if point not in best]
    if not beaten:
        return f"Of {number(len(points))} published networks none is beaten by another in both accuracy and energy"
    names = listing(
        f"{name} at {bits([int(point.label) for point in beaten if point.series == name])}"
        for name in dict.fromkeys(point.series for point in beaten)
    )
    verb = "is" if len(beaten) == 1 else "are"
    return (
        f"Of {number(len(points))} published networks {number(len(beaten))}, {names}, {verb} beaten by another in "
        "both accuracy and energy"
    )


def own_finding(points: Sequence[FrontPoint]) -> str:
    """The most accurate of own runs."""
    best = max(points, key=lambda point: point.accuracy_percent)
    return f"Of own runs {best.series} at {best.label} bits is the most accurate, with {best.accuracy_percent:.2f} %"


def model_finding(library: Library) -> str:
    """The errors on designs that were not fitted."""
    texts = [f"{each.mean_percent:.1f} % in {each.name}" for each in library.quantities]
    return f"On designs it was not fitted to, the model of {library.name} is wrong by {listing(texts)} on average"


def equivalence_finding(record: Equivalence) -> str:
    """What was compared bit for bit, and what came of it."""
    network = f"{counted(record.samples, 'sample')} through {counted(record.gemms, 'GEMM')}"
    sums, wrong = record.accumulators, record.mismatches
    if wrong:
        verb = "differs" if wrong == 1 else "differ"
        return f"Not bit-exact: {counted(wrong, 'value')} of {network} {verb} from PyTorch's"
    if sums is None:
        return f"Bit-exact: all results of {network} on the simulated array equal PyTorch's"
    codes = f" and {counted(record.codes, 'requantised code')}" if record.codes else ""
    return f"Bit-exact: {counted(sums, 'accumulator')}{codes} of {network} equal PyTorch's"


def oscillation_finding(runs: Sequence[Oscillation]) -> str:
    """The share of oscillating weights at the end of training."""
    if len(runs) == 1:
        run = runs[0]
        peak = max(run.shares)
        text = f"{run.name} ends with {percent(run.shares[-1], 1)} of its weights oscillating"
        if peak == run.shares[-1]:
            return f"{text}, its highest share"
        return f"{text}, after a peak of {percent(peak, 1)} in epoch {run.epochs[run.shares.index(peak)]}"
    least, most = (choose(runs, key=lambda run: run.shares[-1]) for choose in (min, max))
    return (
        f"At the end {percent(least.shares[-1], 1)} of the weights of {least.name} oscillate, and "
        f"{percent(most.shares[-1], 1)} of those of {most.name}"
    )


def sensitivity_finding(values: Mapping[tuple[str, int | None], float]) -> str:
    """What suffers most from low bits, and how much more than the next."""
    ranked = sorted(values.items(), key=lambda entry: -entry[1])
    (kind, layer), value = ranked[0]
    name = kind if layer is None else f"{kind} in layer {layer}"
    alike = [key for key, other in ranked if other == value]
    if len(alike) > 1:
        return f"{capital(number(len(alike)))} of {len(ranked)} entries are equally sensitive, and most of all"
    if len(ranked) == 1 or ranked[1][1] == 0:
        return f"{capital(name)} is the most sensitive to low bits"
    return f"{capital(name)} is the most sensitive to low bits, {value / ranked[1][1]:.3g} times as much as the next"


def analysis_finding(alone: Sequence[Rise]) -> str:
    """Which class of operands costs most by itself, where one can be told from nothing; all of one width."""
    told, width = [rise for rise in alone if rise.low > 0], alone[0].bits
    if not told:
        return f"No class of operands alone costs at {width} bits what can be told from nothing"
    worst = max(told, key=lambda rise: rise.loss)
    return (
        f"{capital(worst.part.replace('_', ' '))} costs most alone at {width} bits: the loss rises by {worst.loss:.4f} "
        f"(95 %: {worst.low:.4f} to {worst.high:.4f})"
    )
