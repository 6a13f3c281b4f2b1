"""The kernels in Triton against PyTorch's operations: on a GPU where there is one, else in Triton's interpreter.

    TRITON_INTERPRET=1 python -m pytest -n0 tests/qat/quantisers/test_cuda.py

runs them in the interpreter, and without that variable on the GPU. What dispatches to them is tested everywhere; the
rest is skipped where Triton is not installed, or has neither GPU nor interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from qat.quantisers import Layout, PerChannel, PerHead, PerTensor, Quantizer, cuda, fakequant
from qat.quantisers.cuda import device as placing
from qat.quantisers.fakequant import RELATIVE_FLOOR, Operands

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU and os.environ.get("TRITON_INTERPRET") != "1" else "cpu")
TRITON = find_spec("triton") is not None
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

compiles = pytest.mark.skipif(not TRITON, reason="Triton is not installed: it is the extra cuda")
interpreter_warns = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # NumPy, of NaN and infinity
needs_triton = pytest.mark.skipif(
    not (TRITON and (GPU or INTERPRETED)), reason="needs Triton and a GPU, or its interpreter: TRITON_INTERPRET=1"
)

INF, NAN = float("inf"), float("nan")
UNIT = 2.0**-24  # half the spacing of float32 at 1


def triton_kernels() -> Any:
    return import_module("qat.quantisers.cuda.kernels")


def reference(x: Tensor, grad: Tensor, operands: Operands, layout: Layout) -> tuple[Tensor, Tensor]:
    """Values and gradient of x, by PyTorch."""
    scale, (_, _, offset, low, high, *_) = operands.scale, operands
    values = fakequant._ratio(x, scale, offset, layout).clamp_(_row(low), _row(high)).round_().mul_(_row(scale))
    values = values if offset is None else values.add_(_row(offset))
    return values.view(x.shape), fakequant.lsq_backward(x, grad, scale, offset, low, high, layout)[0]


def _row(values: Tensor) -> Tensor:
    return values.view(1, -1, 1)


def assert_bits(found: Tensor, wanted: Tensor, either_zero: Tensor | None = None) -> None:
    """Where `either_zero`, zeros of both signs are one."""
    assert found.shape == wanted.shape
    same = (found.view(torch.int32) == wanted.view(torch.int32)) | (found.isnan() & wanted.isnan())
    if either_zero is not None:
        same |= either_zero.view(found.shape) & (found == wanted)
    assert bool(same.all()), (found[~same][:4].tolist(), wanted[~same][:4].tolist())


def on_a_bound_of_zero(x: Tensor, operands: Operands, layout: Layout) -> Tensor:
    """Where v and the bound are zeros, of which torch.clamp takes either, and so signs of what comes of them differ."""
    v = fakequant._ratio(x, operands.scale, operands.offset, layout)
    return (v == 0) & (_row(operands.low) == 0)


def check(x: Tensor, grad: Tensor, operands: Operands, layout: Layout) -> None:
    kernels = triton_kernels()
    x, grad = x.to(DEVICE), grad.to(DEVICE)
    operands = Operands(*(each.to(DEVICE) if isinstance(each, Tensor) else each for each in operands))
    values = kernels.learned_quantize(x, *operands[:5], layout, RELATIVE_FLOOR)
    grad_x, grad_relative, grad_offset = kernels.learned_quantize_backward(x, grad, *operands, layout, RELATIVE_FLOOR)
    wanted, wanted_x = reference(x, grad, operands, layout)
    assert_bits(values, wanted, on_a_bound_of_zero(x, operands, layout))
    assert_bits(grad_x, wanted_x)

    relative, start, offset, low, high, size, of_x = operands
    v = fakequant._ratio(x, operands.scale, offset, layout)
    outside = ~((v >= _row(low)) & (v <= _row(high)))
    slopes = torch.where(outside, v.clamp(_row(low), _row(high)), v.round() - v)
    terms = slopes * grad.view(layout)
    factor = torch.ones(layout.groups, dtype=torch.float64, device=DEVICE)
    if of_x:
        factor = (x.double().view(layout).abs().sum((0, 2)) * high).clamp(min=1e-12).rsqrt()
    elif size is not None:
        factor = (size.double() * high).clamp(min=1e-12).rsqrt()
    of_scale = terms.double().sum((0, 2)) * factor
    dropped = (relative <= RELATIVE_FLOOR) & (of_scale > 0)
    wanted_relative = torch.where(dropped, 0.0, of_scale * start)
    assert_near(grad_relative, wanted_relative, terms, (factor * start).abs())
    assert (grad_offset is None) == (offset is None)
    if grad_offset is not None:
        terms = grad.view(layout).masked_fill(~outside, 0.0)
        assert_near(grad_offset, terms.double().sum((0, 2)) * factor, terms, factor)


def assert_near(found: Tensor, wanted: Tensor, terms: Tensor, factor: Tensor) -> None:
    """A sum of n floats in any order errs by at most n units of the sum of their magnitudes, the norm in the factor by
    as much, and the few operations after them by one unit each.
    """
    count = terms.shape[0] * terms.shape[2] + 8
    bound = count * UNIT * (terms.double().abs().sum((0, 2)) * factor + wanted.abs())
    finite = bound.isfinite()
    assert bool(((found.double() - wanted).abs()[finite] <= bound[finite] + 1e-40).all()), (found, wanted)
    assert bool((found.isnan() == wanted.isnan())[~finite].all())


def bounds(bits: list[int], signed: bool) -> tuple[Tensor, Tensor]:
    pairs = [(-(2 ** (b - 1)), 2 ** (b - 1) - 1) if signed else (0, 2**b - 1) for b in bits]
    low, high = torch.tensor(pairs, dtype=torch.float32).reshape(-1, 2).unbind(1)
    return low.contiguous(), high.contiguous()


def drawn(layout: Layout, seed: int, *, signed: bool, offset: bool, size: str, exact: bool) -> tuple[Any, ...]:
    """x, gradient and operands; exact: quarters of the scale, with ties, values on the bounds, NaN, inf and -0.0."""
    draw = torch.Generator().manual_seed(seed)
    groups = layout.groups
    low, high = bounds([2 + int(b) for b in torch.randint(0, 7, (groups,), generator=draw)], signed)
    relative = torch.rand(groups, generator=draw) + 0.5
    start = torch.rand(groups, generator=draw) * 0.1 + 0.01
    moved = torch.randn(groups, generator=draw) * 0.1
    x = torch.randn(layout, generator=draw) * ((high - low) * start / 3).view(1, -1, 1)
    if exact:
        relative = torch.tensor([1.0, RELATIVE_FLOOR, RELATIVE_FLOOR / 2, 0.5])[torch.arange(groups) % 4]
        start = 2.0 ** -torch.randint(0, 4, (groups,), generator=draw)
        scale = start * relative.clamp(min=RELATIVE_FLOOR)
        moved = scale * torch.randint(-4, 5, (groups,), generator=draw) / 4
        span = (high - low + 4) * 4
        v = (torch.rand(layout, generator=draw) * _row(span)).floor() / 4 + _row(low) - 2
        x = v * _row(scale) + _row(moved)
        odd = torch.randint(0, 40, layout, generator=draw)
        large = 1e30 if size == "norm" else 3e38  # the norm of a group must fit float32, as in PyTorch
        for at, value in enumerate([NAN, INF, -INF, -0.0, 0.0, 1e-42, large]):
            x = torch.where(odd == at, value, x)
    grad = torch.randn(layout, generator=draw)
    sizes = torch.rand(groups, generator=draw) * 50 if size == "given" else None
    return x, grad, Operands(relative, start, moved if offset else None, low, high, sizes, size == "norm")


@interpreter_warns
@needs_triton
@given(
    st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(0, 70)),
    st.integers(0, 2**32),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["none", "given", "norm"]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_bits_of_values_and_gradients(
    layout: tuple[int, int, int], seed: int, signed: bool, offset: bool, size: str, exact: bool
) -> None:
    sizes = Layout(*layout)
    check(*drawn(sizes, seed, signed=signed, offset=offset, size=size, exact=exact), sizes)


LARGE = [(1, 1, 5000), (5, 3, 700), (300, 5, 1), (40, 3, 20), (2, 70, 33), (7, 100, 1), (1, 3, 3073), (33, 2, 7)]


@interpreter_warns
@needs_triton
@pytest.mark.parametrize("layout", LARGE, ids=str)
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("programs", [1, 4096])
def test_layouts_of_many_tiles(
    layout: tuple[int, int, int], exact: bool, programs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one program a group the backward pass goes through its tiles in a loop."""
    monkeypatch.setattr(triton_kernels(), "_PROGRAMS", programs)
    sizes = Layout(*layout)
    check(*drawn(sizes, 1, signed=not exact, offset=True, size="norm", exact=exact), sizes)


