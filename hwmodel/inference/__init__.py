"""One inference of a whole network on an array: cycles, memory traffic, energy, area.

In: a workload, an assignment of widths, an array, the costs of its parts. Out: a :class:`NetworkResult` and the lines
of a comparison. Read ``tiles`` and ``tiling`` (exact cycles and accesses), ``memories``, ``parts`` and ``costs``,
``inference``, ``result``, ``sizing``, ``rows``, ``tables``.
"""

from __future__ import annotations

from .costs import costs_of, elements_of
from .inference import element_cost, network_cost
from .memories import dram_pj_per_bit, packaged_sram, sram_of
from .parts import Costs, MacCost, UnitCost
from .result import Energy, GemmCost, NetworkCost
from .rows import (
    DEPTH,
    EQUAL_LATENCY,
    UNIFORM,
    NetworkRow,
    default_elements,
    multiplier,
    network_rows,
    operand_depths,
    uniform_array,
)
from .sizing import NoArrayError, candidates, equal_latency
from .tables import network_frame, network_markdown, network_notes, print_network
from .tiling import Overlap

__all__ = [
    "DEPTH",
    "EQUAL_LATENCY",
    "UNIFORM",
    "Costs",
    "Energy",
    "GemmCost",
    "MacCost",
    "NetworkCost",
    "NetworkRow",
    "NoArrayError",
    "Overlap",
    "UnitCost",
    "candidates",
    "costs_of",
    "default_elements",
    "dram_pj_per_bit",
    "element_cost",
    "elements_of",
    "equal_latency",
    "multiplier",
    "network_cost",
    "network_frame",
    "network_markdown",
    "network_notes",
    "network_rows",
    "operand_depths",
    "packaged_sram",
    "print_network",
    "sram_of",
    "uniform_array",
]
