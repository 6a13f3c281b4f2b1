"""Mixed-precision assignments against brute force over every assignment, and tables of sensitivity."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.policy import main
from hwmodel.workload import (
    Gemm,
    Mean,
    Pair,
    PrecisionClass,
    Role,
    Workload,
    load_workload,
    pair_or_one,
    parts_of,
    workload_names,
)
from hwmodel.workload.assignment import Assignment, assign, assign_at, mixture_at, network_widths, uniform
from hwmodel.workload.sensitivity import SensitivityTable, default_sensitivity, read_sensitivity
from siliquant.inputs import InputError

A_ROW = "a row must be an object with role, sensitivity and maybe layer and head"
ROLES = (Role.VALUE, Role.QUERY, Role.SCORES, Role.FC1, Role.FC2)


def gemm(name: str, role: Role, k: int, *, call: int = 0, layer: int | None = 0, ends: bool = False) -> Gemm:
    return Gemm(
        name=name, role=role, layer=layer, call=call, m=1, k=k, n=1, count=1, heads=1,
        precision_class=PrecisionClass.ENDS if ends else PrecisionClass.BODY, activation_signed=True, static=True,
        bias=True, feeds_gemm=False,
    )  # fmt: skip


def workload(sizes: list[tuple[Role, int]], *, ends: int = 0) -> Workload:
    gemms = [gemm(f"g{number}", role, size) for number, (role, size) in enumerate(sizes)]
    if ends:
        gemms.append(gemm("classifier", Role.CLASSIFIER, ends, ends=True, layer=None))
    return Workload(name="w", gemms=tuple(gemms), provenance={})


def brute_force(
    found: Workload, mean: Fraction, widths: list[int], above: Fraction, count_ends: bool
) -> tuple[Fraction, float]:
    """Mean and harm of the best of all assignments."""
    table = default_sensitivity()
    names = {g.name: g for g in found.gemms if g.precision_class is PrecisionClass.BODY}
    macs = {name: sum(g.macs for g in found.gemms if g.name == name) for name in names}
    ends = sum(g.macs for g in found.gemms if g.precision_class is PrecisionClass.ENDS) if count_ends else 0
    options = []
    for bits in itertools.product(widths, repeat=len(names)):
        total = sum(b * macs[name] for b, name in zip(bits, names, strict=True)) + 8 * ends
        got = Fraction(total, sum(macs.values()) + ends)
        if got <= mean + above:
            harm = sum(table.of(g) * macs[name] * 4.0**-b for b, (name, g) in zip(bits, names.items(), strict=True))
            options.append((abs(got - mean), got, harm))
    distance, got, _ = min(options)
    return got, min(harm for d, g, harm in options if (d, g) == (distance, got))


@settings(max_examples=150)
@given(
    sizes=st.lists(st.tuples(st.sampled_from(ROLES), st.integers(1, 12)), min_size=1, max_size=5),
    widths=st.lists(st.integers(1, 8), min_size=1, max_size=3, unique=True),
    place=st.fractions(0, 1, max_denominator=7),
    above=st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(1)]),
    ends=st.integers(0, 3),
    count_ends=st.booleans(),
)
def test_the_best_of_all_assignments_is_found(
    sizes: list[tuple[Role, int]], widths: list[int], place: Fraction, above: Fraction, ends: int, count_ends: bool
) -> None:
    found = workload(sizes, ends=ends)
    macs = sum(size for _, size in sizes)
    fixed = ends if count_ends else 0
    least, most = (Fraction(bits * macs + 8 * fixed, macs + fixed) for bits in (min(widths), max(widths)))
    mean = least + place * (most - least)
    got = assign(found, mean, widths, above=above, count_ends=count_ends)
    wanted, harm = brute_force(found, mean, sorted(widths), above, count_ends)
    assert got.mean_bits == wanted
    assert got.mean_bits <= mean + above
    assert got.harm == pytest.approx(harm)
    counted = [g for g in found.gemms if count_ends or g.precision_class is PrecisionClass.BODY]
    assert got.mean_bits == Fraction(sum(got.of(g) * g.macs for g in counted), sum(g.macs for g in counted))
    assert {got.of(g) for g in found.gemms if g.precision_class is PrecisionClass.ENDS} <= {8}


def brute_force_of_both(
    found: Workload, mean: Mean, widths: list[int], activation_widths: list[int]
) -> tuple[tuple[Fraction, ...], float]:
    """Of all assignments of weights and activations: how far below their means weights, activations that meet them, and
    products of two activations stay at least, and the least harm there.
    """
    table = default_sensitivity()
    options = [
        list(itertools.product(widths, activation_widths)) if g.static else [(a, a) for a in activation_widths]
        for g in found.gemms
    ]
    sets = [[g.static for g in found.gemms], [g.static for g in found.gemms], [not g.static for g in found.gemms]]
    best: tuple[tuple[Fraction, ...], float] | None = None
    for bits in itertools.product(*options):
        means = []
        for within, operand in zip(sets, (0, 1, 1), strict=True):
            chosen = [(g.macs, b[operand]) for g, b, there in zip(found.gemms, bits, within, strict=True) if there]
            total = sum(macs for macs, _ in chosen)
            means.append(Fraction(sum(macs * b for macs, b in chosen), total) if total else Fraction(0))
        weights, activations = parts_of(mean)
        wanted = (weights, activations, activations if any(sets[2]) else Fraction(0))
        if any(got > most for got, most in zip(means, wanted, strict=True)):
            continue
        noise = [table.of(g) * g.macs * (4.0**-w + 4.0**-a) / 2 for g, (w, a) in zip(found.gemms, bits, strict=True)]
        apart = tuple(most - got for got, most in zip(means, wanted, strict=True))
        best = min(best, (apart, sum(noise))) if best else (apart, sum(noise))
    assert best is not None
    return best


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.sampled_from(ROLES), st.integers(1, 6)), min_size=1, max_size=3),
    activations=st.lists(st.integers(1, 6), max_size=1),
    places=st.tuples(st.fractions(0, 1, max_denominator=5), st.fractions(0, 1, max_denominator=5)),
)
def test_the_best_of_all_assignments_of_both_operands_is_found(
    sizes: list[tuple[Role, int]], activations: list[int], places: tuple[Fraction, Fraction]
) -> None:
    gemms = [gemm(f"g{number}", role, size) for number, (role, size) in enumerate(sizes)]
    gemms += [replace(gemm("s", Role.SCORES, size), static=False) for size in activations]
    found = Workload(name="w", gemms=tuple(gemms), provenance={})
    mean = pair_or_one(2 + 2 * places[0], 3 + 5 * places[1])
    got = assign(found, mean, [2, 4], activation_widths=[3, 8])
    (weights, activation, both), harm = brute_force_of_both(found, mean, [2, 4], [3, 8])
    body = [g for g in gemms if g.static]
    total = sum(g.macs for g in body)
    assert parts_of(got.mean_bits)[0] == parts_of(mean)[0] - weights
    assert Fraction(sum(g.macs * parts_of(got.of(g))[1] for g in body), total) == parts_of(mean)[1] - activation
    for g in gemms[len(sizes) :]:
        assert got.of(g) == parts_of(mean)[1] - both
    whole = sum(g.macs * parts_of(got.of(g))[1] for g in gemms)
    assert parts_of(got.mean_bits)[1] == Fraction(whole, sum(g.macs for g in gemms))
    assert got.harm == pytest.approx(harm)


def test_one_mean_of_both_is_what_it_always_was() -> None:
    tiny = load_workload("deit-tiny")
    plain = assign(tiny, 3, (2, 4, 8))
    assert assign(tiny, 3, (2, 4, 8), activation_widths=(8, 4, 2)).bits == plain.bits
    assert assign_at(tiny, 3) == assign(tiny, 3, (2, 4))
    assert not plain.mixture().has_pairs
    assert plain.uniform_bits == (8, 8)


def test_each_operand_of_a_network_has_its_mean() -> None:
    """Weights as at a mean of 4 by themselves, activations everywhere at 8, scores and context too."""
    tiny = load_workload("deit-tiny")
    found = assign(tiny, Pair(Fraction(4), Fraction(8)), (2, 4, 8))
    assert 0 <= 4 - found.mean_bits.weight_bits < Fraction(1, 1000)
    assert found.mean_bits.activation_bits == 8
    assert {str(found.of(g)) for g in tiny.gemms if g.role is Role.FC1} == {"2/8", "4/8"}
    assert {found.of(g) for g in tiny.gemms if not g.static} == {8}
    assert found.mixture(with_weights=True).mean_bits == found.mean_bits
    assert (found.drained_bits, found.uniform_bits) == (8, (8, 8))
    alike = uniform(tiny, Pair(4, 8))
    assert {str(alike.of(g)) for g in tiny.gemms if g.precision_class is PrecisionClass.BODY} == {"4/8", "8"}
    assert (alike.mean_bits, alike.uniform_bits, alike.drained_bits) == (Pair(Fraction(4), Fraction(8)), (4, 8), 8)
    assert {alike.of(g) for g in tiny.gemms if g.precision_class is PrecisionClass.ENDS} == {8}


@pytest.mark.parametrize("name", workload_names())
@pytest.mark.parametrize("mean", [Fraction(5, 2), 3, 4])
def test_means_of_real_networks_are_met(name: str, mean: Fraction | int) -> None:
    got = assign(load_workload(name), mean, [2, 4, 8])
    assert 0 <= mean - got.mean_bits < Fraction(1, 1000)
    assert set(dict(got.mixture().shares)) <= {2, 4, 8}
    assert got.mixture(PrecisionClass.ENDS).mean_bits == 8


def test_values_come_first_then_attention_then_ffn() -> None:
    found = load_workload("deit-tiny")

    def mean(role: Role, at: int) -> float:
        got = assign(found, at, [2, 4, 8])
        chosen = [got.of(g) for g in found.gemms if g.role is role]
        return sum(chosen) / len(chosen)

    for at in (3, 4, 5):
        assert mean(Role.VALUE, at) == 8
        for role in (Role.QUERY, Role.KEY, Role.PROJECTION, Role.SCORES, Role.CONTEXT):
            assert mean(Role.VALUE, at) >= mean(role, at) >= mean(Role.FC1, at)
    assert mean(Role.QUERY, 3) == 4
    assert mean(Role.FC1, 3) == mean(Role.FC2, 3) == 2


def test_the_same_question_has_the_same_answer() -> None:
    sizes = [(Role.QUERY, 4)] * 6 + [(Role.FC1, 4)] * 5
    first, second = (assign(workload(list(sizes)), Fraction(31, 10), [2, 4, 8]) for _ in range(2))
    assert first.bits == second.bits


def test_calls_of_one_name_share_their_width() -> None:
    first, again = gemm("a", Role.QUERY, 1), gemm("a", Role.QUERY, 1, call=1)
    gemms = (replace(first, m=3 * first.m), replace(again, m=5 * first.m), gemm("b", Role.FC1, 8))
    found = Workload(name="w", gemms=gemms, provenance={})
    got = assign(found, 3, [2, 4])
    assert got.bits == (("a", 4), ("b", 2))
    assert got.mean_bits == 3


def test_a_measured_table_decides() -> None:
    found = workload([(Role.VALUE, 4), (Role.FC1, 4)])
    table = SensitivityTable("measured", {(Role.VALUE, None): 1.0, (Role.FC1, 0): 9.0})
    assert assign(found, 3, [2, 4]).bits == (("g0", 4), ("g1", 2))
    assert assign(found, 3, [2, 4], sensitivity=table).bits == (("g0", 2), ("g1", 4))


def test_codes_at_the_drain_are_those_that_are_read() -> None:
    """Values take 8-bit codes in, but what reads their sums has fewer."""
    found = load_workload("deit-tiny")
    got = assign(found, 4, [2, 4, 8])
    assert {got.of(g) for g in found.gemms if g.role is Role.VALUE} == {8}
    assert got.drained_bits == 4
    assert uniform(found, 3).drained_bits == 3
    assert uniform(workload([(Role.FC1, 4)]), 3).drained_bits == 1


def test_one_width_for_all() -> None:
    found = workload([(Role.VALUE, 4), (Role.FC1, 4)], ends=1)
    got = uniform(found, 3)
    assert got.bits == (("g0", 3), ("g1", 3), ("classifier", 8))
    assert (got.mean_bits, got.harm) == (3, None)
    assert dict(uniform(found, 3, ends_bits=4).bits)["classifier"] == 4


SMALL = workload([(Role.VALUE, 4), (Role.FC1, 4)])
OF_ACTIVATIONS = Workload(name="w", gemms=(replace(gemm("s", Role.SCORES, 4), static=False),), provenance={})
REFUSALS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: assign(SMALL, 1, [2, 4]), ValueError, "mean_bits must be from 2 to 4 for widths 2, 4, not 1"),
    (lambda: assign(SMALL, 4.5, [4, 2]), ValueError, "mean_bits must be from 2 to 4 for widths 2, 4, not 4.5"),
    (lambda: assign(SMALL, float("nan"), [2]), ValueError, "mean_bits must be a finite number, not nan"),
    (lambda: assign(SMALL, "3", [2]), TypeError, "mean_bits must be a number, not '3'"),  # type: ignore[arg-type]
    (lambda: assign(SMALL, 3, [2, 4], above=-1), ValueError, "above must be at least 0 bits, not -1"),
    (lambda: assign(SMALL, 3, [2, 9]), ValueError, "width must be an integer from 1 to 8, not 9"),
    (lambda: assign(SMALL, 3, []), ValueError, "widths must have at least one width, and are empty"),
    (lambda: uniform(SMALL, 0), ValueError, "bits must be an integer from 1 to 8, not 0"),
    (lambda: assign(SMALL, 3, [2, 4], sensitivity=SensitivityTable("t", {(Role.VALUE, 0): 1.0})), ValueError,
     "the sensitivity table must have a row for fc1 in layer 0, and has none"),
    (lambda: assign(SMALL, Pair(Fraction(5), Fraction(3)), [2, 4]), ValueError,
     "weights: mean_bits must be from 2 to 4 for widths 2, 4, not 5"),
    (lambda: assign(SMALL, Pair(Fraction(3), Fraction(8)), [2, 4], activation_widths=[2, 4]), ValueError,
     "activations: mean_bits must be from 2 to 4 for widths 2, 4, not 8"),
    (lambda: assign(SMALL, 3, [2, 4], activation_widths=[]), ValueError,
     "activation_widths must have at least one width, and are empty"),
    (lambda: uniform(OF_ACTIVATIONS, Pair(4, 8)), ValueError,
     "weights and activations must have one mean in w: no GEMM between its first and last layers has weights"),
    (lambda: assign(workload([(Role.UNKNOWN, 4)]), 3, [2, 4]), ValueError,
     "g0 must have a role, or the sensitivity table a row for unknown, to choose its width: it has none"),
    (lambda: main(["--mean", "4/9"]), ValueError,
     "mean of activations must be a number from 1 to 8, such as 3 or 2.5, not '9'"),
    (lambda: main(["--mix-widths", "2,4/x"]), ValueError,
     "mix_widths of activations must be an integer from 1 to 8, not 'x'"),
    (lambda: main(["--mix-widths", "2,x"]), ValueError, "mix_widths must be an integer from 1 to 8, not 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSALS, ids=[text for *_, text in REFUSALS])
def test_refusals_say_what_must_be(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


# Tables of sensitivity.


def test_the_packaged_table_has_the_papers_order() -> None:
    table = default_sensitivity()
    assert "2307.00331" in table.source
    attention = [table.rows[role, None] for role in (Role.QUERY, Role.KEY, Role.SCORES, Role.CONTEXT, Role.PROJECTION)]
    assert table.rows[Role.VALUE, None] > max(attention)
    assert min(attention) > max(table.rows[role, None] for role in (Role.FC1, Role.FC2))
    body = {g.role for name in workload_names() for g in load_workload(name).gemms}
    body -= {Role.PATCH_EMBEDDING, Role.STEM, Role.POOLER, Role.CLASSIFIER, Role.LM_HEAD}
    assert {role for role, _ in table.rows} == body


def test_json_and_csv_hold_the_same(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"role": "value", "sensitivity": 3}, {"role": "value", "layer": 2, "sensitivity": 0.5}
    ]  # fmt: skip
    (tmp_path / "t.json").write_text(json.dumps({"source": "mine", "rows": rows}))
    (tmp_path / "t.csv").write_text("role,layer,sensitivity\nvalue,,3\nvalue,2,0.5\n")
    first, second = read_sensitivity(tmp_path / "t.json"), read_sensitivity(tmp_path / "t.csv")
    assert first.rows == second.rows == {(Role.VALUE, None): 3.0, (Role.VALUE, 2): 0.5}
    assert (first.source, second.source) == ("mine", "t.csv")
    assert first.of(gemm("a", Role.VALUE, 1, layer=1)) == 3
    assert first.of(gemm("a", Role.VALUE, 1, layer=2)) == 0.5
    assert first.harm(gemm("a", Role.VALUE, 7, layer=2), 3) == 0.5 * 7 / 64


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("t.json", "{", "line 1: it is no JSON: Expecting property name enclosed in double quotes"),
        ("t.json", "[" * 100_000, "it must be nested at most 64 levels deep, not 100000"),
        ("t.json", "[]", 'it must be an object with "source", a text, and "rows", a list'),
        ("t.json", '{"source": "s", "rows": []}', "it must have at least one row"),
        ("t.json", '{"source": "s", "rows": [3]}',
         f"row 1: {A_ROW}, not 3"),
        ("t.json", '{"source": "s", "rows": [{"role": "value", "sensitivity": NaN}]}',
         "it must hold finite numbers, not NaN"),
        ("t.json", '{"source": "s", "rows": [{"role": "value", "sensitivity": "1"}]}',
         "row 1: sensitivity must be a number from 0 to 1e+12, not '1'"),
        ("t.json", '{"source": "s", "rows": [{"role": "value", "layer": -1, "sensitivity": 1}]}',
         "row 1: layer must be an integer from 0 to 65536, not -1"),
        ("t.json", '{"source": "s", "rows": [{"role": "v", "sensitivity": 1}]}',
         f"row 1: role must be one of {', '.join(role.value for role in Role)}, not 'v'"),
        ("t.csv", "role,sensitivity\nvalue,1\nvalue,2\n",
         "line 3: a role and layer must have one row, and value has two"),
        ("t.csv", "role,layer,sensitivity\nvalue,1,1\nvalue,1,2\n",
         "line 3: a role and layer must have one row, and value in layer 1 has two"),
        ("t.csv", "role,layer,sensitivity\nvalue,0,1\nvalue,1.0,1\n",
         "line 3: layer must be an integer from 0 to 65536, not '1.0'"),
        ("t.csv", "role,layer,sensitivity\nvalue,,many\n",
         "line 2: sensitivity must be a number from 0 to 1e+12, not 'many'"),
        ("t.json", '{"source": "s", "rows": [{"role": "value", "sensitivity": 1}, {"role": "value", "layer": "0"}]}',
         f"row 2: {A_ROW}, not {{'role': 'value', 'layer': '0'}}"),
        ("t.csv", "role,bits\nvalue,1\n", "its columns must include role, sensitivity"),
        ("t.csv", "role,sensitivity\nvalue\n", "line 2: it must have 2 cells, not 1"),
        ("t.csv", "", "it is empty"),
    ],
)  # fmt: skip
def test_tables_that_are_none(name: str, text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_sensitivity(path)
    assert str(caught.value) == f"{path} must be a sensitivity table: {reason}"


def test_the_command_shows_the_widths(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main(["--model", "deit-tiny", "--mean", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["value", "12", "8.00"] for line in lines)
    assert lines[0] == "mean of 3 bits; widths by the body's MACs: 2b:64% 4b:29% 8b:7%"
    table = tmp_path / "t.csv"
    roles = {g.role for g in load_workload("deit-tiny").gemms if g.precision_class is PrecisionClass.BODY}
    table.write_text("role,sensitivity\n" + "".join(f"{role.value},{int(role is Role.FC1)}\n" for role in roles))
    main(["--model", "deit-tiny", "--mean", "3", "--sensitivity", str(table)])
    cells = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.split()}
    assert float(cells["fc1"][-1]) > 4, "all bits go to what alone is harmed"
    assert cells["value"][-1] == "2.00"


def test_the_command_prints_the_assignment_in_full(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two values at 8 bits and one at 2, first layers at 8; counted in the mean where that is asked for."""
    own = tmp_path / "mine.csv"
    own.write_text("name,m,k,n,count\nstem,1,8,8,1\n0.value,2,8,8,1\n1.value,2,8,8,1\n2.value,1,8,8,1\n0.fc1,5,8,8,1\n")
    main(["--model", str(own), "--mean", "4.4", "--mix-widths", "2,8"])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "mean of 4.4 bits; widths by the body's MACs: 2b:60% 8b:40%",
        "",
        "mine: GEMMs by width",
        "          2     8  mean",
        "GEMMs  bits  bits  bits",
        "───────────────────────",
        "stem            1  8.00",
        "value     1     2  6.80",
        "fc1       1        2.00",
        "",
    ]
    main(["--model", str(own), "--mean", "5", "--mix-widths", "2,8", "--count-ends"])
    assert capsys.readouterr().out.startswith("mean of 4.72727 bits; ")