@interpreter_warns
@needs_triton
def test_sums_of_many_blocks_are_the_same_in_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """More blocks than one step of the last sum takes."""
    kernels = triton_kernels()
    monkeypatch.setattr(kernels, "_TILE", 128)
    sizes = Layout(1, 1, 128 * 150 + 5)
    x, grad, operands = drawn(sizes, 3, signed=True, offset=True, size="norm", exact=False)
    check(x, grad, operands, sizes)
    moved = [each.to(DEVICE) if isinstance(each, Tensor) else each for each in (x, grad, *operands)]
    first, second = (kernels.learned_quantize_backward(*moved, sizes, RELATIVE_FLOOR) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@interpreter_warns
@needs_triton
@pytest.mark.parametrize("layout", [(4, 3, 50), (30, 5, 1)])
def test_wide_indices_give_the_same_bits(layout: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_kernels(), "_NARROW", 0)
    sizes = Layout(*layout)
    check(*drawn(sizes, 2, signed=True, offset=True, size="norm", exact=True), sizes)


INDEXED = """
import torch, triton, triton.language as tl
from importlib import import_module
kernels = import_module("qat.quantisers.cuda.kernels")
members_of, groups_of = kernels._members_of, kernels._groups_of

@triton.jit
def show(out, index, members_at: tl.constexpr):
    if members_at:
        tl.store(out + tl.arange(0, 4)[:, None], members_of(index, 4, True))
    else:
        tl.store(out + tl.arange(0, 4)[None, :], groups_of(index, 4, True))

for members in (True, False):
    out = torch.zeros(4, dtype=torch.int64, device="DEVICE")
    show[(1,)](out, 2**30, members)
    assert out.tolist() == [2**32, 2**32 + 1, 2**32 + 2, 2**32 + 3], out
"""


@needs_triton
def test_indices_past_32_bits(tmp_path: Any) -> None:
    script = tmp_path / "indexed.py"
    script.write_text(INDEXED.replace("DEVICE", str(DEVICE)))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **changes}


