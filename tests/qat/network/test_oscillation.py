"""The bin regulariser, the oscillation tracker and freezing, on the compiled kernels and on PyTorch."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from qat.network.oscillation import Freezer, OscillationTracker, bin_regulariser, regulariser_weight
from qat.network.oscillation import regulariser as regularising
from qat.network.oscillation import tracker as tracking
from qat.quantisers import fakequant
from qat.quantisers.binary import ElasticBinarizer
from qat.quantisers.granularity import Granularity, PerChannel, PerHead, PerTensor
from qat.quantisers.native import kernels
from qat.quantisers.quantiser import Quantizer, StatisticalQuantizer
from qat.settings.ranges import code_range

Weights = dict[str, tuple[nn.Parameter, Quantizer]]


@pytest.fixture(params=["kernels", "torch"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test runs with the compiled kernels and with the PyTorch operations that stand in for them."""
    if request.param == "torch":
        monkeypatch.setattr(fakequant, "native", lambda x: False)
        for module in (regularising, tracking):
            monkeypatch.setattr(module, "native", lambda x: False)
    elif not kernels.available():
        pytest.skip("no C compiler")
    return str(request.param)


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---- The regulariser ----

CASES: list[tuple[Granularity, tuple[int, ...], int]] = [
    (PerTensor(), (20, 15), 1),
    (PerHead(2, 0), (6, 50), 2),
    (PerHead(3, 1), (25, 12), 3),
    (PerChannel(0), (4, 60), 4),
]


def terms(clipped: Tensor, level: Tensor, code: Tensor) -> Tensor:
    """Mean squared distance from the level and the sum of the variances of the bins, one bin after the other."""
    value = ((clipped - level.detach()) ** 2).mean()
    for k in code.unique():
        of_bin = clipped[code == k]
        value = value + ((of_bin - of_bin.sum() / len(of_bin)) ** 2).sum() / len(of_bin)
    return value


def naive(weight: Tensor, scale: Tensor, threshold: Tensor | None, quantizer: Quantizer) -> Tensor:
    """The definition in float64: a loop over the groups and their integer codes."""
    layout = quantizer.layout(weight)
    values = []
    for g in range(layout.groups):
        low, high = quantizer.low[g].item(), quantizer.high[g].item()
        w = weight.view(layout)[:, g].flatten()
        w = w if threshold is None else w - threshold[g]
        v = w / scale[g]
        clipped = torch.where(v < low, low * scale[g], torch.where(v > high, high * scale[g], w))
        code = v.clamp(low, high).round() if threshold is None else torch.where(v > 0, 1.0, -1.0)
        values.append(terms(clipped, code * scale[g], code.detach()))
    return torch.stack(values).mean()


def random_relative(quantizer: Quantizer) -> None:
    with torch.no_grad():
        quantizer.relative.copy_(torch.rand(quantizer.groups, generator=torch.Generator().manual_seed(0)) * 0.4 + 0.5)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradients_are_those_of_a_loop_over_codes_in_float64(
    case: tuple[Granularity, tuple[int, ...], int], bits: int, dtype: torch.dtype
) -> None:
    granularity, shape, groups = case
    kind = ElasticBinarizer if bits == 1 else Quantizer
    quantizer = kind(bits, signed=True, granularity=granularity, groups=groups)
    weight = nn.Parameter((normal(shape, bits) * 0.1 + 0.02).to(dtype))
    quantizer.fit(weight)
    random_relative(quantizer)  # smaller scales, so that some weights are clipped
    with torch.no_grad():
        # In the highest bin of each group one weight that is clipped and one that is not.
        ends = weight.view(quantizer.layout(weight))[0]
        ends[:, 0], ends[:, 1] = (quantizer.high - 0.3) * quantizer.scale, (quantizer.high + 0.7) * quantizer.scale
    threshold = quantizer.threshold if isinstance(quantizer, ElasticBinarizer) else None
    loss = bin_regulariser([(weight, quantizer)], max_bits=8)
    assert loss.shape == ()
    (3 * loss).backward()

    leaves = [t.detach().double().requires_grad_() for t in (weight, quantizer.relative)]
    if threshold is not None:
        leaves.append(threshold.detach().double().requires_grad_())
    scale = quantizer.start.double() * leaves[1]
    value = naive(leaves[0], scale, leaves[2] if threshold is not None else None, quantizer)
    want = torch.autograd.grad(3 * value, leaves)
    assert loss.item() == pytest.approx(value.item(), rel=1e-4)
    found = [weight.grad, quantizer.relative.grad] + ([] if threshold is None else [threshold.grad])
    assert int((want[0] == 0).sum()) > 0
    for ours, theirs in zip(found, want, strict=True):
        assert ours is not None
        assert bool(theirs.any())
        assert torch.allclose(ours.double(), theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))
    assert weight.grad is not None
    assert torch.equal(weight.grad.eq(0), want[0].eq(0))