def test_the_command_shows_the_widths_of_both_operands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "mine.csv"
    own.write_text("name,m,k,n,count\nstem,1,8,8,1\n0.value,4,8,8,1\n0.scores,4,8,8,1\n0.fc1,4,8,8,1\n")
    main(["--model", str(own), "--mean", "3/6", "--mix-widths", "2,4/6"])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "mean of 3/6 bits; widths by the body's MACs: 2/6b:33% 4/6b:33% 6b:33%",
        "a/b: weights of a bits, activations of b; products of two activations: both as activations",
        "",
        "mine: GEMMs by width",
        "         2/6   4/6     6     8",
        "GEMMs   bits  bits  bits  bits  mean bits",
        "─────────────────────────────────────────",
        "stem                         1       8.00",
        "value            1              4.00/6.00",
        "scores                 1             6.00",
        "fc1        1                    2.00/6.00",
        "",
    ]


def test_a_network_of_ones_own_by_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "mine.csv"
    own.write_text("name,m,k,n,count\n0.value,4,8,8,1\n0.fc1,4,8,8,1\nclassifier,1,8,10,1\n")
    main(["--model", str(own), "--mean", "3", "--mix-widths", "2,4"])
    printed = capsys.readouterr().out
    assert printed.startswith("mean of 3 bits; widths by the body's MACs: 2b:50% 4b:50%\n\nmine: GEMMs by width")