@interpreter_warns
@needs_triton
@pytest.mark.parametrize("case", [(PerTensor(), 1, (9, 70)), (PerHead(3, 1), 3, (20, 12)), (PerChannel(0), 5, (5, 60))])
@pytest.mark.parametrize("offset", [False, True])
def test_a_quantiser_trains_alike(case: Any, offset: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    granularity, groups, shape = case
    results = []
    monkeypatch.setattr(fakequant, "native", lambda tensors: False)
    for fused in (True, False):
        monkeypatch.setattr(fakequant, "fused", lambda tensors, answer=fused: answer)
        quantizer = Quantizer(4, signed=not offset, granularity=granularity, groups=groups, with_offset=offset)
        weight = torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(1)))
        quantizer.fit(weight)
        quantizer.to(DEVICE)
        weight = torch.nn.Parameter(weight.detach().to(DEVICE))
        values = quantizer(weight)
        (values.square().sum() / 3).backward()
        parameters = [p.grad for p in quantizer.parameters()]
        results.append((values.detach(), weight.grad, *parameters))
    (values, grad_x, *sums), (wanted, wanted_x, *wanted_sums) = results
    assert_bits(values, wanted)
    assert grad_x is not None
    assert wanted_x is not None
    assert_bits(grad_x, wanted_x)
    for ours, theirs in zip(sums, wanted_sums, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-5)


