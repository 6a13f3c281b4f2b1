"""Packaged GEMM lists against published counts and formulas worked out by hand, and files that are no workloads."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwmodel.workload import (
    Gemm,
    Module,
    PrecisionClass,
    Role,
    Scales,
    Workload,
    is_packaged,
    load_workload,
    read_workload,
    workload_names,
)

# Multiply-accumulates of one inference as published, in units of 1e9. DeiT-T: 1.3 G (Touvron et al., ICML 2021, and
# what 1.254 G rounds to); DeiT-S, DeiT-B: 4.6 and 17.6 G (the same); Swin-T, Swin-S: 4.5 and 8.7 G (Liu et al., ICCV
# 2021, table 1); SReT-T: 1.1 G (Shen et al., ECCV 2022). All of them count products of linear layers, convolutions and
# attention, not norms, softmax or biases.
PUBLISHED = {
    "deit-tiny": 1.3,
    "deit-small": 4.6,
    "deit-base": 17.6,
    "swin-tiny": 4.5,
    "swin-small": 8.7,
    "sret-tiny": 1.1,
}


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_macs_are_those_published(name: str, published: float) -> None:
    assert round(load_workload(name).macs / 1e9, 1) == published


@pytest.mark.parametrize(("name", "heads"), [("deit-tiny", 3), ("deit-small", 6), ("deit-base", 12)])
def test_deit_by_hand(name: str, heads: int) -> None:
    """12 layers on 196 patches and a class token, 16 x 16 x 3 pixels a patch, 64 features a head, 1000 classes."""
    width = 64 * heads
    tokens = 197
    linear = tokens * width * width * (4 + 2 * 4)
    attention = 2 * tokens * tokens * width
    found = load_workload(name)
    assert found.macs == 12 * (linear + attention) + 196 * 768 * width + width * 1000
    assert found.weights == 12 * width * width * 12 + 768 * width + width * 1000
    by_role = found.macs_by_role()
    assert by_role[Role.SCORES] == by_role[Role.CONTEXT] == 12 * tokens * tokens * width
    assert {gemm.heads for gemm in found.gemms if gemm.role.module is Module.MHSA} == {heads}


@pytest.mark.parametrize(("name", "depths"), [("swin-tiny", (2, 2, 6, 2)), ("swin-small", (2, 2, 18, 2))])
def test_swin_by_hand(name: str, depths: tuple[int, ...]) -> None:
    """Windows of 7 x 7 tokens, no padding at 224 x 224 pixels; merging takes four tokens to one of twice the width."""
    total = 56 * 56 * 48 * 96
    side, width = 56, 96
    for stage, depth in enumerate(depths):
        tokens = side * side
        total += depth * (tokens * width * width * 12 + 2 * tokens * 49 * width)
        if stage < 3:
            total += (tokens // 4) * (4 * width) * (2 * width)
            side, width = side // 2, 2 * width
    assert load_workload(name).macs == total + width * 1000


@pytest.mark.parametrize("tokens", [128, 384])
def test_bert_by_hand(tokens: int) -> None:
    """85 M weights of 12 layers, once a token; the pooler and the classifier see one token."""
    weights = 12 * 12 * 768 * 768
    assert round(weights / 1e6) == 85
    found = load_workload(f"bert-base-{tokens}")
    assert found.macs == tokens * weights + 12 * 2 * tokens * tokens * 768 + 768 * 768 + 768 * 2
    assert found.weights == weights + 768 * 768 + 768 * 2


@pytest.mark.parametrize(("phase", "new"), [("prefill", 1024), ("decode", 1)])
def test_a_decoder_by_hand(phase: str, new: int) -> None:
    """30 layers of width 576, an FFN of three matrices of 1536; 9 heads of queries and 3 of keys and values, of 64."""
    weights = 30 * (2 * 576 * 576 + 2 * 576 * 3 * 64 + 3 * 576 * 1536)
    found = load_workload(f"smollm2-135m-{phase}-1024")
    assert found.macs == new * weights + 30 * 2 * new * 1024 * 9 * 64 + 576 * 49152
    assert found.weights == weights + 576 * 49152
    assert found.longest_sum() == 1536


def test_sret_by_hand() -> None:
    """Stem of three convolutions as matrix products, blocks applied twice in other groups, depthwise steps between."""
    total = 112 * 112 * 27 * 32 + 56 * 56 * (9 * 32) * 64 + 28 * 28 * (9 * 64) * 64
    for side, width, depth, groups in ((28, 64, 2, (8, 2)), (14, 128, 5, (4, 1)), (7, 256, 3, (1, 1))):
        tokens = side * side
        hidden = int(width * 3.6)
        for count in groups:
            linear = tokens * (4 * width * width + 2 * width * hidden + 2 * width * width)
            total += depth * (linear + 2 * tokens * (tokens // count) * width)
    total += 14 * 14 * 9 * 128 + 7 * 7 * 9 * 256 + 256 * 1000
    found = load_workload("sret-tiny")
    assert found.macs == total
    convolutions = [gemm for gemm in found.gemms if gemm.role in (Role.STEM, Role.DOWNSAMPLING)]
    assert [(g.m, g.k, g.n, g.count) for g in convolutions] == [
        (12544, 27, 32, 1), (3136, 288, 64, 1), (784, 576, 64, 1), (196, 9, 2, 64), (49, 9, 2, 128)
    ]  # fmt: skip
    assert {gemm.precision_class for gemm in convolutions} == {PrecisionClass.ENDS}
    twice = [gemm for gemm in found.gemms if gemm.name == "sret.stages.0.blocks.0.attention.scores"]
    assert [(g.call, g.layer, g.m, g.count) for g in twice] == [(0, 0, 98, 8 * 2), (1, 0, 392, 2 * 2)]
    # What is applied twice is stored once.
    assert found.weights < found.macs / 200


@pytest.mark.parametrize("name", workload_names())
def test_every_gemm_is_described(name: str) -> None:
    found = load_workload(name)
    for gemm in found.gemms:
        attention = gemm.role in (Role.SCORES, Role.CONTEXT)
        assert gemm.static is not attention
        # Probabilities and what follows a GELU have no sign.
        unsigned = (Role.CONTEXT, Role.FC2, Role.PROJECTION_FC2)
        assert gemm.activation_signed is (gemm.role not in unsigned)
        rotated = (Role.QUERY, Role.KEY) if "phase" in found.provenance else ()  # of a decoder, before they are codes
        assert gemm.feeds_gemm is (gemm.role in {Role.QUERY, Role.KEY, Role.VALUE, Role.CONTEXT} - {*rotated})
        if attention:
            assert gemm.count % gemm.heads == 0
            assert gemm.layer is not None
    assert sum(found.macs_by_role().values()) == sum(found.macs_by_class().values()) == found.macs
    assert found.provenance["command"].startswith("python -m qat.trace --model ")
    assert {"python", "torch", "transformers", "siliquant"} == set(found.provenance["versions"])
    layers = [gemm.layer for gemm in found.gemms if gemm.layer is not None]
    assert sorted(set(layers)) == list(range(max(layers) + 1))


@pytest.mark.parametrize("name", ["deit-tiny", "swin-tiny", "bert-base-128"])
def test_the_ends_are_a_small_part(name: str) -> None:
    found = load_workload(name)
    ends = {gemm.role for gemm in found.gemms if gemm.precision_class is PrecisionClass.ENDS}
    assert ends <= {Role.PATCH_EMBEDDING, Role.POOLER, Role.CLASSIFIER}
    assert 0 < found.macs_by_class()[PrecisionClass.ENDS] / found.macs < 0.03


def gemm(**changes: Any) -> Gemm:
    values: dict[str, Any] = {
        "name": "a", "role": Role.QUERY, "layer": 0, "call": 0, "m": 5, "k": 6, "n": 4, "count": 1, "heads": 2,
        "precision_class": PrecisionClass.BODY, "activation_signed": True, "static": True, "bias": True,
        "feeds_gemm": True,
    }  # fmt: skip
    return Gemm(**{**values, **changes})


def test_what_follows_a_gemm() -> None:
    query = gemm()
    assert query.requantisation(Scales.TENSOR) is not None
    assert query.requantisation(Scales.TENSOR).scales == 1  # type: ignore[union-attr]
    followed = query.requantisation(Scales.HEAD)
    assert followed is not None
    assert (followed.outputs, followed.scales, followed.parameter_sets) == (20, 2, 4)
    context = gemm(role=Role.CONTEXT, static=False, count=2, bias=False, activation_signed=False)
    followed = context.requantisation(Scales.HEAD)
    assert followed is not None
    assert (followed.outputs, followed.scales, followed.parameter_sets) == (40, 2, 1)
    assert gemm(feeds_gemm=False).requantisation(Scales.HEAD) is None


def test_a_projection_with_scales_along_its_sums_is_cut_by_head() -> None:
    projection = gemm(role=Role.PROJECTION)
    assert projection.products(Scales.HEAD) == (5, 6, 4, 1)
    assert projection.products(Scales.HEAD_REDUCED) == (5, 3, 4, 2)
    assert gemm().products(Scales.HEAD_REDUCED) == (5, 6, 4, 1)


UNKNOWN = f"model must be one of {', '.join(workload_names())}, or a file of GEMMs (.json or .csv)"
ROLES = ", ".join(role.value for role in Role)
REFUSALS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: gemm(m=0), ValueError, "m must be an integer from 1 to 2147483648, not 0"),
    (lambda: gemm(k=2.0), TypeError, "k must be an integer from 1 to 2147483648, not 2.0"),
    (lambda: gemm(layer=-1), ValueError, "layer must be an integer from 0 to 2147483648, not -1"),
    (lambda: gemm(name=""), TypeError, "name must be a text of at most 1000 characters, not ''"),
    (lambda: gemm(role="query"), TypeError, "role must be a Role, not 'query'"),
    (lambda: gemm(static=1), TypeError, "static must be a bool, not 1"),
    (lambda: gemm(role=Role.PROJECTION, k=7), ValueError, "k must be a multiple of the 2 heads of a projection, not 7"),
    (lambda: Workload(name="w", gemms=(), provenance={}), ValueError,
     "a workload must have at least one GEMM, and w has none"),
    (lambda: Workload(name="w", gemms=(gemm(call=1),), provenance={}), ValueError, "call of a must be 0, not 1"),
    (lambda: load_workload("deit"), ValueError,
     f"{UNKNOWN}, not 'deit'"),
    (lambda: load_workload("/"), ValueError,
     f"{UNKNOWN}, not '/': trace it with qat.trace"),
    (lambda: load_workload("none.csv"), OSError, "none.csv: there is no such file"),
    (lambda: load_workload("none.json"), OSError, "none.json: there is no such file"),
    (lambda: Workload(name="w\n", gemms=(gemm(),), provenance={}), ValueError,
     "name must have no control characters, as 'w\\n' has"),
    (lambda: Workload(name="w", gemms=(gemm(m=1 << 30, k=1 << 30),), provenance={}), ValueError,
     "a workload must have at most 1125899906842624 MACs, and w has 4611686018427387904"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSALS, ids=[text for *_, text in REFUSALS])
def test_refusals_say_what_must_be(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_names_sizes_and_products_may_be_as_large_as_is_said() -> None:
    assert gemm(name="n" * 1000, m=2**31, k=2**19, n=1, layer=2**31, role=Role.FC1, heads=1).macs == 2**50
    with pytest.raises(TypeError, match=r"^name must be a text of at most 1000 characters, not "):
        gemm(name="n" * 1001)
    for size in ("m", "k", "n", "count", "heads"):
        with pytest.raises(ValueError, match=rf"^{size} must be an integer from 1 to 2147483648, not 2147483649$"):
            gemm(**{size: 2**31 + 1})
    most = gemm(m=2**30, k=2**20, n=1)
    assert Workload(name="w", gemms=(most,), provenance={}).macs == 2**50
    with pytest.raises(ValueError, match=r"^a workload must have at most 1125899906842624 MACs, and w has "):
        Workload(name="w", gemms=(most, gemm(name="b", m=1, k=1, n=1)), provenance={})


GOOD: dict[str, Any] = {
    "format": "siliquant-workload 1", "name": "w", "model": "m", "macs": 120,
    "gemms": [{"name": "a", "role": "query", "layer": 0, "call": 0, "m": 5, "k": 6, "n": 4, "count": 1, "heads": 2,
               "ends": False, "activation_signed": True, "static": True, "bias": True, "feeds_gemm": True}],
}  # fmt: skip


def changed(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


def with_gemm(**changes: Any) -> str:
    entry = {**GOOD["gemms"][0], **changes}
    return changed(gemms=[{key: value for key, value in entry.items() if value != "missing"}])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (changed(format="other"), "its format must be 'siliquant-workload 1'"),
        ("[]", "its format must be 'siliquant-workload 1'"),
        (changed(macs=121), "macs must be the sum over its GEMMs, 120, not 121"),
        (changed(gemms=[7]), "GEMM 1: a GEMM must be an object, not 7"),
        (changed(gemms=[]), "a workload must have at least one GEMM, and w has none"),
        (with_gemm(role="other"), f"GEMM 1: role must be one of {ROLES}, not 'other'"),
        (with_gemm(ends="no"), "GEMM 1: ends must be true or false, not 'no'"),
        (with_gemm(ends="missing"), "GEMM 1: it lacks ends"),
        (with_gemm(bias="missing"), "GEMM 1: a GEMM must have the fields of qat.trace, and differs in bias"),
        (with_gemm(extra=1), "GEMM 1: a GEMM must have the fields of qat.trace, and differs in extra"),
        (with_gemm(m=True), "GEMM 1: m must be an integer from 1 to 2147483648, not True"),
        (with_gemm(ends=True), "at least one of its GEMMs must lie between the first and last layers, with ends false"),
        (json.dumps({key: value for key, value in GOOD.items() if key != "macs"}), "it lacks macs"),
    ],
)
def test_files_that_are_no_workloads(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "workload.json"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_workload(path)
    assert str(caught.value) == f"{path} must be a workload of qat.trace: {reason}"


@pytest.mark.parametrize("name", ["workload.json", "workload.csv"])
def test_a_file_has_at_most_16_mib(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    text = changed() if name.endswith("json") else "name,m,k,n,count\n0.query,5,6,4,1\n"
    path.write_text(text + "\n" * (16 * 2**20 - len(text)))
    assert read_workload(path).macs == 120
    path.write_text(text + "\n" * (16 * 2**20 - len(text) + 1))
    with pytest.raises(OSError) as caught:
        read_workload(path)
    assert str(caught.value) == f"{path} must have at most 16777216 bytes, not 16777217"


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "workload.json"
    path.write_text(changed())
    found = read_workload(path)
    assert found.gemms == (gemm(),)
    assert (found.name, found.macs, found.weights) == ("w", 120, 24)


CSV = """name,role,layer,m,k,n,count,heads
patches,patch_embedding,,16,49,96,1,
0.query,,0,17,96,96,1,3
0.scores,,0,17,32,17,3,3
0.context,,0,17,17,32,3,3
0.output,projection,0,17,96,96,1,3
0.fc2,,0,17,384,96,1,
0.fc2,,0,17,384,96,1,
"""


COLUMNS = "name, m, k, n, count, role, layer, heads, ends, activation_signed, static, bias, feeds_gemm"


def test_a_table_of_gemms_is_read(tmp_path: Path) -> None:
    """What is left out is what qat.trace finds in a network of that kind."""
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    found = load_workload(str(path))
    assert (found.name, dict(found.provenance)) == ("mine", {"file": "mine.csv"})
    assert found.macs == 16 * 49 * 96 + 2 * 17 * 96 * 96 + 2 * 17 * 17 * 32 * 3 + 2 * 17 * 384 * 96
    traced = {gemm.role: gemm for gemm in load_workload("vit-mnist").gemms}
    for each in found.gemms:
        other = traced[each.role]
        assert (each.precision_class, each.activation_signed, each.static, each.bias, each.feeds_gemm, each.heads) == (
            other.precision_class, other.activation_signed, other.static, other.bias, other.feeds_gemm, other.heads
        )  # fmt: skip
    assert [(each.name, each.call, each.layer) for each in found.gemms][-2:] == [("0.fc2", 0, 0), ("0.fc2", 1, 0)]
    assert found.gemms[0].layer is None


def test_a_table_may_say_what_every_gemm_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    columns = "name,m,k,n,count,role,ends,activation_signed,static,bias,feeds_gemm"
    path.write_text(f"{columns}\na,5,6,4,1,fc2,false,true,false,false,true\n")
    (found,) = read_workload(path).gemms
    assert found == gemm(
        role=Role.FC2, layer=None, heads=1, activation_signed=True, static=False, bias=False, feeds_gemm=True
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("name,m,k,n\n", "its columns must include m, k, n, count"),
        ("name,m,k,n,count\n", "a workload must have at least one GEMM, and mine has none"),
        ("name,m,k,n,count,rôle\nfc1,1,1,1,1,a\n", f"its columns must be of {COLUMNS}, not 'rôle'"),
        ("name,m,k,n,count\nfc1,1,1,1\n", "line 2: it must have 5 cells, not 4"),
        ("name,m,k,n,count\nfc1,1,1,1,1\nfc1,1.0,1,1,1\n",
         "line 3: m must be an integer from 1 to 2147483648, not '1.0'"),
        ("name,m,k,n,count\nfc1,1,1,0,1\n", "line 2: n must be an integer from 1 to 2147483648, not '0'"),
        ("name,m,k,n,count,role\nfc1,1,1,1,1,mlp\n",
         f"line 2: role must be one of {ROLES}, not 'mlp'"),
        ("name,m,k,n,count,ends\nfc1,1,1,1,1,yes\n", "line 2: ends must be true or false, not 'yes'"),
        ("name,m,k,n,count,layer\nfc1,1,1,1,1,-1\n",
         "line 2: layer must be an integer from 0 to 2147483648, not '-1'"),
        ("name,m,k,n,count\nl.0.fc1,1,64,16,1\nl.0.fc1,1,640,16,1\n",
         "calls of l.0.fc1 must be of one layer, but k of call 1 is 640, and 64 of the first"),
        ("name,m,k,n,count,ends\nfc1,1,64,16,1,true\nfc1,1,64,16,1,false\n",
         "calls of fc1 must be of one layer, but precision_class of call 1 is body, and ends of the first"),
        ("name,m,k,n,count\nclassifier,1,1,1,1\n",
         "at least one of its GEMMs must lie between the first and last layers, with ends false"),
    ],
)  # fmt: skip
def test_tables_that_are_no_workloads(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        read_workload(path)
    assert str(caught.value) == f"{path} must be a table of GEMMs: {reason}"


def test_a_network_of_ones_own_is_not_the_packages_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "vit-mnist.csv"
    path.write_text(CSV)
    assert is_packaged(load_workload("vit-mnist"))
    assert not is_packaged(read_workload(path))


def test_a_table_of_sizes_alone_is_a_network(tmp_path: Path) -> None:
    """Its GEMMs have names by their place, no role, and weights."""
    path = tmp_path / "mine.csv"
    path.write_text("m,k,n,count\n5,6,4,1\n5,4,6,2\n")
    first, second = read_workload(path).gemms
    assert (first.name, first.m, first.k, first.n, first.count) == ("gemm1", 5, 6, 4, 1)
    assert second == replace(first, name="gemm2", k=4, n=6, count=2)
    assert (first.role, first.precision_class, first.layer) == (Role.UNKNOWN, PrecisionClass.BODY, None)
    assert (first.static, first.bias, first.activation_signed, first.feeds_gemm, first.heads) == (
        True, True, True, False, 1
    )  # fmt: skip
    path.write_text("name,m,k,n,count,role\nmlp,5,6,4,1,fc2\nx,5,6,4,1,\nl.0.key,5,6,4,1,\n")
    assert [each.role for each in read_workload(path).gemms] == [Role.FC2, Role.UNKNOWN, Role.KEY]
