"""Models as files: nothing is lost, equal models give equal bytes, and every damage is named."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.model.features import PARTS
from hwmodel.model.file import PACKAGED_MODELS, known_models, load_model, read_model, write_model
from hwmodel.model.model import cost_of
from hwmodel.model.paths import Step
from hwmodel.model.structure import Part
from hwmodel.operands.stimulus import StreamPlan
from siliquant.inputs import short
from tests.hwmodel.model.modelcases import SMALL, model, own_cache  # noqa: F401

MODEL = model("lib45", most=321.0, smallest_um2=12.5, provenance={"tool": "0.67", "date": "2026-01-02"})
VECTORS = ("area_um2", "strained_um2", "leakage_nw", "settled_fj", "glitch_fj", "pulse_fj")
OLD_VECTORS = tuple(name for name in VECTORS if name != "strained_um2")
NUMBERS = (
    "clock_fj", "gate_fj", "still_fj", "ahead_fj", "strain_from", "strain_to", "strain_power", "leakage_growth",
    "clock_growth", "settled_growth", "glitch_growth", "glitch_share",
    "margin",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "models" / "lib45.json"
    write_model(MODEL, made)
    return made


def test_nothing_is_lost(path: Path) -> None:
    found = read_model(path)
    assert (found.library, found.corner, found.voltage_v) == ("lib45", "tt_1p0v_25c", 1.0)
    assert found.provenance == {"tool": "0.67", "date": "2026-01-02"}
    for name in VECTORS:
        expected = getattr(MODEL.coefficients, name)
        np.testing.assert_allclose(getattr(found.coefficients, name), expected, rtol=1e-7)
    for name in NUMBERS:
        assert getattr(found.coefficients, name) == pytest.approx(getattr(MODEL.coefficients, name), rel=1e-7)
    for name in ("relaxed_ns", "fastest_ns"):
        delays, expected = getattr(found.coefficients, name), getattr(MODEL.coefficients, name)
        assert list(delays) == list(Step)
        assert delays == pytest.approx(expected, rel=1e-7)
    assert found.range.counts.tolist() == [321.0] * len(PARTS)
    assert (found.range.smallest_um2, found.range.largest_um2) == (12.5, 1e6)


def test_a_file_has_at_most_4_mib(path: Path) -> None:
    text = path.read_text()
    path.write_text(text + " " * (4 * 2**20 - len(text)))
    assert read_model(path).library == "lib45"
    path.write_text(text + " " * (4 * 2**20 - len(text) + 1))
    with pytest.raises(OSError) as caught:
        read_model(path)
    assert str(caught.value) == f"{path} must have at most 4194304 bytes, not 4194305"


def test_every_design_costs_the_same_after_reading(path: Path) -> None:
    found = read_model(path)
    for spec in SMALL[:3]:
        plan = StreamPlan(spec.precisions[0], products=5, cycles=30)
        one, other = (cost_of(spec, plan, each, 700.0) for each in (MODEL, found))
        assert other.power_uw == pytest.approx(one.power_uw, rel=1e-6)
        assert other.total_area_um2 == pytest.approx(one.total_area_um2, rel=1e-6)
        assert other.minimum_period_ns == pytest.approx(one.minimum_period_ns, rel=1e-6)


def test_equal_models_give_equal_bytes(path: Path, tmp_path: Path) -> None:
    again, once_more = tmp_path / "again.json", tmp_path / "once_more.json"
    write_model(read_model(path), again)
    known = MODEL.coefficients
    turned = {name: dict(reversed(getattr(known, name).items())) for name in ("relaxed_ns", "fastest_ns")}
    nearly = replace(MODEL, coefficients=replace(known, **turned, area_um2=known.area_um2 * (1 + 1e-14)))
    write_model(nearly, once_more)
    assert path.read_bytes() == again.read_bytes() == once_more.read_bytes()
    assert path.read_text().endswith("}\n")


def test_a_model_is_found_by_the_name_of_its_library(path: Path) -> None:
    folder = path.parent
    write_model(MODEL, folder / "another.json")
    assert known_models(folder) == ("another", "lib45")
    assert load_model("lib45", folder).library == "lib45"
    assert load_model("lib45", folder) is load_model("lib45", folder), "read once"
    for name in ("nangate", "../models/lib45", "lib45.json", ""):
        known = f"library must be one with a cost model in {folder} (another, lib45)"
        expected = f"{known}, not {name!r}; hwmodel.calibrate makes one"
        with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
            load_model(name, folder)


def test_a_folder_without_models(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        assert known_models(folder) == ()
        said = f"library must be one with a cost model in {folder} (none), not 'sky130hd'; hwmodel"
        with pytest.raises(ValueError, match=f"^{re.escape(said)}"):
            load_model("sky130hd", folder)
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "none.json")


def test_every_packaged_model_can_be_read() -> None:
    for name in known_models():
        assert load_model(name).library == name
    assert PACKAGED_MODELS.name == "models"


PART, STEP = PARTS[0].value, Step.AND.value
EVERY_PART = "must have a value for each part of a design and no other"
EVERY_STEP = "must have a value for each step of a path and no other"
GROWTH = "growth must have a value for each of leakage, clock, settled, glitch and glitch share and no other"
STRAIN = "strain must have a value for each of its numbers and no other"
LIMITS = "range must have a value for each of its limits and no other"


def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def damage(data: dict[str, Any]) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return damage


def drop(*keys: str) -> Callable[[dict[str, Any]], None]:
    def damage(data: dict[str, Any]) -> None:
        for key in keys[:-1]:
            data = data[key]
        del data[keys[-1]]

    return damage


DAMAGES = [
    (
        put("format", value="siliquant-model 1"),
        ": its format must be 'siliquant-model 5' or 'siliquant-model 4', not 'siliquant-model 1'",
    ),
    (put("library", value=7), ": library must be text, not 7"),
    (put("corner", value=None), ": corner must be text, not None"),
    (put("voltage_v", value="1.1"), ": voltage_v must be a number from 0 to 1e+12, not '1.1'"),
    (put("provenance", value=[]), ": provenance must be texts by name, not []"),
    (put("provenance", "tool", value=3), ": tool in provenance must be text, not 3"),
    (put("clock_fj", value=-0.5), ": clock_fj must be a number from 0 to 1e+12, not -0.5"),
    (put("clock_fj", value=float("nan")), ": it must hold finite numbers, not NaN"),
    (put("margin", value=float("inf")), ": it must hold finite numbers, not Infinity"),
    (put("margin", value=True), ": margin must be a number from 0 to 1e+12, not True"),
    (put("margin", value=10**400), ": it must hold numbers of at most 300 digits"),
    (put("growth", value=1.5), f": {GROWTH}"),
    (drop("growth", "settled"), f": {GROWTH}"),
    (put("growth", "period", value=1), f": {GROWTH}"),
    (put("growth", "leakage", value=None), ": growth must be a number from 0 to 1e+12, not None"),
    (drop("strain", "to"), f": {STRAIN}"),
    (put("strain", value=0.5), f": {STRAIN}"),
    (put("strain", "from", value=0.6), ": strain must go from a pressure to a higher one, not 0.6 to 0.6"),
    (put("strain", "to", value=0.1), ": strain must go from a pressure to a higher one, not 0.2 to 0.1"),
    (put("strain", "power", value=0.0), ": the power of strain must be above 0, not 0.0"),
    (put("strain", "to", value="1"), ": strain must be a number from 0 to 1e+12, not '1'"),
    (put("range", value=[]), f": {LIMITS}"),
    (drop("range", "counts"), f": {LIMITS}"),
    (put("range", "largest_um2", value="x"), ": largest_um2 must be a number from 0 to 1e+12, not 'x'"),
    (put("range", "counts", value=[1]), f": counts {EVERY_PART}"),
    (put("range", "forms", value="booth"), ": forms must be a list of at most 64 names, not 'booth'"),
    (put("range", "forms", value=["x"] * 65), f": forms must be a list of at most 64 names, not {short(['x'] * 65)}"),
    (put("range", "forms", value=[1]), ": forms must be text, not 1"),
]
for name in VECTORS:
    DAMAGES += [
        (drop(name), f": it lacks {name}"),
        (drop(name, PART), f": {name} {EVERY_PART}"),
        (put(name, "inverters", value=1.0), f": {name} {EVERY_PART}"),
        (put(name, value=2.0), f": {name} {EVERY_PART}"),
        (put(name, PART, value="much"), f": {name} must be a number from 0 to 1e+12, not 'much'"),
    ]
for name in ("relaxed_ns", "fastest_ns"):
    DAMAGES += [
        (drop(name, STEP), f": {name} {EVERY_STEP}"),
        (put(name, value=None), f": {name} {EVERY_STEP}"),
        (put(name, STEP, value=-1e-9), f": {name} must be a number from 0 to 1e+12, not -1e-09"),
    ]
for name in ("format", "library", "corner", "voltage_v", "provenance", "clock_fj", "growth", "margin", "range"):
    DAMAGES.append((drop(name), f": it lacks {name}"))


@pytest.mark.parametrize(("damage", "said"), DAMAGES, ids=[said[:60] for _, said in DAMAGES])
def test_every_damage_is_named(path: Path, damage: Callable[[dict[str, Any]], None], said: str) -> None:
    data = json.loads(path.read_text())
    damage(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path} must be a cost model{said}')}$"):
        read_model(path)


def test_a_model_of_the_format_before_knows_no_clock_gates_and_grows_alike(path: Path) -> None:
    data, gates = json.loads(path.read_text()), Part.CLOCK_GATES.value
    data["format"] = "siliquant-model 4"
    del data["gate_fj"], data["still_fj"], data["range"]["counts"][gates], data["strained_um2"], data["strain"]["power"]
    for name in OLD_VECTORS:
        del data[name][gates]
    data |= {"ahead_um2": 0.5, "growth": {"area": 0.25, "leakage": 0.5, "energy": 0.75}}
    path.write_text(json.dumps(data))
    found = read_model(path).coefficients
    at = PARTS.index(Part.CLOCK_GATES)
    assert (found.gate_fj, found.still_fj, found.strain_power, found.leakage_growth) == (None, None, 1.0, 0.5)
    assert found.clock_growth == found.settled_growth == found.glitch_growth == 0.75
    assert found.glitch_share == 0
    assert [getattr(found, name)[at] for name in VECTORS] == [0.0] * len(VECTORS)
    more_um2 = [0.5 * (part is Part.CARRY_BITS) for part in PARTS]
    np.testing.assert_allclose(found.strained_um2, 0.25 * found.area_um2 + more_um2)
    spec = SMALL[0]
    cost = cost_of(spec, StreamPlan(spec.precisions[0], products=5, cycles=30), read_model(path), 700.0)
    assert cost.outside == ()
    assert cost.area_um2[at] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: it is no JSON: Expecting value"),
        (b'{"format": "siliquant-model 1"', "line 1: it is no JSON: Expecting ',' delimiter"),
        (b"[1, 2]", "it must be an object"),
        (b"null", "it must be an object"),
    ],
)
def test_what_is_no_object_of_json(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path} must be a cost model: {said}')}$"):
        read_model(path)


def test_a_model_that_is_not_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, line 1: must be text in UTF-8$"):
        read_model(path)
