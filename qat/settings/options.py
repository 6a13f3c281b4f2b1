"""Every choice of a training run as one frozen record, from the command line, a YAML or TOML file, or Python."""

from __future__ import annotations

import re
import tomllib
from argparse import SUPPRESS, BooleanOptionalAction
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

import yaml

from siliquant.commandline import Parser
from siliquant.inputs import InputError, InputTypeError, integer, read_text, short

from .imagestats import IMAGE_STATS_HELP, read_image_stats
from .names import AUGMENTATIONS, DATA, ROTATIONS
from .ranges import GradientScale, check_bits
from .recipes import RECIPES
from .scheme import Override, Scheme

__all__ = [
    "FULL_PRECISION",
    "Options",
    "add_arguments",
    "merge",
    "read_config",
    "recorded",
    "typed",
    "values_of_recipe",
]

FULL_PRECISION = 32
MOST_CONFIG_BYTES = 1 << 16
"""Bytes of the largest file of options."""
_MOST_NESTED = 8  # levels in such a file
_MOST_DOTS = 64  # in a line of TOML
_ONCE_OPEN = ("surrogate_amplitude",)  # null in records of versions in which they had no default
# YAML 1.1 reads 010 as 8 and 1:30 as 90, without a word.
_OTHER_BASE = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)", re.ASCII)


def _option(
    default: Any,
    text: str,
    metavar: str | None = None,
    choices: tuple[str, ...] | None = None,
    *,
    rare: bool = False,
    between: tuple[float, float] | None = None,
    needs: str | tuple[str, str] | None = None,
) -> Any:
    """needs: the option without which it has no effect, or that option and the value that it must have."""
    about = {"help": text, "metavar": "NAME" if choices else metavar, "choices": choices, "rare": rare}
    return field(default=default, metadata={**about, "between": between, "needs": needs})


