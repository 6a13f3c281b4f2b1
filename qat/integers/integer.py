"""A quantised network as integers: packed weights, scales, offsets and biases in one documented file (IntegerModel).

The format is described in docs/integer-format.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from qat.files import MOST_FILE_BYTES, first_line, guarded
from qat.models import from_config, is_decoder
from qat.network import (
    Engine,
    QuantContext,
    QuantConv2d,
    QuantGemm,
    QuantLinear,
    check_codes,
    exact_product,
    gemms,
    integer_engine,
    logits_in_steps,
    quantize_model,
    quantizers,
)
from qat.quantisers import ElasticBinarizer, PerChannel, PerHead, Quantizer, StatisticalQuantizer, check_bounds
from qat.settings import Scheme, check_bits
from qat.training import load_state, model_config
from siliquant.files import write_atomically
from siliquant.inputs import (
    FileError,
    InputError,
    InputTypeError,
    json_object,
    member,
    printable,
    read_bytes,
    read_text,
    short,
)

from .packing import pack, unpack
from .stored import StoredTensors

__all__ = ["Gemm", "IntegerModel", "Operand"]

_FORMAT, _VERSION = "siliquant-integer", 1
_JSON, _TENSORS = "integer.json", "integer.safetensors"


@dataclass(frozen=True, eq=False)
class Operand:
    """One side of a GEMM: value = scale * code + offset, each scale for an equal share of `axis`.

    Args:
        bits: one width for each scale; 1 is {-1, +1} if signed, else {0, 1}.
        signed: two's complement, else from 0.
        scales: float32 [groups].
        offset: float32 [groups] or None.
        threshold: float32 [groups] or None: at one bit a code is decided by (x - threshold) / scale.
        axis: of the tensor, along which the groups lie; None for one scale.
        copy_of_head: where heads read the tensor at different widths, which of its copies, one a group, each reads.
    """

    bits: tuple[int, ...]
    signed: bool
    scales: Tensor
    offset: Tensor | None
    threshold: Tensor | None
    axis: int | None
    copy_of_head: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Gemm:
    """One GEMM of the network.

    Args:
        name: of its layer.
        kind: "linear", "convolution", "scores" (query x key) or "context" (probabilities x value).
        left: activations (first operand).
        right: weights, or keys or values.
        weight: codes int64 [N, K] (a convolution: [N, K] with K = channels * kernel height * kernel width, of its
            group), or None for products of two activations.
        bias: float32 [N] or None.
        sources: names of what feeds left and right.
        partial_sums: how many accumulators, each with its own scale, make one output.
        geometry: stride, padding, dilation, kernel size and groups of a convolution, else empty.
    """

    name: str
    kind: str
    left: Operand
    right: Operand
    weight: NDArray[np.int64] | None
    bias: Tensor | None
    sources: tuple[str, ...]
    partial_sums: int
    geometry: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """A network whose GEMMs are integer; layer norms, softmax, GELU and residuals stay float32.

    Args:
        network: the model whose quantised layers hold these integers (weights lie on their grid).
        scheme: how it is quantised; weight scales are fixed numbers here.
        origin: where it comes from: data, options and scores of the run.
    """

    network: PreTrainedModel
    scheme: Scheme
    origin: Mapping[str, Any]

    @classmethod
    def from_quantized(cls, model: PreTrainedModel, scheme: Scheme, origin: Mapping[str, Any]) -> IntegerModel:
        """The integers of a trained quantised `model`.  ValueError if it is not quantised, or
        a quantiser has groups off.
        """
        theirs = gemms(model)
        if not theirs:
            raise InputError("the model must be quantised to have integers")
        check_codes(model)
        fixed = replace(scheme, weight_scale="learned")
        if scheme.query_key != "separate":
            fixed = replace(fixed, query_key="fused")
        network = _skeleton(model_config(model), fixed)
        for name, layer in gemms(network).items():
            second = theirs[name].operands()[1]
            if isinstance(second, StatisticalQuantizer):  # its scale is that of the last forward pass
                second.fit(cast(Tensor, theirs[name].weight))
            for ours, trained in zip(layer.operands(), theirs[name].operands(), strict=True):
                _set(ours, trained.scale, _detached(trained.offset), _threshold(trained))
            if isinstance(layer, QuantLinear | QuantConv2d):
                _set_weight(layer, theirs[name].weight_codes())  # type: ignore[operator]
                _set_bias(layer, theirs[name].bias)  # type: ignore[arg-type]
        plain = _plain_names(network)
        state = {name: tensor for name, tensor in model.state_dict().items() if name in plain}
        network.load_state_dict(state, strict=False)
        return cls(network.eval(), fixed, origin)

    def logits(self, inputs: Mapping[str, Tensor], engine: Engine = exact_product, *, steps: int = 0) -> Tensor:
        """float32 [batch, classes], of a decoder [batch, tokens, vocabulary]; every GEMM goes through `engine`,
        integers in, accumulators out.

        steps: of a decoder, how many of the last tokens are computed one at a time, with a cache of keys and values.

        InputError where one of them is NaN or infinite, for inputs without samples, and for steps of another network.
        """
        if steps and not is_decoder(self.network.config):
            raise InputError(f"steps must be 0 for a network that is no decoder, not {steps}")
        if not all(value.numel() for value in inputs.values()):
            raise InputError("inputs must have samples and tokens, and have none")
        with integer_engine(self.network, engine):
            result: Tensor = logits_in_steps(self.network, inputs, steps) if steps else self.network(**inputs).logits
        if not bool(result.isfinite().all()):
            raise InputError("the outputs of an integer network must be finite numbers, and are not")
        return result

    def gemms(self) -> tuple[Gemm, ...]:
        """All GEMMs, in the order of the layers."""
        return tuple(_describe(layer) for layer in gemms(self.network).values())

    def save(self, folder: Path | str) -> None:
        """Writes integer.safetensors, then integer.json with its checksum."""
        folder = Path(folder)
        tensors: dict[str, Tensor] = {}
        entries = [_entry(gemm, tensors) for gemm in self.gemms()]
        plain = _plain_names(self.network)
        for name, tensor in self.network.state_dict().items():
            if name in plain:
                tensors[f"float.{name}"] = tensor.detach().contiguous()
        content = safetensors.torch.save(tensors)
        write_atomically(folder / _TENSORS, content)
        description = {
            "format": _FORMAT,
            "version": _VERSION,
            "tensors": _TENSORS,
            "sha256": hashlib.sha256(content).hexdigest(),
            "model": model_config(self.network),
            "scheme": self.scheme.to_dict(),
            "origin": dict(self.origin),
            "gemms": entries,
        }
        description["description_sha256"] = _description_sha256(description)
        write_atomically(folder / _JSON, json.dumps(description, indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, folder: Path | str) -> IntegerModel:
        """What `save` wrote.

        Nothing is taken on trust, whatever the checksum says: FileError, or ValueError that names the file, the GEMM or
        the tensor and what it must be, for one that is missing, damaged, of another shape or type, not finite, or of
        codes that its width does not have.
        """
        folder = Path(folder)
        path = folder / _JSON
        try:
            data = json_object(read_text(path))
            if (member(data, "format", str), member(data, "version", int)) != (_FORMAT, _VERSION):
                found = short(data["format"]).strip("'"), data["version"]
                raise InputError(f"format must be {_FORMAT} {_VERSION}, not {found[0]} {found[1]}")
            scheme = Scheme.from_dict(_of_json(data, "scheme", dict))
            origin = _of_json(data, "origin", dict)
            content = read_bytes(folder / _TENSORS, MOST_FILE_BYTES)
            if hashlib.sha256(content).hexdigest() != data["sha256"]:
                raise InputError(f"{_TENSORS} is not the file that was written with it")
            with guarded(f"{_TENSORS} must be a safetensors file"):
                tensors = StoredTensors(safetensors.torch.load(content), _TENSORS)
            network = _skeleton(_of_json(data, "model", dict), scheme)
            _fill(network, _of_json(data, "gemms", list), tensors)
            digest = _description_sha256(data)
            if (written := data.get("description_sha256", digest)) != digest:  # earlier versions wrote none
                raise InputError(f"its description_sha256 must be {digest}, not {short(written, 80)}: it was changed")
            return cls(network.eval(), scheme, origin)
        except FileError as error:
            if error.file is None or Path(error.file).exists():
                raise
            raise InputError(f"{folder} must hold {Path(error.file).name}, as qat.export writes it") from None
        except KeyError as error:
            missing = printable(str(error.args[0]))[:80]
            raise InputError(f"{path} must be an integer model, but has no {missing}") from None
        except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise InputError(f"{path} must be an integer model: {first_line(error)}") from None


def _description_sha256(description: Mapping[str, Any]) -> str:
    """Of everything else in integer.json, as JSON with sorted keys and without blanks."""
    rest = {name: value for name, value in description.items() if name != "description_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _skeleton(config: Mapping[str, Any], scheme: Scheme) -> PreTrainedModel:
    return quantize_model(from_config(dict(config)), scheme, fit_weights=False).requires_grad_(False)


def _detached(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach()


def _threshold(quantizer: Quantizer) -> Tensor | None:
    return quantizer.threshold.detach() if isinstance(quantizer, ElasticBinarizer) else None


def _set(quantizer: Quantizer, scale: Tensor, offset: Tensor | None, threshold: Tensor | None) -> None:
    quantizer.set_scale(scale.detach().cpu(), None if offset is None else offset.cpu())
    if isinstance(quantizer, ElasticBinarizer) and threshold is not None:
        with torch.no_grad():
            quantizer.threshold.copy_(threshold)


def _set_weight(layer: QuantLinear | QuantConv2d, codes: Tensor) -> None:
    """Puts the weight on its grid; a binary weight then needs no threshold to be told."""
    quantizer = layer.weight_quantizer
    with torch.no_grad():
        if isinstance(quantizer, ElasticBinarizer):
            quantizer.threshold.zero_()
        layer.weight.copy_(quantizer.dequantize(codes.cpu()))


def _set_bias(layer: QuantLinear | QuantConv2d, bias: Tensor | None) -> None:
    if layer.bias is not None and bias is not None:
        with torch.no_grad():
            layer.bias.copy_(bias)


def _plain_names(network: PreTrainedModel) -> set[str]:
    """State that belongs to no GEMM: norms, embeddings, position tables."""
    owned = {f"{name}.{own}" for name, q in quantizers(network).items() for own in q.state_dict()}
    for name, module in network.named_modules():
        if isinstance(module, QuantLinear | QuantConv2d):
            owned |= {f"{name}.weight", f"{name}.bias"}
    return {name for name in network.state_dict() if name not in owned}


def _describe(layer: QuantGemm) -> Gemm:
    left, right = (_operand(quantizer) for quantizer in layer.operands())
    if isinstance(layer, QuantLinear):
        left = replace(left, copy_of_head=layer.copy_of_head)
    weight = bias = None
    kind, partial_sums, geometry = "scores", 1, {}
    if isinstance(layer, QuantContext):
        kind = "context"
    if isinstance(layer, QuantLinear | QuantConv2d):
        weight = layer.weight_codes().flatten(1).numpy()
        bias = _detached(layer.bias)
        kind = "linear"
    if isinstance(layer, QuantLinear):
        partial_sums = layer.partial_sums
    if isinstance(layer, QuantConv2d):
        kind = "convolution"
        geometry = {**layer.geometry, "kernel_size": layer.kernel_size, "groups": layer.groups}
        geometry = {name: list(value) if isinstance(value, tuple) else value for name, value in geometry.items()}
    return Gemm(layer.gemm_name, kind, left, right, weight, bias, layer.sources, partial_sums, geometry)


def _operand(quantizer: Quantizer) -> Operand:
    granularity = quantizer.granularity
    axis = granularity.axis if isinstance(granularity, PerHead | PerChannel) else None
    return Operand(
        quantizer.bits, quantizer.signed, quantizer.scale, _detached(quantizer.offset), _threshold(quantizer), axis
    )


def _entry(gemm: Gemm, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The JSON of one GEMM; its tensors are added to `tensors`, under the keys that the JSON names."""

    def kept(what: str, value: Tensor | None) -> str | None:
        if value is None:
            return None
        tensors[f"{gemm.name}.{what}"] = value.contiguous().clone()
        return f"{gemm.name}.{what}"

    def side(what: str, operand: Operand) -> dict[str, Any]:
        return {
            "bits": list(operand.bits),
            "signed": operand.signed,
            "axis": operand.axis,
            "scales": kept(f"{what}_scales", operand.scales),
            "offset": kept(f"{what}_offset", operand.offset),
            "threshold": None
            if gemm.weight is not None and what == "right"
            else kept(f"{what}_threshold", operand.threshold),
            **({"copy_of_head": list(operand.copy_of_head)} if operand.copy_of_head else {}),
        }

    weight = None
    if gemm.weight is not None:
        bits = max(gemm.right.bits)
        packed = kept("weight", torch.from_numpy(pack(gemm.weight, bits)))
        weight = {"packed": packed, "bits": bits, "shape": list(gemm.weight.shape)}
    return {
        "name": gemm.name,
        "kind": gemm.kind,
        "left": side("left", gemm.left),
        "right": side("right", gemm.right),
        "weight": weight,
        "bias": kept("bias", gemm.bias),
        "sources": list(gemm.sources),
        "partial_sums": gemm.partial_sums,
        "geometry": dict(gemm.geometry),
    }