def test_rounded_sums_never_pass_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many GEMMs loses a little of its cost where sums are rounded down: together they would pass it."""
    monkeypatch.setattr("hwmodel.workload.assignment._MOST_BYTES", 53_000)
    sizes = [(Role.VALUE, 1_000_003 + 7919 * number * number) for number in range(20)]
    for tenths in range(21, 79):
        mean = Fraction(tenths, 10)
        found = assign(workload(sizes), mean, [2, 4, 8]).mean_bits
        assert mean - Fraction(1, 8) < found <= mean


def test_networks_of_too_many_gemms_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sums would have to be rounded by so much that the mean could be missed."""
    monkeypatch.setattr("hwmodel.workload.assignment._MOST_BYTES", 1 << 14)
    alike = [(Role.QUERY, 64)] * 150
    assert assign(workload(alike[:50]), Fraction(33, 10), [2, 4, 8]).mean_bits == Fraction(82, 25)
    with pytest.raises(ValueError, match=r"^w must have fewer GEMMs to choose widths for, .*, not 150 by name$"):
        assign(workload(alike), Fraction(33, 10), [2, 4, 8])


def test_macs_without_a_common_divisor_are_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one's own may have any sizes: the table of sums keeps its size, and the mean is off by little."""
    sizes = [(Role.VALUE, 1_000_003), (Role.QUERY, 999_983), (Role.FC1, 2_000_003), (Role.FC2, 1_999_993)]
    exact = assign(workload(sizes), Fraction(31, 10), [2, 4, 8])
    most = 1 << 16
    monkeypatch.setattr("hwmodel.workload.assignment._MOST_BYTES", most)
    rounded = assign(workload(sizes[::-1]), Fraction(31, 10), [2, 4, 8])
    off = Fraction(len(sizes) * (len(sizes) + 32), most) * (Fraction(31, 10) - 2)
    assert abs(rounded.mean_bits - exact.mean_bits) < off
    total = sum(gemm.macs for gemm in rounded.workload.gemms)
    assert rounded.mean_bits == Fraction(sum(rounded.of(g) * g.macs for g in rounded.workload.gemms), total)
    assert {bits for _, bits in assign(workload(sizes), 8, [2, 4, 8]).bits} == {8}


