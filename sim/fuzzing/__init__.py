"""Random designs with random operands: golden model, graph, Verilog in two simulators, and netlist must agree.

Read ``cases`` (what a run does, as JSON), ``drawing``, ``running`` (with ``benches``), ``minimising``.
"""

from __future__ import annotations

from .cases import ENGINES, Action, Case, Fault, Spec, case_from_text, spec_of
from .drawing import draw_case
from .minimising import minimised
from .running import plan_of, run_case

__all__ = [
    "ENGINES",
    "Action",
    "Case",
    "Fault",
    "Spec",
    "case_from_text",
    "draw_case",
    "minimised",
    "plan_of",
    "run_case",
    "spec_of",
]
