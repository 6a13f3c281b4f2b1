"""Mapped netlists against their RTL: proved register by register, and simulated side by side with unknown values.

In: Verilog, a netlist that the flow mapped, the cells of its library. Out: a proof, or the first bit that differs; what
a simulator saw from power-up on. Read ``aig`` and ``machine`` (both as functions of registers and inputs),
``registers`` (which is which), ``runs``, ``proof``; ``cells``, ``stimuli``, ``simulation``; ``designs``, ``kept`` and
``check``.
"""

from __future__ import annotations

from .check import Failure, check_gates, recipes_of
from .designs import Spec, standard_specs
from .kept import GateCheck
from .proof import GateProof, Undecided, prove_gates
from .simulation import Seen, simulate_gates
from .stimuli import Power, Word, power_up

__all__ = [
    "Failure",
    "GateCheck",
    "GateProof",
    "Power",
    "Seen",
    "Spec",
    "Undecided",
    "Word",
    "check_gates",
    "power_up",
    "prove_gates",
    "recipes_of",
    "simulate_gates",
    "standard_specs",
]