@dataclass(frozen=True)
class Options:
    """What `python -m qat.train` was asked for.  ValueError for values that are out of range or contradict."""

    out: Path = _option(MISSING, "output folder: the run", "DIR")
    recipe: str | None = _option(
        None,
        "values below those given: the paper's (with --start and --soft-labels), or LSQ as published",
        None,
        tuple(RECIPES),
    )
    model: str = _option(
        "vit-mnist",
        "network: a name (--list-models shows them), or a folder with a config.json (with --start: its own)",
        "NAME",
    )
    data: str = _option("mnist5k", f"data set: {', '.join(DATA)}", "NAME")
    bits: int = _option(4, "bits of weights and activations, 1 to 8; 32: full precision", "B")
    weight_bits: int | None = _option(None, "bits of weights alone", "B")
    activation_bits: int | None = _option(None, "bits of activations alone", "B")
    start: Path | None = _option(None, "start from a run, a Hugging Face folder, or a .pth/.safetensors file", "PATH")
    new_head: bool = _option(
        False, "take a fresh classifier where the start has other classes", rare=True, needs="start"
    )
    teacher: Path | None = _option(None, "teacher: a run, a folder or a file of weights", "PATH")
    distill: str = _option("logits", "learned from the teacher", None, ("logits", "layers"))
    soft_labels: Path | None = _option(None, "multi-crop distillation from this store of soft labels", "DIR")
    crops_per_image: int = _option(
        4, "stored crops of an image in one step", "N", rare=True, between=(1, 99_999), needs="soft_labels"
    )
    obr: float = _option(
        0.0, "largest weight of the oscillation-aware bin regulariser; the paper's is 0.01", "W", between=(0, 1000)
    )
    obr_max_bits: int = _option(4, "regularise weights up to this width", "B", rare=True, between=(1, 8), needs="obr")
    granularity: str = _option("head", "what shares a scale", None, ("head", "tensor", "channel"))
    output_by_head: bool = _option(True, "a scale a head on the input side of the output projection too", rare=True)
    first_last_bits: int = _option(8, "bits of patch embedding and classifier, 2 to 8", "B", rare=True)
    weight_scale: str = _option(
        "learned", "how weight scales are found", None, ("learned", "statistical", "statsq"), rare=True
    )
    scale_start: str = _option(
        "error", "how scales start: least squared error, or LSQ's mean", None, ("error", "mean"), rare=True
    )
    scale_steps: str = _option(
        "relative", "steps of a scale, in shares of its start or as numbers", None, ("relative", "absolute"), rare=True
    )
    gradient_scale: str = _option(
        "l1", "factor of the gradients of scales", None, tuple(rule.value for rule in GradientScale)
    )
    override: tuple[str, ...] = _option((), "bits by GEMM name: '*.mlp.*=2/4', per head '*.q_proj=2,3,4/4'", "P=W/A")
    policy: Path | None = _option(None, "bits of every GEMM, from siliquant policy --out", "FILE", rare=True)
    rotate: tuple[str, ...] = _option(
        (), f"rotate the weights of the start by Hadamard matrices: {', '.join(ROTATIONS)}", "WHAT", rare=True,
        needs="start",
    )  # fmt: skip
    query_key: str = _option(
        "separate", "query and key each, or the product of their weights as one", None,
        ("separate", "reparameterised"), rare=True,
    )  # fmt: skip
    freeze: float | None = _option(
        None, "freeze weights that oscillate more often than this share of steps", "F", between=(0, 1)
    )
    cga: float = _option(
        0.0,
        "epochs of confidence-guided annealing at the end: only weights near a border of two codes move",
        "N",
        rare=True,
        between=(0, 1_000_000),
    )
    cga_range: float = _option(
        0.005, "how near, in bins; OFQ's is 0.005", "BR", rare=True, between=(1e-6, 0.5), needs="cga"
    )
    surrogate: str = _option(
        "ste", "derivative of rounding weights: straight-through, or StableQAT's", None, ("ste", "fourier"), rare=True
    )
    surrogate_amplitude: float = _option(
        0.21, "amplitude of --surrogate fourier; the paper's is 0.21", "A", rare=True, between=(0, 0.225),
        needs=("surrogate", "fourier"),
    )  # fmt: skip
    surrogate_order: int = _option(
        0, "terms of --surrogate fourier after the first", "M", rare=True, between=(0, 64),
        needs=("surrogate", "fourier"),
    )  # fmt: skip
    epochs: int = _option(
        8, "epochs of training; 0: calibrated scales only (post-training quantisation)", "N", between=(0, 1_000_000)
    )
    batch_size: int = _option(64, "samples at a time, over all processes", "N", between=(1, 1 << 20))
    lr: float = _option(5e-4, "peak learning rate of AdamW; a cosine to 0", "LR", between=(0, 1e38))
    scale_lr: float = _option(1.0, "learning rate of scales, times --lr", "X", rare=True, between=(0, 1_000_000))
    warmup: float = _option(0.0, "epochs of linear warm-up", "N", between=(0, 1_000_000))
    weight_decay: float = _option(1e-4, "of matrices, not of scales, biases and norms", "WD", between=(0, 1000))
    ema: float | None = _option(
        None,
        "evaluate and keep an average of weights with this decay; DeiT's is 0.99996 (default: off)",
        "DECAY",
        rare=True,
        between=(0, 1),
    )
    clip: float = _option(1.0, "largest norm of the gradient; 0: any", "NORM", rare=True, between=(0, 1_000_000))
    seed: int = _option(0, "seed of all draws", "N", between=(0, (1 << 64) - 1))
    calibration_batches: int = _option(
        4, "batches of training samples that start the activation scales", "N", rare=True, between=(1, 100_000)
    )
    limit: int | None = _option(None, "train on so many samples only", "N", between=(1, (1 << 32) - 1))
    image_size: int | None = _option(
        None, "pixels a side of images (default: the network's)", "N", rare=True, between=(1, 4096)
    )
    image_stats: str | None = _option(
        None,
        f"{IMAGE_STATS_HELP} (default: as start and teacher say; measured where neither is given)",
        "STATS",
        rare=True,
    )
    augment: str | None = _option(
        None,
        "how training images are seen (default: crops of folders, shifts of others)",
        None,
        AUGMENTATIONS,
        rare=True,
    )
    rand_augment: float | None = _option(
        None, "magnitude of RandAugment; DeiT's is 9 (default: off)", "M", rare=True, between=(0, 10)
    )
    random_erasing: float = _option(
        0.0, "share of training images with a rectangle of noise; DeiT's is 0.25", "P", rare=True, between=(0, 1)
    )
    mixup: float = _option(
        0.0, "mix pairs of images by Beta(ALPHA, ALPHA); DeiT's is 0.8", "ALPHA", rare=True, between=(0, 1000)
    )
    label_smoothing: float = _option(
        0.0, "share of a label that is spread over all classes", "S", rare=True, between=(0, 1)
    )
    max_length: int = _option(48, "tokens of a text", "N", rare=True, between=(4, 4096))
    tokenizer: Path | None = _option(None, "Hugging Face folder with a tokenizer (default: MiniLM's)", "DIR", rare=True)
    device: str = _option("auto", "where PyTorch computes", None, ("auto", "cpu", "cuda"))
    amp: bool = _option(True, "bfloat16 matrix products on a GPU", rare=True)
    threads: int | None = _option(None, "threads of PyTorch (default: its own choice)", "N", between=(1, 1024))
    skip_unreadable: int = _option(
        0,
        "leave out up to so many images that cannot be read; every image is decoded to see",
        "N",
        rare=True,
        between=(0, 1_000_000),
    )
    workers: int | None = _option(
        None,
        "processes that load images (default: the cores that are left, at most 8)",
        "N",
        rare=True,
        between=(0, 64),
    )
    checkpoint_minutes: float = _option(
        10.0, "minutes between checkpoints within an epoch", "MIN", rare=True, between=(0, 1_000_000)
    )
    tensorboard: bool = _option(False, "write TensorBoard files too (needs the package tensorboard)", rare=True)

    def __post_init__(self) -> None:
        for entry in fields(self):
            between, value = entry.metadata["between"], getattr(self, entry.name)
            if between is None or value is None or between[0] <= value <= between[1]:
                continue
            bound = f"at most {between[1]}" if value > between[1] else f"at least {between[0]}"
            if between == (0, 1):
                bound = "a share from 0 to 1"
            raise InputError(f"{entry.name} must be {bound}, not {short(value)}")
        if self.bits != FULL_PRECISION and not 1 <= self.bits <= 8:
            raise InputError(f"bits must be an integer from 1 to 8, or 32 for full precision, not {self.bits}")
        for name in ("weight_bits", "activation_bits"):
            value = getattr(self, name)
            if value is not None:
                check_bits(value, name, lowest=1)
        for entry in fields(self):
            choices = entry.metadata["choices"]
            if choices and getattr(self, entry.name) not in (*choices, *([None] if entry.default is None else [])):
                raise InputError(
                    f"{entry.name} must be one of {', '.join(choices)}, not {short(getattr(self, entry.name))}"
                )
        if self.teacher and self.soft_labels:
            raise InputError("teacher and soft_labels must not both be given: a store replaces the teacher")
        if self.distill == "layers" and not self.teacher:
            raise InputError("distill must be 'logits' without a teacher, not 'layers'")
        if self.bits == FULL_PRECISION and self.policy is not None:
            raise InputError("policy must not be given with bits 32")
        if self.bits == FULL_PRECISION and (self.weight_bits or self.activation_bits or self.override):
            raise InputError("weight_bits, activation_bits and override must not be given with bits 32")
        if self.bits == FULL_PRECISION and (self.obr or self.freeze is not None):
            raise InputError("obr and freeze must be off at bits 32: without codes nothing oscillates")
        if self.bits == FULL_PRECISION and self.query_key != "separate":
            raise InputError(f"query_key must be separate at bits 32, not {self.query_key!r}")
        self._check_rotations()
        self._check_annealing()
        self._check_surrogate()
        self._check_augmentation()
        if self.recipe is not None:
            for needed in RECIPES[self.recipe].needs:
                if getattr(self, needed) is None:
                    raise InputError(f"recipe {self.recipe} must be given with {needed}, which is part of it")
        if self.image_stats is not None:
            if not self.data.startswith("imagefolder:"):
                raise InputError(f"image_stats must be given for images of folders only, not for {short(self.data)}")
            read_image_stats(self.image_stats)
        self.scheme()

    def check_needs(self, given: Iterable[str]) -> None:
        """InputError for the first of the options `given`, by name, that has no effect beside the others. Not of what a
        record has, which says every option.
        """
        about = {entry.name: entry.metadata["needs"] for entry in fields(self)}
        for name in given:
            needed, value = about[name] if isinstance(about[name], tuple) else (about[name], None)
            if needed is None:
                continue
            found = getattr(self, needed)
            if not found if value is None else found != value:
                raise InputError(f"{name} must be given with {needed}{f' {value}' if value else ''} only")

    def _check_augmentation(self) -> None:
        of_views = {"augment": self.augment, "rand_augment": self.rand_augment, "random_erasing": self.random_erasing}
        for name, value in (of_views | {"mixup": self.mixup, "label_smoothing": self.label_smoothing}).items():
            if self.soft_labels and value not in (None, 0):
                raise InputError(f"{name} must not be given with soft_labels: a store has the views and their labels")
        if self.teacher and self.label_smoothing:
            raise InputError("label_smoothing must not be given with a teacher, whose labels are soft")
        if self.mixup and (self.data.startswith("glue:") or self.data.partition("@")[0] == "mr"):
            raise InputError(f"mixup is for images, but {short(self.data)} has texts")
        if self.ema == 1:
            raise InputError("ema must be below 1, at which an average would stay what it is")

    def _check_rotations(self) -> None:
        for kind, times in Counter(self.rotate).items():
            if kind not in ROTATIONS or times > 1:
                raise InputError(f"rotate must be any of {', '.join(ROTATIONS)}, each once, not {short(self.rotate)}")
        if "residual" in self.rotate and self.distill == "layers":
            raise InputError("rotate must not be residual with distill layers: the teacher's layers are not rotated")
        if "queries" in self.rotate and self.query_key != "separate":
            raise InputError("rotate must not be queries with query_key reparameterised: it falls out of the product")

    def _check_annealing(self) -> None:
        if not self.cga:
            return
        if self.bits == FULL_PRECISION:
            raise InputError("cga must be off at bits 32: without codes there are no borders")
        if self.cga > self.epochs:
            raise InputError(f"cga must be at most the epochs, {self.epochs}, not {short(self.cga)}")
        if self.freeze is not None:
            raise InputError("cga and freeze must not both be given: one moves the weights that the other holds")

    def _check_surrogate(self) -> None:
        if self.surrogate == "ste":
            return
        if self.bits == FULL_PRECISION:
            raise InputError("surrogate must be ste at bits 32, where nothing is rounded, not 'fourier'")
        if (self.weight_bits or self.bits) == 1:
            raise InputError("surrogate must be ste at weight_bits 1, which are signs, not 'fourier'")

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
            query_key=self.query_key,  # type: ignore[arg-type]
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def _override(text: str) -> Override:
    pattern, equals, widths = text.rpartition("=")
    weights, _, activations = widths.partition("/")
    try:
        bits = [tuple(integer("bits", b) for b in part.split(",")) if part else None for part in (weights, activations)]
    except ValueError:
        bits = []
    if not (pattern and equals and bits and any(bits)):
        raise InputError(f"override must be PATTERN=WEIGHT_BITS/ACTIVATION_BITS, as '*.mlp.*=2/4', not {short(text)}")
    return Override(pattern, *(part[0] if part and len(part) == 1 else part for part in bits))


