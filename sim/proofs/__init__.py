"""Proofs that the hardware computes what it is specified to, for all inputs.

In: specs, and perhaps Verilog in the place of the generated one. Out: what was checked, or a :class:`ProofError`. A MAC
is proved in three steps, each of which a program checks:

``datapath``  the graph of gates computes the sum of products (``compressions``, ``states``, ``products``,
              ``polynomials``)
``netlist``   the Verilog is that graph in a frame of registers
``frame``     the frame accumulates, whatever is in it

``macs`` puts the three together. ``requantisers`` proves the graphs of requantisation units (with ``gates``).
"""

from __future__ import annotations

from .datapath import DatapathProof, prove_datapath
from .frame import FrameProof, prove_frame
from .macs import MacProof, prove_mac, standard_macs
from .netlist import NetlistProof, prove_netlist
from .polynomials import ProofError
from .requantisers import RequantiserProof, prove_requantiser

__all__ = [
    "DatapathProof",
    "FrameProof",
    "MacProof",
    "NetlistProof",
    "ProofError",
    "RequantiserProof",
    "prove_datapath",
    "prove_frame",
    "prove_mac",
    "prove_netlist",
    "prove_requantiser",
    "standard_macs",
]
