"""All weights at once, as on CUDA, against the weights one by one; the CPU stands in for a GPU."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from qat.network.oscillation import BinRegulariser, Freezer, OscillationTracker, batch, bin_regulariser
from qat.network.oscillation import batched_regulariser as batched
from qat.network.oscillation.batch import Batch, Pair
from qat.quantisers import (
    ElasticBinarizer,
    PerChannel,
    PerHead,
    PerTensor,
    Quantizer,
    StatisticalQuantizer,
)
from qat.training import trainer
from qat.training.readings import Readings

UNIT = 2.0**-24  # half the spacing of float32 at 1
NAN, INF = float("nan"), float("inf")

CASES: list[tuple[Any, tuple[int, ...], int]] = [
    (PerTensor(), (20, 15), 1),
    (PerHead(2, 0), (6, 50), 2),
    (PerHead(3, 1), (25, 12), 3),
    (PerChannel(0), (4, 60), 4),
    (PerChannel(1), (40, 5), 5),
    (PerChannel(0), (3, 1, 1, 1), 3),  # bins of one weight
]
WIDTHS: tuple[Any, ...] = (1, 2, 3, 4, 5, 6, 7, 8, "mixed")


def normal(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def made(case: tuple[Any, tuple[int, ...], int], bits: Any, *, exact: bool, seed: int) -> Pair:
    """A weight some of which is clipped; exact: eighths of the scale, on borders and bounds of codes too, and a scale
    at its floor.
    """
    granularity, shape, groups = case
    widths = [2 + (2 * g + seed) % 7 for g in range(groups)] if bits == "mixed" else [bits] * groups
    kind = ElasticBinarizer if bits == 1 else Quantizer
    quantizer = kind(widths, signed=True, granularity=granularity, groups=groups)
    weight = nn.Parameter(normal(shape, seed) * 0.1 + 0.02)
    quantizer.fit(weight)
    with torch.no_grad():
        if exact:
            quantizer.start.copy_(2.0 ** -(torch.arange(groups) % 4.0))
            quantizer.relative.copy_(torch.tensor([1.0, 0.5, 1 / 256])[torch.arange(groups) % 3])
            if isinstance(quantizer, ElasticBinarizer):
                quantizer.threshold.copy_(quantizer.scale)
            span = (quantizer.high - quantizer.low + 4).view(1, -1, 1) * 8
            layout = quantizer.layout(weight)
            drawn = torch.rand(layout, generator=torch.Generator().manual_seed(seed))
            v = (drawn * span).floor() / 8 + quantizer.low.view(1, -1, 1) - 2
            weight.copy_((v * quantizer.scale.view(1, -1, 1)).view(shape))
        else:
            drawn = torch.rand(groups, generator=torch.Generator().manual_seed(seed))
            quantizer.relative.copy_(drawn * 0.4 + 0.5)
    return weight, quantizer


def pairs_of_all_kinds(exact: bool) -> list[Pair]:
    kinds = itertools.product(CASES, WIDTHS)
    return [made(case, bits, exact=exact, seed=seed) for seed, (case, bits) in enumerate(kinds)]


def learned(pairs: Sequence[Pair]) -> Iterator[nn.Parameter]:
    for weight, quantizer in pairs:
        yield weight
        yield quantizer.relative
        if isinstance(quantizer, ElasticBinarizer):
            yield quantizer.threshold


def by_element(values: Tensor, pair: Pair) -> Tensor:
    """Values of groups for each element, in the shape of the weight."""
    weight, quantizer = pair
    return values.view(1, -1, 1).expand(quantizer.layout(weight)).reshape(weight.shape)


def counts_of(pair: Pair) -> list[list[int]]:
    """For each group the weights with each code, then those below and above, by the code for one tensor."""
    weight, quantizer = pair
    layout = quantizer.layout(weight)
    threshold = quantizer.threshold if isinstance(quantizer, ElasticBinarizer) else torch.zeros(quantizer.groups)
    v = (weight.detach() - by_element(threshold.detach(), pair)) / by_element(quantizer.scale, pair)
    below, above = (v < by_element(quantizer.low, pair)), (v > by_element(quantizer.high, pair))
    found = []
    for g in range(quantizer.groups):
        codes, low, high = (each.reshape(layout)[:, g].flatten() for each in (quantizer.to_int(weight), below, above))
        first, last = int(quantizer.low[g]), int(quantizer.high[g])
        inside = codes[~(low | high)].tolist()
        found.append([inside.count(code) for code in range(first, last + 1)] + [int(low.sum()), int(high.sum())])
    return found


@pytest.mark.parametrize("exact", [False, True])
def test_counts_are_those_of_codes_of_single_tensors(exact: bool) -> None:
    pairs = pairs_of_all_kinds(exact)
    together = Batch(pairs)
    deviation, bins = batched._bins(together, together.scales())
    counts = batched._sums(together, deviation, bins).counts
    wanted = [group for pair in pairs for group in counts_of(pair)]
    found = [[*row[: len(group) - 2], *row[-2:]] for row, group in zip(counts.tolist(), wanted, strict=True)]
    assert found == wanted
    assert int(counts.sum()) == sum(weight.numel() for weight, _ in pairs)
    assert sum(row[-1] + row[-2] for row in found) > 1000


@pytest.mark.parametrize("exact", [False, True])
def test_values_and_gradients_are_those_of_single_tensors_to_rounding(exact: bool) -> None:
    """Of single tensors in float64. A deviation from a code errs by half a unit of w / scale, which is at most the
    largest code; a gradient by that and three more roundings, a value by twice as much; and each by the fixed point.
    """
    pairs = pairs_of_all_kinds(exact)
    value = batched.batched_regulariser(Batch(pairs))
    found = torch.autograd.grad(3 * value, list(learned(pairs)))
    wide = [(nn.Parameter(weight.detach().double()), copy.deepcopy(quantizer).double()) for weight, quantizer in pairs]
    exactly = [bin_regulariser([pair], 8) for pair in wide]
    wanted = torch.autograd.grad(3 * torch.stack(exactly).sum(), list(learned(wide)))
    bound, bounds = 0.0, []
    for pair in pairs:
        weight, quantizer = pair
        layout = quantizer.layout(weight)
        relative_error = UNIT * (quantizer.high.double() + 5) + 2.0**-31
        scale = quantizer.scale.double()
        # A bin has one weight at least, so a slope is at most 4 scales; all codes at once for the value.
        of_weight = 3 * 4 * scale / layout.groups * relative_error
        elements = layout.outer * layout.inner
        bounds += [of_weight.view(1, -1, 1), 2 * elements * of_weight * quantizer.high * quantizer.start]
        if isinstance(quantizer, ElasticBinarizer):
            bounds.append(elements * of_weight)
        codes = quantizer.high - quantizer.low + 2
        bound += float((2 * relative_error * codes * scale * scale / layout.groups).sum())
    difference = value.item() - torch.stack(exactly).sum().item()
    assert abs(difference) <= bound + 2 * UNIT * value.item()
    shapes: list[tuple[int, ...]] = []
    for pair in pairs:
        shapes += [pair[1].layout(pair[0]), *[(-1,)] * (len(list(learned([pair]))) - 1)]
    for ours, theirs, most, shape in zip(found, wanted, bounds, shapes, strict=True):
        assert bool(((ours - theirs).abs().view(shape) <= most).all())
    assert sum(bool(theirs.any()) for theirs in wanted) > 0.7 * len(wanted)
    assert bound < 1e-3 * value.item()


def test_float32_of_single_tensors_differs_by_rounding_only() -> None:
    pairs = [pair for pair in pairs_of_all_kinds(False) if max(pair[1].bits) <= 4]
    values = [bin_regulariser(pairs), batched.batched_regulariser(Batch(pairs))]
    assert values[1].item() == pytest.approx(values[0].item(), rel=1e-6)
    wanted, found = (torch.autograd.grad(value, list(learned(pairs))) for value in values)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def test_sums_are_the_same_in_any_order() -> None:
    weight, quantizer = made((PerTensor(), (64, 50), 1), 3, exact=False, seed=1)
    order = torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(0))
    moved = nn.Parameter(weight.detach().flatten()[order].view(weight.shape))
    results = []
    for each in (weight, moved):
        value = batched.batched_regulariser(Batch([(each, quantizer)]))
        results.append((value, *torch.autograd.grad(value, [each, quantizer.relative])))
    (value, of_weight, of_scale), (value_moved, of_moved, of_scale_moved) = results
    assert torch.equal(value, value_moved)
    assert torch.equal(of_scale, of_scale_moved)
    assert torch.equal(of_weight.flatten()[order], of_moved.flatten())


def test_nan_infinity_and_nothing() -> None:
    quantizer = Quantizer(4, signed=True)
    quantizer.set_scale(torch.ones(1))
    weight = nn.Parameter(torch.tensor([0.1, INF, 2.0, -INF]))
    value = batched.batched_regulariser(Batch([(weight, quantizer)]))
    (gradient,) = torch.autograd.grad(value, weight)
    assert value.item() == pytest.approx(0.0025)
    assert gradient.tolist() == pytest.approx([0.05, 0, 0, 0])
    with torch.no_grad():
        weight[1] = NAN
    value = batched.batched_regulariser(Batch([(weight, quantizer)]))
    assert all(bool(each.isnan().all()) for each in (value, *torch.autograd.grad(value, [weight, quantizer.relative])))
    empty = nn.Parameter(torch.zeros(0))
    assert batched.batched_regulariser(Batch([(empty, quantizer)])).item() == 0


def test_other_types_and_scales_that_follow_the_weights() -> None:
    quantizer = StatisticalQuantizer(2, signed=True)
    weight = nn.Parameter(normal((50,), 3).bfloat16())
    quantizer.fit(weight)
    quantizer.bfloat16()
    batched.batched_regulariser(Batch([(weight, quantizer)])).backward()
    wanted = nn.Parameter(weight.detach().clone())
    bin_regulariser([(wanted, quantizer)]).backward()
    assert weight.grad is not None
    assert weight.grad.dtype is torch.bfloat16
    torch.testing.assert_close(weight.grad, wanted.grad)
    assert quantizer.relative.grad is None


# ---- Which weights are one batch ----


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the CPU as if they were on a GPU."""
    monkeypatch.setattr(batch, "on_gpu", lambda tensor: tensor.device.type == "cpu")


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch is served, whatever looks on."""
    monkeypatch.setattr(batch, "serves", lambda pairs: True)


def pair(bits: int = 3) -> Pair:
    return made(CASES[1], bits, exact=False, seed=bits)


@pytest.mark.usefixtures("gpu")
def test_plain_weights_on_one_gpu_are_a_batch() -> None:
    assert batch.serves([pair(), pair(1)])
    assert not batch.serves([])
    unsigned = ElasticBinarizer(signed=False, granularity=PerHead(2, 0), groups=2)
    weight, quantizer = pair()
    others: list[Pair] = [
        (weight, unsigned),
        (nn.Parameter(weight.detach().double()), copy.deepcopy(quantizer).double()),
        (nn.Parameter(weight.detach().to("meta")), quantizer),
        (nn.Parameter(FakeTensorMode().from_tensor(weight.detach())), quantizer),
    ]
    for other in others:
        assert not batch.serves([pair(), other])


def test_on_the_cpu_weights_are_taken_one_by_one() -> None:
    assert not batch.serves([pair()])
    pairs = [pair(2), pair(8), pair(4)]
    assert torch.equal(BinRegulariser(pairs)(), bin_regulariser(pairs))
    assert torch.equal(BinRegulariser(pairs, 8)(), bin_regulariser(pairs, 8))
    assert BinRegulariser([])().item() == 0


@pytest.mark.usefixtures("gpu")
def test_the_batch_is_made_once_and_of_the_weights_that_are_not_too_wide() -> None:
    pairs = [pair(2), pair(8), pair(4)]
    regulariser = BinRegulariser(pairs)
    value, first = regulariser(), regulariser._batch
    assert first is not None
    assert torch.equal(value, batched.batched_regulariser(Batch([pairs[0], pairs[2]])))
    with torch.no_grad():
        pairs[0][0].mul_(1.1)
    assert regulariser().item() == pytest.approx(bin_regulariser(pairs).item(), rel=1e-5)
    assert regulariser._batch is first
    first.device = torch.device("meta")
    regulariser()
    assert regulariser._batch is not first


# ---- The tracker and freezing ----


def walked(pairs: Sequence[Pair], step: int) -> None:
    with torch.no_grad():
        for seed, (weight, quantizer) in enumerate(pairs):
            weight.add_(normal(tuple(weight.shape), 1000 * seed + step) * 0.6 * quantizer.scale.mean())
            quantizer.relative.mul_(1 + 0.02 * normal((quantizer.groups,), 77 * seed + step))


def named(pairs: Sequence[Pair]) -> dict[str, Pair]:
    return {str(index): each for index, each in enumerate(pairs)}


def test_state_of_tracker_and_freezer_have_the_bits_of_single_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halfway each way goes on from what the other way saved."""
    states: list[dict[str, Any]] = []
    for ways in ((False, True), (True, False)):
        pairs = pairs_of_all_kinds(False)
        statistical = StatisticalQuantizer(3, signed=True)
        weight = nn.Parameter(normal((30,), 5))
        statistical.fit(weight)
        pairs.append((weight, statistical))
        saved = None
        for way in ways:
            monkeypatch.setattr(batch, "on_gpu", lambda tensor, way=way: way)
            tracker = OscillationTracker(named(pairs), momentum=0.1)
            freezer = Freezer(named(pairs), threshold=0.25, momentum=0.1)
            if saved is not None:
                tracker.load_state_dict(saved["tracker"])
                freezer.load_state_dict(saved["freezer"])
            for step in range(8):
                walked(pairs, step if saved is None else step + 8)
                tracker.update()
                freezer.update(tracker.frequency)
            assert (tracker._batch is not None) is way
            assert 0 < freezer.share() < 0.5
            saved = {"tracker": tracker.state_dict(), "freezer": freezer.state_dict()}
            saved = copy.deepcopy(saved | {"weights": {"all": {str(i): w.detach() for i, (w, _) in enumerate(pairs)}}})
        assert saved is not None
        states.append(saved)
    for owner, kinds in states[0].items():
        for kind, tensors in kinds.items():
            for name, tensor in tensors.items():
                assert torch.equal(tensor, states[1][owner][kind][name]), (owner, kind, name)


