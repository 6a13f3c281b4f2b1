"""Quantised networks as ONNX files, to and from programs that know nothing of this one.

Out: a graph in which every quantiser is a node: `Quant` and `BipolarQuant` of QONNX, or `QuantizeLinear` and
`DequantizeLinear` of ONNX. Read ``nodes`` (a quantiser as an operator), ``translations`` (the operator in a file),
``writing`` and ``checking`` (a file beside its network). In: the products of a QONNX graph; read ``reading`` (with
their codes) and ``listing`` (as GEMMs and widths).
"""

from __future__ import annotations

from .checking import compare_file
from .listing import graph_gemms, sample_of
from .reading import input_shapes, read_graph
from .writing import FORMS, onnx_model

__all__ = ["FORMS", "compare_file", "graph_gemms", "input_shapes", "onnx_model", "read_graph", "sample_of"]
