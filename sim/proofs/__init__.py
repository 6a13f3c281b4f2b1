"""Proofs that the hardware computes what it is specified to, for all inputs.

In: specs, and perhaps Verilog in the place of the generated one. Out: what was checked, or a :class:`ProofError`. A MAC
is proved in three steps, each of which a program checks:

``datapath``  the graph of gates computes the sum of products (``compressions``, ``states``, ``products``,
              ``polynomials``)
``netlist``   the Verilog is that graph in a frame of registers
``frame``     the frame accumulates, whatever is in it

``requantisers`` (with ``gates``) proves the graphs of requantisation units. ``modules`` puts these together.
"""

from __future__ import annotations

from .datapath import DatapathProof, prove_datapath
from .frame import FrameProof, prove_frame
from .modules import MacProof, UnitProof, prove_mac, prove_unit, standard_macs, standard_units
from .netlist import NetlistProof, check_ports, prove_netlist
from .polynomials import ProofError
from .requantisers import RequantiserProof, prove_requantiser

__all__ = [
    "DatapathProof",
    "FrameProof",
    "MacProof",
    "NetlistProof",
    "ProofError",
    "RequantiserProof",
    "UnitProof",
    "check_ports",
    "prove_datapath",
    "prove_frame",
    "prove_mac",
    "prove_netlist",
    "prove_requantiser",
    "prove_unit",
    "standard_macs",
    "standard_units",
]
