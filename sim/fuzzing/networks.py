"""Runs a random network: quantised, exported to integers, read back from their file, and computed by a simulated array.

torch is loaded when a network is run.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rtl.verilog import Reset
from siliquant.files import raise_if_full, scratch
from siliquant.inputs import InputError, counted

from .benches import verilog_of
from .cases import Fault, NetworkSpec

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from qat.integers import IntegerModel

__all__ = ["run_network"]

_SAMPLES = 2
_STEPS = 2  # tokens of a decoder, the last ones, that are computed one at a time


def run_network(spec: NetworkSpec, engine: str, compared: Counter[str] | None = None) -> Fault | None:
    """What is wrong of a network. ``compared``: counts of simulated cycles, and of codes and accumulators that are
    equal, to which those of this network are added.

    engine: "export", the integers that are read back are those that were written, and on random inputs every activation
    code and logit is that of the quantised network; "harness", on one of these inputs every accumulator, requantised
    code and logit of the simulated array is PyTorch's, in the cycles that are predicted.

    Raises InputError for a network or scheme that there is not; FileError where the disk is full.
    """
    import torch

    torch.set_num_threads(1)
    counts = Counter[str]() if compared is None else compared
    with scratch("fuzz") as folder:
        try:
            model, batches = _quantised(spec, folder)
        except InputError as error:
            raise InputError(str(error).replace(f"{folder}/config.json", "config"), place="parameters") from None
        try:
            found, sentence = _exported(model, spec, folder / "integers")
            if engine == "export":
                sentence = sentence or _compared(model, found, batches, counts)
            else:
                sentence = _simulated(found, batches[:1], spec, counts)
        except Exception as error:  # whatever it is, no case may end with it
            raise_if_full(error)
            return Fault.of(engine, error)
    return None if sentence is None else Fault(engine, sentence)


def _quantised(spec: NetworkSpec, folder: Path) -> tuple[PreTrainedModel, tuple[dict[str, Tensor], ...]]:
    """The network and inputs for it. ``spec.moved``: all that a training moves is elsewhere than it begins."""
    import torch

    from qat.integers import random_network
    from qat.settings import Scheme

    (folder / "config.json").write_text(json.dumps(dict(spec.config)))
    scheme = Scheme.from_dict(spec.scheme)
    _, model, batches = random_network(str(folder), scheme, _SAMPLES, seed=spec.seed, tokens=spec.tokens or None)
    if spec.moved:
        generator = torch.Generator().manual_seed(spec.seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                if name.endswith(".relative"):
                    parameter.mul_(torch.exp(0.2 * noise))
                else:
                    parameter.add_(0.1 * noise)
    return model, batches


def _exported(model: PreTrainedModel, spec: NetworkSpec, folder: Path) -> tuple[IntegerModel, str | None]:
    """The integers as they are read back from their file, and what is not as it was written."""
    import torch

    from qat.integers import IntegerModel
    from qat.settings import Scheme

    written = IntegerModel.from_quantized(model, Scheme.from_dict(spec.scheme), {"seed": spec.seed})
    written.save(folder)
    read = IntegerModel.load(folder)
    for ours, theirs in zip(written.gemms(), read.gemms(), strict=True):
        if ours.weight is not None and (theirs.weight is None or (ours.weight != theirs.weight).any()):
            return read, f"{ours.name}: the weight codes of the file are not those that were written"
        for before, after in ((ours.left, theirs.left), (ours.right, theirs.right)):
            for name in ("scales", "offset", "threshold"):
                one, other = getattr(before, name), getattr(after, name)
                if (one is None) != (other is None) or (one is not None and not torch.equal(one, other)):
                    return read, f"{ours.name}: {name} of the file are {other}, not {one}"
    before_state, after_state = (each.network.state_dict() for each in (written, read))
    for name, tensor in before_state.items():
        if not torch.equal(tensor, after_state[name]):
            return read, f"{name} of the file is not what was written"
    return read, None


def _compared(
    model: PreTrainedModel, found: IntegerModel, batches: tuple[dict[str, Tensor], ...], counts: Counter[str]
) -> str | None:
    from qat.integers import compare_paths

    agreed = compare_paths(model, found, batches)
    counts["results"] += agreed.codes - agreed.ties
    if agreed.ties:
        differ = "differs" if agreed.ties == 1 else "differ"
        return f"{agreed.ties} of {counted(agreed.codes, 'activation code')} {differ}, by {agreed.largest_step} at most"
    if agreed.largest_difference:
        return f"no code differs, but logits by {agreed.largest_difference:.3e}"
    return None


def _simulated(
    found: IntegerModel, batches: tuple[dict[str, Tensor], ...], spec: NetworkSpec, counts: Counter[str]
) -> str | None:
    from qat.integers import Subject
    from sim.bench import MismatchError
    from sim.harness import build_library, verify

    library = build_library(spec.array, verilog_of(spec.array, Reset.SYNCHRONOUS_HIGH))
    try:
        steps = min(_STEPS, spec.tokens - 1) if found.network.config.model_type == "llama" else 0
        proved = verify(Subject(spec.name, found, batches, None, steps), spec.array, jobs=1, library=library)
        counts["cycles"] += proved.cycles
        counts["results"] += sum(gemm.equal_accumulators + gemm.equal_codes for gemm in proved.gemms)
    except MismatchError as error:
        return str(error)
    finally:
        shutil.rmtree(library.parent, ignore_errors=True)  # it will not be asked for again
    return None
