"""The files that a report reads: what is accepted, what is refused, and in which words."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from hwmodel.comparison import is_uniform
from hwmodel.comparison.comparison import Row
from hwmodel.comparison.tables import frame, write_tables
from hwmodel.workload import Pair
from reports import runs
from reports.inputs.accuracies import Accuracies, Run, methods, read_accuracies, to_json
from reports.inputs.comparison import checked, read_rows
from reports.inputs.equivalence import read_equivalence
from reports.inputs.oscillation import read_oscillation
from reports.inputs.training import kept_run, read_study, study_json
from tests.kept import kept_folder, kept_runs

ROOT = Path(__file__).resolve().parents[3]
RECORD = ROOT / "tests" / "hwmodel" / "inference" / "equivalence_vit_mnist.json"
KEPT = ROOT / "tests" / "reports"
MakeRows = Callable[..., tuple[Row, ...]]


# compare.json and compare.csv.


@pytest.fixture
def rows(made_rows: MakeRows) -> tuple[Row, ...]:
    return made_rows({2: {"loom": (1.5, 2.0, 0.7, None)}, 4: {"loom": (1.5, None, 0.7, None)}})


def test_both_forms_are_read_as_they_were_written(rows: tuple[Row, ...], tmp_path: Path) -> None:
    write_tables(rows, tmp_path)
    assert read_rows(tmp_path / "compare.json") == rows
    assert read_rows(tmp_path / "compare.csv") == rows
    assert [is_uniform(row) for row in rows] == [True, True, False, False] * 2


def of_both(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows at a mean of 4 as if weights had 4 bits and activations 8."""
    mean = Pair(Fraction(7, 2), Fraction(8))
    return tuple(replace(row, bits=Pair(4, 8), run_as_mean_bits=mean) if row.bits == 4 else row for row in rows)


def test_means_of_both_operands_are_read_as_they_were_written(rows: tuple[Row, ...], tmp_path: Path) -> None:
    rows = of_both(rows)
    write_tables(rows, tmp_path)
    assert read_rows(tmp_path / "compare.json") == rows
    assert read_rows(tmp_path / "compare.csv") == rows
    entries = json.loads((tmp_path / "compare.json").read_text())
    assert [entry["bits"] for entry in entries] == [2] * 4 + ["4/8"] * 4
    for change, said in (
        ({"weight_bits": 5}, "bits must be 5/8, as weight_bits and activation_bits say, not '4/8'"),
        ({"bits": 4}, "bits must be 4/8, as weight_bits and activation_bits say, not 4"),
        ({"activation_bits": 8.5}, "activation_bits must be a whole number, not 8.5"),
        ({"activation_bits": 9, "bits": "4/9"}, "bits must be from 2 to 8, not 4/9"),
        ({"run_as_mean_weight_bits": "x"}, "run_as_mean_weight_bits must be a positive number, not 'x'"),
    ):
        text = refused(tmp_path / "other.json", json.dumps([*entries[:-1], entries[-1] | change]))
        assert text == f"row 8: {said}"


def refused(path: Path, content: str) -> str:
    path.write_text(content)
    with pytest.raises(ValueError) as caught:
        read_rows(path)
    text = str(caught.value)
    assert text.startswith(f"{path} must be compare.json or compare.csv of hwmodel.compare: ")
    return text.split("hwmodel.compare: ")[1]