@pytest.mark.parametrize(("macs", "met"), [(2**28 // 34 - 1, True), (2**28 // 34 + 1, False)])
def test_sums_are_rounded_where_they_would_take_more_than_2_to_the_28_bytes(macs: int, met: bool) -> None:
    """34 bytes a sum of two GEMMs; in units of two MACs the odd number of the one is too much for its own mean."""
    assert macs % 2
    found = workload([(Role.VALUE, macs), (Role.FC1, macs + 1)])
    mean = Fraction(4 * macs + 2 * (macs + 1), 2 * macs + 1)
    assert assign(found, mean, [2, 4]).mean_bits == (mean if met else 2)


def test_tables_may_have_the_largest_layer_and_sensitivity(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("role,layer,sensitivity\nvalue,65536,1e12\nfc1,0,0\n")
    assert read_sensitivity(path).rows == {(Role.VALUE, 65536): 1e12, (Role.FC1, 0): 0.0}
    for line, said in (
        ("value,65537,1", "layer must be an integer from 0 to 65536, not '65537'"),
        ("value,0,1.1e12", "sensitivity must be a number from 0 to 1e+12, not '1.1e12'"),
        ("value,0,-1", "sensitivity must be a number from 0 to 1e+12, not '-1'"),
    ):
        path.write_text(f"role,layer,sensitivity\n{line}\n")
        with pytest.raises(ValueError) as caught:
            read_sensitivity(path)
        assert str(caught.value) == f"{path} must be a sensitivity table: line 2: {said}"
    path = tmp_path / "t.json"
    for value, said in ((True, "True"), (2e12, "2000000000000.0"), (-0.5, "-0.5"), (None, "None")):
        path.write_text(json.dumps({"source": "s", "rows": [{"role": "value", "sensitivity": value}]}))
        with pytest.raises(InputError) as refused:
            read_sensitivity(path)
        assert str(refused.value).endswith(f"row 1: sensitivity must be a number from 0 to 1e+12, not {said}")
    whole = {"role": "value", "layer": 65536, "sensitivity": 10**12}
    path.write_text(json.dumps({"source": "s", "rows": [whole]}))
    assert read_sensitivity(path).rows == {(Role.VALUE, 65536): 1e12}
    path.write_text(json.dumps({"source": "s", "rows": [{**whole, "layer": 65537}]}))
    with pytest.raises(ValueError, match=r"row 1: layer must be an integer from 0 to 65536, not 65537$"):
        read_sensitivity(path)


def test_a_table_has_at_most_one_mib(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    text = "role,sensitivity\nvalue,1\n"
    path.write_text(text + "\n" * (2**20 - len(text)))
    assert read_sensitivity(path).rows == {(Role.VALUE, None): 1.0}
    path.write_text(text + "\n" * (2**20 - len(text) + 1))
    with pytest.raises(OSError) as caught:
        read_sensitivity(path)
    assert str(caught.value) == f"{path} must have at most 1048576 bytes, not 1048577"


def test_widths_by_class_and_the_widest_codes_that_are_read() -> None:
    """Only scores, context and projection read what columns drain."""
    for role in (Role.SCORES, Role.CONTEXT, Role.PROJECTION):
        found = workload([(role, 8), (Role.VALUE, 4)], ends=4)
        assert uniform(found, 5).drained_bits == 5
        mixed = Assignment(found, (("g0", 3), ("g1", 7), ("classifier", 8)), Fraction(13, 3), None)
        assert mixed.drained_bits == 3
        assert mixed.mixture().shares == ((3, Fraction(2, 3)), (7, Fraction(1, 3)))
        assert mixed.mixture(PrecisionClass.ENDS).shares == ((8, Fraction(1)),)
    assert network_widths(8) == (8,)
    assert mixture_at(workload([(Role.VALUE, 4), (Role.FC1, 4)]), 3).shares == (
        (2, Fraction(1, 2)),
        (4, Fraction(1, 2)),
    )
