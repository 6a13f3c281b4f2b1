"""What the notebooks draw and set up, so that a lesson shows only the lines that matter: one module a notebook.

In: tables, arrays and objects of other packages. Out: figures, each under a title that its numbers make, and tables.
Nothing here loads torch: what is trained comes as arrays.
"""

from __future__ import annotations

from .calibrating import draw_fit, draw_terms, explained, few_designs, neighbours, without_cells
from .comparing import draw_held_out, draw_lane, draw_mixes
from .generating import Bench, anatomy, draw_choice, draw_products, draw_sums, excerpts
from .mixing import cycles_of, draw_energy, draw_macs, draw_policies, draw_worth, worth
from .training import cycles_by_kind, draw_cycles, draw_digits, draw_training, draw_weights, history

__all__ = [
    "Bench",
    "anatomy",
    "cycles_by_kind",
    "cycles_of",
    "draw_choice",
    "draw_cycles",
    "draw_digits",
    "draw_energy",
    "draw_fit",
    "draw_held_out",
    "draw_lane",
    "draw_macs",
    "draw_mixes",
    "draw_policies",
    "draw_products",
    "draw_sums",
    "draw_terms",
    "draw_training",
    "draw_weights",
    "draw_worth",
    "excerpts",
    "explained",
    "few_designs",
    "history",
    "neighbours",
    "without_cells",
    "worth",
]
