"""Every choice of a training run as one frozen record, from the command line, a YAML or TOML file, or Python."""

from __future__ import annotations

import tomllib
from argparse import SUPPRESS, BooleanOptionalAction
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import yaml

from siliquant.cli import Parser
from siliquant.errors import InputError, InputTypeError

from .names import DATA
from .ranges import GradientScale, check_bits
from .scheme import Override, Scheme

__all__ = ["FULL_PRECISION", "Options", "add_arguments", "merge", "read_config", "typed"]

FULL_PRECISION = 32


def _option(
    default: Any, text: str, metavar: str | None = None, choices: tuple[str, ...] | None = None, *, rare: bool = False
) -> Any:
    about = {"help": text, "metavar": "NAME" if choices else metavar, "choices": choices, "rare": rare}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Options:
    """What `python -m qat.train` was asked for.  ValueError for values that are out of range or contradict."""

    out: Path = _option(MISSING, "output folder: the run", "DIR")
    model: str = _option("vit-mnist", "network; --list-models shows them", "NAME")
    data: str = _option("mnist5k", f"data set: {', '.join(DATA)}", "NAME")
    bits: int = _option(4, "bits of weights and activations, 1 to 8; 32: full precision", "B")
    weight_bits: int | None = _option(None, "bits of weights alone", "B")
    activation_bits: int | None = _option(None, "bits of activations alone", "B")
    start: Path | None = _option(None, "start from a run, a Hugging Face folder, or a .pth/.safetensors file", "PATH")
    new_head: bool = _option(False, "take a fresh classifier where the start has other classes", rare=True)
    teacher: Path | None = _option(None, "teacher: a run, a folder or a file of weights", "PATH")
    distill: str = _option("logits", "learned from the teacher", None, ("logits", "layers"))
    soft_labels: Path | None = _option(None, "multi-crop distillation from this store of soft labels", "DIR")
    crops_per_image: int = _option(4, "stored crops of an image in one step", "N", rare=True)
    obr: float = _option(0.0, "largest weight of the oscillation-aware bin regulariser; the paper's is 0.01", "W")
    obr_max_bits: int = _option(4, "regularise weights up to this width", "B", rare=True)
    granularity: str = _option("head", "what shares a scale", None, ("head", "tensor", "channel"))
    output_by_head: bool = _option(True, "a scale a head on the input side of the output projection too", rare=True)
    first_last_bits: int = _option(8, "bits of patch embedding and classifier", "B", rare=True)
    weight_scale: str = _option("learned", "how weight scales are found", None, ("learned", "statistical"), rare=True)
    scale_start: str = _option("error", "how scales start: least squared error, or LSQ's mean", None, ("error", "mean"))
    scale_steps: str = _option(
        "relative", "steps of a scale, in shares of its start or as numbers", None, ("relative", "absolute")
    )
    gradient_scale: str = _option(
        "l1", "factor of the gradients of scales", None, tuple(rule.value for rule in GradientScale)
    )
    override: tuple[str, ...] = _option((), "bits by GEMM name: '*.mlp.*=2/4', per head '*.q_proj=2,3,4/4'", "P=W/A")
    freeze: float | None = _option(None, "freeze weights that oscillate more often than this share of steps", "F")
    epochs: int = _option(8, "epochs of training; 0: calibrated scales only (post-training quantisation)", "N")
    batch_size: int = _option(64, "samples at a time, over all processes", "N")
    lr: float = _option(5e-4, "peak learning rate of AdamW; a cosine to 0", "LR")
    scale_lr: float = _option(1.0, "learning rate of scales, times --lr", "X", rare=True)
    warmup: float = _option(0.0, "epochs of linear warm-up", "N")
    weight_decay: float = _option(1e-4, "of matrices, not of scales, biases and norms", "WD")
    clip: float = _option(1.0, "largest norm of the gradient; 0: any", "NORM", rare=True)
    seed: int = _option(0, "seed of all draws", "N")
    calibration_batches: int = _option(
        4, "batches of training samples that start the activation scales", "N", rare=True
    )
    limit: int | None = _option(None, "train on so many samples only", "N")
    image_size: int | None = _option(None, "pixels a side of images (default: the network's)", "N", rare=True)
    max_length: int = _option(48, "tokens of a text", "N", rare=True)
    tokenizer: Path | None = _option(None, "Hugging Face folder with a tokenizer (default: MiniLM's)", "DIR", rare=True)
    device: str = _option("auto", "where PyTorch computes", None, ("auto", "cpu", "cuda"))
    amp: bool = _option(True, "bfloat16 matrix products on a GPU", rare=True)
    threads: int | None = _option(None, "threads of PyTorch (default: its own choice)", "N")
    skip_unreadable: int = _option(
        0, "leave out up to so many images that cannot be read; every image is decoded to see", "N", rare=True
    )
    workers: int = _option(0, "processes that load images", "N", rare=True)
    checkpoint_minutes: float = _option(10.0, "minutes between checkpoints within an epoch", "MIN", rare=True)
    tensorboard: bool = _option(False, "write TensorBoard files too (needs the package tensorboard)", rare=True)

    def __post_init__(self) -> None:
        at_least = {
            "epochs": 0, "batch_size": 1, "lr": 0, "scale_lr": 0, "warmup": 0, "weight_decay": 0, "clip": 0, "seed": 0,
            "calibration_batches": 1, "max_length": 4, "workers": 0, "checkpoint_minutes": 0, "obr": 0,
            "crops_per_image": 1,
        }  # fmt: skip
        for name, least in at_least.items():
            if not getattr(self, name) >= least:
                raise InputError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("limit", "image_size", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        if self.seed >= 1 << 64:
            raise InputError(f"seed must be at most {(1 << 64) - 1}, not {self.seed}")
        if self.freeze is not None and not 0 <= self.freeze <= 1:
            raise InputError(f"freeze must be a share from 0 to 1, not {self.freeze}")
        if self.bits != FULL_PRECISION and not 1 <= self.bits <= 8:
            raise InputError(f"bits must be an integer from 1 to 8, or 32 for full precision, not {self.bits}")
        for name in ("weight_bits", "activation_bits"):
            value = getattr(self, name)
            if value is not None:
                check_bits(value, name, lowest=1)
        for entry in fields(self):
            choices = entry.metadata["choices"]
            if choices and getattr(self, entry.name) not in choices:
                raise InputError(f"{entry.name} must be one of {', '.join(choices)}, not {getattr(self, entry.name)!r}")
        if self.teacher and self.soft_labels:
            raise InputError("teacher and soft_labels must not both be given: a store replaces the teacher")
        if self.distill == "layers" and not self.teacher:
            raise InputError("distill must be 'logits' without a teacher, not 'layers'")
        if self.bits == FULL_PRECISION and (self.weight_bits or self.activation_bits or self.override):
            raise InputError("weight_bits, activation_bits and override must not be given with bits 32")
        if self.bits == FULL_PRECISION and (self.obr or self.freeze is not None):
            raise InputError("obr and freeze must be off at bits 32: without codes nothing oscillates")
        self.scheme()

    def scheme(self) -> Scheme | None:
        """How the model is quantised; None at full precision."""
        if self.bits == FULL_PRECISION:
            return None
        return Scheme(
            weight_bits=self.weight_bits or self.bits,
            activation_bits=self.activation_bits or self.bits,
            first_last_bits=self.first_last_bits,
            granularity=self.granularity,  # type: ignore[arg-type]
            output_by_head=self.output_by_head,
            weight_scale=self.weight_scale,  # type: ignore[arg-type]
            scale_start=self.scale_start,  # type: ignore[arg-type]
            gradient_scale=GradientScale(self.gradient_scale),
            overrides=tuple(_override(text) for text in self.override),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def _override(text: str) -> Override:
    pattern, equals, widths = text.rpartition("=")
    weights, _, activations = widths.partition("/")
    try:
        bits = [tuple(int(b) for b in part.split(",")) if part else None for part in (weights, activations)]
    except ValueError:
        bits = []
    if not (pattern and equals and bits and any(bits)):
        raise InputError(f"override must be PATTERN=WEIGHT_BITS/ACTIVATION_BITS, as '*.mlp.*=2/4', not {text!r}")
    return Override(pattern, *(part[0] if part and len(part) == 1 else part for part in bits))


def _kind(name: str) -> Any:
    """The type of an option, without None."""
    hint = get_type_hints(Options)[name]
    return next(t for t in get_args(hint) if t is not type(None)) if isinstance(hint, UnionType) else hint


def add_arguments(parser: Parser) -> None:
    """An argument for each option; only those that are given end up in the namespace."""
    for entry in fields(Options):
        flag, kind = f"--{entry.name.replace('_', '-')}", _kind(entry.name)
        group = parser.rare if entry.metadata["rare"] else parser
        text = entry.metadata["help"] + _default(entry)
        if kind is bool:
            group.add_argument(flag, action=BooleanOptionalAction, default=SUPPRESS, help=text)
        elif kind == tuple[str, ...]:
            group.add_argument(flag, action="append", default=SUPPRESS, metavar=entry.metadata["metavar"], help=text)
        else:
            group.add_argument(
                flag, type=kind, default=SUPPRESS, metavar=entry.metadata["metavar"],
                choices=entry.metadata["choices"], help=text,
            )  # fmt: skip


def _default(entry: Field[Any]) -> str:
    if entry.default in (MISSING, None, ()):
        return ""
    value = {True: "on", False: "off"}[entry.default] if isinstance(entry.default, bool) else entry.default
    return f" (default {value})"


def read_config(path: Path) -> dict[str, Any]:
    """The options in a .yaml, .yml or .toml file.  ValueError for what is not one, or an option that does not exist."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} must be a YAML or TOML file: {' '.join(str(error).split())}") from None
    if path.suffix not in (".toml", ".yaml", ".yml") or not isinstance(data, Mapping):
        raise InputError(f"{path} must be a .yaml, .yml or .toml file with a value for each option")
    return {str(name).replace("-", "_"): value for name, value in data.items()}


def merge(*sources: Mapping[str, Any]) -> Options:
    """The options in all sources, later ones first.  TypeError or ValueError for wrong names, types and values."""
    values: dict[str, Any] = {}
    for source in sources:
        values |= typed(source)
    if "out" not in values:
        raise InputError("out must be given: the folder of the run")
    return Options(**values)


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as options have them.  ValueError for a name, TypeError for a type that no option has."""
    known = {entry.name for entry in fields(Options)}
    if unknown := sorted(set(values) - known):
        raise InputError(f"there is no option {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return {name: _typed(name, value) for name, value in values.items()}


def _typed(name: str, value: Any) -> Any:
    kind = _kind(name)
    if value is None and Options.__dataclass_fields__[name].default is None:
        return None
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if kind == tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts):
            return tuple(texts)
    elif kind is float:
        with suppress(TypeError, ValueError):
            # Text too: YAML reads 1e-3, without a dot, as a string.
            return float(value if not isinstance(value, bool) else "")
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise InputTypeError(f"{name} must be {_KINDS[kind]}, not {value!r}")


_KINDS = {
    bool: "true or false", int: "an integer", float: "a number", str: "a text", Path: "a path",
    tuple[str, ...]: "a list of texts",
}  # fmt: skip