def test_groups_of_different_widths() -> None:
    quantizer = Quantizer((2, 4, 3), signed=True, granularity=PerHead(3, 1), groups=3)
    weight = nn.Parameter(normal((40, 9), 5))
    quantizer.fit(weight)
    loss = bin_regulariser([(weight, quantizer)])
    loss.backward()
    leaf = weight.detach().double().requires_grad_()
    value = naive(leaf, quantizer.scale.double(), None, quantizer)
    (want,) = torch.autograd.grad(value, leaf)
    assert loss.item() == pytest.approx(value.item(), rel=1e-4)
    assert weight.grad is not None
    assert torch.allclose(weight.grad.double(), want, rtol=1e-3, atol=1e-7)


def float_bins(values: Tensor, scale: float, low: int, high: int) -> set[int]:
    """The bins that a comparison of floats finds: w_q / scale == k."""
    return {k for k in range(low, high + 1) if bool((values / torch.tensor(scale) == k).any())}


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_no_bin_is_dropped_where_a_comparison_of_floats_drops_some(bits: int) -> None:
    """The bins are read off the gradient: what the variance adds to it is the deviation from the mean of the bin."""
    low, high = code_range(bits, signed=True)
    codes = torch.arange(low, high + 1).repeat_interleave(3)
    lost = 0
    for seed in range(40):
        scale = 0.01 + torch.rand(1, generator=torch.Generator().manual_seed(seed)).item()
        quantizer = Quantizer(bits, signed=True)
        quantizer.set_scale(torch.tensor([scale]))
        parts = torch.tensor([-0.1, 0.1, 0.3]).repeat(high - low + 1)
        parts[:3] = torch.tensor([0.1, 0.2, 0.3])  # not below the range
        parts[-3:] = torch.tensor([-0.3, -0.2, -0.1])
        weight = nn.Parameter((codes + parts) * scale)
        assert torch.equal(quantizer.to_int(weight), codes)
        bin_regulariser([(weight, quantizer)], max_bits=8).backward()
        assert weight.grad is not None
        level = quantizer.dequantize(codes).double()
        deviation = (weight.grad.double() - 2 / len(codes) * (weight.detach().double() - level)) * 3 / 2
        by_bin = weight.detach().double().view(-1, 3)
        want = (by_bin - by_bin.mean(1, keepdim=True)).flatten()
        assert torch.allclose(deviation, want, atol=1e-3 * scale)
        found = set(codes[deviation.abs() > 0.05 * scale].tolist())
        assert found == set(quantizer.to_int(weight).unique().tolist())
        lost += len(found - float_bins(quantizer(weight).detach(), scale, low, high))
    assert lost == 0 if bits < 3 else lost > 0


def test_a_clipped_weight_moves_the_scale_and_not_itself() -> None:
    """Two weights at 3 and 4 steps of a 2-bit range: both are clipped to the highest code and lie on its level."""
    quantizer = Quantizer(2, signed=True)
    quantizer.set_scale(torch.tensor([0.5]))
    weight = nn.Parameter(torch.tensor([0.4, 3.0]))  # both of code 1; the second one is clipped to 0.5
    loss = bin_regulariser([(weight, quantizer)])
    loss.backward()
    # Mean square (0.1^2 + 0) / 2, variance of {0.4, 0.5} 0.05^2; d variance / d clipped = 2 * 0.05 / 2.
    assert loss.item() == pytest.approx(0.005 + 0.0025)
    assert weight.grad is not None
    assert weight.grad.tolist() == pytest.approx([-0.1 - 0.05, 0.0])
    assert quantizer.relative.grad is not None
    assert quantizer.relative.grad.item() == pytest.approx(0.5 * 0.05)


