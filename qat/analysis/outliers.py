"""Outliers and spread of weights and activations, tensor by tensor; of a transformer and of a ConvNet beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn

from qat.network import QuantContext, QuantConv2d, QuantGemm, QuantScores, gemms
from qat.quantisers import PerHead, Quantizer

from .convnet import ConvNet
from .measuring import Bench
from .moments import Moments
from .parts import class_of

__all__ = ["Spread", "Statistics", "of_convnet", "of_transformer", "spread"]


@dataclass(frozen=True)
class Spread:
    """Of the root mean squares of groups of one tensor, whose ratios the best scales have, at any width, where
    groups are alike in shape. ratio: the largest to the smallest; None where that is 0. variation: standard deviation
    over mean.
    """

    groups: int
    ratio: float | None
    variation: float


@dataclass(frozen=True)
class Statistics:
    """One tensor. network: "transformer" or "convnet". tensor: "weight" or "activation". part: its class. gemm: that
    reads it. end: of a first or last layer. kurtosis: excess, 0 for normal numbers; peak: max |x| over the standard
    deviation; None where all numbers are alike. heads, channels: None where it has none.
    """

    network: str
    tensor: str
    part: str
    layer: int | None
    gemm: str
    end: bool
    numbers: int
    deviation: float
    kurtosis: float | None
    peak: float | None
    heads: Spread | None
    channels: Spread | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Statistics:
        """From `to_dict`."""
        parts = {name: Spread(**data[name]) if data[name] else None for name in ("heads", "channels")}
        return cls(**{**data, **parts})


def spread(squares: Tensor) -> Spread:
    """Of mean squares [groups]."""
    values = squares.double().sqrt()
    mean = float(values.mean())
    least = float(values.min())
    ratio = float(values.max()) / least if least > 0 else None
    return Spread(values.numel(), ratio, float(values.std(correction=0)) / mean if mean > 0 else 0.0)


@dataclass
class _Seen:
    """What came through one quantiser or layer: moments, and sums of squares of heads and channels."""

    moments: Moments = field(default_factory=Moments)
    heads: Tensor | None = None
    channels: Tensor | None = None

    def add(self, x: Tensor, quantizer: Quantizer | None, channels: Tensor | None) -> None:
        """channels: x as [..., channels]."""
        self.moments = self.moments + Moments.of(x)
        if quantizer is not None and quantizer.groups > 1 and isinstance(quantizer.granularity, PerHead):
            sums = x.detach().reshape(quantizer.layout(x)).double().square().sum((0, 2)).cpu()
            self.heads = sums if self.heads is None else self.heads + sums
        if channels is not None:
            sums = channels.detach().double().square().flatten(0, -2).sum(0).cpu()
            self.channels = sums if self.channels is None else self.channels + sums

    def statistics(self, **about: Any) -> Statistics:
        n = self.moments.count
        heads, channels = (
            None if sums is None else spread(sums / n * len(sums)) for sums in (self.heads, self.channels)
        )
        return Statistics(
            numbers=n, deviation=self.moments.deviation, kurtosis=self.moments.kurtosis, peak=self.moments.peak,
            heads=heads, channels=channels, **about,
        )  # fmt: skip


def of_transformer(bench: Bench) -> list[Statistics]:
    """Weights, and activations on the samples that are measured, of the network at full precision."""
    model = cast(nn.Module, bench.plain).to(bench.settings.device)
    found = []
    seen: dict[tuple[str, int], _Seen] = {}
    watched: list[tuple[nn.Module, Callable[[Tensor], None]]] = []
    for name, layer in gemms(model).items():
        gemm = bench.products.by_name[name]
        for operand, quantizer in enumerate(layer.operands()):
            about = {"network": "transformer", "part": class_of(gemm.role, operand), "layer": gemm.layer,
                     "gemm": name, "end": gemm.ends}  # fmt: skip
            weight = getattr(layer, "weight", None)
            if operand and isinstance(weight, Tensor):
                one = _Seen()
                one.add(weight, quantizer, weight.flatten(1).T)
                found.append(one.statistics(tensor="weight", **about))
            elif not (gemm.role in ("key", "value") and not operand):  # their input is that of the query
                mine = seen.setdefault((name, operand), _Seen())
                watched.append((quantizer, _watching(mine, layer, operand, quantizer)))
    with _looked_at(watched):
        bench.evaluated(model)
    for (name, operand), each in seen.items():
        gemm = bench.products.by_name[name]
        found.append(
            each.statistics(
                network="transformer", tensor="activation", part=class_of(gemm.role, operand), layer=gemm.layer,
                gemm=name, end=gemm.ends,
            )
        )  # fmt: skip
    return found


def of_convnet(model: ConvNet, bench: Bench) -> tuple[list[Statistics], float | None]:
    """The same of its convolutions and classifier; and its accuracy on those samples."""
    layers = {name: each for name, each in model.named_modules() if isinstance(each, nn.Conv2d | nn.Linear)}
    seen = {name: _Seen() for name in layers}
    found = []

    def about(name: str) -> dict[str, Any]:
        end = name in ("stem", "classifier")
        return {"network": "convnet", "part": name if end else "convolution", "layer": None, "gemm": name, "end": end}

    for name, layer in layers.items():
        one = _Seen()
        one.add(layer.weight, None, layer.weight.flatten(1).T)
        found.append(one.statistics(tensor="weight", **about(name)))

    def watching(name: str) -> Callable[[Tensor], None]:
        return lambda x: seen[name].add(x, None, x.movedim(1, -1))

    with _looked_at([(layer, watching(name)) for name, layer in layers.items()]):
        result = bench.evaluated(model)
    found += [each.statistics(tensor="activation", **about(name)) for name, each in seen.items()]
    return found, result.correct / len(result.labels)


def _watching(seen: _Seen, layer: QuantGemm, operand: int, quantizer: Quantizer) -> Callable[[Tensor], None]:
    def look(x: Tensor) -> None:
        channels: Tensor | None = x
        if isinstance(layer, QuantConv2d):
            channels = x.movedim(1, -1)
        elif isinstance(layer, QuantContext) and not operand:
            channels = None  # probabilities of keys
        elif isinstance(layer, QuantContext | QuantScores):
            channels = x.flatten(2)
        seen.add(x, quantizer, channels)

    return look


@contextmanager
def _looked_at(watched: list[tuple[nn.Module, Callable[[Tensor], None]]]) -> Iterator[None]:
    """Inside, each function gets the first argument of every call of its module."""
    hooks = []
    for module, look in watched:

        def before(_: nn.Module, arguments: tuple[Any, ...], look: Callable[[Tensor], None] = look) -> None:
            with torch.no_grad():
                look(arguments[0])

        hooks.append(module.register_forward_pre_hook(before))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
