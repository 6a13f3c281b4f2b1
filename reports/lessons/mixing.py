"""Notebook 5: which GEMM gets which width, what an inference costs then, and what accuracy it would have to bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwmodel.comparison import mixes
from hwmodel.inference import EQUAL_LATENCY, UNIFORM, NetworkCost, NetworkRow
from hwmodel.workload import Assignment, Pair, PrecisionClass, Workload, parts_of
from reports.charts import BLUE, GREEN, GREY, INK, ORANGE, SKY, VERMILLION, YELLOW
from siliquant.inputs import InputError

from .panels import panels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["cycles_of", "draw_energy", "draw_macs", "draw_policies", "draw_worth", "worth"]

_PARTS = {"mac_uj": "MACs", "requantisation_uj": "requantisers", "sram_uj": "memories", "leakage_uj": "leakage"}
_HATCHES = ("", "..", "//", "")


def draw_macs(network: Workload) -> None:
    """Products of one inference by what its GEMMs do, first and last layers in grey."""
    _, (axes,) = panels(1, 8, 3.5)
    roles = network.macs_by_role()
    body = {role: count for role, count in roles.items() if role.module.value != "other"}
    axes.barh(
        [role.value for role in roles],
        [count / 1e6 for count in roles.values()],
        color=[BLUE if role in body else GREY for role in roles],
    )
    axes.invert_yaxis()
    axes.set(xlabel="products of one image, millions", ylabel="GEMMs (grey: always 8 bits)")
    feed = sum(count for role, count in body.items() if role.value in ("fc1", "fc2")) / sum(body.values())
    axes.set_title(
        f"{network.name}: {len(network.gemms)} GEMMs, {network.macs / 1e9:.2f} G products, {100 * feed:.0f} % of the "
        "body in fc1 and fc2"
    )


def draw_policies(first: Assignment, second: Assignment, titles: tuple[str, str]) -> None:
    """Two policies of one network as maps of widths 2, 4 and 8, and how many GEMMs they differ in."""
    from matplotlib.colors import BoundaryNorm, ListedColormap

    figure, drawn = panels(2, 11, 3.8, sharey=True)
    maps = [_widths(assignment) for assignment in (first, second)]
    for axes, table, assignment, title in zip(drawn, maps, (first, second), titles, strict=True):
        image = axes.imshow(
            table, cmap=ListedColormap([YELLOW, SKY, BLUE]), norm=BoundaryNorm([1, 3, 6, 9], 3), aspect="auto"
        )
        axes.set_yticks(range(len(table)), list(table.index))
        axes.set_xticks(range(table.shape[1]), [str(layer) for layer in table.columns])
        axes.set(xlabel="layer", title=f"{title}: mean of {float(parts_of(assignment.mean_bits)[0]):.2f} bits")
    drawn[0].set_ylabel("GEMM")
    bar = figure.colorbar(image, ax=drawn, label="bits", ticks=[2, 4.5, 7.5])
    bar.ax.set_yticklabels(["2", "4", "8"])
    changed = int((maps[0] != maps[1]).to_numpy().sum())
    figure.suptitle(f"Told of other sensitivities, the policy gives {changed} of {maps[0].size} GEMMs another width")


def cycles_of(cost: NetworkCost) -> dict[str, float]:
    """Where the cycles of an inference go: to the body, and to first and last layers with the passes that they take."""
    found = dict.fromkeys(PrecisionClass, 0)
    passes = 1
    for kind in cost.kinds:
        for gemm in kind.gemms:
            found[gemm.precision_class] += kind.cycles
            if gemm.precision_class is PrecisionClass.ENDS:
                passes = kind.passes
    return {
        "cycles of the body": found[PrecisionClass.BODY],
        "cycles of first and last layers": found[PrecisionClass.ENDS],
        "passes of first and last layers": passes,
        "latency, µs": cost.latency_us,
    }


def draw_energy(rows: Sequence[NetworkRow]) -> None:
    """Energy of one image by part, on uniform arrays and on those for a mix that are as fast, at each mean."""
    shown = [row for row in rows if row.normalisation in (UNIFORM, EQUAL_LATENCY)]
    _, (axes,) = panels(1, 9, 4)
    labels = [f"{row.design.replace(' ', chr(10))}\n{row.bits} bits" for row in shown]
    bottom = np.zeros(len(shown))
    for (field, name), colour, hatch in zip(_PARTS.items(), (BLUE, GREEN, ORANGE, GREY), _HATCHES, strict=True):
        values = np.array([getattr(row, field) for row in shown])
        axes.bar(labels, values, bottom=bottom, color=colour, hatch=hatch, edgecolor="white", label=name)
        bottom += values
    axes.set(xlabel="design and mean width", ylabel="energy of one image, µJ")
    mixed = _mixed(rows)
    energy, logic = [row.energy_ratio for row in mixed], [row.logic_area_ratio for row in mixed]
    axes.set_title(
        f"As fast as one width, a mix takes {min(energy):.2f} to {max(energy):.2f} times its energy and "
        f"{min(logic):.2f} to {max(logic):.2f} times its logic",
        fontsize=10,
    )
    axes.legend(frameon=False)


def worth(rows: Sequence[NetworkRow]) -> pd.DataFrame:
    """Of the best mixed array of each mean that mixes: how many bits a uniform array could afford with its energy, and
    the accuracy in percent that was published there; beyond: it could afford more than was published.
    """
    import pandas as pd

    alike = _published(rows)
    energies = [row.energy_uj for row, _ in alike]
    lines = []
    for bits in dict.fromkeys(row.bits for row in _mixed(rows)):
        best = min((row for row in _mixed(rows) if row.bits == bits), key=lambda row: row.energy_uj)
        lines.append(
            {
                "mean of the mix, bits": bits,
                "design": best.design,
                "energy_uj": best.energy_uj,
                "affordable_bits": float(
                    np.interp(best.energy_uj, energies, [parts_of(row.bits)[0] for row, _ in alike])
                ),
                "needed_percent": float(np.interp(best.energy_uj, energies, [percent for _, percent in alike])),
                "beyond": best.energy_uj > energies[-1],
            }
        )
    return pd.DataFrame(lines).set_index("mean of the mix, bits")


def draw_worth(rows: Sequence[NetworkRow]) -> None:
    """Published accuracies of uniform arrays by their energy, and the energies of mixes, whose accuracy is unknown."""
    alike = _published(rows)
    accuracies = [percent for _, percent in alike]
    _, (axes,) = panels(1, 8, 4)
    axes.plot([row.energy_uj for row, _ in alike], accuracies, "o-", color=BLUE)
    for row, accuracy in alike:
        axes.annotate(f"uniform, {row.bits} bits", (row.energy_uj, accuracy), (6, -12), textcoords="offset points",
                      color=INK)  # fmt: skip
    texts = []
    for bits, found in worth(rows).to_dict("index").items():
        axes.axvline(found["energy_uj"], color=VERMILLION, linestyle=":")
        axes.annotate(f"{found['design']}, mean {bits}", (found["energy_uj"], min(accuracies)), (-12, 0), rotation=90,
                      color=VERMILLION, textcoords="offset points")  # fmt: skip
        texts.append(f"{bits} bits: {'over ' if found['beyond'] else ''}{found['needed_percent']:.1f} %")
    axes.set(xlabel="energy of one image, µJ", ylabel="top-1 accuracy on ImageNet-1K, %\n(published, not ours)")
    axes.set_title(f"To be worth its energy, a mix must reach, at a mean of {', '.join(texts)}", fontsize=10)


def _published(rows: Sequence[NetworkRow]) -> list[tuple[NetworkRow, float]]:
    """Uniform arrays by their energy, with the accuracy in percent that was published. ValueError for less than two."""
    alike = sorted((row for row in rows if row.normalisation == UNIFORM), key=lambda row: row.energy_uj)
    found = [(row, row.accuracy_percent) for row in alike if row.accuracy_percent is not None]
    if len(found) < 2:
        raise InputError(f"accuracies of {rows[0].model} must have been published at two widths at least")
    return found


def _mixed(rows: Sequence[NetworkRow]) -> list[NetworkRow]:
    """Arrays that are as fast as the uniform one, at means that mix."""
    return [row for row in rows if row.normalisation == EQUAL_LATENCY and mixes(row.mixture)]


def _widths(assignment: Assignment) -> pd.DataFrame:
    """Bits by role and layer, without the first and last layers."""
    import pandas as pd

    lines: dict[str, dict[int | None, int]] = {}
    for gemm in assignment.workload.gemms:
        if gemm.precision_class is PrecisionClass.BODY:
            bits = assignment.of(gemm)
            if isinstance(bits, Pair):
                raise InputError(f"{gemm.name} must have one width for weights and activations in a map, not {bits}")
            lines.setdefault(gemm.role.value, {})[gemm.layer] = bits
    return pd.DataFrame(lines).T