def test_tensors_are_added_and_wide_ones_left_out() -> None:
    pairs = []
    for bits in (2, 4, 5, 8):
        quantizer = Quantizer(bits, signed=True)
        weight = nn.Parameter(normal((30,), bits))
        quantizer.fit(weight)
        pairs.append((weight, quantizer))
    single = [bin_regulariser([pair], max_bits=8).item() for pair in pairs]
    assert min(single) > 0
    assert bin_regulariser(pairs).item() == pytest.approx(single[0] + single[1])
    assert bin_regulariser(pairs, max_bits=2).item() == pytest.approx(single[0])
    assert bin_regulariser(pairs, max_bits=5).item() == pytest.approx(sum(single[:3]))
    assert bin_regulariser([]).item() == 0
    bin_regulariser(pairs).backward()
    assert [weight.grad is None for weight, _ in pairs] == [False, False, True, True]
    heads = Quantizer((2, 8), signed=True, granularity=PerHead(2, 0), groups=2)
    weight = nn.Parameter(normal((4, 9), 1))
    heads.fit(weight)
    assert bin_regulariser([(weight, heads)]).item() == 0
    assert bin_regulariser([(weight, heads)], max_bits=8).item() > 0


def test_statistical_scales_get_no_gradient() -> None:
    quantizer = StatisticalQuantizer(2, signed=True)
    weight = nn.Parameter(normal((50,), 3))
    quantizer.fit(weight)
    bin_regulariser([(weight, quantizer)]).backward()
    assert weight.grad is not None
    assert quantizer.relative.grad is None


def test_weights_on_their_levels_cost_nothing() -> None:
    quantizer = Quantizer(3, signed=True)
    quantizer.set_scale(torch.tensor([0.37]))
    weight = nn.Parameter(quantizer.dequantize(torch.arange(-4, 4).repeat(5)))
    loss = bin_regulariser([(weight, quantizer)])
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert weight.grad is not None
    assert weight.grad.abs().max() < 1e-6


def test_the_weight_of_the_regulariser_rises_by_a_half_cosine_after_a_quarter() -> None:
    for progress in (0.0, 0.1, 0.2499, 0.25):
        assert regulariser_weight(0.01, progress) == 0.0
    for progress in (0.3, 0.4375, 0.625, 0.8, 1.0):
        turn = (progress - 0.25) / 0.75
        want = 0.01 * math.sin(math.pi / 2 * turn) ** 2
        assert regulariser_weight(0.01, progress) == pytest.approx(want, rel=1e-9)
    assert regulariser_weight(0.01, 1.0) == pytest.approx(0.01)
    assert regulariser_weight(2.0, 0.5, start=0.0) == pytest.approx(1.0)
    assert regulariser_weight(2.0, 1.0, start=1.0) == 0.0
    rising = [regulariser_weight(1.0, step / 100) for step in range(101)]
    assert rising == sorted(rising)


# ---- The tracker ----


def some_weights() -> Weights:
    made: list[tuple[str, Quantizer]] = [
        ("heads", Quantizer((4, 3), signed=True, granularity=PerHead(2, 1), groups=2)),
        ("tensor", Quantizer(2, signed=True)),
        ("channels", Quantizer(8, signed=True, granularity=PerChannel(0), groups=3)),
        ("binary", ElasticBinarizer(signed=True)),
    ]
    weights: Weights = {}
    for seed, (name, quantizer) in enumerate(made):
        weight = nn.Parameter(normal((3, 8), seed))
        quantizer.fit(weight)
        weights[name] = (weight, quantizer)
    return weights


def walk(weights: Weights, step: int) -> None:
    """A random step of every weight and scale, about as long as half a bin."""
    with torch.no_grad():
        for seed, (weight, quantizer) in enumerate(weights.values()):
            weight.add_(normal((3, 8), 1000 * seed + step) * 0.5 * quantizer.scale.mean())
            quantizer.relative.mul_(1 + 0.02 * normal((quantizer.groups,), 77 * seed + step))


class Naive:
    """One weight: the codes it had, how it last moved, and the running share of its turns."""

    def __init__(self, code: int) -> None:
        self.code, self.direction, self.frequency = code, 0, 0.0

    def see(self, code: int, momentum: float) -> None:
        direction = (code > self.code) - (code < self.code)
        turned = direction != 0 and self.direction != 0 and direction != self.direction
        self.frequency = momentum * turned + (1 - momentum) * self.frequency
        self.direction = direction or self.direction
        self.code = code


def codes_of(weights: Weights) -> dict[str, list[int]]:
    return {name: quantizer.to_int(weight).flatten().tolist() for name, (weight, quantizer) in weights.items()}


