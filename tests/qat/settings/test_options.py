"""Options: one name in Python, on the command line, in YAML and TOML; what is refused, and in which words."""

from __future__ import annotations

import math
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from qat.settings.options import Options, add_arguments, merge, read_config, recorded, typed
from qat.settings.ranges import GradientScale
from qat.settings.scheme import Override, Scheme
from siliquant.commandline.cli import Parser
from siliquant.inputs.errors import InputError

OUT = {"out": Path("run")}
NAMES = [entry.name for entry in fields(Options)]
# For every option a value that is not its default, and how the command line says it.
VALUES: dict[str, tuple[Any, list[str]]] = {
    "out": (Path("runs/a"), ["--out", "runs/a"]),
    "recipe": ("paper", ["--recipe", "paper"]),
    "model": ("swin-mnist", ["--model", "swin-mnist"]),
    "data": ("imagefolder:a", ["--data", "imagefolder:a"]),
    "bits": (3, ["--bits", "3"]),
    "weight_bits": (2, ["--weight-bits", "2"]),
    "activation_bits": (8, ["--activation-bits", "8"]),
    "start": (Path("runs/fp"), ["--start", "runs/fp"]),
    "new_head": (True, ["--new-head"]),
    "teacher": (Path("runs/t"), ["--teacher", "runs/t"]),
    "distill": ("layers", ["--distill", "layers"]),
    "soft_labels": (Path("labels"), ["--soft-labels", "labels"]),
    "crops_per_image": (2, ["--crops-per-image", "2"]),
    "obr": (0.01, ["--obr", "0.01"]),
    "obr_max_bits": (3, ["--obr-max-bits", "3"]),
    "granularity": ("tensor", ["--granularity", "tensor"]),
    "output_by_head": (False, ["--no-output-by-head"]),
    "first_last_bits": (4, ["--first-last-bits", "4"]),
    "weight_scale": ("statistical", ["--weight-scale", "statistical"]),
    "scale_start": ("mean", ["--scale-start", "mean"]),
    "scale_steps": ("absolute", ["--scale-steps", "absolute"]),
    "gradient_scale": ("lsq", ["--gradient-scale", "lsq"]),
    "override": (("*.fc1=2/4", "*.fc2=3"), ["--override", "*.fc1=2/4", "--override", "*.fc2=3"]),
    "policy": (Path("mix.json"), ["--policy", "mix.json"]),
    "rotate": (("values",), ["--rotate", "values"]),
    "query_key": ("reparameterised", ["--query-key", "reparameterised"]),
    "freeze": (0.02, ["--freeze", "0.02"]),
    "cga": (1.5, ["--cga", "1.5"]),
    "cga_range": (0.01, ["--cga-range", "0.01"]),
    "surrogate": ("fourier", ["--surrogate", "fourier"]),
    "surrogate_amplitude": (0.1, ["--surrogate-amplitude", "0.1"]),
    "surrogate_order": (2, ["--surrogate-order", "2"]),
    "epochs": (3, ["--epochs", "3"]),
    "batch_size": (16, ["--batch-size", "16"]),
    "lr": (0.001, ["--lr", "1e-3"]),
    "scale_lr": (2.0, ["--scale-lr", "2"]),
    "warmup": (0.5, ["--warmup", "0.5"]),
    "weight_decay": (0.05, ["--weight-decay", "0.05"]),
    "ema": (0.99, ["--ema", "0.99"]),
    "clip": (0.0, ["--clip", "0"]),
    "seed": (7, ["--seed", "7"]),
    "calibration_batches": (1, ["--calibration-batches", "1"]),
    "limit": (64, ["--limit", "64"]),
    "image_size": (28, ["--image-size", "28"]),
    "image_stats": ("imagenet", ["--image-stats", "imagenet"]),
    "augment": ("shift", ["--augment", "shift"]),
    "rand_augment": (9.0, ["--rand-augment", "9"]),
    "random_erasing": (0.25, ["--random-erasing", "0.25"]),
    "mixup": (0.8, ["--mixup", "0.8"]),
    "label_smoothing": (0.1, ["--label-smoothing", "0.1"]),
    "max_length": (16, ["--max-length", "16"]),
    "tokenizer": (Path("tok"), ["--tokenizer", "tok"]),
    "device": ("cpu", ["--device", "cpu"]),
    "amp": (False, ["--no-amp"]),
    "threads": (1, ["--threads", "1"]),
    "skip_unreadable": (3, ["--skip-unreadable", "3"]),
    "workers": (2, ["--workers", "2"]),
    "checkpoint_minutes": (0.5, ["--checkpoint-minutes", "0.5"]),
    "tensorboard": (True, ["--tensorboard"]),
}
STORE = "a store has the views and their labels"
# Without those that exclude others.
EXCLUDING = ("soft_labels", "freeze", "recipe", "label_smoothing")
TOGETHER = [name for name in NAMES if name not in EXCLUDING]


