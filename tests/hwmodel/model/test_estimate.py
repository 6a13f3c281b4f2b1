"""Tables of estimates are those of single designs, row by row; and every row that makes no sense says so itself."""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.model import estimates as estimating
from hwmodel.model.estimates import default_plan, estimate, parse_precision
from hwmodel.model.model import Cost
from hwmodel.operands.stimulus import StreamPlan
from hwmodel.operands.streams import STREAM_NAMES, Stream
from rtl.mac import DESIGNS, BitFusionSpec, BitSerialSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec, Precision
from tests.hwmodel.model.modelcases import coefficients, model, own_cache  # noqa: F401

MODELS = {
    "one": model("one"),
    "other": model(
        "other",
        area_um2=3 * coefficients().area_um2,
        margin=0.2,
        settled_growth=0.9,
        glitch_growth=0.7,
        clock_growth=0.1,
    ),
}
CASES = [
    (UniformSpec(weight_bits=2, activation_bits=3, lanes=2), ("w2a3s", "w2a3u"), ("uniform", "lsq-gaussian")),
    (UniformSpec(weight_bits=4, activation_bits=4, lanes=1), ("w4a4u",), ("uniform", "vit-mnist")),
    (UniformSpec(weight_bits=2, activation_bits=3, lanes=2, pipeline_stages=1), ("w2a3s",), ("uniform",)),
    (PaddedSpec(units=1), ("w8a8s", "w4a4u"), ("uniform",)),
    (PaddedSpec(units=1, gating=True), ("w4a4s",), ("uniform",)),
    (XnorSpec(lanes=5), ("w1a1s", "w1a1u"), ("uniform",)),
]
ROWS = [
    (spec, precision, stream) for spec, precisions, streams in CASES for precision in precisions for stream in streams
]
COLUMNS = [
    "area_um2", "leakage_uw", "idle_uw", "settled_power_uw", "power_uw", "energy_pj", "minimum_period_ns",
    "meets_clock", "pressure", "in_range",
]  # fmt: skip