def _kind(name: str) -> Any:
    """The type of an option, without None."""
    hint = get_type_hints(Options)[name]
    return next(t for t in get_args(hint) if t is not type(None)) if isinstance(hint, UnionType) else hint


def add_arguments(parser: Parser) -> None:
    """An argument for each option; only those that are given end up in the namespace, the last value of each."""
    for entry in fields(Options):
        flag, kind = f"--{entry.name.replace('_', '-')}", _kind(entry.name)
        group = parser.rare if entry.metadata["rare"] else parser
        text = entry.metadata["help"] + _range(entry) + _default(entry)
        if kind is bool:
            group.add_argument(flag, action=BooleanOptionalAction, default=SUPPRESS, help=text)
        elif kind == tuple[str, ...]:
            group.add_argument(flag, action="append", default=SUPPRESS, metavar=entry.metadata["metavar"], help=text)
        else:
            group.add_argument(
                flag, action="last", type=kind, default=SUPPRESS, metavar=entry.metadata["metavar"],
                choices=entry.metadata["choices"], help=text,
            )  # fmt: skip


def _range(entry: Field[Any]) -> str:
    between = entry.metadata["between"]
    return "" if between is None else f", {between[0]} to {between[1]}"


def _default(entry: Field[Any]) -> str:
    if entry.default in (MISSING, None, ()):
        return ""
    value = {True: "on", False: "off"}[entry.default] if isinstance(entry.default, bool) else entry.default
    return f" (default {value})"


