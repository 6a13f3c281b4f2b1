"""The nets that carry the clock of a netlist: its port, buffered and inverted copies, and those behind clock gates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwmodel.library import ONE_NET, LibraryCells
from siliquant.inputs import InputError

from .netlist import Instance, Netlist

__all__ = ["ClockNet", "clock_nets", "pulses_of"]


@dataclass(frozen=True, slots=True)
class ClockNet:
    """direct: False of an inverted copy. enables: the nets at the enables of the clock gates on the way."""

    direct: bool
    enables: tuple[int, ...] = ()


def clock_nets(netlist: Netlist, cells: LibraryCells, clock: str) -> dict[int, ClockNet]:
    """The clock nets by number.

    ValueError for a clock port of several bits, for a gate of an inverted clock, and for one whose test pins are not
    tied to 0.
    """
    nets = netlist.inputs.get(clock, ())
    if len(nets) > 1:
        raise InputError(f"the clock port {clock} must be one bit wide, not {len(nets)}")
    found = dict.fromkeys(nets, ClockNet(True))
    readers = _readers(netlist, cells)
    waiting = list(found)
    while waiting:
        net = waiting.pop()
        for instance in readers.get(net, ()):
            for output, made in _behind(instance, cells, found[net]):
                if output not in found:
                    found[output] = made
                    waiting.append(output)
    return found


def pulses_of(clocks: Mapping[int, ClockNet], values: Sequence[int], cycles: int) -> dict[int, int]:
    """The cycles in which each clock net pulses, bit t for cycle t, from the settled values of all nets.

    A cycle starts with the edge. A gate takes its enable at the end of the cycle before; before the first it is 0.
    """
    ones = (1 << cycles) - 1
    found = {}
    for net, kind in clocks.items():
        pulses = ones
        for enable in kind.enables:
            pulses &= values[enable] << 1
        found[net] = pulses & ones
    return found


def _readers(netlist: Netlist, cells: LibraryCells) -> Mapping[int, list[Instance]]:
    """What may pass a clock on, by the net it reads: buffers, inverters and clock gates."""
    readers: defaultdict[int, list[Instance]] = defaultdict(list)
    for instance in netlist.instances:
        model = cells[instance.cell]
        if model.clock_gate is not None:
            readers[instance.pins.get(model.clock_gate.clock, 0)].append(instance)
        elif len(model.inputs) == 1 and model.flip_flop is None:
            readers[instance.pins.get(model.inputs[0], 0)].append(instance)
    return readers


def _behind(instance: Instance, cells: LibraryCells, before: ClockNet) -> list[tuple[int, ClockNet]]:
    """The nets at the outputs of a cell whose input is a clock net."""
    model, gate = cells[instance.cell], cells[instance.cell].clock_gate
    outputs = [(instance.pins[pin], function) for pin, function in model.outputs.items() if pin in instance.pins]
    if gate is None:
        return [
            (net, ClockNet(before.direct == bool(function.evaluate({model.inputs[0]: 1}, 1)), before.enables))
            for net, function in outputs
        ]
    if not before.direct:
        raise InputError(f"clock gate {instance.name} ({instance.cell}) must be of the clock, not of its inverse")
    for pin in gate.tests:
        if instance.pins.get(pin) != 0:
            raise InputError(f"test pin {pin} of the clock gate {instance.name} must be tied to 0")
    enable = instance.pins.get(gate.enable)
    if enable is None:
        raise InputError(f"enable {gate.enable} of the clock gate {instance.name} must be connected")
    enables = before.enables if enable == ONE_NET else (*before.enables, enable)
    return [(net, ClockNet(True, enables)) for net, _ in outputs]