@pytest.fixture(autouse=True)
def made_up_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries "one" and "other" have a model."""
    packaged = estimating.load_model
    monkeypatch.setattr(estimating, "load_model", lambda name: MODELS.get(name) or packaged(name))


def line(spec: MacSpec, **more: Any) -> dict[str, Any]:
    return {"design": spec.design, **spec.parameters, **more}


def figures(cost: Cost) -> dict[str, Any]:
    return {
        "area_um2": cost.total_area_um2, "leakage_uw": cost.leakage_uw.sum(),
        "idle_uw": cost.idle_uw, "settled_power_uw": cost.settled_power_uw, "power_uw": cost.power_uw,
        "energy_pj": cost.power_uw / cost.clock_mhz, "minimum_period_ns": cost.minimum_period_ns,
        "meets_clock": cost.meets_clock, "pressure": cost.pressure, "in_range": not cost.outside,
    }  # fmt: skip


def check(found: pd.DataFrame, singles: list[Cost]) -> None:
    expected = pd.DataFrame([figures(cost) for cost in singles], index=found.index, columns=COLUMNS)
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=1e-12)


CLOCKS = st.one_of(st.sampled_from([100.0, 500.0, 1e4]), st.floats(1.0, 5e3))


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.sampled_from(ROWS), st.sampled_from(sorted(MODELS)), CLOCKS), min_size=1, max_size=25),
    whole_columns=st.booleans(),
)
def test_any_mix_of_designs_libraries_clocks_and_streams(
    rows: list[tuple[tuple[MacSpec, str, str], str, float]], whole_columns: bool
) -> None:
    frame = pd.DataFrame(
        [
            line(spec, library=library, clock_mhz=mhz, precision=precision, stream=stream)
            for (spec, precision, stream), library, mhz in rows
        ]
    )
    if whole_columns:  # each column as pandas holds it best: categories, and integers that may be missing
        names = ("design", "library", "precision", "stream")
        frame = frame.astype(dict.fromkeys(names, "category")).convert_dtypes()
    singles = [
        estimate(spec, MODELS[library], mhz, StreamPlan(parse_precision(precision), Stream(stream)))
        for (spec, precision, stream), library, mhz in rows
    ]
    check(estimate(frame), singles)


def test_what_the_table_lacks_comes_from_the_arguments() -> None:
    specs = [spec for spec, *_ in CASES]
    frame = pd.DataFrame([line(spec) for spec in specs])
    check(estimate(frame, "one", 321.0), [estimate(spec, "one", 321.0, default_plan(spec)) for spec in specs])
    same = pd.DataFrame([line(spec) for spec in specs[:1] * 2] + [line(specs[2])])
    plan = StreamPlan(Precision(2, 3, False), Stream(seed=3), products=20, cycles=100)
    check(
        estimate(same, MODELS["other"], 10, plan), [estimate(s, "other", 10, plan) for s in [*specs[:1] * 2, specs[2]]]
    )


def test_a_row_says_only_what_is_not_at_its_default() -> None:
    frame = pd.DataFrame(
        [
            {"design": "padded", "units": 1, "gating": True},
            {"design": "uniform", "lanes": 2.0, "weight_bits": 2, "activation_bits": 3},
            {"design": "xnor", "lanes": 5},
        ],
        index=["a", "b", "a"],
    )
    found = estimate(frame, "one", 200.0)
    specs = [
        PaddedSpec(units=1, gating=True),
        UniformSpec(lanes=2, weight_bits=2, activation_bits=3),
        XnorSpec(lanes=5),
    ]
    check(found, [estimate(spec, "one", 200.0) for spec in specs])
    assert found.index.tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    "index", [[7, 7, 1], pd.date_range("2026-01-01", periods=3), pd.MultiIndex.from_product([["x"], [3, 1, 2]])]
)
def test_the_index_is_kept(index: Any) -> None:
    frame = pd.DataFrame({"design": "uniform", "lanes": 1, "clock_mhz": [100.0, 200.0, 300.0]}, index=index)
    found = estimate(frame, "one")
    pd.testing.assert_index_equal(found.index, frame.index)
    assert found["energy_pj"].is_monotonic_decreasing or found["pressure"].max() > 0
    assert list(frame.columns) == ["design", "lanes", "clock_mhz"]


def test_rows_are_independent_of_their_order() -> None:
    frame = pd.DataFrame([line(s, precision=p, stream=t, clock_mhz=100.0 * i + 50) for i, (s, p, t) in enumerate(ROWS)])
    whole = estimate(frame, "one")
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(frame))
        pd.testing.assert_frame_equal(estimate(frame.iloc[order], "one"), whole.iloc[order])


@pytest.mark.parametrize("names", [["design"], ["design", "library", "clock_mhz", "precision", "stream", "lanes"]])
def test_no_row_gives_no_row(names: list[str]) -> None:
    found = estimate(pd.DataFrame({name: [] for name in names}), "one")
    assert len(found) == 0
    assert list(found.columns) == COLUMNS
    assert [str(kind) for kind in found.dtypes] == [
        "bool" if name in ("meets_clock", "in_range") else "float64" for name in COLUMNS
    ]


def test_many_columns_of_many_values_are_told_apart() -> None:
    """256 values in each of 12 columns: 2^96 rows are possible, and 64 bits would lose the first columns."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{number}": rng.permutation(256) for number in range(12)})
    other = frame.iloc[[17]].assign(c0=frame["c0"][18])
    frame = pd.concat([frame, frame.iloc[[17]], other])
    numbers, firsts = estimating._groups(frame, list(frame.columns))
    assert numbers.tolist() == [*range(256), 17, 256]
    assert firsts == [*range(256), 257]


KNOWN = ", ".join(UniformSpec.parameter_help())
NAMES = ", ".join(design.design for design in DESIGNS)
STREAMS = ", ".join(STREAM_NAMES)
WRONG = [
    ({"design": ["uniform", "simd"]}, f"design must be one of {NAMES}, not 'simd'"),
    ({"design": ["uniform"], "units": [2]}, f"parameters of uniform must be among {KNOWN}, not 'units'"),
    ({"design": ["uniform"], "lanes": [2.5]}, "lanes must be an integer, not 2.5"),
    ({"design": ["uniform"], "lanes": [math.inf]}, "lanes must be an integer, not inf"),
    ({"design": ["uniform"], "lanes": ["4"]}, "lanes must be an integer, not '4'"),
    ({"design": ["uniform"], "lanes": [True]}, "lanes must be an integer, not True"),
    ({"design": ["uniform"], "lanes": [0]}, "lanes must be an integer from 1 to 1024, not 0"),
    ({"design": ["padded"], "gating": [2]}, "gating must be True or False, not 2"),
    ({"design": ["padded"], "gating": ["no"]}, "gating must be True or False, not 'no'"),
    ({"design": ["uniform"], "precision": ["4x4"]}, "precision must look like w4a4s or w4a8u, not '4x4'"),
    ({"design": ["uniform"], "precision": [None]}, "precision must look like w4a4s or w4a8u, not 'None'"),
    ({"design": ["xnor"], "precision": ["w8a8s"]}, "precision must be one of w1a1s, w1a1u for xnor_l64, not w8a8s"),
    ({"design": ["xnor"], "precision": ["w1a1s"], "stream": ["no"]}, f"stream must be one of {STREAMS}, not 'no'"),
    ({"design": ["uniform"] * 2, "clock_mhz": [5.0, -1.0]}, "clock_mhz must be a positive number, not -1.0"),
    ({"design": ["uniform"], "clock_mhz": ["fast"]}, "clock_mhz must be a positive number, not fast"),
    ({"design": ["uniform"], "clock_mhz": [math.nan]}, "clock_mhz must be a positive number, not nan"),
    ({"design": ["uniform"], "clock_mhz": [math.inf]}, "clock_mhz must be a positive number, not inf"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "said"), WRONG, ids=[said[:50] for _, said in WRONG])
