"""What a training would be, in lines: the network, the data, the steps, and where each option comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

from transformers import PreTrainedModel

from qat.data import Data, SoftLabelStore, TextSplit
from qat.settings import Options
from qat.training import Processes, steps_per_epoch
from siliquant.inputs import without_controls

__all__ = ["plan_lines"]


def plan_lines(
    options: Options,
    origins: Mapping[str, str],
    model: PreTrainedModel,
    data: Data,
    store: SoftLabelStore | None,
    processes: Processes,
    workers: int,
) -> Iterator[str]:
    """Lines of text. ``origins`` says of options where their values come from."""
    steps = steps_per_epoch(data, options)
    said = {
        "network": _network(options, model),
        "data": f"{data.name}: {len(data.train.labels):,} samples to train on and {len(data.test.labels):,} to test, "
        + (f"{len(data.classes):,} classes" if data.classes else "a regression")
        + _seen(data),
        "learns": _loss(options, store),
        "widths": _widths(options),
        "steps": f"{steps:,} an epoch of {options.batch_size:,} samples, {options.epochs:,} epochs: "
        f"{steps * options.epochs:,} steps",
        "machine": f"{processes.device.type}, {processes.world} process{'es' if processes.world > 1 else ''}, "
        f"{workers} more {'each ' if processes.world > 1 else ''}that load images",
    }
    yield from (without_controls(f"{name:<9}{text}") for name, text in said.items())
    yield "options that differ from their defaults, and where they come from:"
    for entry in fields(Options):
        value = getattr(options, entry.name)
        if entry.default is MISSING or value != entry.default:
            name = entry.name.replace("_", "-")
            shown = _shown(value)
            yield (
                without_controls(f"  --{name} {shown}").ljust(40)
                + f"  {origins.get(entry.name, 'the options together')}"
            )


def _network(options: Options, model: PreTrainedModel) -> str:
    count = sum(parameter.numel() for parameter in model.parameters())
    pixels = getattr(model.config, "image_size", None)
    images = "" if pixels is None else f", images of {pixels} x {pixels} pixels"
    start = "fresh weights" if options.start is None else f"weights of {options.start}"
    return f"{options.model} ({type(model).__name__}), {count:,} parameters{images}, {start}"


def _seen(data: Data) -> str:
    look = getattr(data.train, "look", None)
    if isinstance(data.train, TextSplit) or look is None:
        return ""
    mean, std = (" ".join(f"{value:.4g}" for value in values) for values in (look.mean, look.std))
    return f", mean {mean} and deviation {std}"


def _loss(options: Options, store: SoftLabelStore | None) -> str:
    if store is not None:
        return (
            f"soft labels of {options.soft_labels}, {options.crops_per_image} of {store.crops} crops of an image in a "
            "step"
        )
    if options.teacher is not None:
        return f"from the teacher {options.teacher}, {options.distill}"
    return "from the labels"


def _widths(options: Options) -> str:
    scheme = options.scheme()
    if scheme is None:
        return "full precision"
    more = f", and {len(scheme.overrides)} overrides" if scheme.overrides else ""
    if options.policy is not None:
        return f"those of {options.policy} for each of {len(scheme.overrides)} GEMMs"
    return (
        f"weights of {scheme.weight_bits} bits and activations of {scheme.activation_bits}, first and last layer "
        f"{scheme.first_last_bits}{more}"
    )


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