def test_tracker_is_a_loop_over_single_weights() -> None:
    weights = some_weights()
    momentum, threshold = 0.05, 0.08
    tracker = OscillationTracker(weights, momentum=momentum, threshold=threshold)
    naive = {name: [Naive(code) for code in codes] for name, codes in codes_of(weights).items()}
    assert tracker.share() == 0.0
    for step in range(60):
        walk(weights, step)
        tracker.update()
        for name, codes in codes_of(weights).items():
            for one, code in zip(naive[name], codes, strict=True):
                one.see(code, momentum)
            wanted = [one.frequency for one in naive[name]]
            assert tracker.frequency[name].flatten().tolist() == pytest.approx(wanted, abs=1e-6)
    flags = {name: [one.frequency > threshold for one in ones] for name, ones in naive.items()}
    shares = {name: sum(of) / len(of) for name, of in flags.items()}
    assert tracker.shares() == pytest.approx(shares)
    assert tracker.share() == pytest.approx(sum(map(sum, flags.values())) / 96)
    assert all(share > 0 for share in shares.values())
    assert min(shares.values()) < 1


def test_one_turn_counts_for_seventy_steps_at_the_usual_momentum() -> None:
    """0.01 * 0.99^n is above 0.005 up to n = 68."""
    quantizer = Quantizer(4, signed=True)
    quantizer.set_scale(torch.ones(1))
    weight = nn.Parameter(torch.tensor([0.0, 0.0]))
    tracker = OscillationTracker({"w": (weight, quantizer)})
    shares = []
    for step in range(75):
        with torch.no_grad():
            weight[0] = {0: 1.0, 1: 0.0}.get(step, 0.0)
            weight[1] = min(step, 7)  # moves, but never back
        tracker.update()
        shares.append(tracker.share())
    assert shares == [0.0] + [0.5] * 69 + [0.0] * 5


@pytest.mark.parametrize("engine", ["kernels"], indirect=True)
def test_both_engines_count_the_same_bits(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for native in (True, False):
        monkeypatch.setattr(tracking, "native", lambda x, answer=native: answer)
        weights = some_weights()
        tracker = OscillationTracker(weights)
        for step in range(20):
            walk(weights, step)
            tracker.update()
        results.append(tracker.state_dict())
    for kind, tensors in results[0].items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, results[1][kind][name])


def test_tracker_goes_on_from_its_state() -> None:
    weights = some_weights()
    tracker = OscillationTracker(weights, threshold=0.02)
    for step in range(10):
        walk(weights, step)
        tracker.update()
    state = copy.deepcopy(tracker.state_dict())
    walk(weights, 10)
    later = OscillationTracker(weights, threshold=0.02)
    later.load_state_dict(state)
    for each in (tracker, later):
        each.update()
    assert later.shares() == tracker.shares()
    for kind, tensors in tracker.state_dict().items():
        for name, tensor in tensors.items():
            assert torch.equal(later.state_dict()[kind][name], tensor)


def other_state(kind: type[OscillationTracker] | type[Freezer], weights: Weights) -> Mapping[str, Mapping[str, Tensor]]:
    return OscillationTracker(weights).state_dict() if kind is OscillationTracker else frozen_at(weights).state_dict()


def frozen_at(weights: Weights, threshold: float = 0.2, momentum: float = 0.1) -> Freezer:
    return Freezer(weights, threshold=threshold, momentum=momentum)


@pytest.mark.parametrize("kind", [OscillationTracker, Freezer])
def test_a_state_of_other_modules_is_refused(kind: type[OscillationTracker] | type[Freezer]) -> None:
    weights = some_weights()
    ours: OscillationTracker | Freezer = (
        OscillationTracker(weights) if kind is OscillationTracker else frozen_at(weights)
    )
    fewer = {name: pair for name, pair in weights.items() if name != "binary"}
    quantizer = Quantizer(4, signed=True)
    quantizer.set_scale(torch.ones(1))
    other = {**weights, "tensor": (nn.Parameter(torch.zeros(1)), quantizer)}
    for wrong in (fewer, other):
        with pytest.raises(ValueError) as caught:
            ours.load_state_dict(other_state(kind, wrong))
        assert str(caught.value) == "the oscillation state must be of the same modules"


# ---- Freezing ----


def flipping(bits: int = 3) -> tuple[nn.Parameter, Quantizer, Weights]:
    quantizer = Quantizer(bits, signed=True)
    quantizer.set_scale(torch.tensor([0.5]))
    weight = nn.Parameter(torch.tensor([0.5, 1.0, -1.2]))
    return weight, quantizer, {"w": (weight, quantizer)}