def test_a_row_that_makes_no_sense_says_so_and_has_no_numbers(table: dict[str, list[Any]], said: str) -> None:
    """The last row; those before it are estimated as without it."""
    frame = pd.DataFrame(table)
    found = estimate(frame, "one")
    assert list(found.columns) == [*COLUMNS, "error"]
    assert found["error"].tolist() == [*[""] * (len(frame) - 1), said]
    last = found[COLUMNS].iloc[-1]
    assert not last["meets_clock"]
    assert not last["in_range"]
    assert last.drop(["meets_clock", "in_range"]).isna().all()
    assert [str(kind) for kind in found[COLUMNS].dtypes] == [
        "bool" if name in ("meets_clock", "in_range") else "float64" for name in COLUMNS
    ]
    pd.testing.assert_frame_equal(found[COLUMNS].iloc[:-1], estimate(frame.iloc[:-1], "one"))


def test_designs_that_make_no_sense_among_many() -> None:
    specs = [UniformSpec(lanes=lanes) for lanes in range(1, 5)]
    good = pd.DataFrame([line(spec) for spec in specs])
    bad = pd.concat([good.iloc[:2], good.iloc[:1].assign(weight_bits=9), good.iloc[2:], good.iloc[:1].assign(lanes=-1)])
    found = estimate(bad, "one")
    assert [text for text in found["error"] if text] == [
        "weight_bits must be an integer from 1 to 8, not 9", "lanes must be an integer from 1 to 1024, not -1"
    ]  # fmt: skip
    pd.testing.assert_frame_equal(found[found["error"] == ""][COLUMNS], estimate(good, "one"))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"lanes": [4]}, "a table of designs must have a column design, not only lanes"),
        ({"design": ["uniform"], "stream": ["uniform"]},
         "a table with a column stream must have a column precision, too"),
    ],
)  # fmt: skip
def test_a_table_without_a_column_that_it_needs(table: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        estimate(pd.DataFrame(table), "one")


def test_a_number_beyond_all_bounds_is_of_its_row_alone() -> None:
    table = pd.DataFrame({"design": ["uniform", "uniform"], "lanes": pd.Series([4, 10**400], dtype=object)})
    found = estimate(table, "one")
    assert found["error"].iloc[0] == ""
    assert "lanes must be" in found["error"].iloc[1]
    said = "the column lanes must hold numbers or texts, not lists or the like"
    with pytest.raises(TypeError, match=f"^{said}$"):
        estimate(pd.DataFrame({"design": ["uniform"], "lanes": [[4]]}), "one")


def test_widths_are_lists_tuples_or_text() -> None:
    given = [[8, 4], (8, 4), "8/4", math.nan, "4-8", 3, [4, 8]]
    found = estimate(pd.DataFrame({"design": ["subword"] * len(given), "units": 1, "widths": given}), "one")
    assert found["error"].tolist() == [
        "", "", "", "", "widths must be widths such as 8/4/2, not '4-8'", "widths must be widths such as 8/4/2, not 3",
        "widths must be at least 2 of 8, 4, 2 and 1, falling, not '4/8'",
    ]  # fmt: skip
    alone = [estimate(SubwordSpec(units=1, widths=widths), "one").total_area_um2 for widths in ((8, 4), (8, 4, 2))]
    assert found["area_um2"].tolist()[:4] == pytest.approx([alone[0]] * 3 + alone[1:])


@pytest.mark.parametrize("name", ["nangate", None])
def test_a_library_without_a_model_is_told(name: str | None) -> None:
    expected = r"library must be one with a cost model \(.*\), not '(nangate|nan|None)'; hwmodel\.calibrate makes one"
    found = estimate(pd.DataFrame({"design": ["uniform"] * 2, "library": ["one", name]}))
    assert found["error"].iloc[0] == ""
    assert re.fullmatch(expected, found["error"].iloc[1])
    assert found["area_um2"].isna().tolist() == [False, True]


@dataclass(frozen=True, kw_only=True)
class BrokenSpec(UniformSpec):
    """A design of one's own whose gates cannot be made."""

    def datapath(self, builder: Any) -> None:
        raise ValueError("there must be a datapath")


def test_a_list_of_designs() -> None:
    specs = [UniformSpec(lanes=2), XnorSpec(), BrokenSpec(lanes=2), SubwordSpec(units=1)]
    found = estimate(specs, "one", 321.0)
    assert found["error"].tolist() == ["", "", "there must be a datapath", ""]
    good = [spec for spec in specs if not isinstance(spec, BrokenSpec)]
    alone = estimate(good, "one", 321.0)
    check(alone, [estimate(spec, "one", 321.0) for spec in good])
    pd.testing.assert_frame_equal(found[COLUMNS].drop(index=2).reset_index(drop=True), alone)
    plan = StreamPlan(Precision(1, 1))
    assert estimate(specs[:2], "one", 321.0, plan)["error"].tolist() == [
        "precision must be one of w4a4s, w4a4u for uniform_w4_a4_l2, not w1a1s", ""
    ]  # fmt: skip
    assert len(estimate([], "one")) == 0


def test_arguments_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match=r"^library must be one with a cost model \(.*\), not 'nangate'; "):
        estimate(UniformSpec(), "nangate")
    with pytest.raises(ValueError, match=r"^clock_mhz must be a positive number, not -5$"):
        estimate(UniformSpec(lanes=1), "one", -5)
    with pytest.raises(ValueError, match=r"^clock_mhz must be a positive number, not -5$"):
        estimate(pd.DataFrame({"design": ["xnor"]}), "one", -5)
    with pytest.raises(TypeError, match=r"^specs must be a MAC design, or a DataFrame or list of them, not dict$"):
        estimate({}, "one")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"^a list of designs must hold MAC designs, not 'loom' at place 1$"):
        estimate([UniformSpec(), "loom"], "one")  # type: ignore[list-item]


