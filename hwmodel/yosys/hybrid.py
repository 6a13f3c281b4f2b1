"""Full adders between cells and gates: some dissolved into gates that ABC may rework, the others' inputs in order.

A plan says which; it is made from the times of a netlist before (hwmodel.synthesis.hybrid).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .adders import ADDER, INPUTS, make_of_gates
from .gates import Gates

__all__ = ["dissolve", "name_adders", "order_inputs"]


def name_adders(gates: Gates) -> None:
    """Give full adders without a name of their own one that is in the netlist too."""
    hidden = [name for name in gates.of_type(ADDER) if name.startswith("$")]
    gates.rename({name: f"carry_adder_{number}" for number, name in enumerate(hidden)})


def order_inputs(gates: Gates, orders: Mapping[str, Sequence[str]]) -> None:
    """Connect the inputs of full adders in another order: the names of the old pins, for a, b and c."""
    for name, order in orders.items():
        bits = [gates.pin(name, pin) for pin in order]
        for pin, bit in zip(INPUTS, bits, strict=True):
            assert bit is not None
            gates.connect(name, pin, bit)


def dissolve(gates: Gates, names: Iterable[str]) -> None:
    """Replace these full adders by gates."""
    for name in names:
        make_of_gates(gates, name)