COMPILED = """
import itertools
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from importlib import import_module
kernels = import_module("qat.quantisers.cuda.kernels")

INTEGERS = {"members", "groups", "inner", "tiles", "blocks", "steps"}
for kernel, capability, wide, given in itertools.product(
    (kernels._forward, kernels._backward, kernels._finish), (80, 90), (False, True), (False, True)
):
    constants = {"least": 1 / 256, "of_x": given, "MEMBERS": 256, "BLOCKS": 64, "GROUPS": 4, "WIDE": wide}
    if not given:
        constants |= {"offset": None, "grad_offset": None, "size": None}
    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    kinds = {
        name: "constexpr" if name in constants else ("i64" if wide else "i32") if name in INTEGERS else "*fp32"
        for name in kernel.arg_names
    }
    source = ASTSource(kernel, signature=kinds, constexprs=constants)
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"enable_fp_fusion": False})
    text = made.asm["ptx"]
    assert "cubin" in made.asm
    for bad in ("fma", ".ftz", "approx", "div.full"):
        assert bad not in text, (kernel, bad)
    if kernel is not kernels._finish or given:
        assert "div.rn.f32" in text, kernel
    print("compiled")
"""


@compiles
def test_kernels_compile_for_gpus_with_every_operation_rounded(tmp_path: Any) -> None:
    """Needs no GPU: PTX and machine code for Ampere and Hopper, in which no multiplication is fused, no quotient is an
    approximation and no small number is flushed to zero.
    """
    script = tmp_path / "compiled.py"
    script.write_text(COMPILED)
    env = environment(TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path / "cache"))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("compiled") == 24


