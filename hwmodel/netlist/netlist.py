"""A mapped netlist: instances of library cells and the nets between them, from Yosys JSON.

Write the JSON after reading the mapped Verilog back, so that its names are those that OpenSTA sees:

    read_liberty -lib cells.lib; read_verilog mapped.v; write_json mapped.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwmodel.library import ONE_NET, ZERO_NET
from siliquant.inputs import InputError


@dataclass(frozen=True, slots=True)
class Instance:
    """One placed cell: its name, its library cell, and the net number at each connected pin."""

    name: str
    cell: str
    pins: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Netlist:
    """A flat netlist.

    Nets are numbered; ZERO_NET and ONE_NET are the constants.  ``net_names[n]`` holds every name of
    net n: ``port[3]`` for a bit of a vector, ``net`` and ``net[0]`` for one bit (the JSON does not tell
    a vector of one bit from a scalar).  Ports list their nets from bit 0 up.
    """

    name: str
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    instances: tuple[Instance, ...]
    net_names: tuple[tuple[str, ...], ...]

    @property
    def net_count(self) -> int:
        """How many nets there are, with the two constants."""
        return len(self.net_names)

    def net_label(self, net: int) -> str:
        """A name of the net for messages."""
        return self.net_names[net][0] if self.net_names[net] else f"net {net}"


def read_netlist(text: str, top: str | None = None) -> Netlist:
    """Read Yosys JSON text.

    ``top`` names the module; without it the JSON must hold exactly one module that is not a black
    box.  ValueError when the text is not such a netlist.
    """
    try:
        design = json.loads(text)
        modules = {name: body for name, body in design["modules"].items() if not _is_blackbox(body)}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("a netlist must be JSON as written by Yosys' write_json, and this is not") from None
    if top is None:
        if len(modules) != 1:
            found = ", ".join(sorted(modules)) or "none"
            raise InputError(f"a mapped netlist must have one module that is not a library cell, not {found}")
        top = next(iter(modules))
    elif top not in modules:
        raise InputError(f"top must be one of the modules {', '.join(sorted(modules))}, not {top!r}")
    return _Reader().read(top, modules[top])


def _is_blackbox(module: Mapping[str, Any]) -> bool:
    attributes = module.get("attributes", {})
    return "blackbox" in attributes or "whitebox" in attributes


class _Reader:
    """Numbers the nets of one module densely, constants first; an undefined bit counts as 0."""

    def __init__(self) -> None:
        self._numbers: dict[int | str, int] = {"0": ZERO_NET, "1": ONE_NET, "x": ZERO_NET, "z": ZERO_NET}

    def read(self, name: str, module: Mapping[str, Any]) -> Netlist:
        inputs: dict[str, tuple[int, ...]] = {}
        outputs: dict[str, tuple[int, ...]] = {}
        for port, body in module["ports"].items():
            if body["direction"] not in ("input", "output"):
                raise InputError(f"port {port} of {name} must be an input or an output, not {body['direction']}")
            (inputs if body["direction"] == "input" else outputs)[port] = self._nets(body["bits"])
        instances = tuple(
            Instance(instance, body["type"], self._pins(instance, body["connections"]))
            for instance, body in module["cells"].items()
        )
        aliases: dict[int, list[str]] = {}
        for net, body in module["netnames"].items():
            bits, offset = body["bits"], body.get("offset", 0)
            for index, number in enumerate(self._nets(bits)):
                if len(bits) == 1:
                    aliases.setdefault(number, []).append(net)
                aliases.setdefault(number, []).append(f"{net}[{index + offset}]")
        aliases.update({ZERO_NET: ["constant 0"], ONE_NET: ["constant 1"]})
        count = 1 + max(self._numbers.values())
        names = tuple(tuple(aliases.get(number, ())) for number in range(count))
        return Netlist(name, inputs, outputs, instances, names)

    def _nets(self, bits: list[int | str]) -> tuple[int, ...]:
        return tuple(self._net(bit) for bit in bits)

    def _net(self, bit: int | str) -> int:
        return self._numbers.setdefault(bit, len(self._numbers) - 2)  # "x" and "z" share number 0

    def _pins(self, instance: str, connections: Mapping[str, list[int | str]]) -> dict[str, int]:
        wide = [pin for pin, bits in connections.items() if len(bits) > 1]
        if wide:
            raise InputError(f"pin {wide[0]} of {instance} must be one bit wide, as library cells' pins are")
        return {pin: self._net(bits[0]) for pin, bits in connections.items() if bits}