def read_config(path: Path) -> dict[str, Any]:
    """The options in a .yaml, .yml or .toml file of at most 64 KiB, a value for each.

    ValueError for what is not one, an option given twice, YAML with aliases or tags, and more than 8 levels.
    """
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise InputError(f"{path} must be a .yaml, .yml or .toml file with a value for each option")
    text = read_text(path, MOST_CONFIG_BYTES)
    try:
        data = _toml(text) if path.suffix == ".toml" else _yaml(text)
    except InputError as error:
        raise InputError(error.sentence, file=path, place=error.place) from None
    # Both have more kinds than they document: a date of month 13, a tag of a number before a text.
    except Exception as error:
        said = short(" ".join(str(error).split()), 300).strip("'\"")
        raise InputError(f"{path} must be a YAML or TOML file: {said}") from None
    if not isinstance(data, Mapping):
        raise InputError(f"{path} must be a .yaml, .yml or .toml file with a value for each option")
    names = [str(name).replace("-", "_") for name in data]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"{path} must hold each option once, and holds {short(twice[0])} twice")
    return dict(zip(names, data.values(), strict=True))


def _toml(text: str) -> Any:
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > _MOST_DOTS:  # the parser's time grows with their square
            raise InputError(f"it must have at most {_MOST_DOTS} dots", place=f"line {number}")
    if _nesting(text) > _MOST_NESTED:
        raise InputError(f"it must be nested at most {_MOST_NESTED} levels deep")
    return tomllib.loads(text)


