"""What one run of the fuzzer does: a design and what happens at its ports, or a network, as one JSON file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from rtl.array import ArraySpec
from rtl.mac import DESIGNS
from rtl.manifests import array_from_parameters
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.spec import MacSpec
from rtl.verilog import Reset
from siliquant.inputs import InputError, at, integer, json_object, listing, member, require, short

__all__ = [
    "ARRAY",
    "ENGINES",
    "KINDS",
    "SIMULATED",
    "UNITS",
    "Action",
    "Case",
    "Fault",
    "NetworkSpec",
    "Spec",
    "Subject",
    "case_from_text",
    "kind_of",
    "spec_of",
]

KINDS = ("mac", "requantiser", "array", "network")
Spec: TypeAlias = MacSpec | LoadableSpec
UNITS: tuple[type[LoadableSpec], ...] = (ThresholdSpec, MultiplierSpec, PartialSumSpec)
SIMULATED = ("icarus", "verilator", "netlist")
ENGINES: Mapping[str, tuple[str, ...]] = {
    "mac": ("graph", *SIMULATED),
    "requantiser": SIMULATED,
    "array": SIMULATED,
    "network": ("export", "harness"),
}
"""What computes a case of each kind: the graph of gates, the Verilog in two simulators, and its netlist in one; of a
network its integers from their file beside the quantised network, and the simulated array."""
ARRAY = "array"
"""What ``design`` of a case is of an array."""
ACTIONS = (
    "part", "idle", "reset", "load", "stray", "enter", "operands", "set", "run", "start", "wait", "pace", "read"
)  # fmt: skip
_VIT = (
    "image_size", "patch_size", "num_channels", "hidden_size", "num_hidden_layers", "num_attention_heads",
    "intermediate_size", "qkv_bias",
)  # fmt: skip
_CONFIGS: Mapping[str, tuple[str, ...]] = {
    "vit": _VIT,
    "deit": _VIT,
    "swin": (
        "image_size", "patch_size", "num_channels", "embed_dim", "depths", "num_heads", "window_size", "mlp_ratio",
        "drop_path_rate",
    ),
    "sret": (
        "image_size", "num_channels", "stem_strides", "widths", "depths", "num_heads", "groups", "mlp_ratio",
        "drop_path_rate",
    ),
    "bert": (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
        "max_position_embeddings",
    ),
    "llama": (
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "intermediate_size", "max_position_embeddings",
    ),
}  # fmt: skip
"""What a network has in its config.json beside its family."""
_OF_TEXTS = ("bert", "llama")
_OF_PRECISION = (["part"], ["operands"])
_MEMBERS = ("design", "parameters", "junk", "reset", "actions")
_NOTED = ("found_by", "engine", "fault")  # beside them, by the fuzzer
MOST_BYTES = 1 << 24
"""Of the file of a case."""
_MOST_NOTED = 1000
_MOST_ACTIONS = 100_000
_MOST_NUMBER = 1 << 64
_MOST_SEED = (1 << 63) - 1
_FOLDER = re.compile(r"[^\s'\":]*/(?:siliquant-[a-z]+|\.building)-\d+-\d+-[0-9a-f]{8}-\w+")


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """A network with random weights, and the array that computes it.

    config: what its config.json holds. scheme: of qat.settings.Scheme, as JSON types. seed: of weights and inputs.
    tokens: of a text; 0 for images. moved: scales, biases and norms are not where they start, as after a training.
    """

    config: Mapping[str, Any]
    scheme: Mapping[str, Any]
    seed: int
    tokens: int
    moved: bool
    array: ArraySpec

    design = "network"

    @property
    def name(self) -> str:
        """What it is, in words."""
        return f"{self.config.get('model_type')} on {self.array.name}"

    @property
    def parameters(self) -> dict[str, Any]:
        """Every parameter by name, as JSON types."""
        return {**{item.name: getattr(self, item.name) for item in fields(self)}, "array": self.array.parameters}


Subject: TypeAlias = MacSpec | LoadableSpec | ArraySpec | NetworkSpec


@dataclass(frozen=True)
class Action:
    """One thing that happens at the ports.

    kind: "part" (products of one precision, one step after the other; ``begins`` a sum), "idle" (cycles without
    operands), "reset" (cycles), "load" (a parameter set of a requantiser), "stray" (cycles in which a set is loaded
    that is not there) or "enter" (an accumulator of one). numbers: weights, then activations, of a part; one number of
    cycles; the set and its parameters; the set and the accumulator, and of partial sums whether it is the first and the
    last. precision: of a part. Those of an array: :mod:`sim.fuzzing.array_plan`. A network has none.
    """

    kind: str
    numbers: tuple[int, ...]
    precision: str = ""
    begins: bool = False

    @property
    def cycles(self) -> int:
        """Of "idle", "reset" and "stray"."""
        return self.numbers[0]


@dataclass(frozen=True)
class Case:
    """A design, and actions. junk: seed of what is on ports that are not valid. reset: of its registers."""

    design: str
    parameters: Mapping[str, Any]
    actions: tuple[Action, ...]
    junk: int = 0
    reset: Reset = Reset.SYNCHRONOUS_HIGH

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return kind_of(self.spec)

    @property
    def spec(self) -> Subject:
        """The design. Raises ValueError where there is none of that name or with these parameters."""
        return spec_of(self.design, self.parameters)

    def text(self, **more: Any) -> str:
        """As JSON; ``more`` is noted beside it."""
        actions = [
            [each.kind, list(each.numbers), *([each.precision, each.begins] if each.precision else [])]
            for each in self.actions
        ]
        parameters = {name: list(v) if isinstance(v, tuple) else v for name, v in self.parameters.items()}
        head = {**more, "design": self.design, "parameters": parameters, "junk": self.junk, "reset": self.reset.value}
        lines = ",\n".join(json.dumps(action) for action in actions)
        return f'{json.dumps(head, indent=1)[:-2]},\n "actions": [\n{lines}\n]}}\n'


@dataclass(frozen=True)
class Fault:
    """What an engine did wrong, in words. kind: "difference", or the name of the error that it ended with."""

    engine: str
    sentence: str
    kind: str = "difference"

    @classmethod
    def of(cls, engine: str, error: Exception) -> Fault:
        """An error that a generator or a tool ended with, which is the same whatever folder it ran in."""
        name, said = type(error).__name__, _FOLDER.sub("TMP", " ".join(str(error).split()))
        return cls(engine, f"{name}: {said[:500]}", name)


def kind_of(spec: Subject) -> str:
    """Which of KINDS a design is."""
    if isinstance(spec, NetworkSpec):
        return "network"
    return "mac" if isinstance(spec, MacSpec) else "array" if isinstance(spec, ArraySpec) else "requantiser"


def spec_of(design: str, parameters: Mapping[str, Any]) -> Subject:
    """The design of a name with these parameters. Raises ValueError and TypeError as designs do."""
    if design == ARRAY:
        return _array(parameters)
    if design == NetworkSpec.design:
        return _network(parameters)
    every: tuple[type[Spec], ...] = (*DESIGNS, *UNITS)
    for known in every:
        if known.design == design:
            _check_names(design, {item.name for item in fields(known)}, parameters)
            given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in parameters.items()}
            return known(**given)
    known_names = ", ".join([*(known.design for known in every), ARRAY, NetworkSpec.design])
    raise InputError(f"design must be one of {known_names}, not {short(design)}")


def _check_names(design: str, names: set[str], parameters: Mapping[str, Any]) -> None:
    if unknown := sorted(parameters.keys() - names):
        raise InputError(f"parameters of {design} must be {listing(sorted(names))}, not {unknown[0]!r}")


def _network(parameters: Mapping[str, Any]) -> NetworkSpec:
    _check_names(NetworkSpec.design, {item.name for item in fields(NetworkSpec)}, parameters)
    given = dict(parameters)
    config, scheme, array = (member(given, name, dict) for name in ("config", "scheme", "array"))
    family = config.get("model_type")
    if isinstance(family, str) and family in _CONFIGS:  # qat.models refuses another one
        _check_names(f"config of {family}", {"model_type", *_CONFIGS[family]}, config)
    seed, tokens = (integer(name, str(member(given, name, int)), 0, _MOST_SEED) for name in ("seed", "tokens"))
    if (tokens > 0) != (family in _OF_TEXTS):
        raise InputError(
            f"tokens must be {'at least 1' if family in _OF_TEXTS else '0'} for {short(family)}, not {tokens}"
        )
    return NetworkSpec(config, scheme, seed, tokens, member(given, "moved", bool), _array(array))


def _array(parameters: Mapping[str, Any]) -> ArraySpec:
    for name in ("mac", "requant"):
        part = parameters.get(name)
        if isinstance(part, dict) and "parameters" in part:
            member(part, "parameters", dict)
    return array_from_parameters(parameters)


def case_from_text(text: str) -> Case:
    """What :meth:`Case.text` wrote. Raises InputError, with the place, for anything else."""
    data = json_object(text)
    for name in data:
        require(name in (*_MEMBERS, *_NOTED), f"have {listing((*_MEMBERS, *_NOTED))}", name, "it")
    for name in _NOTED:
        right = isinstance(data.get(name, ""), str) and len(data.get(name, "")) <= _MOST_NOTED
        require(right, f"be a text of at most {_MOST_NOTED} characters", data.get(name), name)
    design, parameters = member(data, "design", str), member(data, "parameters", dict)
    junk = member(data, "junk", int)
    require(0 <= junk <= _MOST_SEED, f"be an integer from 0 to {_MOST_SEED}", junk, "junk")
    styles = {style.value: style for style in Reset}
    reset = data.get("reset", Reset.SYNCHRONOUS_HIGH.value)
    require(isinstance(reset, str) and reset in styles, f"be one of {', '.join(styles)}", reset, "reset")
    given = member(data, "actions", list)
    require(len(given) <= _MOST_ACTIONS, f"have at most {_MOST_ACTIONS}", len(given), "actions")
    if design == NetworkSpec.design:
        require(not given, "be empty for a network", given, "actions")
        require(junk == 0, "be 0 for a network", junk, "junk")
        require(styles[reset] is Reset.SYNCHRONOUS_HIGH, "be sync-high for a network", reset, "reset")
    else:
        require(bool(given), "have at least one", given, "actions")
    case = Case(design, parameters, tuple(_actions(given)), junk, styles[reset])
    with at("parameters"):
        spec_of(design, parameters)
    return case


def _actions(given: Sequence[Any]) -> Iterator[Action]:
    for place, each in enumerate(given):
        of_precision = isinstance(each, list) and each[:1] in _OF_PRECISION
        form = "[kind, numbers, precision, begins]" if of_precision else "[kind, numbers]"
        right = (
            isinstance(each, list)
            and len(each) == (4 if of_precision else 2)
            and each[0] in ACTIONS
            and isinstance(each[1], list)
            and all(type(number) is int and abs(number) < _MOST_NUMBER for number in each[1])
            and (len(each) == 2 or (isinstance(each[2], str) and isinstance(each[3], bool)))
        )
        require(right, f"be {form}", each, f"action {place}")
        yield Action(each[0], tuple(each[1]), *each[2:])