@pytest.mark.parametrize("mostly", [1, 2])
def test_a_weight_that_flips_is_frozen_at_the_code_it_mostly_has(mostly: int) -> None:
    """It is at `mostly` for two steps of three; two other weights stand still and drift."""
    weight, quantizer, weights = flipping()
    tracker = OscillationTracker(weights, momentum=0.02)
    freezer = frozen_at(weights, threshold=0.35)
    rare = 3 - mostly
    step = 0
    while not freezer.share():
        with torch.no_grad():
            # 0.05 off the boundary at 0.75, like a weight that a gradient pushes to and fro.
            weight[0] = 0.75 + 0.05 * (1 if (mostly if step % 3 else rare) == 2 else -1)
            weight[2] += 0.01
        tracker.update()
        freezer.update(tracker.frequency)
        step += 1
        assert step < 100
    assert step > 20
    assert freezer.frozen["w"].tolist() == [True, False, False]
    assert freezer.share() == pytest.approx(1 / 3)
    assert weight.tolist() == pytest.approx([mostly * 0.5, 1.0, -1.2 + 0.01 * step])
    for change in (1.3, 0.9, 1.1):  # the scale is learned on, an optimiser pulls at the weights
        with torch.no_grad():
            quantizer.relative.mul_(change)
            weight[0] += 0.4
            weight[1] += 0.05
        free = weight[1].item()
        tracker.update()
        freezer.update(tracker.frequency)
        assert weight[0].item() == pytest.approx(mostly * quantizer.scale.item())
        assert weight[1].item() == free
        assert quantizer.to_int(weight)[0].item() == mostly


@pytest.mark.parametrize("momentum", [0.01, 0.9])
def test_a_frozen_code_stays_whatever_the_optimiser_does(momentum: float) -> None:
    weight, quantizer, weights = flipping(bits=8)
    freezer = frozen_at(weights, momentum=momentum)
    freezer.update({"w": torch.tensor([1.0, 0.0, 1.0])})
    for _ in range(3):
        with torch.no_grad():
            weight.copy_(torch.tensor([60.0, 60.0, -60.0]))
        freezer.update({"w": torch.zeros(3)})
        assert quantizer.to_int(weight).tolist() == [1, 120, -2]


@pytest.mark.parametrize("mostly", [-1, 1])
def test_a_binary_weight_is_frozen_at_one_of_its_two_codes(mostly: int) -> None:
    """The threshold is farther from zero than the scale: a frozen weight must lie on its own side of it."""
    quantizer = ElasticBinarizer(signed=True, granularity=PerHead(2, 0), groups=2)
    quantizer.set_scale(torch.tensor([0.5, 0.1]))
    with torch.no_grad():
        quantizer.threshold.copy_(torch.tensor([2.0, -1.0]))
    weight = nn.Parameter(quantizer.threshold.detach().view(2, 1).expand(2, 3) + 0.01)
    weights: Weights = {"w": (weight, quantizer)}
    freezer = frozen_at(weights, momentum=0.3)
    for step in range(12):
        with torch.no_grad():
            weight.copy_(quantizer.threshold.view(2, 1) + 0.01 * (mostly if step % 3 else -mostly))
        freezer.update({"w": torch.zeros(2, 3)})
    freezer.update({"w": torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])})
    assert freezer.frozen["w"].tolist() == [[True, False, False], [False, False, True]]
    assert freezer.average["w"][0, 0].item() == mostly
    assert weight[0, 0].item() == pytest.approx(2.0 + mostly * 0.5)
    assert weight[1, 2].item() == pytest.approx(-1.0 + mostly * 0.1)
    with torch.no_grad():
        weight.copy_(quantizer.threshold.view(2, 1) - 0.3 * mostly)
    freezer.update({"w": torch.zeros(2, 3)})
    codes = torch.full((2, 3), -mostly)
    codes[0, 0] = codes[1, 2] = mostly
    assert torch.equal(quantizer.to_int(weight), codes)


def test_freezer_goes_on_from_its_state() -> None:
    weights = some_weights()
    freezer = frozen_at(weights)
    frequency = {name: (normal((3, 8), 9) > 0.5).float() for name in weights}
    for step in range(5):
        walk(weights, step)
        freezer.update(frequency if step == 3 else {name: torch.zeros(3, 8) for name in weights})
    assert 0 < freezer.share() < 1
    state = copy.deepcopy(freezer.state_dict())
    walk(weights, 5)
    twin = copy.deepcopy(weights)
    later = frozen_at(twin)
    later.load_state_dict(state)
    none = {name: torch.zeros(3, 8) for name in weights}
    freezer.update(none)
    later.update(none)
    assert later.share() == freezer.share()
    for name, (weight, _) in weights.items():
        assert torch.equal(twin[name][0], weight)
