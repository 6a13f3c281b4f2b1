"""Trains as qat.train does, with the quantisers of Brevitas in the places of ours: an outside reference.

    pip install --no-deps brevitas==0.13.4 dependencies==2.0.1 unfoldNd
    python -m benchmarks.studies.brevitas --model vit-cifar --data imagefolder:DIR --start runs/fp --bits 2 --lr 1e-3
        --granularity tensor --epochs 10 --out runs/brevitas

Takes the options of qat.train; everything but the quantisers is the same. Scales are learned, one a tensor, as Brevitas
does it: those of weights begin at the least squared error, those of activations at statistics of the first 300 steps.
Signed codes are of the whole range (Brevitas leaves out the lowest by default); what is quantised unsigned with an
offset here has a learned zero point there. Folders of such runs are for tables: their networks cannot be read back.
"""

from __future__ import annotations

from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn
from transformers import PreTrainedModel

from qat import parsers
from qat.network import gemms, weight_quantizers
from qat.network.layers import Borrowed, QuantLinear
from qat.quantisers import Quantizer
from qat.settings import merge
from qat.train import run_training
from qat.training import processes
from siliquant.commandline import run
from siliquant.files import alone
from siliquant.inputs import InputError

PROG = "python -m benchmarks.studies.brevitas"


class BrevitasQuantizer(Quantizer):
    """A quantiser of Brevitas in the place of one of ours, whose scales stay unused and are not trained."""

    def __init__(self, ours: Quantizer, theirs: nn.Module) -> None:
        super().__init__(ours.bits, signed=ours.signed, with_offset=False)
        self.of_weight = ours.of_weight
        self.set_scale(ours.scale)
        self.relative.requires_grad_(False)
        self.theirs = theirs

    def forward(self, x: Tensor) -> Tensor:
        found: Any = self.theirs(x)
        self._step: Tensor = found.scale.detach().reshape(1)
        values: Tensor = found.value
        return values

    @property
    def scale(self) -> Tensor:
        """Of the last tensor, which is what the tracker of oscillation counts codes by."""
        return self._step if hasattr(self, "_step") else super().scale


def replaced(model: PreTrainedModel) -> None:
    """Puts Brevitas' quantisers of the same widths and signs in the places of those of a quantised network."""
    from brevitas.inject.enum import ScalingImplType
    from brevitas.nn import QuantIdentity
    from brevitas.nn import QuantLinear as TheirLinear
    from brevitas.quant import Int8ActPerTensorFloat, Uint8ActPerTensorFloat
    from brevitas.quant.scaled_int import Int8WeightPerTensorFloatMSE
    from brevitas.quant.shifted_scaled_int import ShiftedUint8ActPerTensorFloat

    weights = {id(quantizer): weight for weight, quantizer in weight_quantizers(model).values()}

    def theirs(ours: Quantizer) -> nn.Module:
        bits = ours.bits[0]
        if type(ours) is not Quantizer or ours.groups != 1:
            raise InputError("granularity must be tensor and weight_scale learned: Brevitas is compared with those")
        weight = weights.get(id(ours))
        if weight is None:
            unsigned = Uint8ActPerTensorFloat if ours.offset is None else ShiftedUint8ActPerTensorFloat
            act = Int8ActPerTensorFloat if ours.signed else unsigned
            return QuantIdentity(act_quant=act, bit_width=bits, narrow_range=False, return_quant_tensor=True)
        rows = weight.detach().reshape(weight.shape[0], -1)
        layer = TheirLinear(
            rows.shape[1], rows.shape[0], bias=False, weight_quant=Int8WeightPerTensorFloatMSE, weight_bit_width=bits,
            weight_narrow_range=False, weight_scaling_impl_type=ScalingImplType.PARAMETER_FROM_STATS,
        )  # fmt: skip
        with torch.no_grad():
            layer.weight.copy_(rows)
            layer.weight_quant(layer.weight)  # finds the scale
        return layer.weight_quant

    made: dict[int, BrevitasQuantizer] = {}
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Quantizer):
                made.setdefault(id(child), BrevitasQuantizer(child, theirs(child)))
                setattr(module, name, made[id(child)])
    for name, gemm in gemms(model).items():
        if isinstance(gemm, QuantLinear) and gemm.shared_input:
            gemm.shared_quantizer = Borrowed(made[id(gemm.activations)])
        if not all(isinstance(each, BrevitasQuantizer) for each in gemm.operands()):
            raise InputError(f"{name} must have quantisers of Brevitas alone")


def main() -> None:
    flags = vars(parsers.train().parse_args())
    for name in ("config", "resume", "dry_run", "list_models"):
        if flags.pop(name):
            raise InputError(f"{name} must not be given: a reference is one run from its begin to its end")
    options = merge(flags)
    with processes(options.device) as group, alone(options.out, "training"):
        run_training(options, group, resume=False, console=Console(stderr=True), adapt=replaced)


if __name__ == "__main__":
    run(PROG, main)
