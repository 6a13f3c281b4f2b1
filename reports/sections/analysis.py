"""Why a network is hard to quantise: which class of operands suffers alone, and the tails of its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from reports.charts import Chart, draw_dots
from reports.inputs import Analysis, Rise, TensorShape
from reports.values import Column, Source, Table
from reports.wording import analysis_finding

from .document import Section, TableBlock

__all__ = ["analysis_section"]


def analysis_section(found: Analysis, note: str) -> Section:
    """Dots by class at the lowest width, all rises as a table, and outliers. note: of the file."""
    source = Source(command="siliquant analyse", where=f"{found.source}, {found.samples} samples of {found.data}",
                    note=note)  # fmt: skip
    bits = min(rise.bits for rise in found.rises)
    alone = [rise for rise in found.rises if rise.bits == bits and rise.how == "alone"]
    ranked = sorted(((_name(rise.part), round(rise.loss, 4)) for rise in alone), key=lambda entry: -entry[1])
    chart = Chart(
        name="analysis-sensitivity",
        title=analysis_finding(alone),
        caption=(
            f"Rise of the loss where one class of operands alone is quantised, at {bits} bits, in a network at full "
            "precision. The table has the intervals of 95 % and the other widths."
        ),
        alt=f"Rise of the loss at {bits} bits by class: "
        + ", ".join(f"{name} {value:g}" for name, value in ranked)
        + ".",
        source=source,
        draw=lambda layout: draw_dots(ranked, "rise of the loss, nats", layout),
        table=_rises(found.rises),
    )
    return Section(
        "analysis", f"Why {found.source} is hard to quantise",
        blocks=(chart, *([TableBlock(_outliers(found.tensors), source)] if found.tensors else [])),
        notes=(
            "A rise whose interval holds 0 cannot be told from nothing.",
            "Left out: what is saved where all but the class is quantised.",
        ),
    )  # fmt: skip


def _name(part: str) -> str:
    return part.replace("_", " ")


def _rises(rises: Sequence[Rise]) -> Table:
    columns = (
        Column("part", "class"), Column("bits", "bits", 0), Column("how", "quantised"),
        Column("loss", "rise of loss", 4), Column("low", "from", 4), Column("high", "to", 4),
        Column("accuracy_points", "accuracy, points", 1),
    )  # fmt: skip
    rows = tuple(
        (_name(rise.part), rise.bits, rise.how, rise.loss, rise.low, rise.high,
         None if rise.accuracy is None else 100 * rise.accuracy)
        for rise in rises
    )  # fmt: skip
    return Table("analysis-rises", "Rise of the loss from quantising one class of operands", columns, rows)


def _outliers(tensors: Sequence[TensorShape]) -> Table:
    kinds: dict[tuple[str, str, str], list[TensorShape]] = {}
    for each in tensors:
        kinds.setdefault((each.network, _name(each.part), each.tensor), []).append(each)
    columns = (
        Column("network", "network"), Column("part", "class"), Column("tensor", "tensors"),
        Column("kurtosis_median", "kurtosis, median", 1), Column("kurtosis_largest", "kurtosis, largest", 1),
        Column("peak_largest", "largest / deviation", 1),
    )  # fmt: skip
    rows = []
    for key, mine in kinds.items():
        kurtoses = [each.kurtosis for each in mine if each.kurtosis is not None]
        peaks = [each.peak for each in mine if each.peak is not None]
        rows.append(
            (*key, median(kurtoses) if kurtoses else None, max(kurtoses, default=None), max(peaks, default=None))
        )
    return Table("analysis-outliers", "Excess kurtosis (0: normal) and peaks of weights and activations", columns,
                 tuple(rows))  # fmt: skip
