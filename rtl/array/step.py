"""Where the codes of one step lie in an array's memories.

How a design lays operands out on its ports is found from the design itself: every bit of its port words is a copy of
one bit of one code, or a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rtl.logic import Port
from rtl.spec import IntArray, MacSpec, Precision, packing_of
from siliquant.inputs import InputError

__all__ = ["StepLayout", "control_ports", "control_word", "step_layout"]


def control_ports(mac: MacSpec) -> tuple[Port, ...]:
    """The operand ports that are the same for all elements: everything but weights and activations."""
    return tuple(port for port in mac.operand_ports if port.name not in ("weights", "activations"))


def control_word(mac: MacSpec, words: dict[str, int]) -> int:
    """The words of the control ports side by side, the first lowest."""
    word = shift = 0
    for port in control_ports(mac):
        word |= words[port.name] << shift
        shift += port.width
    return word


@dataclass(frozen=True, eq=False)
class StepLayout:
    """Port words of one step.

    weights, activations: int64 [planes, port width]: which bit of the step's codes each port bit is. Bit b of the code
    of lane l is 2 + l * bits + b; 0 and 1 are constants.
    control: the control word of every cycle; with n activation words, cycle c takes weight word c // n and activation
    word c % n.
    """

    weights: IntArray
    activations: IntArray
    control: tuple[int, ...]


@lru_cache(maxsize=256)
def step_layout(mac: MacSpec, precision: Precision, used: int) -> StepLayout:
    """The layout of a step with ``used`` products (fewer than a full step: the rest is padded with zero)."""
    packing = packing_of(mac, precision, used)
    if packing is None:
        raise InputError(f"{mac.name} must copy the bits of its operands to its ports to be fed from memories")
    middle = 2 + used * precision.weight_bits
    sources = packing.sources
    weights, activations = sources["weights"], sources["activations"]
    activations = np.where(activations < middle, activations, activations - middle + 2)
    rest = {name: bits for name, bits in sources.items() if name not in ("weights", "activations")}
    step = [{name: int("".join(map(str, bits[cycle][::-1])), 2) for name, bits in rest.items()}
            for cycle in range(len(weights))]  # fmt: skip
    control = tuple(control_word(mac, word) for word in step)
    cycles = len(control)
    planes = next(
        p
        for p in range(1, cycles + 1)
        if cycles % p == 0
        and (activations == np.tile(activations[:p], (cycles // p, 1))).all()
        and (weights == np.repeat(weights[::p], p, axis=0)).all()
    )
    return StepLayout(weights[::planes], activations[:planes], control)
