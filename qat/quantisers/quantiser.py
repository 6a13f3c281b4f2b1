"""Quantisers of 2 to 8 bits: uniform steps, learned (LSQ) or statistical scales, one for each group of elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from qat.settings import GradientScale, check_bits, code_range
from siliquant.inputs import InputError

from .fakequant import RELATIVE_FLOOR, Operands, codes, dense, numbers
from .granularity import PER_TENSOR, Granularity, Layout
from .operators import fake_quantize, wide
from .scalesearch import ScaleSearch, fit_scale
from .surrogate import FourierSurrogate

__all__ = ["Quantizer", "StatisticalQuantizer"]


class Quantizer(nn.Module):
    """LSQ: value = scale * code + offset, code = round(clamp((x - offset) / scale, Qn, Qp)).

    The scale is `start * relative`: `start` is what calibration found, `relative` is learned from 1.0 and kept at
    1/256 or more, so that a scale cannot become zero or negative and every scale moves at a rate that suits its size.

    Args:
        bits: 2 to 8, or one such number for each group.
        signed: two's complement codes, else codes from 0.
        granularity: which elements share a scale.
        groups: how many scales there are.
        with_offset: learn an offset, for values with a small negative part (after GELU); unsigned only.
        gradient_scale: see GradientScale.
        mean_start: start scales at 2 * mean|x| / sqrt(Qp), as LSQ does, not at the least squared error.

    `off`: groups that are not quantised; see the property.
    `observer`, where set, is called with the codes of every tensor that is quantised.
    `surrogate`, where set, takes the place of 1 as the derivative of rounding, in the gradient of what is quantised.
    `of_weight`: it quantises a weight, whose L1 norm is that of the tensor as it is now; `fit` sets it.

    Everything is computed in float32, in float64 where the parameters are of that type; values have the dtype of the
    parameters, whatever that of what is quantised.
    """

    Observer = Callable[[Tensor], None]

    def __init__(
        self,
        bits: int | Sequence[int],
        *,
        signed: bool,
        granularity: Granularity = PER_TENSOR,
        groups: int = 1,
        with_offset: bool = False,
        gradient_scale: GradientScale = GradientScale.L1,
        mean_start: bool = False,
    ) -> None:
        super().__init__()
        self.bits = tuple(bits) if isinstance(bits, Sequence) else (bits,) * groups
        if len(self.bits) != groups:
            raise InputError(f"bits must be one number or {groups}, one a group, not {len(self.bits)}")
        if with_offset and signed:
            raise InputError("with_offset must be False for signed codes, not True")
        for b in self.bits:
            self.check_bits(b)
        ranges = [code_range(b, signed) for b in self.bits]
        self.signed = signed
        self.granularity = granularity
        self.groups = groups
        self.gradient_scale = gradient_scale
        self.mean_start = mean_start
        self.relative = nn.Parameter(torch.ones(groups))
        self.offset = nn.Parameter(torch.zeros(groups)) if with_offset else None
        self.register_buffer("start", torch.full((groups,), math.nan))
        self.register_buffer("magnitude", torch.ones(groups))
        self.start: Tensor
        self.magnitude: Tensor
        self.of_weight = False
        self._ranges = ranges
        self._bounds = self._made_bounds()
        self._off: frozenset[int] = frozenset()
        self.calibrated = False
        self.search: ScaleSearch | None = None
        self.observer: Quantizer.Observer | None = None
        self.surrogate: FourierSurrogate | None = None

    @staticmethod
    def check_bits(bits: int) -> None:
        """TypeError or ValueError when this kind of quantiser has no such width."""
        check_bits(bits)

    def extra_repr(self) -> str:
        bits = self.bits[0] if len(set(self.bits)) == 1 else self.bits
        return f"bits={bits}, signed={self.signed}, granularity={self.granularity}, offset={self.offset is not None}"

    @property
    def off(self) -> frozenset[int]:
        """Groups whose elements `forward` passes as they are, with a gradient of 1; those of a head are what that head
        is at full precision. Not kept in a state dict. InputError for a group that there is not.
        """
        return self._off

    @off.setter
    def off(self, groups: Iterable[int]) -> None:
        wanted = frozenset(groups)
        if wrong := sorted(wanted - set(range(self.groups))):
            raise InputError(f"off must be groups from 0 to {self.groups - 1}, not {wrong[0]}")
        self._off = wanted

    @property
    def passes(self) -> bool:
        """Whether some values pass as they are, so that what comes out has no codes."""
        return self.search is not None or bool(self._off)

    @property
    def low(self) -> Tensor:
        """The lowest code of each group, float32 (or float64) [groups]."""
        return self._bounds_now()[0]

    @property
    def high(self) -> Tensor:
        """The highest code of each group."""
        return self._bounds_now()[1]

    def _bounds_now(self) -> tuple[Tensor, Tensor]:
        """Made of what the quantiser is, where its parameters are now: no tensor that a move to or from the meta
        device, a cast or a state dict could leave without its values.
        """
        like = self.relative
        if self._bounds[0].device != like.device or self._bounds[0].dtype != wide(like.dtype):
            made = self._made_bounds()
            if torch.compiler.is_compiling():  # they are the traced program's own
                return made
            self._bounds = made
        return self._bounds

    def _made_bounds(self) -> tuple[Tensor, Tensor]:
        like = self.relative
        with torch.inference_mode(False):  # they are kept, and a later backward may need them
            low, high = (
                torch.tensor([float(bound) for bound in bounds], dtype=wide(like.dtype), device=like.device)
                for bounds in zip(*self._ranges, strict=True)
            )
        return low, high

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._bounds = self._made_bounds()
        return self

    @property
    def scale(self) -> Tensor:
        """float32 [groups] (float64 where the parameters are), positive."""
        dtype = wide(self.relative.dtype)
        return self.start.to(dtype) * self.relative.detach().to(dtype).clamp(min=RELATIVE_FLOOR)

    def layout(self, x: Tensor) -> Layout:
        """How `x` is cut into groups; ValueError when it has another number of groups than scales."""
        layout = self.granularity.layout(x.shape)
        if layout.groups != self.groups:
            raise InputError(f"a tensor of shape {tuple(x.shape)} must have {self.groups} groups, not {layout.groups}")
        return layout

    def forward(self, x: Tensor) -> Tensor:
        """The values that the codes of `x` stand for, in its shape.

        While `search` is set, `x` is only looked at and passed on as it is, and so are the groups that are off.
        RuntimeError before the scales were found or loaded.
        """
        layout, x = self.layout(x), dense(x)
        if self.search is not None:
            self.search.observe(x, layout)
            return x
        if len(self._off) == self.groups:
            return x
        self.refresh(x)
        self._need_scale()
        if self.observer is not None:
            self.to_int(x)
        shaped = x
        if self.surrogate is not None:
            offset = None if self.offset is None else self.offset.detach()
            shaped = self.surrogate.shaped(x, self.scale, offset, layout)
        low, high = self._bounds_now()
        operands = Operands(self.relative, self.start_now(), self.offset, low, high, *self.gradient_size(shaped))
        values = fake_quantize(shaped, operands, layout)
        return self._without_off(values, x, layout)

    def _without_off(self, values: Tensor, x: Tensor, layout: Layout) -> Tensor:
        """`values`, but `x` in the groups that are off."""
        if not self._off:
            return values
        off = torch.tensor([group in self._off for group in range(self.groups)], device=values.device)
        kept = torch.where(off.view(1, -1, 1), x.to(values.dtype).reshape(layout), values.reshape(layout))
        return kept.view(values.shape)

    def to_int(self, x: Tensor) -> Tensor:
        """The codes of `x`: int64, in its shape, from Qn to Qp. InputError where `x` holds NaN, which has none."""
        x = numbers(x)
        self.refresh(x)
        self._need_scale()
        scale = self.scale
        offset = None if self.offset is None else self.offset.detach().to(scale.dtype)
        return self.observed(codes(x.to(scale.dtype), scale, offset, self.low, self.high, self.layout(x)))

    def codes_of(self, values: Tensor) -> Tensor:
        """The codes that `forward` gave these values for, as floats: float32, or float64 where the parameters are."""
        scale = self.scale
        grouped = values.detach().to(scale.dtype).reshape(self.layout(values))
        if self.offset is not None:
            grouped = grouped - self.offset.detach().to(scale.dtype).view(1, -1, 1)
        return (grouped / scale.view(1, -1, 1)).round_().view(values.shape)

    def observed(self, integers: Tensor) -> Tensor:
        """`integers`, after the observer saw them."""
        if self.observer is not None:
            self.observer(integers)
        return integers

    def refresh(self, x: Tensor) -> None:
        """Before `x` is quantised: a scale that is not learned follows it."""

    def start_now(self) -> Tensor:
        """`start`, as the gradient of what is quantised now will need it."""
        return self.start

    def dequantize(self, integers: Tensor) -> Tensor:
        """scale * code + offset, as float32 or float64."""
        layout, scale = self.layout(integers), self.scale
        values = integers.reshape(layout).to(scale.dtype) * scale.view(1, -1, 1)
        if self.offset is not None:
            values = values + self.offset.detach().view(1, -1, 1)
        return values.view(integers.shape)

    def set_scale(self, scale: Tensor, offset: Tensor | None = None, magnitude: Tensor | None = None) -> None:
        """Starts from these scales (positive, [groups]) and offsets."""
        if scale.shape != (self.groups,) or not bool((scale > 0).all() and scale.isfinite().all()):
            raise InputError(f"scale must be {self.groups} positive finite numbers, not {scale.tolist()}")
        with torch.no_grad():
            self.start.copy_(scale)
            self.relative.fill_(1.0)
            if self.offset is not None and offset is not None:
                self.offset.copy_(offset)
            if magnitude is not None:
                self.magnitude.copy_(magnitude)
        self.calibrated = True

    def begin_search(self) -> None:
        """Look at what comes through `forward` until `end_search`."""
        self.search = ScaleSearch(self.low, self.high, with_offset=self.offset is not None)

    def end_search(self) -> None:
        """Take the starting scales for what was seen; RuntimeError when nothing was."""
        search, self.search = self.search, None
        if search is None:
            raise RuntimeError("end_search needs begin_search before it")
        scale, offset = search.result()
        if self.mean_start:
            scale = self._scale_of_mean(search.mean_magnitude())
        self.set_scale(scale, offset, search.norm_per_sample(self.gradient_scale is GradientScale.L1))

    def fit(self, weight: Tensor) -> None:
        """Take the starting scales for `weight`, which is what this quantiser is for from now on."""
        self.of_weight = True
        layout, values = self.layout(weight), dense(weight).detach().float()
        if self.mean_start:
            scale = self._scale_of_mean(values.reshape(layout).abs().mean((0, 2)))
        else:
            scale = fit_scale(values, self.low, self.high, layout)
        elements = torch.full_like(self.magnitude, layout.outer * layout.inner)
        self.set_scale(scale, magnitude=elements)

    def _scale_of_mean(self, mean: Tensor) -> Tensor:
        return (2 * mean * self.high.rsqrt()).clamp(min=torch.finfo(torch.float32).tiny)

    def _need_scale(self) -> None:
        if not self.calibrated:
            raise RuntimeError("a quantiser has no scale yet: fit or calibrate it, or load its state, first")

    def gradient_size(self, x: Tensor) -> tuple[Tensor | None, bool]:
        """What `gradient_factor` takes: the sizes of the groups, and whether they are the L1 norms of `x` as it is now.

        A weight's norm is that of now; an activation's is the one that calibration measured.
        """
        if self.gradient_scale is GradientScale.NONE:
            return None, False
        # Under functional_call, or in a replica, a weight is no Parameter: what it is for decides, not its class.
        if self.gradient_scale is GradientScale.L1 and (self.of_weight or isinstance(x, nn.Parameter)):
            return None, True
        return self.magnitude, False

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        start = self.start
        self.calibrated = not start.is_meta and bool(start.isfinite().all() and (start > 0).all())


class StatisticalQuantizer(Quantizer):
    """A scale that is not learned: it follows the mean magnitude of the group's weights as they are now.

    2 * mean|w| / sqrt(Qp), the rule of LSQ's starting scale; with `of_range` 2 * mean|w| / 2^(b-1), which is that of
    StatsQ (Liu et al., ICML 2023): its range of codes is from -2 * mean|w| up.
    """

    def __init__(
        self,
        bits: int | Sequence[int],
        *,
        signed: bool,
        granularity: Granularity = PER_TENSOR,
        groups: int = 1,
        of_range: bool = False,
    ) -> None:
        super().__init__(bits, signed=signed, granularity=granularity, groups=groups, gradient_scale=GradientScale.NONE)
        if of_range and not signed:
            raise InputError("of_range must be False for unsigned codes, not True")
        self.of_range = of_range
        self.relative.requires_grad_(False)

    def _scale_of_mean(self, mean: Tensor) -> Tensor:
        if not self.of_range:
            return super()._scale_of_mean(mean)
        return (2 * mean / -self.low).clamp(min=torch.finfo(torch.float32).tiny)

    def refresh(self, x: Tensor) -> None:
        self.fit(x)

    def start_now(self) -> Tensor:
        return self.start.clone()  # where a layer is applied twice, the second time writes over it

    def fit(self, weight: Tensor) -> None:
        self.of_weight = True
        mean = dense(weight).detach().float().reshape(self.layout(weight)).abs().mean((0, 2))
        with torch.no_grad():
            self.start.copy_(self._scale_of_mean(mean))
        self.calibrated = True
