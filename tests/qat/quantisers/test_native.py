"""The compiled kernels: the bits of a plain torch expression, the gradients of autograd, one OpenMP runtime."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qat.quantisers.native import build, kernels

pytestmark = pytest.mark.skipif(not kernels.available(), reason="no C compiler")

INF, NAN = float("inf"), float("nan")
Layout = tuple[int, int, int]

# Whole tensors, heads, channels first and last, short rows; some cross a block, some are large enough for two threads.
LAYOUTS: list[Layout] = [
    (1, 1, 1),
    (3, 1, 7),
    (1, 1, 9001),
    (5, 3, 64),
    (2, 3, 4099),
    (1, 10, 9),
    (70, 5, 1),
    (67, 1100, 1),
    (3, 400, 3),
    (130, 7, 15),
    (4, 2, 16),
    (40, 3, 1024),
    (1, 1, 100_000),
]


def bounds(bits: int, signed: bool, groups: int) -> tuple[Tensor, Tensor]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return torch.full((groups,), float(low)), torch.full((groups,), float(high))


def mixed_bounds(groups: int, seed: int) -> tuple[Tensor, Tensor]:
    """Bit-widths from 2 to 8, signed and not, side by side."""
    pairs = [bounds(2 + (g + seed) % 7, (g // 2 + seed) % 2 == 0, 1) for g in range(groups)]
    return torch.cat([low for low, _ in pairs]), torch.cat([high for _, high in pairs])


def operands(layout: Layout, seed: int, exact: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """x, gradient, scale, offset, qn, qp; exact: every v is a multiple of 1/4, so that ties and bounds are met."""
    draw = torch.Generator().manual_seed(seed)
    groups = layout[1]
    qn, qp = mixed_bounds(groups, seed)
    if exact:
        scale = 2.0 ** -torch.randint(0, 5, (groups,), generator=draw)
        offset = scale * torch.randint(-4, 5, (groups,), generator=draw) / 4
        low, high = 4 * int(qn.min()) - 6, 4 * int(qp.max()) + 7
        v = torch.randint(low, high, layout, generator=draw) / 4
        v = v * (0.1 + 0.9 * (torch.rand(layout, generator=draw) > 0.5)) // 0.25 * 0.25  # narrow widths too
        x = v * scale.view(1, -1, 1) + offset.view(1, -1, 1)
    else:
        scale = torch.rand(groups, generator=draw) * 0.1 + 0.01
        offset = torch.randn(groups, generator=draw) * 0.1
        x = torch.randn(layout, generator=draw) * ((qp - qn) * scale / 4).view(1, -1, 1) + offset.view(1, -1, 1)
    return x, torch.randn(layout, generator=draw), scale, offset, qn, qp


def ratio(x: Tensor, scale: Tensor, offset: Tensor | None) -> Tensor:
    shifted = x if offset is None else x - offset.view(1, -1, 1)
    return shifted / scale.view(1, -1, 1)


def plain(x: Tensor, scale: Tensor, offset: Tensor | None, qn: Tensor, qp: Tensor) -> Tensor:
    v = ratio(x, scale, offset)
    low, high = qn.view(1, -1, 1), qp.view(1, -1, 1)
    v = torch.where(v < low, low, v)
    v = torch.where(v > high, high, v)
    y = torch.round(v) * scale.view(1, -1, 1)
    return y if offset is None else y + offset.view(1, -1, 1)


def assert_same_bits(got: Tensor, want: Tensor) -> None:
    """Equal to the sign of a zero; any NaN is a NaN."""
    assert got.shape == want.shape
    assert got.dtype == want.dtype == torch.float32
    nan = torch.isnan(want)
    assert torch.equal(torch.isnan(got), nan)
    assert torch.equal(got.view(torch.int32)[~nan], want.view(torch.int32)[~nan])


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("with_offset", [True, False])
def test_fake_quantize_has_the_bits_of_torch(layout: Layout, exact: bool, with_offset: bool) -> None:
    for seed in range(2):
        x, grad, scale, some, qn, qp = operands(layout, seed, exact)
        offset = some if with_offset else None
        got = kernels.fake_quantize(x, scale, offset, qn, qp, layout)
        assert_same_bits(got, plain(x, scale, offset, qn, qp))
        v = ratio(x, scale, offset)
        inside = (v >= qn.view(1, -1, 1)) & (v <= qp.view(1, -1, 1))
        grad_x, _, _ = kernels.fake_quantize_backward(x, grad, scale, offset, qn, qp, layout)
        assert_same_bits(grad_x, torch.where(inside, grad, torch.zeros(())))


@given(
    layout=st.tuples(st.integers(0, 5), st.integers(1, 6), st.integers(0, 40)),
    bits=st.integers(2, 8),
    signed=st.booleans(),
    seed=st.integers(0, 2**32),
    with_offset=st.booleans(),
)
@settings(max_examples=150)
def test_fake_quantize_on_any_layout_and_width(
    layout: Layout, bits: int, signed: bool, seed: int, with_offset: bool
) -> None:
    draw = torch.Generator().manual_seed(seed)
    qn, qp = bounds(bits, signed, layout[1])
    scale = torch.rand(layout[1], generator=draw) + 2.0**-10
    offset = torch.randn(layout[1], generator=draw) if with_offset else None
    x = torch.randn(layout, generator=draw) * 2.0 ** (bits - 1)
    got = kernels.fake_quantize(x, scale, offset, qn, qp, layout)
    assert_same_bits(got, plain(x, scale, offset, qn, qp))
    with_clamp = torch.round(torch.clamp(ratio(x, scale, offset), qn.view(1, -1, 1), qp.view(1, -1, 1)))
    with_clamp = with_clamp * scale.view(1, -1, 1)
    assert torch.equal(got, with_clamp if offset is None else with_clamp + offset.view(1, -1, 1))


@pytest.mark.parametrize("layout", [(1, 1, 1280), (64, 20, 1), (2, 20, 32)], ids=str)
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("offset", [None, 0.25])
def test_nan_infinity_ties_bounds_and_zeros(layout: Layout, signed: bool, offset: float | None) -> None:
    qn, qp = bounds(3, signed, layout[1])
    low, high = qn[0].item(), qp[0].item()
    below, above = torch.nextafter(qn[0], torch.tensor(-INF)).item(), torch.nextafter(qp[0], torch.tensor(INF)).item()
    cases = [NAN, INF, -INF, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, low, high, below, above, low - 0.5, high + 0.5]
    cases += [1e-45, -1e-45, 3e38, -3e38]
    x = torch.tensor(cases * 64).view(layout)
    scale = torch.ones(layout[1])
    offsets = None if offset is None else torch.full((layout[1],), offset)
    assert_same_bits(kernels.fake_quantize(x, scale, offsets, qn, qp, layout), plain(x, scale, offsets, qn, qp))
    grad = torch.ones(layout)
    grad_x, grad_scale, grad_offset = kernels.fake_quantize_backward(x, grad, scale, offsets, qn, qp, layout)
    v = ratio(x, scale, offsets)
    assert torch.equal(grad_x, ((v >= low) & (v <= high)).float())
    nan_groups = torch.isnan(x).any(0).any(-1)
    assert nan_groups.any()
    assert torch.equal(torch.isnan(grad_scale), nan_groups)
    assert (grad_offset is None) == (offset is None)


def straight_through(x: Tensor, scale: Tensor, offset: Tensor, qn: Tensor, qp: Tensor) -> Tensor:
    v = (x - offset.view(1, -1, 1)) / scale.view(1, -1, 1)
    c = torch.clamp(v, qn.view(1, -1, 1).double(), qp.view(1, -1, 1).double())
    return (c + (torch.round(c) - c).detach()) * scale.view(1, -1, 1) + offset.view(1, -1, 1)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_gradients_are_those_of_straight_through_ops_in_float64(layout: Layout) -> None:
    x, grad, scale, offset, qn, qp = operands(layout, 5, exact=True)
    for used in (offset, None):
        leaves = [t.double().requires_grad_() for t in (x, scale, torch.zeros_like(scale) if used is None else used)]
        wanted = torch.autograd.grad(straight_through(leaves[0], leaves[1], leaves[2], qn, qp), leaves, grad.double())
        grad_x, grad_scale, grad_offset = kernels.fake_quantize_backward(x, grad, scale, used, qn, qp, layout)
        assert torch.equal(grad_x.double(), wanted[0])
        # The error of a sum goes with the size of its terms, not with what is left of them.
        size = (grad.abs() * (qp - qn).view(1, -1, 1)).sum((0, 2)).double()
        assert ((grad_scale - wanted[1]).abs() <= 1e-6 * size).all()
        assert wanted[1].abs().sum() > 0
        assert (grad_offset is None) == (used is None)
        if grad_offset is not None:
            assert ((grad_offset - wanted[2]).abs() <= 1e-6 * grad.abs().sum((0, 2))).all()


def test_sums_of_many_elements_are_kept_accurate() -> None:
    n = 1 << 22
    x, one = torch.full((n,), 100.0), torch.ones(1)
    grad = torch.full((n,), 0.1)
    _, grad_scale, grad_offset = kernels.fake_quantize_backward(x, grad, one, one, -8 * one, 7 * one, (1, 1, n))
    exact = n * grad[0].double().item()
    assert grad_offset is not None
    assert abs(grad_offset.item() / exact - 1) < 3e-5
    assert abs(grad_scale.item() / (7 * exact) - 1) < 3e-5


def naive_regulariser(w: Tensor, scale: Tensor, code: Tensor, v: Tensor, qn: Tensor, qp: Tensor) -> Tensor:
    """The definition in float64, group after group and code after code."""
    terms = []
    for g in range(w.shape[1]):
        inside_low = torch.where(v[:, g] < qn[g], qn[g].double() * scale[g], w[:, g])
        clipped = torch.where(v[:, g] > qp[g], qp[g].double() * scale[g], inside_low)
        levels = (code[:, g] * scale[g]).detach()
        variances = []
        for k in range(int(qn[g]), int(qp[g]) + 1):
            of_bin = clipped[code[:, g] == k]
            if of_bin.numel():
                variances.append(((of_bin - of_bin.mean()) ** 2).mean())
        assert sum(int((code[:, g] == k).sum()) for k in range(int(qn[g]), int(qp[g]) + 1)) == clipped.numel()
        terms.append(((clipped - levels) ** 2).mean() + torch.stack(variances).sum())
    return torch.stack(terms).mean()


@pytest.mark.parametrize(
    "layout",
    [
        (1, 1, 1),
        (1, 1, 777),
        (1, 1, 40_000),
        (1, 3, 5000),
        (64, 3, 64),
        (3, 2, 9000),
        (300, 6, 1),
        (40, 2, 3),
        (9, 4, 8),
    ],
    ids=str,
)
@pytest.mark.parametrize("exact", [True, False])
def test_bin_regulariser_is_the_naive_loop(layout: Layout, exact: bool) -> None:
    for seed in range(3):
        w, _, scale, offset, qn, qp = operands(layout, seed, exact)
        w = w - offset.view(1, -1, 1)
        loss, grad_w, grad_scale = kernels.bin_regulariser(w, scale, qn, qp, layout)
        v = w / scale.view(1, -1, 1)
        code = torch.round(torch.clamp(v, qn.view(1, -1, 1), qp.view(1, -1, 1))).long()
        leaves = [w.double().requires_grad_(), scale.double().requires_grad_()]
        wanted = naive_regulariser(leaves[0], leaves[1], code, v, qn, qp)
        want_w, want_scale = torch.autograd.grad(wanted, leaves)
        # c - k * scale is rounded to float32, as k * scale is in the quantiser itself: up to 128 * 2**-24 of a scale.
        assert loss == pytest.approx(wanted.item(), rel=1e-4, abs=1e-12)
        close(grad_w, want_w, 1e-4)
        size = want_w.abs().max() * layout[0] * layout[2] / (layout[0] * layout[2]) ** 0.5
        close(grad_scale, want_scale, 1e-3, least=size.item())
        assert grad_w.shape == w.shape
        assert grad_scale.shape == scale.shape


def close(got: Tensor, want: Tensor, share: float, least: float = 0.0) -> None:
    assert (got.double() - want).abs().max().item() <= share * max(want.abs().max().item(), least) + 1e-12


def test_bin_regulariser_counts_the_bins_that_float_comparisons_drop() -> None:
    """A scale for which k * scale / scale is not k in float32 for some k: every code still is a bin."""
    scale = torch.tensor([0.0123456])
    codes = torch.arange(-128.0, 128.0)
    w = (codes.repeat(4).view(4, -1) + torch.tensor([[-0.3], [-0.1], [0.1], [0.3]])) * scale
    qn, qp = bounds(8, True, 1)
    loss, grad, _ = kernels.bin_regulariser(w, scale, qn, qp, (1, 1, 1024))
    inner = 254 * 0.05 * scale.item() ** 2  # of the values -0.3, -0.1, 0.1, 0.3 the variance is 0.05
    first = torch.tensor([0.0, 0.0, 0.1, 0.3]).var(unbiased=False).item() * scale.item() ** 2
    squares = (254 * 4 * 0.05 + 2 * 0.1) / 1024 * scale.item() ** 2
    assert loss == pytest.approx(inner + 2 * first + squares, rel=1e-4)
    assert (grad != 0).sum() == 1024 - 4


def test_bin_regulariser_with_nan_infinity_and_nothing() -> None:
    one = torch.ones(1)
    loss, _, _ = kernels.bin_regulariser(torch.tensor([0.1, NAN, 2.0]), one, -8 * one, 7 * one, (1, 1, 3))
    assert loss != loss
    loss, grad, grad_scale = kernels.bin_regulariser(torch.tensor([INF, -INF]), one, -8 * one, 7 * one, (1, 1, 2))
    assert (loss, grad.tolist(), grad_scale.tolist()) == (0.0, [0.0, 0.0], [0.0])
    three = torch.ones(3)
    loss, grad, grad_scale = kernels.bin_regulariser(torch.empty(0), three, -8 * three, 7 * three, (0, 3, 5))
    assert (loss, grad.numel(), grad_scale.tolist()) == (0.0, 0, [0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("low", "high"), [(-8.5, 7), (-8, 7.5), (1, 7), (-8, 0), (-128, 128), (NAN, 7), (-8, NAN), (-INF, 7), (-8, INF)]
)
def test_bin_regulariser_refuses_other_bounds(low: float, high: float) -> None:
    w, one = torch.zeros(4), torch.ones(1)
    with pytest.raises(ValueError) as caught:
        kernels.bin_regulariser(w, one, low * one, high * one, (1, 1, 4))
    assert str(caught.value) == "qn and qp must be integers with qn <= 0 < qp and at most 256 codes from qn to qp"


@pytest.mark.parametrize("layout", [(1, 1, 50), (7, 3, 20), (9, 5, 1), (40, 3, 1024)], ids=str)
@pytest.mark.parametrize("signed", [True, False])
def test_tracker_is_the_rule_step_by_step(layout: Layout, signed: bool) -> None:
    draw = torch.Generator().manual_seed(3)
    groups = layout[1]
    qn, qp = bounds(8, signed, groups)
    scale = torch.rand(groups, generator=draw) + 0.5
    step = scale.view(1, -1, 1)
    w = torch.randn(layout, generator=draw) * 3 + (0 if signed else 130) * step
    low, high = qn.view(1, -1, 1), qp.view(1, -1, 1)
    code = torch.round(torch.clamp(w / step, low, high)).to(torch.int16)
    direction, frequency = torch.zeros(layout, dtype=torch.int8), torch.zeros(layout)
    want_code, want_direction, want_frequency = code.clone(), direction.clone(), frequency.clone()
    seen = 0
    for _ in range(12):
        w = w + torch.randn(layout, generator=draw) * 0.8 * step
        now = torch.round(torch.clamp(w / step, low, high)).to(torch.int16)
        change = torch.sign(now - want_code).to(torch.int8)
        oscillates = (change != 0) & (want_direction != 0) & (change != want_direction)
        seen += int(oscillates.sum())
        want_frequency = 0.3 * oscillates + (1 - 0.3) * want_frequency
        want_direction = torch.where(change != 0, change, want_direction)
        want_code = now
        kernels.track_oscillation(w, scale, qn, qp, layout, code, direction, frequency, 0.3)
        assert torch.equal(code, want_code)
        assert torch.equal(direction, want_direction)
        assert_same_bits(frequency, want_frequency)
    assert seen > 0


def test_tracker_by_hand() -> None:
    """0, 1, 2, 1, 1, 2 and a NaN: up, up, back, still, back, no change."""
    one = torch.ones(1)
    code, direction, frequency = torch.zeros(1, dtype=torch.int16), torch.zeros(1, dtype=torch.int8), torch.zeros(1)
    seen = []
    for w in (0.0, 1.0, 2.2, 0.9, 1.1, 1.9, NAN):
        kernels.track_oscillation(w * one, one, -4 * one, 3 * one, (1, 1, 1), code, direction, frequency, 0.5)
        seen.append((code.item(), direction.item(), frequency.item()))
    assert seen == [(0, 0, 0), (1, 1, 0), (2, 1, 0), (1, -1, 0.5), (1, -1, 0.25), (2, 1, 0.625), (2, 1, 0.3125)]


@pytest.mark.parametrize(
    "layout", [(1, 1, 100_000), (600, 3, 64), (300, 400, 1), (20, 2, 5000), (300, 300, 3)], ids=str
)
def test_threads_change_no_bit(layout: Layout) -> None:
    x, grad, scale, offset, qn, qp = operands(layout, 11, exact=False)

    def everything() -> list[Tensor]:
        code, direction, frequency = x.to(torch.int16), torch.ones(layout, dtype=torch.int8), torch.zeros(layout)
        kernels.track_oscillation(x, scale, qn, qp, layout, code, direction, frequency, 0.01)
        grads = kernels.fake_quantize_backward(x, grad, scale, offset, qn, qp, layout)
        loss, *of_bins = kernels.bin_regulariser(x, scale, qn, qp, layout)
        results = [kernels.fake_quantize(x, scale, offset, qn, qp, layout), *grads, torch.tensor(loss), *of_bins]
        return [t for t in [*results, code, direction, frequency] if t is not None]

    alone = everything()
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert all(torch.equal(a, b) for a, b in zip(alone, everything(), strict=True))


def test_kernels_run_on_the_openmp_runtime_of_torch() -> None:
    def address(handle: ctypes.CDLL) -> int | None:
        return ctypes.cast(handle.omp_get_max_threads, ctypes.c_void_p).value

    of_torch = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
    found = build.library()
    assert found is not None
    assert address(found) == address(of_torch)


def in_a_new_process(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[3],
    )
    return done.stdout.strip()


@pytest.fixture
def anew() -> Iterator[Callable[[], build.Status]]:
    """Looks for the kernels again, as a new process would; afterwards they are as they were."""

    def look() -> build.Status:
        build._loaded.cache_clear()
        kernels._kernel.cache_clear()
        assert build.status().available == kernels.available()
        return build.status()

    with pytest.MonkeyPatch.context() as restored:
        restored.setattr(build, "_loaded", cache(build._loaded.__wrapped__))
        yield look
    kernels._kernel.cache_clear()


@pytest.mark.parametrize("another", [False, True])
def test_no_runtime_is_added_whoever_brought_one(another: bool) -> None:
    """scikit-learn has an OpenMP runtime of its own; loaded before the kernels it must neither stop nor serve them."""
    found = list(Path(torch.__file__).parents[1].glob("scikit_learn.libs/libgomp*"))
    if another and not found:
        pytest.skip("no scikit-learn with a runtime of its own")
    program = f"""