def changed(rows: tuple[Row, ...], number: int, **changes: Any) -> str:
    entries = [asdict(row) for row in rows]
    entries[number] |= changes
    return json.dumps(entries)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: it is no JSON"),
        ("{}", "it must be a list of objects"),
        ("[]", "it must have at least one row"),
        ("[" * 100_000, "it must be nested at most 64 levels deep"),
        ('[{"bits": 2}]', None),
    ],
)
def test_what_is_no_comparison_is_refused(content: str, said: str | None, tmp_path: Path) -> None:
    text = refused(tmp_path / "compare.json", content)
    assert text.startswith(said or "row 1: it must have exactly the fields of a comparison, and differs in ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bits": "2"}, "row 3: bits must be a whole number, not '2'"),
        ({"bits": True}, "row 3: bits must be a whole number, not True"),
        ({"bits": 9}, "row 3: bits must be from 2 to 8, not 9"),
        ({"area_um2": -1.0}, "row 3: area_um2 must be a positive number, not -1.0"),
        ({"area_um2": float("nan")}, "it must hold finite numbers, not NaN"),
        ({"power_uw": "much"}, "row 3: power_uw must be a positive number or nothing, not 'much'"),
        ({"meets_clock": 1}, "row 3: meets_clock must be True or False or nothing, not 1"),
        ({"design": None}, "row 3: design must be text, not None"),
        ({"normalisation": "equal"},
         "row 3: normalisation must be one of equal units, equal throughput, not 'equal'"),
        ({"library": "other"}, "all rows must have one library, not madelib and other"),
        ({"design": "bitfusion"}, "at 2 bits both normalisations must have the same designs in the same order"),
        ({"area_ratio": 3.0},
         "at 2 bits, equal units, area_ratio of loom must be 0.7, as area_um2_per_unit says, not 3.0"),
    ],
)  # fmt: skip
def test_a_row_that_is_wrong_is_refused(
    change: dict[str, Any], said: str, rows: tuple[Row, ...], tmp_path: Path
) -> None:
    assert refused(tmp_path / "compare.json", changed(rows, 2, **change)) == said


def test_a_comparison_needs_its_uniform_design(rows: tuple[Row, ...]) -> None:
    with pytest.raises(ValueError, match="at 2 bits, equal units, there must be the uniform design first"):
        checked([row for row in rows if not is_uniform(row)])


def test_a_table_is_refused_by_its_columns(rows: tuple[Row, ...], tmp_path: Path) -> None:
    path = tmp_path / "compare.csv"
    good = frame(rows).to_csv(index=False)
    assert refused(path, good.replace("bits,", "width,", 1)).startswith(
        "its columns must include bits, normalisation, "
    )
    assert refused(path, good + "1,2\n") == "line 10: it must have 28 cells, not 2"
    assert refused(path, good.replace("2,equal", "two,equal", 1)) == "line 2: bits must be a whole number, not 'two'"
    assert refused(path, good.replace("True", "yes")) == (
        "line 2: meets_clock must be True or False or nothing, not 'yes'"
    )
    # What Python reads as a number, and what no table has.
    for number in ("1_000.0", "\u0661", "nan", "inf"):
        shown = number if number in ("nan", "inf") else repr(number)
        assert refused(path, good.replace("100.0", number, 1)) == (
            f"line 2: area_um2_per_unit must be a positive number, not {shown}"
        )
    for number in ("+2", "02", " 2", "2_0"):
        assert refused(path, good.replace("2,equal", f"{number},equal", 1)) == (
            f"line 2: bits must be a whole number, not {number!r}"
        )


# Own accuracies.

RUN = Run(
    name="all", model="vit-mnist", data="mnist5k", weight_bits=2, activation_bits=2, seed=0, samples=1000,
    accuracy_percent=96.0, low_percent=94.6, high_percent=97.0,
)  # fmt: skip
OTHER = replace(RUN, seed=1, accuracy_percent=95.0, low_percent=93.5, high_percent=96.2)
OWN = Accuracies("python -m qat.train", "2026-11-20", (RUN, OTHER))


