"""Operand streams on the ports of MAC designs: plans, their texts, and recorded sums of the layers' own lengths."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from hwmodel.operands.idle import idle_after
from hwmodel.operands.recorded import pairs_of
from hwmodel.operands.stimulus import (
    IDLE_RUN,
    RESET_CYCLES,
    StreamPlan,
    drive,
    make_stimulus,
    operand_sums,
    stimulus_bits,
)
from hwmodel.operands.streams import Stream
from rtl.mac import BitFusionSpec, LoomSpec, UniformSpec, XnorSpec
from rtl.spec.mac import MacSpec, Precision

W4A4 = UniformSpec(weight_bits=4, activation_bits=4, lanes=16)


@pytest.mark.parametrize(
    ("spec", "plan", "text", "digest"),
    [
        (
            W4A4, StreamPlan(Precision(4, 4)),
            "uniform, seed 0, w4a4s, sums of 768 products, 1024 cycles", "49a1e267f915df8c",
        ),
        (
            XnorSpec(lanes=64), StreamPlan(Precision(1, 1), Stream("uniform", 3), products=100, cycles=50),
            "uniform, seed 3, w1a1s, sums of 100 products, 50 cycles", "79a228ead0766417",
        ),
        (
            LoomSpec(units=4), StreamPlan(Precision(3, 2, False), Stream("lsq-gaussian"), products=33, cycles=70),
            "lsq-gaussian, seed 0, w3a2u, sums of 33 products, 70 cycles", "9f4e1193b250f9b3",
        ),
    ],
)  # fmt: skip
def test_drawn_streams_stay_what_rows_were_made_of(spec: MacSpec, plan: StreamPlan, text: str, digest: str) -> None:
    stimulus = make_stimulus(spec, plan)
    content = json.dumps([sorted(stimulus.words.items()), stimulus.expected])
    assert hashlib.sha256(content.encode()).hexdigest()[:16] == digest
    assert str(plan) == text


def test_the_text_names_the_recordings() -> None:
    plan = StreamPlan(Precision(2, 4, False), Stream("vit-mnist", 5), products=9, cycles=77)
    two, four = (pairs_of("vit-mnist", Precision(bits, bits))[1][0].sha256[:12] for bits in (2, 4))
    assert str(plan) == (
        "vit-mnist, seed 5, w2a4u, sums of the layers' own products, 77 cycles, "
        f"recorded in vit-mnist-w2a2 {two} and vit-mnist-w4a4 {four}"
    )


def test_a_plan_that_was_not_recorded_is_refused_at_once() -> None:
    message = "^weight_bits must be 1, 2, 4 or 8 in the stream minilm, which has no others recorded, not 3$"
    with pytest.raises(ValueError, match=message):
        StreamPlan(Precision(3, 3), Stream("minilm"))


@pytest.mark.parametrize(
    ("spec", "name", "precision"),
    [
        (W4A4, "vit-mnist", Precision(4, 4)),
        (W4A4, "minilm", Precision(4, 4, False)),
        (UniformSpec(weight_bits=8, activation_bits=8, lanes=4), "vit-mnist", Precision(8, 8)),
        (UniformSpec(weight_bits=4, activation_bits=4, lanes=16, reduction_length=100), "minilm", Precision(4, 4)),
        (BitFusionSpec(units=1), "vit-mnist", Precision(8, 4)),
        (LoomSpec(units=8), "minilm", Precision(1, 4, False)),
        (XnorSpec(lanes=64), "minilm", Precision(1, 1)),
        (XnorSpec(lanes=64), "minilm", Precision(1, 1, False)),
    ],
    ids=["vit", "bert unsigned", "8 bits", "split", "mixed", "serial", "binary", "binary unsigned"],
)
def test_recorded_sums_fill_a_stimulus(spec: MacSpec, name: str, precision: Precision) -> None:
    """Whole sums of the layers' lengths, each with the result of its row and column; cycles as asked for."""
    plan = StreamPlan(precision, Stream(name), cycles=300)
    sums = operand_sums(spec, plan)
    pairs, _ = pairs_of(name, precision)
    if spec.reduction_length >= max(pair.products for pair in pairs):
        assert {len(w) for w, _ in sums} <= {pair.products for pair in pairs}
    assert max(len(w) for w, _ in sums) <= spec.reduction_length
    stimulus = make_stimulus(spec, plan)
    assert stimulus == make_stimulus(spec, plan)
    assert stimulus == make_stimulus(spec, StreamPlan(precision, Stream(name), products=5, cycles=300))
    assert set(stimulus.words) == {port.name for port in spec.ports if port.is_input} | {"rst"}
    longest = max(-(-len(w) // spec.products_per_step(precision)) for w, _ in sums) * spec.cycles_per_step(precision)
    pieces = -(-max(pair.products for pair in pairs) // spec.reduction_length)
    cycles = len(stimulus.words["clear"]) - 2
    assert 300 <= cycles < 300 + pieces * longest
    assert sum(stimulus.words["clear"]) == len(sums)
    values = [int((w * a).sum()) for w, a in sums]
    assert [value for _, value in stimulus.expected] == values[: len(stimulus.expected)]
    assert len(values) - len(stimulus.expected) <= spec.latency


def test_long_sums_are_split_in_order() -> None:
    """The pieces of a sum are those of the sum that fits."""
    plan = StreamPlan(Precision(4, 4, False), Stream("minilm"), cycles=200)
    assert not plan.text_on(UniformSpec(reduction_length=1536)).endswith("at most 1536")
    assert plan.text_on(UniformSpec(reduction_length=1000)) == f"{plan}, cut into sums of at most 1000"
    whole = operand_sums(UniformSpec(weight_bits=4, activation_bits=4, lanes=16, reduction_length=1536), plan)
    split = operand_sums(UniformSpec(weight_bits=4, activation_bits=4, lanes=16, reduction_length=1000), plan)
    first = next(i for i, (w, _) in enumerate(whole) if len(w) == 1536)
    place = next(i for i, (w, _) in enumerate(split) if len(w) == 1000)
    for operand in (0, 1):
        both = np.concatenate([split[place][operand], split[place + 1][operand]])
        assert both.tolist() == whole[first][operand].tolist()


def test_layers_come_in_order_and_by_their_macs() -> None:
    """In a long stream, cycles are as the shares of the layers' MACs in the network."""
    precision = Precision(4, 4)
    pairs, _ = pairs_of("vit-mnist", precision)
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=4)
    sums = operand_sums(spec, StreamPlan(precision, Stream("vit-mnist"), cycles=40_000))
    names: dict[bytes, str] = {}
    for pair in pairs:
        names |= {w.tobytes() + a.tobytes(): pair.name for w in pair.weights for a in pair.activations}
    seen = [names[w.tobytes() + a.tobytes()] for w, a in sums]
    assert list(dict.fromkeys(seen)) == list(dict.fromkeys(pair.name for pair in pairs))
    total = sum(pair.outputs * pair.products for pair in pairs)
    for name in set(seen):
        share = sum(pair.outputs * pair.products for pair in pairs if pair.name == name) / total
        products = sum(len(w) for (w, _), own in zip(sums, seen, strict=True) if own == name)
        assert products / sum(len(w) for w, _ in sums) == pytest.approx(share, rel=0.01)


def test_one_bit_codes_are_the_same_bits_on_all_hardware() -> None:
    """-1 and +1 on binary hardware, bits 0 and 1 of two's complement elsewhere."""
    precision = Precision(1, 1)
    plan = StreamPlan(precision, Stream("minilm"), cycles=10)
    binary = operand_sums(XnorSpec(lanes=64), plan)[0]
    serial = operand_sums(LoomSpec(units=4), StreamPlan(precision, Stream("minilm"), cycles=10))[0]
    for ours, theirs in zip(binary, serial, strict=True):
        assert set(ours.tolist()) == {-1, 1}
        assert set(theirs.tolist()) == {-1, 0}
        assert ((ours > 0) == (theirs != 0)).all()


def test_any_sums_can_be_driven() -> None:
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=2)
    sums = [([1, 2, 3], [4, 5, 6]), ([-8], [7]), ([1, 1, 1, 1], [1, 1, 1, 1])]
    stimulus = drive(spec, Precision(4, 4), [(np.array(w), np.array(a)) for w, a in sums])
    assert stimulus.words["rst"] == [1, 1, 0, 0, 0, 0, 0]
    assert stimulus.words["clear"] == [0, 0, 1, 0, 1, 1, 0]
    assert stimulus.words["weights"] == [0, 0, 0x21, 0x03, 0x08, 0x11, 0x11]
    assert spec.latency == 2
    assert stimulus.expected == ((5, 32), (6, -56))
    with pytest.raises(ValueError, match="weights must be from -8 to 7 at w4a4s, not 9"):
        drive(spec, Precision(4, 4), [(np.array([9]), np.array([1]))])


@pytest.mark.parametrize("utilisation", [0.01, 0.25, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("spec", [W4A4, LoomSpec(units=4), UniformSpec(lanes=3, pipeline_stages=2)], ids=str)
def test_idle_cycles_lie_between_the_same_operands(spec: MacSpec, utilisation: float) -> None:
    """Words of the cycles with operands are those at full rate; the others repeat them, in runs, and sums follow."""
    full = StreamPlan(spec.precisions[0], products=20, cycles=300)
    plan = StreamPlan(spec.precisions[0], products=20, cycles=300, utilisation=utilisation)
    whole, partly = make_stimulus(spec, full), make_stimulus(spec, plan)
    valid = np.array(partly.words["in_valid"], bool)
    number = len(whole.words["in_valid"]) - RESET_CYCLES
    assert valid.sum() == number
    assert len(valid) - RESET_CYCLES == round(number / utilisation)
    assert valid[RESET_CYCLES]
    for name, column in partly.words.items():
        if name in ("in_valid", "rst"):
            continue
        busy = np.array(column, dtype=object)[valid].tolist()
        assert busy == whole.words[name][RESET_CYCLES:]
        last = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), 0))[RESET_CYCLES:]
        assert column[RESET_CYCLES:] == [column[place] for place in last], "held while idle"
    edges = np.diff(valid[RESET_CYCLES:].astype(int))
    assert (edges == -1).sum() <= -(-(len(valid) - valid.sum()) // IDLE_RUN)
    order = np.cumsum(valid) - 1  # of the operands
    found = [(whole.words["in_valid"], RESET_CYCLES + int(order[cycle - spec.latency]) + spec.latency, value)
             for cycle, value in partly.expected]  # fmt: skip
    assert [(cycle, value) for _, cycle, value in found] == list(whole.expected)[: len(found)]
    assert len(found) >= len(whole.expected)
    again = make_stimulus(spec, plan)
    assert (again.words, again.expected) == (partly.words, partly.expected)


def test_a_utilisation_has_a_text_and_a_range() -> None:
    plan = StreamPlan(Precision(4, 4), utilisation=0.5)
    assert str(plan) == "uniform, seed 0, w4a4s, sums of 768 products, 1024 cycles with operands, 0.5 of all without"
    for share in (0.0, 0.009, 1.01, -1.0):
        with pytest.raises(ValueError, match=rf"^utilisation must be a number from 0\.01 to 1, not {share:g}$"):
            StreamPlan(Precision(4, 4), utilisation=share)


def test_a_stimulus_that_stops_holds_its_words() -> None:
    words = {"rst": [1, 1, 0, 0, 0, 0], "in_valid": [0, 0, 1, 1, 1, 1], "weights": [0, 0, 5, 6, 7, 8]}
    found, quiet = idle_after(words, 4)
    assert quiet == 9
    assert len({len(column) for column in found.values()}) == 1
    assert len(found["weights"]) >= quiet + 32 - 4
    assert found["in_valid"][:5] == [0, 0, 1, 1, 1]
    assert not any(found["in_valid"][5:])
    assert found["weights"][:5] == [0, 0, 5, 6, 7]
    assert set(found["weights"][5:]) == {7}
    assert not any(found["rst"][2:])


@pytest.mark.parametrize("stream", ["uniform", "minilm"])
@pytest.mark.parametrize("spec", [LoomSpec(units=320), BitFusionSpec(units=5), UniformSpec(lanes=16)])
def test_products_a_cycle_are_those_on_the_ports(spec: MacSpec, stream: str) -> None:
    plan = StreamPlan(Precision(4, 4), Stream(stream))
    products = sum(len(weights) for weights, _ in operand_sums(spec, plan))
    cycles = {len(bits) for bits in stimulus_bits(spec, plan).values()}
    assert plan.products_per_cycle(spec) == pytest.approx(products / cycles.pop())
    assert plan.products_per_cycle(spec) <= spec.macs_per_cycle(plan.precision)