def test_a_state_is_tensors_of_the_shapes_of_the_weights(tmp_path: Path) -> None:
    pairs = [pair(2), pair(4)]
    tracker = OscillationTracker(named(pairs))
    torch.save(tracker.state_dict(), tmp_path / "state.pt")
    read = torch.load(tmp_path / "state.pt", weights_only=True)
    kinds = {"codes": torch.int16, "direction": torch.int8, "frequency": torch.float32}
    assert {kind: {t.dtype for t in tensors.values()} for kind, tensors in read.items()} == {
        kind: {dtype} for kind, dtype in kinds.items()
    }
    assert all(t.shape == (6, 50) for tensors in read.values() for t in tensors.values())
    assert (tmp_path / "state.pt").stat().st_size < 2 * 300 * 7 + 8000


@pytest.mark.usefixtures("gpu")
def test_a_weight_that_is_nan_keeps_its_code_and_its_average() -> None:
    quantizer = Quantizer(4, signed=True)
    quantizer.set_scale(torch.ones(1))
    weight = nn.Parameter(torch.tensor([3.0, -2.0]))
    weights = {"w": (weight, quantizer)}
    tracker, freezer = OscillationTracker(weights), Freezer(weights, threshold=0.5)
    with torch.no_grad():
        weight.copy_(torch.tensor([NAN, -1.0]))
    tracker.update()
    freezer.update(tracker.frequency)
    assert tracker.state_dict()["codes"]["w"].tolist() == [3, -1]
    assert freezer.average["w"].tolist() == pytest.approx([3.0, -1.99])
    assert bool(weight[0].isnan())


