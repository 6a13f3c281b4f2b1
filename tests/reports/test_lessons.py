"""What the notebooks draw and set up: numbers by hand, titles that follow from them, labels on all axes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from hwmodel.inference import EQUAL_LATENCY, UNIFORM
from hwmodel.model import load_model
from hwmodel.workload import assign, load_workload
from reports.lessons import (
    Bench,
    anatomy,
    cycles_by_kind,
    cycles_of,
    draw_choice,
    draw_cycles,
    draw_energy,
    draw_lane,
    draw_macs,
    draw_policies,
    draw_training,
    draw_weights,
    draw_worth,
    excerpts,
    few_designs,
    without_cells,
    worth,
)
from reports.numbers import inferences
from reports.page import computed_rows
from rtl.mac import UniformSpec
from rtl.spec import Precision
from rtl.verilog import to_verilog


@pytest.fixture(autouse=True)
def figures() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    for number in plt.get_fignums():
        for axes in plt.figure(number).axes:
            if axes.get_label() != "<colorbar>":
                assert axes.get_xlabel() or not axes.get_xticks().size, number
    plt.close("all")


def titles() -> str:
    """Of the last figure, its own and those of its panels."""
    figure = plt.gcf()
    return "\n".join([figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)])


def row(bits: int, energy: float, accuracy: float | None, mixture: str, **others: Any) -> Any:
    kind = others.pop("normalisation", UNIFORM if accuracy else EQUAL_LATENCY)
    parts = {"mac_uj": energy, "requantisation_uj": 0.0, "sram_uj": 0.0, "leakage_uj": 0.0}
    ratios = {"energy_ratio": 1.5, "logic_area_ratio": 2.5} | others
    return SimpleNamespace(
        bits=bits, design="uniform" if accuracy else "loom", normalisation=kind, mixture=mixture, energy_uj=energy,
        accuracy_percent=accuracy, **parts, **ratios,
    )  # fmt: skip


ROWS = [
    row(2, 100.0, 60.0, "2b:100%"), row(4, 200.0, 70.0, "4b:100%"), row(2, 120.0, None, "2b:100%"),
    row(3, 150.0, None, "2b:50% 4b:50%"), row(4, 300.0, None, "2b:50% 8b:50%", energy_ratio=2.0, logic_area_ratio=3.0),
]  # fmt: skip


def test_what_a_mix_has_to_bring_is_between_what_uniform_arrays_do() -> None:
    found = worth(ROWS)
    assert list(found.index) == [3, 4]  # at a mean of 2 bits nothing is mixed
    assert found["affordable_bits"].tolist() == [3.0, 4.0]
    assert found["needed_percent"].tolist() == [65.0, 70.0]
    assert found["beyond"].tolist() == [False, True]
    draw_worth(ROWS)
    assert "at a mean of 3 bits: 65.0 %, 4 bits: over 70.0 %" in titles()
    draw_energy(ROWS)
    assert "a mix takes 1.50 to 2.00 times its energy and 2.50 to 3.00 times its logic" in titles()


def test_what_was_not_published_is_no_accuracy_of_0() -> None:
    unknown = row(8, 900.0, None, "8b:100%", model="mine", normalisation=UNIFORM)
    found = worth([*ROWS, unknown])
    assert found["needed_percent"].tolist() == [65.0, 70.0]
    with pytest.raises(ValueError, match=r"^accuracies of mine must have been published at two widths at least$"):
        worth([unknown, *ROWS[1:]])


def test_a_uniform_array_is_slower_at_fewer_bits_for_its_first_and_last_layers() -> None:
    costs = inferences(["vit-mnist"], computed_rows(load_model("freepdk45"), 500.0, [2, 4]), load_model("freepdk45"))
    two, four = (cycles_of(costs["vit-mnist", bits]) for bits in (2, 4))
    assert two["cycles of the body"] == four["cycles of the body"]
    assert two["passes of first and last layers"] > four["passes of first and last layers"] > 1
    for found, bits in ((two, 2), (four, 4)):
        both = found["cycles of the body"] + found["cycles of first and last layers"]
        assert both == costs["vit-mnist", bits].cycles
        assert found["latency, µs"] == pytest.approx(both / 500)


def test_policies_and_products_of_a_network() -> None:
    network = load_workload("vit-mnist")
    first, second = assign(network, 2, (2, 4, 8)), assign(network, 8, (2, 4, 8))
    draw_policies(first, second, ("low", "high"))
    body = sum(gemm.precision_class.value == "body" for gemm in network.gemms)
    assert f"gives {body} of {body} GEMMs another width\nlow: mean of 2.00 bits\nhigh: mean of 8.00 bits" in titles()
    draw_macs(network)
    assert f"vit-mnist: {len(network.gemms)} GEMMs, {network.macs / 1e9:.2f} G products" in titles()


def test_a_library_loses_the_cells_that_are_not_wanted() -> None:
    text = 'library (x) {\n  cell (A) {\n    pin (Z) { }\n  }\n  cell ("B") {\n  }\n}\n'
    assert without_cells(text, lambda name: name == "A") == 'library (x) {\n  cell ("B") {\n  }\n}\n'
    assert without_cells(text, lambda name: False) == text


def test_the_few_designs_are_enough_for_a_fit_and_differ() -> None:
    designs = few_designs()
    assert len({design.spec for design in designs}) == len(designs) == 23
    assert sum(design.held_out is None for design in designs) == 20


def test_verilog_is_read() -> None:
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=2)
    verilog = to_verilog([spec])
    assert anatomy(verilog, spec.name)["count"].to_dict() == {
        "lines": len(verilog.splitlines()),
        "modules": 2,
        "full adders of the tree": verilog.count("\n  siliquant_full_adder "),
        "bits of registers": 2 * 2 * 4 + spec.accumulator_width + 4,  # operands, sum; valid, clear, sign
    }
    assert re.search(r"// a register for operands\n  reg .* weights_q;", excerpts(verilog, spec.name))


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")
def test_the_bench_plays_dot_products(tmp_path: Path) -> None:
    spec = UniformSpec(weight_bits=3, activation_bits=2, lanes=2)
    precision = Precision(3, 2, activation_signed=False)
    rng = np.random.default_rng(1)
    weights, activations = rng.integers(-4, 4, (5, 6)), rng.integers(0, 4, (5, 6))
    sums = Bench(spec, tmp_path).sums(weights, activations, precision)
    assert sums.shape == (5, 3)
    assert (sums == np.cumsum((weights * activations).reshape(5, 3, 2).sum(axis=2), axis=1)).all()


def test_training_and_cycles_say_their_numbers() -> None:
    columns = ["epoch", "test_score", "test_low", "test_high", "oscillation"]
    runs = {
        name: pd.DataFrame([[1.0, 0.8, 0.7, 0.9, 0.05], [2.0, end, 0.8, 0.95, share]], columns=columns)
        for name, end, share in (("plain", 0.85, 0.03), ("regularised", 0.9, 0.01))
    }
    draw_training(runs, runs["regularised"], 2)
    assert titles() == (
        "\nOf 90.0 % at full precision, 2 bits keep\n85.0 % plain and 90.0 % regularised\n"
        "3.00 % of the weights oscillate at the end,\n1.00 % with the regulariser"
    )
    draw_weights({"plain": np.array([-0.45, 0.0, 0.45, 1.0]), "other": np.array([0.0, 0.2, -1.0, 0.1])})
    assert "lie 50.0 % of the weights, and 0.0 % with the regulariser" in titles()
    gemms = [
        SimpleNamespace(name=name, accumulators=10, codes=5, cycles=100, load_cycles=20, macs=4e6)
        for name in ("layers.0.fc1", "layers.1.fc1", "patch.projection")
    ]
    kinds = cycles_by_kind(gemms, 2)
    assert kinds.loc["fc1"].tolist() == [30, 100, 20, 4]
    draw_cycles(kinds, 1)
    assert "1 of 45 accumulators and codes differ from PyTorch's,\n150 cycles of runs an image for 6.0 M" in titles()


def test_costs_of_a_lane_and_of_a_choice_say_their_ratios() -> None:
    lane = pd.DataFrame({"area": [1.0, 2.0, 16.0], "energy": [1.0, 1.0, 3.0]}, index=[1, 2, 8])
    draw_lane(lane, "here")
    assert titles().startswith("8 bits take 8.0 times the area and 3.0 times the energy of 2 bits; by bits² it were 16")
    choice = pd.DataFrame({"uniform, fJ/product": [1.0, 2.0], "subword, fJ/product": [1.5, 5.0]}, index=[2, 4])
    draw_choice(choice)
    assert "Being able to choose costs 1.5 to 2.5 times the energy of a product" in titles()
