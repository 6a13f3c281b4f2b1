"""Two simulators beside each other: what Icarus Verilog knows, Verilator shows, whatever registers held at first.

In: a spec. Out: how many bits of its outputs agree, or the first that does not. Read ``stimuli``, ``comparing``,
``standard``.
"""

from __future__ import annotations

from .comparing import Agreement, agree, compare
from .standard import agreed_specs
from .stimuli import Played, Spec, played_on

__all__ = ["Agreement", "Played", "Spec", "agree", "agreed_specs", "compare", "played_on"]
