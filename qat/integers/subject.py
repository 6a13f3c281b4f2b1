"""What a verification runs: an integer network and inputs for it, from a checkpoint or with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from qat.models import build, is_decoder, most_tokens, preset
from qat.network import calibrate, holds_quantised, load_quantised, quantize_model, scheme_of
from qat.settings import Scheme, check_samples
from qat.training import check_origin, inputs_of, load_run, model_config, open_run_data, split_batches
from siliquant.inputs import InputError, belongs, member, short

from .integer import IntegerModel

_TOKENS = 128
_STEPS = 2  # the second has a key and a value of the first

__all__ = ["Subject", "open_subject", "random_inputs", "random_network", "random_subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with samples.

    Args:
        name: what it is, for titles.
        model: its integers.
        batches: keyword arguments of the network, one sample each.
        labels: of the samples, or None where they are random.
        steps: of a decoder, how many of the last tokens are computed one at a time.
    """

    name: str
    model: IntegerModel
    batches: tuple[dict[str, Tensor], ...]
    labels: Tensor | None
    steps: int = 0


def open_subject(folder: Path | str, samples: int) -> Subject:
    """The network in `folder`, a run of qat.train or what qat.export wrote, with the first test samples of its data; a
    decoder, which `save_pretrained` wrote or qat.export of that, with random tokens.

    Raises ValueError for another folder, a run at full precision, data that have changed, or fewer than 1 sample.
    """
    check_samples(samples)
    folder = Path(folder)
    if (folder / "integer.json").exists():
        model = IntegerModel.load(folder)
    elif not (folder / "run.json").exists() and holds_quantised(folder):
        network = load_quantised(folder)
        model = IntegerModel.from_quantized(network, scheme_of(network), {})
    elif (folder / "run.json").exists():
        network, record = load_run(folder)
        if record.scheme is None:
            raise InputError(f"{folder} must be a quantised run to have integers; it is at full precision")
        origin = {"data": dict(record.data), "options": dict(record.options)}
        model = IntegerModel.from_quantized(network, record.scheme, origin)
    else:
        raise InputError(f"the checkpoint must be a folder of qat.train or qat.export, not {folder}")
    if is_decoder(model.network.config):
        return _decoder(f"{folder}, random tokens", model, random_inputs(model.network.config, samples))
    if not {"data", "options"} <= set(model.origin):
        raise InputError(f"{folder} must say which data it was trained on, as qat.export writes it")
    with belongs(folder / "integer.json", "an integer model"):
        about, options = (member(model.origin, name, dict) for name in ("data", "options"))
        check_origin(model_config(model.network), about, options)
    data, _ = open_run_data(about, options, model_config(model.network))
    batches, labels = [], []
    for fetched, label in islice(split_batches(data, data.test, 1), samples):
        batches.append(inputs_of(fetched, torch.device("cpu")))
        labels.append(label)
    return Subject(str(folder), model, tuple(batches), torch.cat(labels))


def random_subject(network: str, scheme: Scheme, samples: int, *, seed: int = 0, tokens: int | None = None) -> Subject:
    """The integers of :func:`random_network`. For speed and coverage; its predictions mean nothing. Of a decoder the
    last two tokens are computed one at a time. Raises as that.
    """
    name, quantised, batches = random_network(network, scheme, samples, seed=seed, tokens=tokens)
    integers = IntegerModel.from_quantized(quantised, scheme, {"preset": name, "seed": seed})
    title = f"{name}, random weights"
    if is_decoder(quantised.config):
        return _decoder(title, integers, batches)
    return Subject(title, integers, batches, None)


def _decoder(title: str, model: IntegerModel, batches: tuple[dict[str, Tensor], ...]) -> Subject:
    tokens = batches[0]["input_ids"].shape[1]
    steps = min(_STEPS, tokens - 1)
    return Subject(f"{title}, {steps} of {tokens} tokens one at a time", model, batches, None, steps)


@torch.no_grad()
def random_network(
    network: str, scheme: Scheme, samples: int, *, seed: int = 0, tokens: int | None = None
) -> tuple[str, PreTrainedModel, tuple[dict[str, Tensor], ...]]:
    """A preset, or the network that a folder describes, with fresh weights, quantised and calibrated on its own random
    inputs, which come with it: images of normal noise, or texts of `tokens` random tokens (default: 128, or as many as
    the network has positions).

    Raises ValueError as `qat.models.preset`, and for fewer than 1 sample.
    """
    check_samples(samples)
    torch.manual_seed(seed)
    found = preset(network)
    name, config = found.name, found.config
    most = most_tokens(config) or _TOKENS
    if tokens is not None and not 1 <= tokens <= most:
        raise InputError(f"tokens must be an integer from 1 to {most} for {name}, not {short(tokens)}")
    labels = config.num_labels
    assert labels is not None  # every preset has classes
    model = build(network, num_labels=labels).eval()
    batches = random_inputs(model.config, samples, seed=seed, tokens=tokens)
    quantised = quantize_model(model, scheme)
    calibrate(quantised, batches[:1])
    return name, quantised.eval(), batches


def random_inputs(
    config: PreTrainedConfig, samples: int, *, seed: int = 0, tokens: int | None = None
) -> tuple[dict[str, Tensor], ...]:
    """Inputs of one sample each: images of normal noise, or texts of `tokens` random tokens (default: 128, or as many
    as the network has positions).
    """
    generator = torch.Generator().manual_seed(seed)
    if tokens is None:
        tokens = min(_TOKENS, most_tokens(config) or _TOKENS)
    return tuple(_random_input(config, generator, tokens) for _ in range(samples))


def _random_input(config: object, generator: torch.Generator, tokens: int) -> dict[str, Tensor]:
    size = getattr(config, "image_size", None)
    if size is not None:
        shape = (1, getattr(config, "num_channels", 3), size, size)
        return {"pixel_values": torch.randn(shape, generator=generator)}
    vocabulary = getattr(config, "vocab_size", 2)
    return {
        "input_ids": torch.randint(0, vocabulary, (1, tokens), generator=generator),
        "attention_mask": torch.ones(1, tokens, dtype=torch.int64),
    }
