"""Strict loading of full-precision checkpoints: every weight of the network comes from the file, or it is an error."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from qat.files import guarded, quietly, read_folder, read_state_dict
from siliquant.inputs import InputError, short

from . import timm_names
from .classes import check_labels, model_class
from .folders import class_and_config, is_timm, read_config
from .limits import own_quantisation
from .presets import preset as preset_of

__all__ = ["STRUCTURE", "load_pretrained"]

_HEADS = ("classifier", "cls_classifier", "distillation_classifier", "pre_classifier")
# Layers of a classifier whose outputs are no labels: of RoBERTa and of DistilBERT.
_BEFORE_LABELS = ("classifier.dense.", "pre_classifier.")
# Of a pretrained network that was no classifier: the pretraining heads of BERT, RoBERTa and DistilBERT, and the
# pooler of a bare ViT or RoBERTa.
_OTHER_HEADS = (
    "cls.", "pooler.", "vit.pooler.", "deit.pooler.", "roberta.pooler.", "lm_head.", "vocab_transform.",
    "vocab_layer_norm.", "vocab_projector.",
)  # fmt: skip
# Integers beside the weights: of BERT, of Swin as older versions of transformers wrote it, and of batch norms.
_TABLES = ("position_ids", "relative_position_index", "num_batches_tracked")
# fmt: off
STRUCTURE = (
    "model_type", "image_size", "num_channels", "patch_size", "hidden_size", "num_hidden_layers",
    "num_attention_heads", "intermediate_size", "hidden_act", "qkv_bias", "embed_dim", "depths", "num_heads",
    "window_size", "mlp_ratio", "use_absolute_embeddings", "vocab_size", "max_position_embeddings",
    "type_vocab_size", "dim", "n_layers", "n_heads", "hidden_dim", "activation", "sinusoidal_pos_embds",
    "stem_strides", "widths", "recursions", "groups", "projection_ratio", "num_key_value_heads", "head_dim",
    "rope_parameters", "attention_bias", "mlp_bias",
)
# fmt: on
"""Fields that decide what the network computes, apart from its weights."""


def load_pretrained(
    source: Path,
    *,
    preset: str | None = None,
    config: PreTrainedConfig | None = None,
    image_size: int | None = None,
    num_labels: int | None = None,
    new_head: bool = False,
) -> PreTrainedModel:
    """A classifier in float32 and evaluation mode with the weights of `source`.

    source is a Hugging Face folder (config.json with model.safetensors or pytorch_model.bin, also in shards),
    or of timm (its config.json names an "architecture"; model.safetensors or pytorch_model.bin), or a file of
    safetensors or torch.save with a state dict as :func:`qat.files.weights.read_state_dict` takes it, in the names of
    timm and DeiT (ViT, DeiT), of the official or timm's Swin, or of the Hugging Face model; SReT in its own
    names.  No code in a file is ever run.

    A file and a folder of timm need a preset (what qat.models.presets.preset takes) or a configuration, whose own
    number of labels is not looked at.  A Hugging Face folder has its own configuration; a preset or configuration given
    with it must agree with it on the network's structure.  image_size is that of a preset, in pixels, where it is not
    its own.  num_labels must be the checkpoint's, unless
    new_head is true: then the classifier alone is fresh, drawn from torch's generator, with num_labels outputs, or
    as many as before.

    ValueError names the file and what is wrong: it cannot be read, a weight is missing, unexpected (five of
    them are named) or of another shape, another number of labels, or no architecture is given.
    """
    source = Path(source)
    if num_labels is not None:
        check_labels(num_labels)
    if preset is not None and config is not None:
        raise InputError("either preset or config must be given, not both")
    wanted = preset_of(preset, image_size=image_size).config if preset is not None else config
    if source.is_dir():
        return _load_folder(source, wanted, num_labels, new_head).train(False)
    if not source.exists():
        raise InputError(f"{source} must be a checkpoint file or a Hugging Face folder, but there is neither")
    if wanted is None:
        raise InputError(f"{source} does not say its architecture: a preset or a configuration must be given with it")
    return _load_file(source, wanted, num_labels, new_head).train(False)


def _load_folder(
    folder: Path, wanted: PreTrainedConfig | None, num_labels: int | None, new_head: bool
) -> PreTrainedModel:
    values = read_config(folder / "config.json")
    if is_timm(values):
        return _load_timm_folder(folder, values["architecture"], wanted, num_labels, new_head)
    if own_quantisation(values) is not None:
        raise InputError(f"{folder} holds a quantised network, which qat.load reads, not one at full precision")
    kind, config, is_classifier = class_and_config(folder, values)
    if wanted is not None:
        _check_structure(folder, config, wanted)
    if is_classifier:
        _check_labels(folder, config.num_labels, num_labels, new_head)
    if num_labels is not None:
        config.num_labels = num_labels
    return _hugging_face(folder, kind, config, read_folder(folder, _is_count), new_head)


def _load_timm_folder(
    folder: Path, architecture: str, wanted: PreTrainedConfig | None, num_labels: int | None, new_head: bool
) -> PreTrainedModel:
    if wanted is None:
        raise InputError(
            f"{folder} is a folder of timm, of {short(architecture)}: a preset or a configuration must be given with it"
        )
    return _load_file(folder, wanted, num_labels, new_head)


def _load_file(file: Path, wanted: PreTrainedConfig, num_labels: int | None, new_head: bool) -> PreTrainedModel:
    tensors = (read_folder if file.is_dir() else read_state_dict)(file, _is_count)
    kind = model_class(wanted.model_type, wanted.architectures[0] if wanted.architectures else None)
    own_names = any(name.startswith(f"{kind.base_model_prefix}.") for name in tensors)
    use_timm = not own_names and wanted.model_type in ("vit", "deit", "swin")
    heads = [name for name in tensors if name.endswith(".weight") and (timm_names.is_head(name) or _in_head(name))]
    heads = [name for name in heads if not name.startswith(_BEFORE_LABELS)]
    found = tensors[heads[0]].shape[0] if heads and tensors[heads[0]].ndim else None
    if found is not None:
        _check_labels(file, found, num_labels, new_head)
    labels = num_labels if num_labels is not None else found
    if labels is None:
        raise InputError(f"{file} has no classifier: num_labels must be given, with new_head=True")
    config = copy.deepcopy(wanted)
    config.num_labels = labels
    config.architectures = [kind.__name__]
    if use_timm:
        return _timm(file, kind, config, tensors, new_head)
    return _hugging_face(file, kind, config, tensors, new_head)


def _hugging_face(
    source: Path, kind: type[PreTrainedModel], config: PreTrainedConfig, tensors: Mapping[str, Tensor], new_head: bool
) -> PreTrainedModel:
    """Through from_pretrained, which knows the names of all versions."""
    with guarded(f"{source} cannot be read as weights of a {kind.__name__}"), quietly():
        loaded: Any = kind.from_pretrained(
            None,
            config=config,
            state_dict=dict(tensors),
            dtype=torch.float32,
            local_files_only=True,
            weights_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    model, report = loaded
    missing, unexpected = set(report["missing_keys"]), set(report["unexpected_keys"])
    shapes = {name: (tuple(expected), tuple(found)) for name, found, expected in report["mismatched_keys"]}
    if new_head:
        missing = {name for name in missing if not _in_head(name)}
        unexpected = {name for name in unexpected if not (_in_head(name) or name.startswith(_OTHER_HEADS))}
        shapes = {name: pair for name, pair in shapes.items() if not _in_head(name)}
    _check_names(source, kind, missing, unexpected)
    _check_shapes(source, shapes)
    if report["error_msgs"]:
        raise InputError(f"{source} cannot be read as weights of a {kind.__name__}: {report['error_msgs'][0]}")
    if new_head:
        _renew_head(model)
    model.config.architectures = [kind.__name__]
    return model


def _timm(
    file: Path, kind: type[PreTrainedModel], config: PreTrainedConfig, tensors: Mapping[str, Tensor], new_head: bool
) -> PreTrainedModel:
    model = kind(config)
    weights = model.state_dict()
    table = timm_names.names_of(config.model_type, weights, tensors)
    if new_head:
        table = {name: keys for name, keys in table.items() if not timm_names.is_head(name)}
        tensors = {name: tensor for name, tensor in tensors.items() if not timm_names.is_head(name)}
    unexpected = {name for name in tensors if name not in table and not timm_names.is_buffer(name)}
    _check_names(file, kind, table.keys() - tensors.keys(), unexpected)
    expected = {
        name: (len(keys) * weights[keys[0]].shape[0], *weights[keys[0]].shape[1:]) for name, keys in table.items()
    }
    shapes = {name: (shape, tuple(tensors[name].shape)) for name, shape in expected.items()}
    _check_shapes(file, {name: pair for name, pair in shapes.items() if pair[0] != pair[1]})
    state: dict[str, Tensor] = {}
    for name, keys in table.items():
        state.update(zip(keys, tensors[name].chunk(len(keys)), strict=True))
    filled = model.load_state_dict(state, strict=False)
    assert not filled.unexpected_keys
    assert all(new_head and _in_head(key) for key in filled.missing_keys)
    return model


def _is_count(name: str) -> bool:
    """Whether it may be of integers: tables that follow from the sizes alone."""
    return timm_names.is_buffer(name) or name.endswith(_TABLES)


def _check_structure(folder: Path, config: PreTrainedConfig, wanted: PreTrainedConfig) -> None:
    found, expected = ({"model_type": each.model_type, **each.to_dict()} for each in (config, wanted))
    for field in STRUCTURE:
        # Through JSON, where tuples and lists are one.
        if json.dumps(found.get(field)) != json.dumps(expected.get(field)):
            own, asked = short(found.get(field)), short(expected.get(field))
            advice = f": ask for images of {own} pixels" if field == "image_size" else ""
            raise InputError(f"{folder} has {field} {own}, but {asked} is asked for{advice}")


def _check_labels(source: Path, found: int | None, num_labels: int | None, new_head: bool) -> None:
    if num_labels is not None and num_labels != found and not new_head:
        raise InputError(
            f"{source} is a checkpoint for {found} labels, but num_labels is {num_labels}; "
            "only with new_head=True, a fresh classifier, may they differ"
        )


def _check_names(
    source: Path, kind: type[PreTrainedModel], missing: Collection[str], unexpected: Collection[str]
) -> None:
    faults = [f"{what} {_first(names)}" for what, names in (("missing", missing), ("unexpected", unexpected)) if names]
    if faults:
        raise InputError(f"{source} does not have the weights of the {kind.__name__}: {'; '.join(faults)}")


def _check_shapes(source: Path, shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]) -> None:
    """shapes: name -> (expected, found), where they differ."""
    for name in sorted(shapes):
        expected, found = shapes[name]
        others = f" ({len(shapes) - 1} more differ)" if len(shapes) > 1 else ""
        raise InputError(f"{source}: {name} must have the shape {expected}, not {found}{others}")


def _first(names: Collection[str]) -> str:
    """Up to five of the names, and how many more there are."""
    return ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _in_head(name: str) -> bool:
    return name.split(".")[0] in _HEADS


def _renew_head(model: PreTrainedModel) -> None:
    for name in _HEADS:
        head = getattr(model, name, None)
        for layer in head.modules() if isinstance(head, nn.Module) else ():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=model.config.initializer_range)
                nn.init.zeros_(layer.bias)
