"""A mapped netlist with the wires of its placement: timing, loads and delays by them, and what the wires are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hwmodel.library import Library
from hwmodel.netlist import Netlist, instance_parts, read_netlist
from hwmodel.synthesis import Mapped, OpenSta
from siliquant.files import scratch
from siliquant.inputs import ToolError

from .picture import picture
from .placer import place_cells
from .technology import Technology, Wire
from .wires import Names, Route, routes_of, spef_text

__all__ = ["Placed", "Placing", "Wiring", "place"]


@dataclass(frozen=True)
class Placing:
    """How netlists are placed: in what, and the share of the core that cells take, in percent."""

    technology: Technology
    utilisation: float = 70.0

    @property
    def text(self) -> str:
        """What decides the wires of a netlist; not the version of the placer, so that rows are found without one."""
        return f"placed at {self.utilisation:g} %, {self.technology.text}"


@dataclass(frozen=True)
class Wiring:
    """The wires of a placed netlist.

    made_for_mhz: the clock that the netlist was synthesised for; above that of the row where it had to be, to meet the
    clock with these wires. utilisation: percent of the core that cells take, whole rows and sites counted. core_*_um:
    its sides. wire_um, wire_ff: length and capacitance of all nets but the clock's, which are clock_um and clock_ff.
    nets: how many have a wire.
    """

    made_for_mhz: float
    utilisation: float
    core_width_um: float
    core_height_um: float
    nets: int
    wire_um: float
    wire_ff: float
    clock_um: float
    clock_ff: float


@dataclass(frozen=True)
class Placed:
    """mapped: the netlist with its wires as SPEF, and timed with them. svg: a picture of the placement."""

    mapped: Mapped
    wiring: Wiring
    svg: str


def place(mapped: Mapped, library: Library, placing: Placing, clock_mhz: float) -> Placed:
    """Places a netlist and times it at a clock with its wires in place of the library's wire load.

    Raises InputError and PlacementError as place_cells, and ToolMissing and TimingError of OpenSTA.
    """
    if mapped.timing is None:
        raise ToolError("wires need OpenSTA: apt-get install opensta")
    netlist = read_netlist(mapped.netlist, mapped.top)
    placement = place_cells(netlist, library, placing.technology, placing.utilisation)
    wire = placing.technology.wire
    routes = routes_of(placement)
    with scratch("placed") as folder, OpenSta(library) as opensta:
        path = folder / "netlist.v"
        path.write_text(mapped.verilog)
        opensta.load(path, mapped.top, 1000.0 / clock_mhz)
        spef = spef_text(routes, netlist, library, wire, Names(opensta.nets(), opensta.ports()))
        opensta.annotate(spef)
        timing = opensta.timing(details=True)
    timing = replace(timing, loads_ff=_with_wires_of_outputs(timing.loads_ff, routes, netlist, wire))
    clock_um = sum(route.length_um for route in routes if route.is_clock)
    wire_um = sum(route.length_um for route in routes if not route.is_clock)
    plan = placement.plan
    wiring = Wiring(
        made_for_mhz=round(1000.0 / mapped.timing.period_ns, 6),
        utilisation=round(placement.utilisation, 6),
        core_width_um=plan.width_nm * 1e-3,
        core_height_um=plan.height_nm * 1e-3,
        nets=len(routes),
        wire_um=round(wire_um, 3),
        wire_ff=round(wire_um * wire.ff_per_um, 6),
        clock_um=round(clock_um, 3),
        clock_ff=round(clock_um * wire.ff_per_um, 6),
    )
    title = (
        f"{mapped.top} in {library.name}: {len(netlist.instances):,} cells, core "
        f"{wiring.core_width_um:.1f} um x {wiring.core_height_um:.1f} um, {wiring.utilisation:.1f} %"
    )
    svg = picture(placement, instance_parts(netlist, library), title)
    return Placed(replace(mapped, timing=timing, spef=spef), wiring, svg)


def _with_wires_of_outputs(
    loads_ff: Mapping[str, float], routes: Sequence[Route], netlist: Netlist, wire: Wire
) -> dict[str, float]:
    """The loads with the wires of nets that have an output port: OpenSTA adds them in delays, but states as the load of
    such a net its pins alone.
    """
    found = dict(loads_ff)
    outputs = {net for nets in netlist.outputs.values() for net in nets}
    for route in routes:
        for name in netlist.net_names[route.net] if route.net in outputs else ():
            if name in found:
                found[name] += route.length_um * wire.ff_per_um
    return found