def _of_json(data: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    """A member of that kind; KeyError where there is none."""
    if not isinstance(data[name], kind):
        raise InputTypeError(f"{name} must be a JSON {'object' if kind is dict else 'list'}, not {short(data[name])}")
    return data[name]


def _fill(network: PreTrainedModel, entries: list[Any], tensors: StoredTensors) -> None:
    layers = gemms(network)
    names = [_of_json({"an entry of gemms": entry}, "an entry of gemms", dict)["name"] for entry in entries]
    if names != list(layers):
        raise InputError("the GEMMs must be those of the model in its configuration, in their order")
    for entry in entries:
        layer = layers[entry["name"]]
        sides = (_of_json(entry, side, dict) for side in ("left", "right"))
        for quantizer, side in zip(layer.operands(), sides, strict=True):
            groups = (quantizer.groups,)
            offset, threshold = (_stored(tensors, side[key], groups) for key in ("offset", "threshold"))
            scales = tensors.floats(_key(side["scales"]), groups, positive=True)
            for what, values in (("scale", scales), ("offset", offset), ("threshold", threshold)):
                if values is not None:
                    check_bounds(what, values, f"the {what} of {entry['name']}")
            _set(quantizer, scales, offset, threshold)
        if isinstance(layer, QuantLinear | QuantConv2d):
            _fill_weight(layer, entry["name"], _of_json(entry, "weight", dict), tensors)
            _set_bias(layer, _stored(tensors, entry["bias"], (layer.weight.shape[0],)))
        _check(entry, _entry(_describe(layer), {}))
    state = tensors.plain(network, _plain_names(network))
    tensors.check_all_used()
    load_state(network, {**network.state_dict(), **state}, Path(_TENSORS))


def _fill_weight(
    layer: QuantLinear | QuantConv2d, name: str, weight: Mapping[str, Any], tensors: StoredTensors
) -> None:
    wanted = list(layer.weight.flatten(1).shape)
    if weight["shape"] != wanted:
        raise InputError(f"the weight of {name} must be {wanted} codes, not {short(weight['shape'])}")
    bits = check_bits(weight["bits"], f"weight.bits of {name}", lowest=1)
    packed = tensors.packed(_key(weight["packed"])).numpy()
    unpacked = unpack(packed, bits, tuple(wanted), signed=True)
    if not np.array_equal(pack(unpacked, bits), packed):
        raise InputError(f"{_TENSORS}, {weight['packed']} must end in bits of 0 behind the last code")
    codes = torch.from_numpy(unpacked).view(layer.weight.shape)
    _set_weight(layer, codes)
    if not torch.equal(layer.weight_codes(), codes):
        raise InputError(f"the weight of {name} must have no code beyond its own width")


def _stored(tensors: StoredTensors, key: object, shape: tuple[int, ...]) -> Tensor | None:
    return None if key is None else tensors.floats(_key(key), shape)


def _key(value: object) -> str:
    if not isinstance(value, str):
        raise InputTypeError(f"the name of a tensor must be text, not {short(value)}")
    return value


def _check(found: Mapping[str, Any], wanted: Mapping[str, Any], where: str = "") -> None:
    """ValueError for the first field of a GEMM's entry that is not what its layer would be written as."""
    where = where or found["name"]
    for field, value in wanted.items():
        if isinstance(value, dict) and isinstance(found[field], dict):
            _check(found[field], value, f"{where}.{field}")
        elif found[field] != value:
            shown = short(json.dumps(found[field]), 120)[1:-1]
            raise InputError(f"{where}.{field} must be {json.dumps(value)}, not {shown}")
