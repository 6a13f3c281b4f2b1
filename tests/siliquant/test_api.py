"""The calls of ``import siliquant`` give what the commands print and write."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hwmodel.compare
import hwmodel.latency
import rtl.gen
import siliquant
from hwmodel.model import load_model
from rtl.mac import UniformSpec
from rtl.spec import CodeValues, MacSpec, Precision
from siliquant import api

ROOT = Path(__file__).resolve().parents[2]


def test_the_door_is_light_and_names_all_calls() -> None:
    script = (
        "import sys, siliquant\n"
        "print(sorted({'hwmodel', 'rtl', 'numpy', 'torch', 'amaranth'} & set(sys.modules)), dir(siliquant))\n"
        "siliquant.design('loom')\n"
        "print(sorted({'torch', 'amaranth'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("[] ")
    assert second == "[]"
    assert all(repr(name) in first for name in siliquant.__all__)
    with pytest.raises(AttributeError, match=r"^module 'siliquant' has no attribute 'nothing'$"):
        siliquant.nothing  # type: ignore[attr-defined] # noqa: B018


def test_what_type_checkers_see_is_what_there_is() -> None:
    stub = ast.parse((ROOT / "siliquant" / "__init__.pyi").read_text())
    named = [alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert named == siliquant.__all__ == api.__all__


def test_compare_is_the_table_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--bits", "3,4", "--designs", "subword,loom", "--requant-bits", "none", "--out", str(tmp_path)]
    hwmodel.compare.main([*arguments, "--model", "deit-tiny", "--format", "csv"])
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    found = siliquant.compare([3, 4], designs=["subword", "loom"], model="deit-tiny")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(found.to_csv(index=False))), printed)
    network = siliquant.compare_network("deit-tiny", [3, 4], designs=["subword", "loom"])
    written = pd.read_csv(tmp_path / "network.csv")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(network.to_csv(index=False))), written)


def test_a_model_that_is_given_answers_alone() -> None:
    """By name, rows that were measured are looked up; where the user has a model of his own, none is."""
    measured = siliquant.compare([4], designs=["loom"])
    assert not measured["source"].str.startswith("model").any()
    estimated = siliquant.compare([4], designs=["loom"], library=load_model("freepdk45"))
    assert estimated["source"].str.startswith("model").all()
    assert (measured["design"] == estimated["design"]).all()


@pytest.mark.parametrize(("mix", "given"), [([], {}), (["--bits", "2"], {"bits": 2}), (["--mean", "3"], {"mean": 3}),
                         (["--bits", "4/8"], {"bits": "4/8"}), (["--mean", "3/6"], {"mean": "3/6"})])  # fmt: skip
def test_network_cost_has_the_cycles_of_latency(
    mix: list[str], given: dict[str, int | str], capsys: pytest.CaptureFixture[str]
) -> None:
    design = ["--design", "subword", "--units", "4", "--array", "8x12", "--depth", "1024"]
    hwmodel.latency.main([*design, *mix, "--model", "deit-tiny", "--format", "json"])
    record = json.loads(capsys.readouterr().out)[-1]
    grid = siliquant.array(siliquant.design("subword", units=4), "8x12", depth=1024)
    cost = siliquant.network_cost("deit-tiny", grid, **given)  # type: ignore[arg-type]
    assert (cost.cycles, cost.macs) == (record["cycles"], record["macs"])
    assert cost.energy.total_pj > 0
    assert cost.array.requant is not None
    bare = siliquant.network_cost("deit-tiny", grid, requantise=False, **given)  # type: ignore[arg-type]
    assert bare.array == grid
    assert bare.area.total_um2 < cost.area.total_um2


MAC = siliquant.design("uniform")
GRID = siliquant.array(MAC, depth=512)


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: siliquant.network_cost("deit-tiny", GRID, bits=4, mean=3), ValueError,
         "bits and mean must not be given together"),
        (lambda: siliquant.network_cost("deit-tiny", GRID, sensitivity="table.json"), ValueError,
         "sensitivity must be given with mean only: one width everywhere needs none"),
        (lambda: siliquant.network_cost("deit-tiny", GRID, activation_widths=(2, 8)), ValueError,
         "activation_widths must be given with mean only: one width everywhere needs none"),
        (lambda: siliquant.network_cost("deit-tiny", GRID, bits="4/9"), ValueError,
         "bits of activations must be an integer from 1 to 8, not 9"),
        (lambda: siliquant.network_cost("deit-tiny", GRID, mean="4/x"), ValueError,
         "mean of activations must be a number from 1 to 8, such as 3 or 2.5, not 'x'"),
        (lambda: siliquant.compare(["4/8", "4/9"]), ValueError,
         "bits of activations must be an integer from 2 to 8, not '9'"),
        (lambda: siliquant.compare([4, "4/4"]), ValueError, "bits must be different means, one at least, not [4, 4]"),
        (lambda: siliquant.network_cost("deit-tiny", GRID, bits=4, widths=(2, 8)), ValueError,
         "widths must be given with mean only: one width everywhere needs none"),
        (lambda: siliquant.network_cost("deit-tiny", GRID, scales="x"), ValueError,
         "scales must be tensor, head or head-reduced, not 'x'"),
        (lambda: siliquant.network_cost("deit-tiny", GRID, overlap="x"), ValueError,
         "overlap must be none or double, not 'x'"),
        (lambda: siliquant.array(MAC, architecture="x"), ValueError,
         "architecture must be broadcast or systolic, not 'x'"),
        (lambda: siliquant.network_cost("deit-tiny", MAC), TypeError,
         "array must be an array, as siliquant.array makes one of a MAC, not UniformSpec("),
        (lambda: siliquant.verify("nowhere", MAC), TypeError, "array must be an array, "),
        (lambda: siliquant.array("uniform"), TypeError,
         "mac must be a MAC design, as siliquant.design makes one, not 'uniform'"),
        (lambda: siliquant.array(MAC, 16), TypeError, "size must be a text, not 16"),
        (lambda: siliquant.design("uniform", foo=3), ValueError, "uniform must have parameters among "),
        (lambda: siliquant.design("nothing"), ValueError, "design must be one of "),
        (lambda: siliquant.compare(4), TypeError, "bits must be a list, not 4"),
        (lambda: siliquant.compare([]), ValueError, "bits must be different means, one at least, not []"),
        (lambda: siliquant.compare([4, 4]), ValueError, "bits must be different means, one at least, not [4, 4]"),
        (lambda: siliquant.compare([9]), ValueError, "bits must be an integer from 2 to 8, not 9"),
        (lambda: siliquant.compare([4], lanes=65), ValueError, "lanes must be an integer from 1 to 64, not 65"),
        (lambda: siliquant.compare([4], designs=["loom", "loom"]), ValueError,
         "designs must be different ones, not loom twice"),
        (lambda: siliquant.compare([4], mixtures=["4=4:1", "4=4:1"]), ValueError,
         "mixture must be given once for a mean, not twice for '4'"),
        (lambda: siliquant.estimate(pd.DataFrame([["loom", "loom"]], columns=["design", "design"])), ValueError,
         "a table of designs must have each column once, not 'design' twice"),
        (lambda: siliquant.compare([4], designs="bitfusion"), TypeError, "designs must be a list, not 'bitfusion'"),
        (lambda: siliquant.compare([4], library=None), TypeError, "library must be a text, not None"),
        (lambda: siliquant.compare([4], clock_mhz=0), ValueError, "clock_mhz must be a positive number, not 0"),
        (lambda: siliquant.compare_network("deit-tiny", []), ValueError, "bits must be different means, "),
        (lambda: siliquant.estimate(MAC, None), TypeError,
         "library must be the name of a library or its model, not None"),
        (lambda: siliquant.generate([]), ValueError, "specs must have at least one design"),
        (lambda: siliquant.generate(["loom"]), TypeError, "specs must be MACs, arrays or requantisers, not 'loom'"),
    ],
)  # fmt: skip
def test_bad_arguments_are_told_in_a_sentence(call: Callable[[], object], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_integers_of_numpy_are_integers() -> None:
    found = siliquant.compare(np.array([3]), designs=["loom"])
    pd.testing.assert_frame_equal(found, siliquant.compare([3], designs=["loom"]))
    pd.testing.assert_frame_equal(found, siliquant.compare((bits for bits in [3]), designs=["loom"]))  # type: ignore[arg-type]


def test_a_class_made_while_a_program_runs_is_costed_by_its_codes() -> None:
    """Two of one name in one module: what their weights stand for tells them apart."""

    def powers(largest: int) -> MacSpec:
        class Own(UniformSpec):
            design = "own"

            def weight_values(self, precision: Precision) -> CodeValues:
                return CodeValues(2, (-largest, 0, largest), (3, 0, 1))

        return Own(weight_bits=2, activation_bits=4, lanes=4)

    narrow, wide = powers(1), powers(1000)
    assert narrow.accumulator_width + 9 < wide.accumulator_width
    small, large = siliquant.estimate(narrow), siliquant.estimate(wide)
    assert small.total_area_um2 < large.total_area_um2
    assert siliquant.estimate(powers(1)).total_area_um2 == small.total_area_um2


def test_a_network_of_long_sums_has_accumulators_for_them(tmp_path: Path) -> None:
    """As the command: a sum of 6,000 products is longer than the usual ones of 4,096."""
    own = tmp_path / "long.csv"
    own.write_text("name,m,k,n,count\nl.0.query,16,96,96,1\nl.0.fc1,16,6000,64,1\n")
    arguments = ["--bits", "4", "--designs", "loom", "--requant-bits", "none", "--out", str(tmp_path)]
    hwmodel.compare.main([*arguments, "--model", str(own)])
    found = siliquant.compare_network(own, [4], designs=["loom"])
    written = pd.read_csv(tmp_path / "network.csv")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(found.to_csv(index=False))), written)


def test_generate_writes_the_files_of_gen(tmp_path: Path) -> None:
    rtl.gen.main(
        ["--design", "loom", "--units", "2", "--design", "subword", "--units", "1", "--out", str(tmp_path / "a")]
    )
    loom, subword = siliquant.design("loom", units=2), siliquant.design("subword", units=1)
    paths = siliquant.generate([loom, subword], str(tmp_path / "b"))
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "a").iterdir()}
    for path in paths:
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
    (verilog, manifest) = siliquant.generate(loom, tmp_path / "c")
    assert (verilog.name, manifest.name) == ("loom_u2_m8.v", "loom_u2_m8.json")
    with pytest.raises(ValueError, match=r"^every design must be another one, not loom_u2_m8 twice$"):
        siliquant.generate([loom, loom], tmp_path / "d")
    assert not (tmp_path / "d").exists()
    with pytest.raises(ValueError, match=r"^out must be a folder, not ''$"):
        siliquant.generate(loom, "")
    with pytest.raises(TypeError, match=r"^specs must be MACs, arrays or requantisers, not 'loom'$"):
        siliquant.generate("loom", tmp_path / "e")


def test_estimate_is_that_of_the_model() -> None:
    frame = siliquant.estimate(pd.DataFrame({"design": ["loom"], "units": [2]}))
    cost = siliquant.estimate(siliquant.design("loom", units=2))
    assert frame.area_um2[0] == pytest.approx(cost.total_area_um2, rel=1e-12)


def test_verify_compares_a_network_with_the_array() -> None:
    from qat.integers import random_subject
    from qat.settings import Scheme

    subject = random_subject("minilm", Scheme(weight_bits=4, activation_bits=4, scale_start="mean"), 1, tokens=2)
    grid = siliquant.array(siliquant.design("uniform", lanes=32), "8x8", depth=512)
    found = siliquant.verify(subject, grid, jobs=1)
    assert (found.samples, found.mismatches) == (1, 0)
    assert found.array.startswith("broadcast_8x8_uniform_w4_a4_l32_")
    assert sum(gemm.accumulators for gemm in found.gemms) > 10_000
    assert sum(gemm.codes for gemm in found.gemms) > 1_000  # requantised at the drain, as by the command
    with pytest.raises(ValueError, match=r"nowhere"):
        siliquant.verify("nowhere", grid)
    with pytest.raises(ValueError, match=r"^samples must be given with a folder only: an open network has its own$"):
        siliquant.verify(subject, grid, samples=2)
