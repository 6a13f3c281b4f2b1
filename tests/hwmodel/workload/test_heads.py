"""Widths by head: the choice against brute force, what is cut and joined, files, costs, and what is refused."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.latency import main as latency
from hwmodel.policy import main as policy
from hwmodel.workload import (
    Gemm,
    Pair,
    PrecisionClass,
    Role,
    SensitivityTable,
    Workload,
    assign,
    assign_by_head,
    by_head,
    load_workload,
    read_assignment,
    read_sensitivity,
)
from hwmodel.workload.heads import HEAD_ROLES
from hwmodel.workload.policyfile import assignment_text
from siliquant.inputs import policy_text, policy_widths

HEADS = 2


def gemm(role: Role, size: int, heads: int = 1, *, layer: int | None = 0) -> Gemm:
    """Of ``size`` products a head."""
    static = role not in (Role.SCORES, Role.CONTEXT)
    n, count = (heads, 1) if static else (1, heads)
    return Gemm(
        name=f"{layer}.{role.value}", role=role, layer=layer, call=0, m=1, k=size, n=n, count=count, heads=heads,
        precision_class=PrecisionClass.BODY, activation_signed=True, static=static, bias=static,
        feeds_gemm=role in (Role.QUERY, Role.KEY, Role.VALUE, Role.CONTEXT),
    )  # fmt: skip


def network(gemms: list[Gemm]) -> Workload:
    return Workload(name="w", gemms=tuple(gemms), provenance={})


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.dictionaries(st.sampled_from(HEAD_ROLES), st.integers(1, 5), min_size=1, max_size=2),
    other=st.integers(1, 7),
    widths=st.lists(st.integers(2, 8), min_size=1, max_size=3, unique=True),
    place=st.fractions(0, 1, max_denominator=7),
    values=st.lists(st.floats(0, 100), min_size=2 * HEADS + 1, max_size=2 * HEADS + 1),
)
def test_the_best_of_all_assignments_is_found(
    sizes: dict[Role, int], other: int, widths: list[int], place: Fraction, values: list[float]
) -> None:
    """Every head of every module and the layer beside them, all combinations of widths."""
    found = network([*(gemm(role, size, HEADS) for role, size in sizes.items()), gemm(Role.FC1, other)])
    places = [(role, 0, head) for role in sizes for head in range(HEADS)]
    of_heads = dict(zip(places, values, strict=False))
    sensitivity = SensitivityTable("t", {(Role.FC1, None): values[-1]}, of_heads)
    items = [*((sizes[role], value) for (role, _, _), value in of_heads.items()), (other, values[-1])]
    total = sum(size for size, _ in items)
    mean = min(widths) + place * (max(widths) - min(widths))
    options = []
    for bits in itertools.product(widths, repeat=len(items)):
        got = Fraction(sum(b * size for b, (size, _) in zip(bits, items, strict=True)), total)
        if got <= mean:
            options.append((mean - got, sum(s * size * 4.0**-b for b, (size, s) in zip(bits, items, strict=True))))
    distance, harm = min(options)
    made = assign_by_head(found, mean, widths, sensitivity=sensitivity)
    assert isinstance(made.mean_bits, Fraction)
    assert mean - made.mean_bits == distance
    assert made.harm == pytest.approx(harm)
    total_bits = 0
    for each in made.workload.gemms:
        width = made.of(each)
        assert isinstance(width, int)
        total_bits += width * each.macs
    assert made.mean_bits == Fraction(total_bits, total)
    assert made.workload.macs == found.macs
    cut = {each.name.partition(",")[0] for each in made.workload.gemms if each.head is not None}
    for name in cut:  # only where heads differ
        assert len({made.of(each) for each in made.workload.gemms if each.name.startswith(name)}) > 1


ATTENTION = network([
    *(gemm(role, 4, 3) for role in HEAD_ROLES), replace(gemm(Role.PROJECTION, 12), heads=3), gemm(Role.FC1, 12)
])  # fmt: skip
OTHERS = {(Role.PROJECTION, None): 1.0, (Role.FC1, None): 1.0}
EACH = {(role, 0, head): 10.0**head for role in HEAD_ROLES for head in range(3)}
TABLE = SensitivityTable("measured", OTHERS, EACH)


def test_heads_are_cut_along_what_they_lie_on() -> None:
    found = by_head(ATTENTION)
    assert [each.name for each in found.gemms][:4] == ["0.query, head 0", "0.query, head 1", "0.query, head 2",
                                                       "0.key, head 0"]  # fmt: skip
    for each in found.gemms:
        if each.role in HEAD_ROLES:
            assert (each.n, each.count, each.heads, each.macs) == (1, 1, 1, 4)
    assert [each for each in found.gemms if each.head is None] == list(ATTENTION.gemms[-2:])
    assert found.macs == ATTENTION.macs
    tiny = load_workload("deit-tiny")
    cut = by_head(tiny)
    assert (len(cut.gemms), cut.macs) == (98 + 2 * 12 * 5, tiny.macs)
    assert {(g.m, g.k, g.n, g.count) for g in cut.gemms if g.role is Role.QUERY} == {(197, 192, 64, 1)}
    assert {(g.m, g.k, g.n, g.count) for g in cut.gemms if g.role is Role.CONTEXT} == {(197, 197, 64, 1)}
    repeated = load_workload("sret-tiny")  # blocks that are applied twice
    assert by_head(repeated).macs == repeated.macs


def test_heads_that_need_bits_get_them() -> None:
    made = assign_by_head(ATTENTION, 4, (2, 4, 8), sensitivity=TABLE)
    whole = {name: bits[0] for name, bits in policy_widths_of(made, TABLE.source).items()}
    for role in HEAD_ROLES:
        bits = whole[f"0.{role.value}"]
        assert isinstance(bits, tuple)
        assert list(bits) == sorted(bits)
    assert made.harm is not None
    # The same heads alike give at most what modules give.
    modules = SensitivityTable("t", {**OTHERS, **{(role, None): 111 / 3 for role in HEAD_ROLES}})
    coarse = assign(ATTENTION, 4, (2, 4, 8), sensitivity=modules)
    assert coarse.harm is not None
    assert made.harm < coarse.harm


def policy_widths_of(made: object, source: str) -> dict[str, tuple[object, object]]:
    gemms = json.loads(assignment_text(made, source))["gemms"]  # type: ignore[arg-type]
    plain = {entry["name"]: (entry["weight_bits"], entry["activation_bits"]) for entry in gemms}
    return {
        name: (tuple(w) if isinstance(w, list) else w, tuple(a) if isinstance(a, list) else a)
        for name, (w, a) in plain.items()
    }


@pytest.mark.parametrize("mean", [Fraction(4), Pair(Fraction(3), Fraction(5))])
def test_a_file_has_what_was_assigned(mean: Fraction | Pair[Fraction], tmp_path: Path) -> None:
    made = assign_by_head(ATTENTION, mean, (2, 4, 8), sensitivity=TABLE)
    path = tmp_path / "policy.json"
    path.write_text(assignment_text(made, "measured"))
    again = read_assignment(path, ATTENTION)
    assert (again.workload, again.bits, again.mean_bits) == (made.workload, made.bits, made.mean_bits)
    assert list(policy_widths(path)) == [each.name for each in ATTENTION.gemms]
    assert json.loads(path.read_text())["format"] == "siliquant-policy 2"


def test_heads_of_one_width_are_one_gemm(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    widths = {each.name: (4, 4) for each in ATTENTION.gemms}
    path.write_text(policy_text({**widths, "0.query": ((2, 2, 2), (2, 2, 2))}, {}))
    found = read_assignment(path, ATTENTION)
    assert found.workload == ATTENTION
    assert found.by_name["0.query"] == 2
    alike = SensitivityTable("t", OTHERS, dict.fromkeys(EACH, 5.0))
    made = assign_by_head(ATTENTION, 4, (4,), sensitivity=alike)
    assert made.workload == ATTENTION
    assert json.loads(assignment_text(made, ""))["format"] == "siliquant-policy 1"


NO_HEADS = "the sensitivity table must have rows of heads for widths by head"
REFUSALS: list[tuple[Callable[[], object], str]] = [
    (lambda: assign_by_head(ATTENTION, 4, (2, 4, 8), sensitivity=SensitivityTable("t", OTHERS)),
     f"{NO_HEADS}, as siliquant analyse --by-head writes them, and has none"),
    (lambda: assign_by_head(ATTENTION, 4, (2, 4, 8),
                            sensitivity=SensitivityTable("t", OTHERS, {k: v for k, v in EACH.items() if k[2] < 2})),
     "the sensitivity table must have a row for query in layer 0, head 2, and has none"),
    (lambda: assign_by_head(network([gemm(Role.FC1, 4)]), 4, (2, 4), sensitivity=TABLE),
     "w must have a GEMM of several heads for widths by head, and has none"),
    (lambda: by_head(network([replace(gemm(Role.SCORES, 4, 3), count=4)])),
     "count of '0.scores' must be a multiple of its 3 heads, not 4"),
    (lambda: by_head(network([replace(gemm(Role.KEY, 4, 3), n=4)])),
     "n of '0.key' must be a multiple of its 3 heads, not 4"),
    (lambda: by_head(replace(ATTENTION, provenance={"phase": "decode"})),
     "widths by head must be those of a network that is no decoder, as w is"),
    (lambda: assign_by_head(ATTENTION, 2, (1, 2, 4), sensitivity=TABLE),
     "widths by head must be from 2 to 8 bits, not 1"),
    (lambda: assign_by_head(ATTENTION, Pair(Fraction(2), Fraction(3)), (2, 4), activation_widths=(1, 4),
                            sensitivity=TABLE),
     "widths by head must be from 2 to 8 bits, not 1"),
    (lambda: policy(["--model", "deit-tiny", "--mean", "3", "--by-head"]),
     "--by-head must be given with --sensitivity only"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), REFUSALS, ids=[said for _, said in REFUSALS])
def test_refusals_say_what_must_be(call: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == said


def test_a_file_is_of_its_network(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    widths = {each.name: (4, 4) for each in ATTENTION.gemms}
    for name, bits, said in (
        ("0.query", ((2, 4), (2, 4)), "widths for its 3 heads, not for 2"),
        ("0.fc1", ((2, 4), (2, 4)), "one width, not one a head: it has no heads"),
        ("0.projection", ((2, 4, 4), (2, 4, 4)), "one width, not one a head: it has no heads"),
        ("0.scores", ((2, 4, 4), (2, 4, 8)), "one width, not 4/8: it multiplies two activations"),
    ):
        path.write_text(policy_text({**widths, name: bits}, {}))
        with pytest.raises(ValueError) as caught:
            read_assignment(path, ATTENTION)
        assert str(caught.value) == f"{path} must be a policy for w: '{name}' must have {said}"
    path.write_text(policy_text({**widths, "0.query": ((2, 4, 4), (2, 4, 4))}, {}))
    with pytest.raises(ValueError) as caught:
        read_assignment(path, replace(ATTENTION, provenance={"phase": "prefill"}))
    assert str(caught.value).endswith("widths by head must be those of a network that is no decoder, as w is")


def test_rows_of_heads_are_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("role,layer,head,sensitivity\nvalue,,,3\nvalue,2,1,0.5\n")
    rows = [{"role": "value", "sensitivity": 3}, {"role": "value", "layer": 2, "head": 1, "sensitivity": 0.5}]
    (tmp_path / "t.json").write_text(json.dumps({"source": "mine", "rows": rows}))
    for name in ("t.csv", "t.json"):
        found = read_sensitivity(tmp_path / name)
        assert found.rows == {(Role.VALUE, None): 3.0}
        assert found.heads == {(Role.VALUE, 2, 1): 0.5}
    whole = gemm(Role.VALUE, 3, 2, layer=2)
    assert found.of(whole) == 3, "a row of a head is none of its GEMM"
    assert found.harm(by_head(network([whole])).gemms[1], 3) == 0.5 * 3 / 64


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"role": "value", "head": 1, "sensitivity": 1}],
         "row 1: layer must be given with head 1: a head is one of a layer"),
        ([{"role": "value", "layer": 0, "head": -1, "sensitivity": 1}],
         "row 1: head must be an integer from 0 to 1024, not -1"),
        ([{"role": "value", "layer": 0, "head": 1, "sensitivity": 1}] * 2,
         "row 2: a role, layer and head must have one row, and value in layer 0, head 1 has two"),
        ([{"role": "value", "layer": 0, "head": 1, "sensitivity": 1}],
         "it must have at least one row of all heads: the output projection has one width"),
    ],
)  # fmt: skip
def test_rows_that_are_none(rows: list[dict[str, object]], said: str, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"source": "s", "rows": rows}))
    with pytest.raises(ValueError) as caught:
        read_sensitivity(path)
    assert str(caught.value) == f"{path} must be a sensitivity table: {said}"


def test_the_commands_take_widths_by_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The policy prints and writes them, and the costs of the file are those of the heads, one by one."""
    own, sensitivity, out = tmp_path / "mine.csv", tmp_path / "t.csv", tmp_path / "policy.json"
    own.write_text("name,m,k,n,count,layer,heads\n0.query,8,8,8,1,0,2\n0.scores,8,4,8,2,0,2\n0.fc1,8,8,16,1,0,1\n")
    sensitivity.write_text(
        "role,layer,head,sensitivity\nfc1,,,0.01\nquery,0,0,1\nquery,0,1,9\nscores,0,0,3\nscores,0,1,2\n"
    )
    policy(["--model", str(own), "--mean", "3", "--mix-widths", "2,4", "--sensitivity", str(sensitivity), "--by-head",
            "--out", str(out)])  # fmt: skip
    assert "mine: GEMMs by width\n" in capsys.readouterr().out
    assert policy_widths(out) == {"0.query": (4, 4), "0.scores": (4, 4), "0.fc1": (2, 2)}
    policy(["--model", str(own), "--mean", "2.5", "--mix-widths", "2,4", "--sensitivity", str(sensitivity), "--by-head",
            "--out", str(out)])  # fmt: skip
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["mine:", "GEMMs,", "and", "heads", "that", "differ,", "by", "width"] in lines
    assert ["query", "1", "1", "3.00"] in lines
    assert policy_widths(out) == {"0.query": ((2, 4), (2, 4)), "0.scores": ((4, 2), (4, 2)), "0.fc1": (2, 2)}
    arguments = ["--design", "subword", "--units", "1", "--array", "2x2", "--drains", "1", "--format", "json"]
    single = []
    for bits in ("2", "4"):
        one = tmp_path / "one.csv"
        one.write_text("name,m,k,n,count,layer\n0.query,8,8,4,1,0\n")
        latency(["--model", str(one), "--bits", bits, *arguments])
        single.append(json.loads(capsys.readouterr().out)[0]["cycles"])
    latency(["--model", str(own), "--policy", str(out), *arguments])
    found = json.loads(capsys.readouterr().out)[0]
    assert (found["role"], found["bits"], found["calls"]) == ("query", "2 4", 2)
    assert found["cycles"] == sum(single)
    assert found["macs"] == 8 * 8 * 8
