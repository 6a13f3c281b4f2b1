"""Proofs that hold for all inputs.

In: specs. Out: what was checked, or a :class:`ProofError`.
"""

from __future__ import annotations

from .datapath import DatapathProof, prove_datapath
from .polynomials import ProofError

__all__ = ["DatapathProof", "ProofError", "prove_datapath"]
