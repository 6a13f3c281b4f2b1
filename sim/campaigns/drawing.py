"""Random cases of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from rtl.mac import DESIGNS
from rtl.verilog import Reset
from sim.fuzzing import ARRAY, KINDS, UNITS, Action, Case, NetworkSpec

from .array_drawing import draw_array, draw_array_actions
from .network_drawing import draw_network
from .unit_drawing import draw_mac, draw_mac_actions, draw_unit, draw_unit_actions

__all__ = ["SHARES", "draw_case"]

SHARES = {"mac": 45, "requantiser": 15, "array": 36, "network": 4}
"""How many of a hundred cases are of a kind, where all are drawn: a network takes some seconds."""


def draw_case(rng: Random, kinds: Sequence[str] = KINDS) -> Case:
    """One case. Its design may be any of all that can be generated, of moderate size."""
    (kind,) = rng.choices(kinds, [SHARES[kind] for kind in kinds])
    if kind == "network":
        return Case(NetworkSpec.design, draw_network(rng).parameters, ())
    reset = rng.choice((Reset.SYNCHRONOUS_HIGH, *Reset))
    actions: Sequence[Action]
    if kind == "array":
        array = draw_array(rng)
        design, parameters, actions = ARRAY, array.parameters, tuple(draw_array_actions(array, rng))
    elif kind == "mac":
        mac = draw_mac(rng.choice(DESIGNS), rng)
        design, parameters, actions = mac.design, mac.parameters, tuple(draw_mac_actions(mac, rng))
    else:
        unit = draw_unit(rng.choice(UNITS), rng)
        design, parameters, actions = unit.design, unit.parameters, tuple(draw_unit_actions(unit, rng))
    return Case(design, parameters, tuple(actions), rng.getrandbits(32), reset)