import ctypes
{f"ctypes.CDLL({str(found[0])!r})" if another else ""}
from pathlib import Path
from qat.quantisers.native import build
def runtimes():
    paths = {{line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}}
    return sorted(path for path in paths if "gomp" in path or "iomp" in path or "libomp" in path)
before = runtimes()
assert build.library() is not None, build.status()
assert runtimes() == before
assert build.torch_openmp() in before
print(len(before))
"""
    assert in_a_new_process(program) == ("2" if another else "1")


def test_without_a_compiler_in_a_new_process() -> None:
    program = (
        "from qat.quantisers.native import build, kernels;"
        "print(build.library(), kernels.available(), build.status().reason)"
    )
    assert in_a_new_process(program, CC="/nonexistent") == "None False CC=/nonexistent is no program"


def test_switched_off_or_without_a_compiler(
    anew: Callable[[], build.Status], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SILIQUANT_NATIVE", "0")
    assert anew() == build.Status(False, "SILIQUANT_NATIVE=0 turns them off", "", None)
    monkeypatch.setenv("SILIQUANT_NATIVE", "1")
    monkeypatch.setenv("CC", "/nonexistent")
    assert anew().reason == "CC=/nonexistent is no program"
    with pytest.raises(RuntimeError) as caught:
        kernels.fake_quantize(ONE, ONE, None, -ONE, ONE, (1, 1, 1))
    assert str(caught.value) == "the compiled kernels are not available: CC=/nonexistent is no program"
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert anew().reason == "there is no C compiler: cc, gcc or clang"


def test_a_compiler_that_fails_and_a_cache_that_cannot_be_written(
    anew: Callable[[], build.Status], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(file))
    assert anew().available  # in a folder of this process
    broken = tmp_path / "broken-cc"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo broken 1 && exit 0\necho "error: no" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    assert anew() == build.Status(False, f"{broken} failed: error: no", "broken 1", None)
    assert [path.name for path in (tmp_path / "cache").rglob("*.so")] == []
    monkeypatch.setenv("CC", "cc 'unclosed")
    assert anew().reason == "No closing quotation"


def test_compiled_once_into_the_cache_and_reused(
    anew: Callable[[], build.Status], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path))
    first = anew()
    assert first.available
    assert first.path is not None
    assert first.reason == ""
    assert first.compiler != ""
    made = first.path.stat()
    assert re.fullmatch(r"qat-kernels/[0-9a-f]{64}/kernels\.so", str(first.path.relative_to(tmp_path)))
    assert anew() == first
    assert (first.path.stat().st_ino, first.path.stat().st_mtime_ns) == (made.st_ino, made.st_mtime_ns)
    assert sorted(path.name for path in first.path.parent.iterdir()) == [".record", "kernels.so"]
    assert kernels.fake_quantize(1.4 * ONE, ONE, None, -ONE, ONE, (1, 1, 1)) == 1


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def of_garbage(path: Path) -> None:
    path.write_bytes(b"no machine code")


def for_all_to_write(path: Path) -> None:
    path.chmod(0o777)


@pytest.mark.parametrize("damage", [cut_short, of_garbage, for_all_to_write])
def test_kernels_that_are_not_as_they_were_made_are_made_again(
    damage: Callable[[Path], None], anew: Callable[[], build.Status], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Cut short they were a bus error, as garbage they were off for ever, and anybody's were run."""
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "é x"))
    path = anew().path
    assert path is not None
    whole = path.read_bytes()
    damage(path)
    assert anew().available
    assert path.read_bytes() == whole
    assert path.stat().st_mode & 0o077 == 0
    assert capsys.readouterr().err.count("is not used and made again") == 1
    assert kernels.fake_quantize(1.4 * ONE, ONE, None, -ONE, ONE, (1, 1, 1)) == 1


