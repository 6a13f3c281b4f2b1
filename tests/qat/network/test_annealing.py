"""Confidence-guided annealing: which weights move, and that no others do, whatever the optimiser would."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qat.network.annealing import ConfidenceGuidedAnnealing, near_a_border
from qat.quantisers.binary import ElasticBinarizer
from qat.quantisers.granularity import PerChannel
from qat.quantisers.quantiser import Quantizer, StatisticalQuantizer


def quantizer_of(bits: int, scale: float) -> Quantizer:
    quantizer = Quantizer(bits, signed=True)
    quantizer.set_scale(torch.tensor([scale]))
    return quantizer


@settings(max_examples=60)
@given(st.integers(2, 4), st.sampled_from([0.25, 1.0, 4.0]), st.sampled_from([0.0625, 0.25, 0.5]))
def test_borders_are_those_between_codes(bits: int, scale: float, near: float) -> None:
    """On a grid of 64ths of a bin, which float32 holds, far beyond the range too: the code changes within `near`."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    v = torch.arange(64 * (low - 3), 64 * (high + 3) + 1) / 64
    borders = torch.arange(low, high) + 0.5
    wanted = ((v.view(-1, 1) - borders).abs() <= near).any(1)
    assert torch.equal(near_a_border(v * scale, quantizer_of(bits, scale), near), wanted)


def test_the_border_of_one_bit_is_its_threshold() -> None:
    quantizer = ElasticBinarizer(signed=True)
    quantizer.set_scale(torch.tensor([2.0]))
    with torch.no_grad():
        quantizer.threshold.fill_(0.5)
    weight = torch.tensor([0.5, 0.6, 0.7, 0.71, 0.3, 0.2, -0.5, 100.0])
    assert near_a_border(weight, quantizer, 0.1).tolist() == [True, True, True, False, True, False, False, False]


def test_held_weights_do_not_move_and_the_others_do() -> None:
    """Against weight decay and the moments of AdamW from steps before; the scale of StatsQ follows the weights."""
    torch.manual_seed(0)
    kinds = {
        "learned": Quantizer(2, signed=True, granularity=PerChannel(0), groups=4),
        "statsq": StatisticalQuantizer(3, signed=True, of_range=True),
    }
    weights = {name: (nn.Parameter(torch.randn(4, 50)), quantizer) for name, quantizer in kinds.items()}
    for weight, quantizer in weights.values():
        quantizer.fit(weight)
    optimizer = torch.optim.AdamW([w for w, _ in weights.values()], lr=1e-2, weight_decay=0.1)
    annealing = ConfidenceGuidedAnnealing(weights, boundary_range=0.1)

    def step(annealed: bool) -> None:
        optimizer.zero_grad()
        torch.stack([(q(w) ** 2).sum() for w, q in weights.values()]).sum().backward()
        if annealed:
            annealing.hold()
        optimizer.step()
        if annealed:
            annealing.put_back()

    step(False)
    for _ in range(5):
        before = {name: weight.detach().clone() for name, (weight, _) in weights.items()}
        kinds["statsq"].fit(weights["statsq"][0])
        moves = {name: near_a_border(weight, quantizer, 0.1) for name, (weight, quantizer) in weights.items()}
        share = annealing.share()
        assert share == pytest.approx(1 - sum(int(m.sum()) for m in moves.values()) / 400)
        step(True)
        for name, (weight, _) in weights.items():
            assert int(moves[name].sum()) > 0
            moved = weight.detach() != before[name]
            assert torch.equal(moved, moves[name])
            assert weight.grad is not None
            assert not bool(weight.grad[~moves[name]].any())
    step(False)
    assert all(bool((w.detach() != before[name]).all()) for name, (w, _) in weights.items())


@pytest.mark.parametrize("wrong", [0.0, -1.0, 0.51])
def test_ranges_that_it_does_not_take(wrong: float) -> None:
    with pytest.raises(ValueError, match=rf"^boundary_range must be above 0 and at most 0.5 of a bin, not {wrong}$"):
        ConfidenceGuidedAnnealing({}, boundary_range=wrong)