# ---- What goes to the kernels, and what does not ----


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the CPU as if they were on a GPU for which there are kernels."""
    monkeypatch.setattr(placing, "on_gpu", lambda tensor: True)
    monkeypatch.setattr(placing, "available", lambda device: True)


def values(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones((4, 6), dtype=dtype)


def test_nothing_on_the_cpu_goes_to_kernels_of_cuda() -> None:
    assert not cuda.serves([values()])
    assert not cuda.serves([])
    assert not fakequant.fused([values(), None])


@pytest.mark.usefixtures("gpu")
def test_plain_tensors_on_one_gpu_go_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cuda.serves([values(), None, torch.nn.Parameter(values())])
    for other in (
        values(torch.float64),
        values(torch.float16),
        values().t(),
        values().to_sparse(),
        values().to("meta"),
        torch._subclasses.FakeTensorMode().from_tensor(values()),
    ):
        assert not cuda.serves([values(), other])
    monkeypatch.setattr(placing, "available", lambda device: False)
    assert not cuda.serves([values()])


@pytest.mark.usefixtures("gpu")
def test_what_traces_or_transforms_sees_the_operations_of_pytorch() -> None:
    answers = []

    def asked(x: Tensor) -> Tensor:
        answers.append(cuda.serves([values()]))
        return x * 2

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            return func(*args, **(kwargs or {}))

    asked(values())
    torch.func.vmap(asked)(values())
    torch.func.grad(lambda x: asked(x).sum())(values())
    with Watching():
        asked(values())
    assert answers == [True, False, False, False]
    compiled = torch.compile(lambda x: x * (3 if cuda.serves([x]) else 2), backend="eager", fullgraph=True)
    assert torch.equal(compiled(values()), 2 * values())


def test_where_there_is_no_gpu_none_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = placing.available.__wrapped__
    here = torch.device("cuda:0")
    monkeypatch.setattr(placing, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.delenv("SILIQUANT_NATIVE", raising=False)
    assert asking(here)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not asking(here)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setenv("SILIQUANT_NATIVE", "0")
    assert not asking(here)
    monkeypatch.delenv("SILIQUANT_NATIVE")
    monkeypatch.setattr(placing, "find_spec", lambda name: None)
    assert not asking(here)
    monkeypatch.setattr(placing, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.version, "cuda", None)
    assert not asking(here)


class Stand:
    """In place of the kernels: what they compute, by PyTorch, and how often."""

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda x: x) -> None:
        self.calls: list[str] = []
        self.change = change

    def learned_quantize(self, x: Tensor, *rest: Any) -> Tensor:
        self.calls.append("forward")
        *operands, layout, _ = rest
        return self.change(fakequant.lsq_forward(x, Operands(*operands).scale, *operands[2:], layout))

    def learned_quantize_backward(self, x: Tensor, grad: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        self.calls.append("backward")
        *operands, layout, _ = rest
        given = Operands(*operands)
        grad_x, *others = fakequant.lsq_backward(x, grad, given.scale, given.offset, given.low, given.high, layout)
        return self.change(grad_x), *others


def stands(monkeypatch: pytest.MonkeyPatch, stand: Stand) -> Stand:
    module: Any = SimpleNamespace(
        learned_quantize=stand.learned_quantize, learned_quantize_backward=stand.learned_quantize_backward
    )
    monkeypatch.setattr(cuda, "loaded", lambda: module)
    return stand


@pytest.mark.usefixtures("gpu")
def test_a_quantiser_calls_one_kernel_forward_and_one_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = stands(monkeypatch, Stand())
    monkeypatch.setattr(fakequant, "native", lambda tensors: False)
    monkeypatch.setattr(fakequant, "_agree", lambda device: True)
    quantizer = Quantizer(4, signed=True)
    quantizer.set_scale(torch.tensor([0.5]))
    weight = torch.nn.Parameter(torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
    quantizer(weight).sum().backward()
    assert stand.calls == ["forward", "backward"]
    monkeypatch.setattr(fakequant, "_agree", lambda device: False)
    quantizer(weight).sum().backward()
    assert stand.calls == ["forward", "backward"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x, ""),
        (lambda x: x.where(x != 64.0, 64.5), "values of multiples of a quarter are not those of PyTorch"),
        (lambda x: x.nan_to_num(0.0), "values of multiples of a quarter are not those of PyTorch"),
        (lambda x: -x, "values of random values are not those of PyTorch"),
    ],
)
def test_the_trial_finds_what_differs(
    change: Callable[[Tensor], Tensor], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands(monkeypatch, Stand(change))
    assert fakequant.differences(torch.device("cpu")) == said


def test_the_trial_finds_a_gradient_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = stands(monkeypatch, Stand())
    stand.change = lambda x: x + 1 if stand.calls[-1] == "backward" else x
    assert fakequant.differences(torch.device("cpu")) == "gradients of random values are not those of PyTorch"


def test_kernels_that_fail_or_differ_are_left_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(device: torch.device) -> str:
        raise RuntimeError("no C compiler\nfor the launcher")

    here = torch.device("cuda:1")
    assert cuda.try_out(here, lambda device: "")
    assert capsys.readouterr().err == ""
    assert not cuda.try_out(here, broken)
    start = "siliquant: going on without fused kernels on cuda:1, which is slower: "
    assert capsys.readouterr().err == start + "RuntimeError: no C compiler for the launcher\n"
    assert not cuda.try_out(here, lambda device: "values differ")
    assert capsys.readouterr().err == start + "values differ\n"