def _nesting(text: str) -> int:
    """The most brackets that are open at once; those in texts count too."""
    level = deepest = 0
    for letter in text:
        level = max(level + (letter in "[{") - (letter in "]}"), 0)
        deepest = max(deepest, level)
    return deepest


def _yaml(text: str) -> Any:
    """Through its events first, which take no memory: aliases multiply, tags build, levels recurse."""
    level, keys, is_key = 0, Counter[str](), True
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        place = f"line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise InputError("it must have no aliases and anchors (& and *): write values out", place=place)
        if getattr(event, "tag", None) is not None:
            raise InputError(f"it must have no tags, such as {short(event.tag)}", place=place)
        if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and _OTHER_BASE.fullmatch(event.value):
            raise InputError(f"a number must be written in base 10, not as {short(event.value)}", place=place)
        if level == 1 and isinstance(event, yaml.NodeEvent):
            if is_key and isinstance(event, yaml.ScalarEvent):
                if event.value == "<<":
                    raise InputError("it must have no merged values (<<): write them out", place=place)
                keys[event.value] += 1
                if keys[event.value] > 1:
                    raise InputError(
                        f"it must hold each option once, and holds {short(event.value)} twice", place=place
                    )
            is_key = not is_key
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if level > _MOST_NESTED:
            raise InputError(f"it must be nested at most {_MOST_NESTED} levels deep", place=place)
    return yaml.safe_load(text)


def merge(*sources: Mapping[str, Any]) -> Options:
    """The options in all sources, later ones first, and below them those of the recipe that they name.

    TypeError or ValueError for wrong names, types and values.
    """
    values: dict[str, Any] = {}
    for source in sources:
        values |= typed(source)
    if "out" not in values:
        raise InputError("out must be given: the folder of the run")
    return Options(**{**values_of_recipe(values.get("recipe")), **values})


def recorded(values: Mapping[str, Any], out: Path) -> Options:
    """The options that a run in `out` has in its record, of an earlier version, too."""
    left_open = {name for name in _ONCE_OPEN if values.get(name, 0) is None}
    return merge({name: value for name, value in values.items() if name not in left_open}, {"out": out})


def values_of_recipe(name: str | None) -> Mapping[str, Any]:
    """Values of options by name; none of a name that is no recipe's."""
    return {} if name is None or name not in RECIPES else RECIPES[name].values


def typed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as options have them.  ValueError for a name, TypeError for a type that no option has."""
    known = {entry.name for entry in fields(Options)}
    if unknown := sorted(set(values) - known, key=str):
        names = ", ".join(str(name)[:40] for name in unknown[:5])
        raise InputError(f"there is no option {names}; there are {', '.join(sorted(known))}")
    return {name: _typed(name, value) for name, value in values.items()}


def _typed(name: str, value: Any) -> Any:
    kind = _kind(name)
    if value is None and Options.__dataclass_fields__[name].default is None:
        return None
    if kind is Path and isinstance(value, str | Path):
        if value == "":
            raise InputError(f"{name} must be a path, not ''")
        if "\0" in str(value):
            raise InputError(f"{name} must be a path without a null character, not {short(value)}")
        if value == "":
            raise InputError(f"{name} must be a path, not an empty text")
        return Path(value)
    if kind == tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts):
            return tuple(texts)
    elif kind is float:
        with suppress(TypeError, ValueError, OverflowError):
            # Text too: YAML reads 1e-3, without a dot, as a string.
            return float(value if not isinstance(value, bool) else "")
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise InputTypeError(f"{name} must be {_KINDS[kind]}, not {short(value)}")


_KINDS = {
    bool: "true or false", int: "an integer", float: "a number", str: "a text", Path: "a path",
    tuple[str, ...]: "a list of texts",
}  # fmt: skip