def test_strict_refuses_what_lies_outside() -> None:
    known = model(most=30.0)
    inside, outside, other = UniformSpec(weight_bits=2, activation_bits=3, lanes=2), *(spec for spec, *_ in CASES[3:5])
    frame = pd.DataFrame([line(inside), line(outside), line(other)])
    assert estimate(frame, known)["in_range"].tolist() == [True, False, False]
    assert estimate(frame.iloc[:1], known, strict=True)["in_range"].all()
    expected = (
        r"^padded_u1_w842_g0 must be within the range of the model: it has 64 AND terms, at most 30 were calibrated; "
    )
    for refused in (outside, frame):
        with pytest.raises(ValueError, match=expected):
            estimate(refused, known, strict=True)


@pytest.mark.parametrize(
    ("spec", "widest"),
    [
        (UniformSpec(weight_bits=3, activation_bits=5), Precision(3, 5)), (XnorSpec(), Precision(1, 1)),
        (SubwordSpec(), Precision(8, 8)), (BitFusionSpec(), Precision(8, 8)), (BitSerialSpec(), Precision(8, 8)),
        (LoomSpec(), Precision(8, 8)),
    ],
)  # fmt: skip
def test_the_default_stream_is_uniform_at_the_widest_precision(spec: MacSpec, widest: Precision) -> None:
    assert default_plan(spec) == StreamPlan(widest, Stream("uniform", 0), products=768, cycles=1024)


@given(st.builds(Precision, st.integers(1, 8), st.integers(1, 8), st.booleans()))
def test_a_precision_is_read_as_it_is_written(precision: Precision) -> None:
    assert parse_precision(str(precision)) == precision


@pytest.mark.parametrize("text", ["", "w4a4", "w0a4s", "w4a9u", "w4a4s ", "W4A4S", "w4a4s\n", "a4w4s"])
def test_text_that_is_no_precision(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'precision must look like w4a4s or w4a8u, not {text!r}')}$"):
        parse_precision(text)