# ---- Nothing waits for the GPU ----


def a_step(pairs: Sequence[Pair]) -> Callable[[], None]:
    """What a step of training does with the weights, after a first one has made what stays."""
    regulariser, tracker = BinRegulariser(pairs, 8), OscillationTracker(named(pairs))
    freezer = Freezer(named(pairs), threshold=0.2)

    def step() -> None:
        regulariser().backward()
        tracker.update()
        freezer.update(tracker.frequency)

    return step


@pytest.mark.usefixtures("everywhere")
def test_a_step_reads_nothing(nothing_is_read: AbstractContextManager[object]) -> None:
    step = a_step([pair(1), pair(4), pair(8)])
    step()
    with nothing_is_read:
        step()


def test_single_tensors_are_read(nothing_is_read: AbstractContextManager[object]) -> None:
    """What the test before would see."""
    step = a_step([pair(1), pair(4)])
    with pytest.raises(AssertionError, match=r"_local_scalar_dense|bincount"), nothing_is_read:
        step()


class OnMeta(TorchDispatchMode):
    """Refuses what has operands or results elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        devices = {each.device.type for each in tree_leaves((args, kwargs, result)) if isinstance(each, Tensor)}
        assert devices <= {"meta"}, func
        self.calls += 1
        return result


@pytest.mark.usefixtures("everywhere")
def test_a_step_on_a_device_without_numbers() -> None:
    """On meta, where tensors are only shapes: a value cannot be read, and one of the CPU would be seen."""
    with torch.device("meta"):
        pairs: list[Pair] = []
        for bits in (1, 4, 8):
            kind = ElasticBinarizer if bits == 1 else Quantizer
            each = kind(bits, signed=True, granularity=PerHead(2, 0), groups=2)
            each.calibrated = True
            pairs.append((nn.Parameter(torch.zeros((6, 50))), each))
    step = a_step(pairs)
    step()
    with OnMeta() as watching:
        step()
    assert watching.calls > 100
    with pytest.raises(RuntimeError, match="meta"):
        bin_regulariser(pairs, 8)


@pytest.mark.usefixtures("quick", "everywhere")
def test_a_step_of_training_reads_nothing(
    tmp_path: Path,
    train: Callable[..., Path],
    nothing_is_read: AbstractContextManager[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the regulariser, the tracker and freezing on: all but what is read for several steps at once."""
    take_step, steps = trainer._take_step, []

    def late(device: torch.device) -> Readings:
        readings = Readings(device)
        readings._late = 1000
        return readings

    def watched(*arguments: Any) -> None:
        training = arguments[0]
        if training.epoch == 0 and training.step == 0:
            take_step(*arguments)  # makes what stays
            return
        with nothing_is_read:
            take_step(*arguments)
        steps.append(training.regulariser._batch is not None)

    monkeypatch.setattr(trainer, "Readings", late)
    monkeypatch.setattr(trainer, "_take_step", watched)
    train(tmp_path / "run", bits=2, obr=0.1, freeze=0.02)
    assert any(steps)