ONE = torch.ones(1)
X = torch.zeros(2, 6)


def quantise(**changes: Any) -> Callable[[], object]:
    arguments: dict[str, Any] = {"x": X, "scale": ONE, "offset": None, "qn": -ONE, "qp": ONE, "layout": (1, 1, 12)}
    return lambda: kernels.fake_quantize(**{**arguments, **changes})


def track(**changes: Any) -> Callable[[], object]:
    arguments: dict[str, Any] = {"w": X, "scale": ONE, "qn": -ONE, "qp": ONE, "layout": (1, 1, 12), "momentum": 0.01}
    state = {"code": X.to(torch.int16), "direction": X.to(torch.int8), "frequency": X.clone()}
    return lambda: kernels.track_oscillation(**{**arguments, **state, **changes})


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (quantise(x=X.double()), TypeError, "x must be a tensor of torch.float32, not torch.float64"),
        (quantise(x=[1.0]), TypeError, "x must be a tensor, not list"),
        (quantise(x=X.to("meta")), TypeError, "x must be a tensor on the CPU, not on meta"),
        (quantise(x=X.t()), ValueError, "x must be contiguous, which one of shape (6, 2) is not"),
        (quantise(scale=ONE.half()), TypeError, "scale must be a tensor of torch.float32, not torch.float16"),
        (quantise(scale=torch.ones(2)), ValueError, "scale must have 1 elements, not 2"),
        (quantise(offset=torch.ones(3)), ValueError, "offset must have 1 elements, not 3"),
        (quantise(qn=torch.ones(2)), ValueError, "qn must have 1 elements, not 2"),
        (quantise(qp=1.0), TypeError, "qp must be a tensor, not float"),
        (quantise(layout=(2, 1, 7)), ValueError, "layout (2, 1, 7) must multiply to the 12 elements of x"),
        (quantise(layout=(1, 12)), TypeError, "layout must be a tuple of three integers, not (1, 12)"),
        (quantise(layout=(1, 1.0, 12)), TypeError, "layout must be a tuple of three integers, not (1, 1.0, 12)"),
        (
            quantise(layout=(-1, 1, -12)),
            ValueError,
            "layout must have at least one group and no negative size, not (-1, 1, -12)",
        ),
        (
            lambda: kernels.fake_quantize_backward(X, X.t(), ONE, None, -ONE, ONE, (1, 1, 12)),
            ValueError,
            "grad_y must be contiguous, which one of shape (6, 2) is not",
        ),
        (
            lambda: kernels.bin_regulariser(X[0], ONE, -ONE, ONE, (1, 1, 12)),
            ValueError,
            "layout (1, 1, 12) must multiply to the 6 elements of w",
        ),
        (track(code=X.int()), TypeError, "code must be a tensor of torch.int16, not torch.int32"),
        (track(direction=X), TypeError, "direction must be a tensor of torch.int8, not torch.float32"),
        (track(frequency=X[0]), ValueError, "frequency must have 12 elements, not 6"),
        (track(momentum=1.5), ValueError, "momentum must be from 0 to 1, not 1.5"),
        (track(momentum=NAN), ValueError, "momentum must be from 0 to 1, not nan"),
    ],
)
def test_wrong_arguments(call: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