def test_accuracies_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(to_json(OWN))
    assert read_accuracies(path) == OWN
    (method,) = methods(OWN.runs)
    assert (method.mean_percent, method.bits) == (95.5, 2)
    assert method.interval_percent == pytest.approx((94.05, 96.6))
    assert method.deviation == pytest.approx(0.5**0.5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "1"}, "its format must be 'siliquant-accuracy 1', not '1'"),
        ({"extra": 1}, "it must have format, source, date and runs, and no more"),
        ({"date": "today"}, 'its source must be a text and its date one as "2026-11-20"'),
        ({"runs": []}, "its runs must be a list of at least one"),
        ({"runs": [1]}, "run 1 must be an object with " + ", ".join(asdict(RUN))),
        ({"runs": [asdict(RUN), asdict(RUN)]}, "runs of all must have different seeds, not 0, 0"),
        ({"runs": [asdict(RUN) | {"weight_bits": 9}]},
         "run 1: weight_bits must be from 1 to 8, or 32 for full precision, not 9"),
        ({"runs": [asdict(RUN) | {"low_percent": 96.5}]},
         "run 1: accuracy_percent must be from low_percent to high_percent, all from 0 to 100, not 96.0 from 96.5 "),
        ({"runs": [asdict(RUN) | {"samples": 10, "accuracy_percent": 50, "low_percent": 49.99, "high_percent": 50.01}]},
         "run 1: low_percent and high_percent must be Wilson's interval of 95 %, 23.66 to 76.34 for 50 % of 10 "),
        ({"runs": [asdict(RUN) | {"low_percent": 94.3}]}, "run 1: low_percent and high_percent must be Wilson's"),
        ({"runs": [asdict(RUN) | {"high_percent": 97.4}]}, "run 1: low_percent and high_percent must be Wilson's"),
        ({"runs": [asdict(RUN) | {"samples": 10}]},
         "run 1: accuracy_percent must be a share of 10 samples, and 96.0 is none"),
        ({"runs": [asdict(RUN) | {"accuracy_percent": True}]}, "run 1: accuracy_percent must be a number, not True"),
        ({"runs": [asdict(RUN) | {"name": " "}]}, "run 1: name must be a text, not ' '"),
    ],
)  # fmt: skip
def test_accuracies_that_are_wrong_are_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps(json.loads(to_json(OWN)) | change))
    with pytest.raises(ValueError) as caught:
        read_accuracies(path)
    assert str(caught.value).startswith(f"{path} must be a file of accuracies: {said}")