def parsed(arguments: list[str]) -> dict[str, Any]:
    parser = Parser(prog="p", description=None)
    add_arguments(parser)
    return vars(parser.parse_args(arguments))


def file(path: Path, values: dict[str, Any]) -> Path:
    """YAML or TOML by the suffix; the two write these plain values almost alike."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float):
            return repr(value)
        return f"[{', '.join(map(text, value))}]" if isinstance(value, tuple) else f'"{value}"'

    sign = " = " if path.suffix == ".toml" else ": "
    path.write_text("".join(f"{name}{sign}{text(value)}\n" for name, value in values.items()))
    return path


def test_the_table_has_every_option_with_another_value_than_its_default() -> None:
    assert list(VALUES) == NAMES
    for entry in fields(Options):
        assert VALUES[entry.name][0] != entry.default


def test_flags_yaml_toml_and_python_say_the_same(tmp_path: Path) -> None:
    values = {name: VALUES[name][0] for name in TOGETHER}
    flags = parsed([word for name in TOGETHER for word in VALUES[name][1]])
    assert flags == {**flags, **{name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}}
    dashed = {name.replace("_", "-"): value for name, value in values.items()}
    expected = Options(**values)
    assert merge(flags) == expected
    for name in ("a.yaml", "a.yml", "a.toml"):
        assert merge(read_config(file(tmp_path / name, values))) == expected
        assert merge(read_config(file(tmp_path / name, dashed))) == expected
    assert merge(OUT, parsed(VALUES["soft_labels"][1])) == Options(**OUT, soft_labels=Path("labels"))
    paper = merge(OUT, parsed([*VALUES["recipe"][1], *VALUES["start"][1], *VALUES["soft_labels"][1]]))
    assert (paper.recipe, paper.epochs, paper.start, paper.lr) == ("paper", 150, VALUES["start"][0], 5e-4)
    assert merge(OUT, parsed(VALUES["freeze"][1])) == Options(**OUT, freeze=0.02)


def test_what_is_not_given_is_not_in_the_namespace() -> None:
    assert parsed([]) == {}
    assert merge({"out": "run"}) == Options(**OUT)


def test_each_bool_can_be_switched_both_ways() -> None:
    for name in ("new_head", "output_by_head", "amp", "tensorboard"):
        flag = name.replace("_", "-")
        assert parsed([f"--{flag}"]) == {name: True}
        assert parsed([f"--no-{flag}"]) == {name: False}


def test_later_sources_win(tmp_path: Path) -> None:
    config = read_config(file(tmp_path / "a.toml", {"bits": 2, "lr": 0.5, "out": "x"}))
    assert merge(config, parsed(["--bits", "3"])) == Options(Path("x"), bits=3, lr=0.5)


def test_records_read_back_as_the_same_options() -> None:
    values = {name: VALUES[name][0] for name in TOGETHER}
    plain = Options(**values).to_dict()
    assert list(plain) == NAMES
    assert plain["out"] == "runs/a"
    assert plain["override"] == ["*.fc1=2/4", "*.fc2=3"]
    assert merge(plain) == Options(**values)
    assert merge(Options(**OUT).to_dict()) == Options(**OUT)


@pytest.mark.parametrize(
    ("given", "found"),
    [("lr: 1e-3", 1e-3), ("lr: 1", 1.0), ("lr: 0.5", 0.5), ("freeze: null", None), ("override: '*=2'", ("*=2",))],
)  # fmt: skip
def test_yaml_values(tmp_path: Path, given: str, found: Any) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(given)
    [value] = typed(read_config(path)).values()
    assert value == found
    assert type(value) is type(found)


def test_an_empty_path_is_no_path() -> None:
    with pytest.raises(InputError, match=r"^out must be a path, not ''$"):
        typed({"out": ""})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"bits": "two"}, "bits must be an integer, not 'two'"),
        ({"bits": 2.0}, "bits must be an integer, not 2.0"),
        ({"bits": True}, "bits must be an integer, not True"),
        ({"bits": None}, "bits must be an integer, not None"),
        ({"lr": "fast"}, "lr must be a number, not 'fast'"),
        ({"lr": True}, "lr must be a number, not True"),
        ({"lr": None}, "lr must be a number, not None"),
        ({"lr": [1]}, "lr must be a number, not [1]"),
        ({"amp": 1}, "amp must be true or false, not 1"),
        ({"model": 5}, "model must be a text, not 5"),
        ({"out": 3}, "out must be a path, not 3"),
        ({"out": None}, "out must be a path, not None"),
        ({"start": ["a"]}, "start must be a path, not ['a']"),
        ({"override": [1]}, "override must be a list of texts, not [1]"),
        ({"override": {"a": "b"}}, "override must be a list of texts, not {'a': 'b'}"),
        ({"override": None}, "override must be a list of texts, not None"),
    ],
)  # fmt: skip
def test_wrong_types(given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        merge(OUT, given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *(({"bits": b}, f"bits must be an integer from 1 to 8, or 32 for full precision, not {b}")
          for b in (-1, 0, 9, 16, 31, 33)),
        ({"weight_bits": 9}, "weight_bits must be an integer from 1 to 8, not 9"),
        ({"weight_bits": 32}, "weight_bits must be an integer from 1 to 8, not 32"),
        ({"activation_bits": 0}, "activation_bits must be an integer from 1 to 8, not 0"),
        ({"first_last_bits": 1}, "first_last_bits must be an integer from 2 to 8, not 1"),
        *(({name: -1}, f"{name} must be at least 0, not -1") for name in ("epochs", "seed", "workers")),
        *(({name: -0.5}, f"{name} must be at least 0, not -0.5")
          for name in ("lr", "scale_lr", "warmup", "weight_decay", "clip", "checkpoint_minutes", "obr")),
        ({"lr": math.nan}, "lr must be at least 0, not nan"),
        *(({name: 0}, f"{name} must be at least 1, not 0")
          for name in ("batch_size", "calibration_batches", "crops_per_image", "limit", "image_size", "threads")),
        ({"max_length": 3}, "max_length must be at least 4, not 3"),
        ({"seed": 1 << 64}, "seed must be at most 18446744073709551615, not 18446744073709551616"),
        *(({"freeze": f}, f"freeze must be a share from 0 to 1, not {f}") for f in (-0.1, 1.1, math.nan)),
        ({"distill": "all"}, "distill must be one of logits, layers, not 'all'"),
        ({"granularity": "row"}, "granularity must be one of head, tensor, channel, not 'row'"),
        ({"weight_scale": "max"}, "weight_scale must be one of learned, statistical, statsq, not 'max'"),
        ({"gradient_scale": "l2"}, "gradient_scale must be one of none, lsq, l1, not 'l2'"),
        ({"device": "tpu"}, "device must be one of auto, cpu, cuda, not 'tpu'"),
        ({"teacher": "a", "soft_labels": "b"},
         "teacher and soft_labels must not both be given: a store replaces the teacher"),
        ({"distill": "layers"}, "distill must be 'logits' without a teacher, not 'layers'"),
        *(
            ({"soft_labels": "s", **given}, f"{next(iter(given))} must not be given with soft_labels: {STORE}")
            for given in ({"augment": "none"}, {"rand_augment": 9}, {"random_erasing": 0.1}, {"mixup": 0.2},
                          {"label_smoothing": 0.1})
        ),
        ({"teacher": "t", "label_smoothing": 0.1},
         "label_smoothing must not be given with a teacher, whose labels are soft"),
        ({"mixup": 0.2, "data": "glue:rte:x"}, "mixup is for images, but 'glue:rte:x' has texts"),
        ({"mixup": 0.2, "data": "mr@validation"}, "mixup is for images, but 'mr@validation' has texts"),
        ({"ema": 1}, "ema must be below 1, at which an average would stay what it is"),
        ({"ema": 1.5}, "ema must be a share from 0 to 1, not 1.5"),
        ({"rand_augment": 11}, "rand_augment must be at most 10, not 11.0"),
        ({"augment": "cutmix"}, "augment must be one of crop, shift, none, not 'cutmix'"),
        ({"bits": 32, "policy": "mix.json"}, "policy must not be given with bits 32"),
        *(({"bits": 32} | more, "weight_bits, activation_bits and override must not be given with bits 32")
          for more in ({"weight_bits": 2}, {"activation_bits": 2}, {"override": ["*=2"]})),
        *(({"bits": 32} | more, "obr and freeze must be off at bits 32: without codes nothing oscillates")
          for more in ({"obr": 0.01}, {"freeze": 0.0})),
        ({"bits": 1, "weight_scale": "statistical"},
         "weight_scale must be learned at weight_bits 1, not 'statistical'"),
        ({"weight_bits": 1, "weight_scale": "statsq"}, "weight_scale must be learned at weight_bits 1, not 'statsq'"),
        *(({"rotate": what}, f"rotate must be any of values, queries, residual, each once, not {tuple(what)}")
          for what in (["keys", "values"], ["values", "values"])),
        ({"rotate": ["residual"], "distill": "layers", "teacher": "a"},
         "rotate must not be residual with distill layers: the teacher's layers are not rotated"),
        ({"bits": 32, "query_key": "reparameterised"}, "query_key must be separate at bits 32, not 'reparameterised'"),
        ({"query_key": "fused"}, "query_key must be one of separate, reparameterised, not 'fused'"),
        ({"rotate": ["queries"], "query_key": "reparameterised"},
         "rotate must not be queries with query_key reparameterised: it falls out of the product"),
        ({"bits": 32, "cga": 1}, "cga must be off at bits 32: without codes there are no borders"),
        ({"epochs": 2, "cga": 2.5}, "cga must be at most the epochs, 2, not 2.5"),
        ({"epochs": 2, "cga": 1, "freeze": 0.1},
         "cga and freeze must not both be given: one moves the weights that the other holds"),
        ({"cga_range": 0}, "cga_range must be at least 1e-06, not 0.0"),
        ({"cga_range": 0.6}, "cga_range must be at most 0.5, not 0.6"),
        ({"surrogate": "sine"}, "surrogate must be one of ste, fourier, not 'sine'"),
        ({"surrogate": "fourier", "surrogate_amplitude": 0.23}, "surrogate_amplitude must be at most 0.225, not 0.23"),
        ({"bits": 32, "surrogate": "fourier"},
         "surrogate must be ste at bits 32, where nothing is rounded, not 'fourier'"),
        ({"weight_bits": 1, "surrogate": "fourier"},
         "surrogate must be ste at weight_bits 1, which are signs, not 'fourier'"),
        *(({"override": [text]},
           f"override must be PATTERN=WEIGHT_BITS/ACTIVATION_BITS, as '*.mlp.*=2/4', not {text!r}")
          for text in ("", "*.mlp.*", "=2", "*=", "*=/", "*=two", "*=2,x/3", "*=2/3/4", "*=2,,3")),
        ({"override": ["*=9"]}, "weight_bits must be an integer from 1 to 8, not 9"),
        ({"override": ["*=/0"]}, "activation_bits must be an integer from 1 to 8, not 0"),
        ({"override": ["*=1,2"]}, "weight_bits of single heads must be from 2 to 8, not (1, 2)"),
    ],
)  # fmt: skip
def test_wrong_values(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        merge(OUT, given)
    assert str(caught.value) == message


def test_names_of_options() -> None:
    """All that there are, as far as a message goes."""
    with pytest.raises(
        InputError, match=r"^there is no option bit, colour; there are activation_bits, amp, .*, workers$"
    ):
        merge(OUT, {"colour": 1, "bit": 2})


def test_the_run_folder_is_needed() -> None:
    with pytest.raises(ValueError, match=r"^out must be given: the folder of the run$"):
        merge({"bits": 2})


@pytest.mark.parametrize(
    ("text", "override"),
    [
        ("*.mlp.*=2/4", Override("*.mlp.*", 2, 4)),
        ("*=3", Override("*", 3, None)),
        ("*=/8", Override("*", None, 8)),
        ("*.q_proj=2,3,4/4", Override("*.q_proj", (2, 3, 4), 4)),
        ("*.scores=/4,5", Override("*.scores", None, (4, 5))),
        ("a=b=1/2", Override("a=b", 1, 2)),
    ],
)  # fmt: skip
def test_overrides(text: str, override: Override) -> None:
    scheme = Options(**OUT, override=(text,)).scheme()
    assert scheme is not None
    assert scheme.overrides == (override,)


def test_the_scheme() -> None:
    assert Options(**OUT, bits=32).scheme() is None
    assert Options(**OUT, bits=3).scheme() == Scheme(3, 3)
    assert Options(**OUT, bits=1, activation_bits=4).scheme() == Scheme(1, 4)
    assert Options(
        **OUT, weight_bits=2, granularity="tensor", output_by_head=False, first_last_bits=4,
        weight_scale="statistical", scale_start="mean", gradient_scale="none",
    ).scheme() == Scheme(2, 4, 4, "tensor", False, "statistical", "mean", GradientScale.NONE)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "[1, 2]", "{} must be a .yaml, .yml or .toml file with a value for each option"),
        ("a.yaml", "", "{} must be a .yaml, .yml or .toml file with a value for each option"),
        ("a.json", "{}", "{} must be a .yaml, .yml or .toml file with a value for each option"),
        ("a.yaml", "bits: [", "{} must be a YAML or TOML file: while parsing"),
        ("a.yaml", "bits: !!python/object/apply:os.system [ls]", "{}, line 1: it must have no tags, such as 'tag:yaml"),
        ("a.toml", "bits 2", "{} must be a YAML or TOML file: Expected '=' after a key"),
        ("a.toml", "bits = 2\nbits = 3", "{} must be a YAML or TOML file: Cannot overwrite a value"),
        ("a.yaml", "bits: 2\nseed: 010", "{}, line 2: a number must be written in base 10, not as '010'"),
        ("a.yaml", "lr: 1:30", "{}, line 1: a number must be written in base 10, not as '1:30'"),
        ("a.yaml", "override: [0_7]", "{}, line 1: a number must be written in base 10, not as '0_7'"),
        ("a.yaml", "<<: {bits: 3}\nbits: 2", "{}, line 1: it must have no merged values (<<)"),
        ("a.yaml", "a: &a [1]\nb: *a", "{}, line 1: it must have no aliases and anchors"),
        ("a.yaml", "bits: 2\nseed: 1\nbits: 3", "{}, line 3: it must hold each option once, and holds 'bits' twice"),
        ("a.yaml", "batch-size: 2\nbatch_size: 3", "{} must hold each option once, and holds 'batch_size' twice"),
        ("a.yaml", "seed: 2001-13-99", "{} must be a YAML or TOML file: month must be in 1..12"),
        ("a.yaml", "[" * 60_000, "{}, line 1: it must be nested at most 8 levels deep"),
        ("a.yaml", "seed: " + "9" * 5000, "{} must be a YAML or TOML file: Exceeds the limit"),
        ("a.yaml", "a: 1\n" * 20_000, "{} must have at most 65536 bytes, not 100000"),
        ("a.toml", "a" + ".a" * 30_000 + " = 1", "{}, line 1: it must have at most 64 dots"),
        ("a.toml", "a = " + "[" * 30_000, "{}: it must be nested at most 8 levels deep"),
        ("a.toml", b"\xff", "{}, line 1: must be text in UTF-8"),
    ],
)  # fmt: skip
def test_files_that_are_no_configuration(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as caught:
        read_config(path)
    assert str(caught.value).startswith(message.format(path))
    assert "\n" not in str(caught.value)


def test_a_configuration_must_be_a_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(InputError, match=r"a\.yaml must be a regular file"):
        read_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(("name", "value"), [("out", "a\0b"), ("lr", 10**400), ("device", "x" * 10**6)])
def test_values_that_no_option_takes_are_refused_shortly(name: str, value: object) -> None:
    """A path with a null character, a number beyond floats, a long text."""
    with pytest.raises(InputError, match=f"^{name} must be .{{1,150}}$"):
        merge(OUT, {name: value})


def test_every_number_has_a_range_and_the_help_says_it() -> None:
    parser = Parser(prog="p", description=None)
    add_arguments(parser)
    text = " ".join(parser.format_everything().split())
    numbers = [e for e in fields(Options) if e.type in ("int", "float", "int | None", "float | None")]
    own = {"bits": "1 to 8", "weight_bits": "alone", "activation_bits": "alone", "first_last_bits": "2 to 8"}
    for entry in numbers:
        between = entry.metadata["between"]
        if entry.name in own:
            assert own[entry.name] in text
            continue
        assert f"{between[0]} to {between[1]}" in text
        for value in (between[0] - 1, between[1] * 2 + 1, math.inf, -math.inf, math.nan, 1 << 64 << 64):
            if "int" in str(entry.type) and not isinstance(value, int):
                continue
            with pytest.raises(InputError, match=f"^{entry.name} must be "):
                merge(OUT, {entry.name: value})


def test_the_help_names_every_default() -> None:
    parser = Parser(prog="p", description=None)
    add_arguments(parser)
    text = " ".join(parser.format_help().split())
    for entry in fields(Options):
        assert f"--{entry.name.replace('_', '-')}" in text
    for default in ("(default vit-mnist)", "(default 4)", "(default 0.0005)", "(default on)", "(default off)"):
        assert default in text


def test_numbers_that_only_look_odd_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("seed: 0\nlr: 0.010\nclip: -0.5\ndata: '010'\nout: 1:x\n")
    found = read_config(path)
    assert found == {"seed": 0, "lr": 0.01, "clip": -0.5, "data": "010", "out": "1:x"}


def test_an_empty_path_is_none() -> None:
    with pytest.raises(InputError, match="start must be a path, not ''"):
        typed({"start": ""})


def test_the_last_value_of_an_option_counts() -> None:
    """Lines of a study begin with what all of its runs share."""
    made = Parser(prog="package.module", description=None, rare=True)
    add_arguments(made)
    given = vars(made.parse_args(["--lr", "1e-3", "--bits", "2", "--out", "a", "--lr", "2e-3", "--out", "b"]))
    assert given == {"lr": 2e-3, "bits": 2, "out": Path("b")}


NEEDS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "surrogate_amplitude": (0.21, "surrogate fourier", {"surrogate": "fourier"}),
    "surrogate_order": (1, "surrogate fourier", {"surrogate": "fourier"}),
    "rotate": (["values"], "start", {"start": "s"}),
    "new_head": (True, "start", {"start": "s"}),
    "cga_range": (0.005, "cga", {"cga": 1}),
    "obr_max_bits": (2, "obr", {"obr": 0.1}),
    "crops_per_image": (4, "soft_labels", {"soft_labels": "s"}),
}


def test_an_option_without_the_one_that_it_needs() -> None:
    """Also where it is given its default; of what a record has nothing is asked."""
    assert {name for name, entry in Options.__dataclass_fields__.items() if entry.metadata["needs"]} == NEEDS.keys()
    for name, (value, needed, others) in NEEDS.items():
        with pytest.raises(ValueError, match=rf"^{name} must be given with {needed} only$"):
            merge({"out": "o", name: value}).check_needs([name])
        merge({"out": "o", name: value, **others}).check_needs(["out", name, *others])
        recorded({"out": "o", name: value}, Path("o"))
    assert recorded({"surrogate_amplitude": None, "ema": None}, Path("o")) == Options(out=Path("o"))
    with pytest.raises(TypeError, match=r"^surrogate_order must be an integer, not None$"):
        recorded({"surrogate_order": None}, Path("o"))
