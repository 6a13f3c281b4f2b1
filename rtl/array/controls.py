"""The ports of a MAC that all elements of an array share: everything but weights and activations."""

from __future__ import annotations

from rtl.logic import Port
from rtl.spec import MacSpec

__all__ = ["control_ports", "control_word"]


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