def test_kept_runs_become_accuracies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of docs/results.md: W2A2 of all three remedies, full precision."""
    names = ["vit-mnist-fp", *(f"vit-mnist-w2a2-all{seed}" for seed in ("", "-s1", "-s2", "-s3", "-s4"))]
    out = tmp_path / "own.json"
    folders = [str(kept_folder(name, tmp_path)) for name in names]
    runs.main(["--checkpoint", *folders, "--date", "2026-11-20", "--out", str(out)])
    full, remedies = methods(read_accuracies(out).runs)
    assert (full.first.name, full.first.weight_bits, full.mean_percent) == ("fp", 32, pytest.approx(97.8))
    assert (remedies.first.name, len(remedies.runs), remedies.bits) == ("all", 5, 2)
    assert remedies.mean_percent == pytest.approx(96.28)
    assert capsys.readouterr().out.splitlines()[1] == "all: 96.28 % of 1,000 samples, 5 seeds"


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"options": {}}')
    (tmp_path / "metrics.csv").write_text("epoch\n1\n")
    with pytest.raises(ValueError, match=rf"^{tmp_path} must be a folder of qat.train: it lacks data$"):
        runs.read_run(tmp_path)
    with pytest.raises(ValueError, match=r"^date must look like 2026-11-20, not 'now'$"):
        runs.main(["--checkpoint", str(tmp_path), "--date", "now", "--out", str(tmp_path / "x")])


# Records of simulation.

GEMM = {
    "name": "vit.layers.0.mlp.fc1", "products": 2, "macs": 100, "cycles": 30, "load_cycles": 5, "operand_cycles": 20,
    "codes": 4, "accumulators": 10, "equal_accumulators": 10, "equal_codes": 4,
}  # fmt: skip


def record(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "equivalence.json"
    other = GEMM | {"name": "vit.layers.1.mlp.fc1"}
    gemms = [GEMM | changes, other, GEMM | {"name": "classifier"}]
    path.write_text(json.dumps({"array": "a", "samples": 2, "gemms": gemms}))
    return path


def test_gemms_of_all_layers_are_summed(tmp_path: Path) -> None:
    found = read_equivalence(record(tmp_path))
    assert [(kind.name, kind.gemms, kind.macs) for kind in found.kinds] == [("mlp.fc1", 2, 200), ("classifier", 1, 100)]
    assert (found.gemms, found.accumulators, found.codes, found.mismatches) == (3, 30, 12, 0)


def test_what_is_not_equal_is_counted(tmp_path: Path) -> None:
    found = read_equivalence(record(tmp_path, equal_accumulators=7, equal_codes=3))
    assert found.mismatches == 4


def test_the_record_of_the_demonstration_is_read() -> None:
    found = read_equivalence(RECORD)
    assert (found.samples, found.gemms, found.codes) == (20, 50, 783_360)
    assert found.macs == 20 * 11_689_536
    assert found.accumulators is found.mismatches is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "it must be an object"),
        ('{"array": "a"}', "it lacks samples"),
        ('{"array": "a", "samples": 1, "gemms": []}', "its array must be a text and its gemms a list of at least one"),
        ('{"array": "a", "samples": 1, "gemms": [{}]}', "each of its gemms must be an object with a name"),
        ('{"array": "a", "samples": 1, "gemms": [{"name": "fc1"}]}', "fc1 lacks products"),
        ('{"array": "a", "samples": 0, "gemms": [1]}', "each of its gemms must be an object with a name"),
        (json.dumps({"array": "a", "samples": 1, "gemms": [GEMM | {"equal_codes": 5}]}),
         "equal_codes must be an integer from 0 to 4, not 5"),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "equivalence.json"
    path.write_text(content)
    with pytest.raises(ValueError) as caught:
        read_equivalence(path)
    assert str(caught.value) == f"{path} must be a record of sim.equivalence --out: {said}"


# Training runs.


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = kept_run(kept_folder("minilm-w1a1", tmp_path))
    path = tmp_path / "study.json"
    path.write_text(study_json("own", [kept, kept_runs()["minilm-fp"]]))
    first, second = read_study(path)
    assert (first.name, second) == ("minilm-fp", kept)
    assert second.last("epoch") == 1
    assert first.last("oscillation") is None  # full precision


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"format": 2}, "its format must be 1, not 2"),
        ({"format": 1}, "it lacks runs"),
        ({"format": 1, "runs": [3]}, "run 1: it must be an object"),
        ({"format": 1, "runs": [{"name": "a", "record": {}, "columns": ["epoch"], "epochs": []}]},
         "run 1: its epochs must be a list of at least one"),
        ({"format": 1, "runs": [{"name": "a", "record": {}, "columns": ["epoch"], "epochs": [["1", "2"]]}]},
         "run 1: each of its epochs must be 1 texts, one a column"),
    ],
)  # fmt: skip
def test_studies_that_are_wrong_are_refused(data: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError) as caught:
        read_study(path)
    assert str(caught.value) == f"{path} must be a file of training runs: {said}"


# Oscillation.


def test_oscillation_is_read_from_both_forms(tmp_path: Path) -> None:
    found = read_oscillation(KEPT / "vit-mnist-w2a2-all" / "metrics.csv")
    assert (found.name, found.epochs) == ("vit-mnist-w2a2-all", tuple(range(1, 9)))
    assert found.shares[-1] == pytest.approx(0.0242, abs=1e-4)
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1, "oscillation": 0.5, "oscillation_by_module": {"layers.0.fc1": 0.25}, "loss": null}\n')
    found = read_oscillation(path)
    assert (found.name, found.shares, found.modules) == (tmp_path.name, (0.5,), {"layers.0.fc1": 0.25})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "m.csv",
            "epoch,loss\n1,2\n",
            "its columns must include epoch, oscillation",
        ),
        ("m.csv", "epoch,oscillation\n", "it must have at least one epoch"),
        ("m.csv", "epoch,oscillation\n1,\n", "oscillation must be a share from 0 to 1, not None"),
        ("m.csv", "epoch,oscillation\n1,x\n", "line 2: oscillation must be a number, not 'x'"),
        ("m.csv", "epoch,oscillation\n1,0.1\n1,0.1\n", "its epochs must rise, not be 1, 1"),
        ("m.jsonl", "{\n", "line 1: it is no JSON: Expecting property name enclosed in double quotes"),
        ("m.jsonl", "1\n", "each of its lines must be an object"),
        ("m.jsonl", '{"epoch": 1, "oscillation": 2}\n', "oscillation must be a share from 0 to 1, not 2"),
        ("m.jsonl", '{"epoch": 1.5, "oscillation": 0.2}\n', "an epoch must be a whole number, not 1.5"),
    ],
)
def test_what_is_no_oscillation_is_refused(name: str, content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError) as caught:
        read_oscillation(path)
    assert str(caught.value) == f"{path} must be metrics.csv or metrics.jsonl of a quantised run: {said}"
