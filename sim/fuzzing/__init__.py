"""What a case of the fuzzer is, and how it runs: golden model, graph, Verilog in two simulators and netlist must agree,
arrays in every cycle; networks from training to the simulated array.

Read ``cases`` (what a run does, as JSON), ``running`` (with ``benches``, ``wanted``), ``array_model``, ``array_plan``
(an array as its documentation says it), ``networks``, ``minimising``. :mod:`sim.campaigns` draws cases.
"""

from __future__ import annotations

from .array_plan import SLOTS, array_plan
from .cases import (
    ARRAY,
    ENGINES,
    KINDS,
    MOST_BYTES,
    UNITS,
    Action,
    Case,
    Fault,
    NetworkSpec,
    Spec,
    Subject,
    case_from_text,
    kind_of,
    spec_of,
)
from .minimising import minimised
from .running import plan_of, run_case

__all__ = [
    "ARRAY",
    "ENGINES",
    "KINDS",
    "MOST_BYTES",
    "SLOTS",
    "UNITS",
    "Action",
    "Case",
    "Fault",
    "NetworkSpec",
    "Spec",
    "Subject",
    "array_plan",
    "case_from_text",
    "kind_of",
    "minimised",
    "plan_of",
    "run_case",
    "spec_of",
]
