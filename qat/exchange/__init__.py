"""Quantised networks as ONNX files, for programs that know nothing of this one.

In: a quantised network. Out: a graph in which every quantiser is a node: `Quant` and `BipolarQuant` of QONNX, or
`QuantizeLinear` and `DequantizeLinear` of ONNX. Read ``nodes`` (a quantiser as an operator), ``translations`` (the
operator in a file), ``writing`` and ``checking`` (a file beside its network).
"""

from __future__ import annotations

from .checking import compare_file
from .writing import FORMS, onnx_model

__all__ = ["FORMS", "compare_file", "onnx_model"]
