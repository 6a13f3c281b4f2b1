"""Power of a mapped netlist from its Liberty library, its activity, and the slews and loads of its nets.

Rule, per clock cycle, for toggles n of each net (rises as often as falls):

    leakage     sum over states of probability * leakage_power of the state
    internal    each output pin:  n * E,  E the mean of (E_rise + E_fall) / 2 over the arcs of the pin,
                weighted by the toggles of the arc's related input times the probability of its `when`
                each input pin:   n * sum over states of probability * (E_rise + E_fall) / 2
                flip-flops and clock gates by edges and phases of the clock (hwmodel.power.clockedcells)
    switching   each net driven by a cell:  n * C V^2 / 2

An entry without `when` stands for the states no other entry of the same pins names.  Input ports are
charged by whoever drives them, so their nets cost nothing here, the clock excepted: ``clock`` is the
clock pins of the flip-flops, the charging of the clock net and, where there are any, clock buffers and clock gates;
behind gates all of it only where the clock gets through.
The clock tree of a placed design is not in it.  OpenSTA's internal power is another figure (it sums
E_rise and E_fall, and does not normalise arcs); its leakage and switching power are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import TypeVar

from hwmodel.library import CellModel, Energy, Expression, LibraryPower, Variable
from siliquant.inputs import InputError

from .activity import Waves
from .clockedcells import clock_pin_pj, data_pin_pj, gate_internal_pj

_Entry = TypeVar("_Entry")
REGISTER, COMBINATIONAL, COMPRESSOR = "register", "combinational", "compressor"


@dataclass(frozen=True, slots=True)
class PartPower:
    """Power of some cells in uW; parts add up."""

    leakage_uw: float = 0.0
    clock_uw: float = 0.0
    internal_uw: float = 0.0
    switching_uw: float = 0.0

    @property
    def power_uw(self) -> float:
        """All of it."""
        return self.leakage_uw + self.clock_uw + self.internal_uw + self.switching_uw

    def __add__(self, other: PartPower) -> PartPower:
        return PartPower(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class PowerReport:
    """Power of a netlist at ``clock_mhz`` and ``voltage_v``.

    ``parts`` splits it into register (flip-flops, clock gates, the clock), compressor (the cells named as such)
    and combinational (all others).  ``activity_source`` says where the toggles come from.
    """

    parts: Mapping[str, PartPower]
    clock_mhz: float
    voltage_v: float
    activity_source: str

    @property
    def total(self) -> PartPower:
        """The sum of the parts."""
        return sum(self.parts.values(), PartPower())

    @property
    def leakage_uw(self) -> float:
        """Leakage power."""
        return self.total.leakage_uw

    @property
    def clock_uw(self) -> float:
        """Power of clock pins and the clock net."""
        return self.total.clock_uw

    @property
    def internal_uw(self) -> float:
        """Internal power of cells, clock pins left out."""
        return self.total.internal_uw

    @property
    def switching_uw(self) -> float:
        """Power that charges the nets driven by cells, clock nets left out."""
        return self.total.switching_uw

    @property
    def power_uw(self) -> float:
        """Leakage, clock, internal and switching power together."""
        return self.total.power_uw

    @property
    def energy_pj_per_cycle(self) -> float:
        """Energy of one clock cycle, leakage at this clock included: uW / MHz = pJ."""
        return self.power_uw / self.clock_mhz


class PinEnvironment:
    """Slews and loads by the numbers of nets, from dicts by name.

    ``slews_ns``: "instance/pin" to (rise, fall) in ns.  ``loads_ff``: net name to pin and wire
    capacitance in fF, under any of the net's names.  What is missing is an error when it is asked for;
    hwmodel.power.loads makes both when there is no timing tool.
    """

    def __init__(
        self, waves: Waves, slews_ns: Mapping[str, tuple[float, float]], loads_ff: Mapping[str, float]
    ) -> None:
        self._slews_ns = slews_ns
        self._loads_ff = loads_ff
        self._waves = waves
        outputs = waves.netlist.outputs.values()
        self._used = {net for instance in waves.netlist.instances for net in instance.pins.values()}
        self._used.update(net for nets in outputs for net in nets)

    def slews(self, instance: int, pin: str) -> tuple[float, float]:
        """Rise and fall slew at a pin in ns.  ValueError when the pin has none."""
        name = f"{self._waves.netlist.instances[instance].name}/{pin}"
        if name not in self._slews_ns:
            raise InputError(f"slews_ns must have every pin that switches, and {name} is missing")
        rise_ns, fall_ns = self._slews_ns[name]
        if not (isfinite(rise_ns) and isfinite(fall_ns)):
            raise InputError(f"slews_ns of {name} must be two finite numbers, not {rise_ns} and {fall_ns}")
        return rise_ns, fall_ns

    def load_pf(self, net: int) -> float:
        """Load of a net in pF, 0 for an unconnected output.  ValueError when a net has none."""
        if net not in self._used:
            return 0.0
        names = self._waves.netlist.net_names[net]
        for name in names:
            if name in self._loads_ff:
                if not isfinite(self._loads_ff[name]):
                    raise InputError(f"loads_ff of {name} must be a finite number, not {self._loads_ff[name]}")
                return self._loads_ff[name] * 1e-3
        if not names:
            return 0.0
        raise InputError(f"loads_ff must have every net that switches, and {names[0]} is missing")


def netlist_power(
    waves: Waves,
    power: LibraryPower,
    *,
    slews_ns: Mapping[str, tuple[float, float]],
    loads_ff: Mapping[str, float],
    clock_mhz: float,
    compressor_cells: Collection[str] = (),
) -> PowerReport:
    """Power by the rule above.

    ``slews_ns`` and ``loads_ff`` as in PinEnvironment (sta.Timing has both).  ``compressor_cells``:
    names of the library's adder cells, reported as the part "compressor".  ValueError for a missing
    slew or load, or a clock that is not positive.  What a library does not state of a cell counts as 0: ask
    CellPower.states_leakage and states_energy first.
    """
    if not clock_mhz > 0:
        raise InputError(f"clock_mhz must be positive, not {clock_mhz}")
    environment = PinEnvironment(waves, slews_ns, loads_ff)
    parts = dict.fromkeys((REGISTER, COMBINATIONAL, COMPRESSOR), PartPower())
    for index, instance in enumerate(waves.netlist.instances):
        model = power.cells[instance.cell]
        part = _part(model, compressor_cells)
        parts[part] += _instance_power(index, model, waves, power, environment, clock_mhz)
    port_nets = {net for nets in waves.netlist.inputs.values() for net in nets}
    for net in port_nets.intersection(waves.pulses):
        parts[REGISTER] += PartPower(clock_uw=_charging_pj(net, waves, power, environment) * clock_mhz)
    return PowerReport(parts, clock_mhz, power.voltage_v, waves.activity_source)


def _part(model: CellModel, compressor_cells: Collection[str]) -> str:
    if model.flip_flop is not None or model.clock_gate is not None:
        return REGISTER
    return COMPRESSOR if model.name in compressor_cells else COMBINATIONAL


def _instance_power(
    index: int, model: CellModel, waves: Waves, power: LibraryPower, environment: PinEnvironment, clock_mhz: float
) -> PartPower:
    data, pins = power[model.name], waves.pins[index]
    clock_pj = internal_pj = switching_pj = 0.0
    if model.clock_gate is not None:
        clock_pj, internal_pj = gate_internal_pj(index, model, data, waves, environment)
        clock_pj += _charging_pj(pins[model.clock_gate.output], waves, power, environment)
    for pin in model.inputs if model.clock_gate is None else ():
        toggles = waves.toggles_per_cycle(pins[pin])
        if toggles and data.inputs.get(pin):
            if _is_clock_pin(model, pin, pins[pin], waves):
                energy_pj = clock_pin_pj(index, pin, data.inputs[pin], waves, environment)
            elif model.flip_flop is not None and pins[pin] not in waves.pulses:
                energy_pj = data_pin_pj(
                    index, pin, min(model.flip_flop.clock_pins), data.inputs[pin], waves, environment
                )
            else:
                energy_pj = toggles * _input_energy_pj(index, pin, data.inputs[pin], waves, environment)
            if pins[pin] in waves.pulses:
                clock_pj += energy_pj
            else:
                internal_pj += energy_pj
    for pin in model.outputs if model.clock_gate is None else ():
        toggles = waves.toggles_per_cycle(pins[pin])
        if toggles:
            charging_pj = _charging_pj(pins[pin], waves, power, environment)
            energy_pj = toggles * _output_energy_pj(index, pin, data.outputs.get(pin, ()), waves, environment)
            if pins[pin] in waves.pulses:
                clock_pj += energy_pj + charging_pj
            else:
                internal_pj += energy_pj
                switching_pj += charging_pj
    leakage_nw = sum(share * value for share, value in _shares(index, data.leakage_nw, waves))
    return PartPower(leakage_nw * 1e-3, clock_pj * clock_mhz, internal_pj * clock_mhz, switching_pj * clock_mhz)


def _is_clock_pin(model: CellModel, pin: str, net: int, waves: Waves) -> bool:
    """Whether a pin clocks a flip-flop at its rising edge."""
    flop = model.flip_flop
    return net in waves.pulses and flop is not None and flop.clocked_on == Variable(pin)


def _charging_pj(net: int, waves: Waves, power: LibraryPower, environment: PinEnvironment) -> float:
    """Energy per cycle to charge a net: toggles * C V^2 / 2."""
    return waves.toggles_per_cycle(net) * environment.load_pf(net) * power.voltage_v**2 / 2


def _input_energy_pj(
    index: int, pin: str, energies: Sequence[Energy], waves: Waves, environment: PinEnvironment
) -> float:
    """Energy of one transition of an input pin, mean of rise and fall, over its states."""
    rise_ns, fall_ns = environment.slews(index, pin)
    entries = [(energy.when, energy) for energy in energies]
    return sum(
        share * (energy.rise_pj.at(rise_ns, 0.0) + energy.fall_pj.at(fall_ns, 0.0)) / 2
        for share, energy in _shares(index, entries, waves)
        if share
    )


def _output_energy_pj(
    index: int, pin: str, energies: Sequence[Energy], waves: Waves, environment: PinEnvironment
) -> float:
    """Energy of one transition of an output pin, over the arcs that may have caused it."""
    pins = waves.pins[index]
    load_pf = environment.load_pf(pins[pin])
    arcs: list[tuple[Energy, float, float]] = []  # arc, toggles of its related input, share of its state
    for related in dict.fromkeys(energy.related for energy in energies):
        toggles = waves.toggles_per_cycle(pins[related])
        entries = [(energy.when, energy) for energy in energies if energy.related == related]
        arcs += [(energy, toggles, share) for share, energy in _shares(index, entries, waves)]
    for weights in (
        [toggles * share for _, toggles, share in arcs],
        [share for _, _, share in arcs],  # no related input switches: by state alone
        [1.0 for _ in arcs],  # nor is any state ever there
    ):
        total = sum(weights)
        if total > 0:
            return sum(
                weight / total * arc_energy_pj(index, energy, environment, load_pf)
                for weight, (energy, _, _) in zip(weights, arcs, strict=True)
                if weight > 0
            )
    return 0.0


def arc_energy_pj(index: int, energy: Energy, environment: PinEnvironment, load_pf: float) -> float:
    """(E_rise + E_fall) / 2 of one arc, at the mean slew of its related pin."""
    slew_ns = sum(environment.slews(index, energy.related)) / 2
    return (energy.rise_pj.at(slew_ns, load_pf) + energy.fall_pj.at(slew_ns, load_pf)) / 2


def _shares(
    index: int, entries: Sequence[tuple[Expression | None, _Entry]], waves: Waves
) -> Iterator[tuple[float, _Entry]]:
    """The share of time of each entry's state; entries without a state share what is left."""
    shares = [None if when is None else waves.state_probability(index, when) for when, _ in entries]
    rest = max(0.0, 1.0 - sum(share for share in shares if share is not None))
    defaults = max(1, shares.count(None))
    for share, (_, entry) in zip(shares, entries, strict=True):
        yield (rest / defaults if share is None else share), entry
