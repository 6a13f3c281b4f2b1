"""Places the cells of a netlist in rows by coloquinte (Gouvine, github.com/Coloquinte/PlaceRoute), for short wires.

Two runs: in the second the ports are where the wires of the first would have them. The seed is fixed and there is one
thread: the same netlist gives the same placement. Each cell is placed with its share of the free space on both sides,
so that no region is fuller than the others and a router would find its way. Clock nets, and nets of constants, pull at
no cell.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from hwmodel.library import ONE_NET, ZERO_NET, Library
from hwmodel.netlist import Netlist
from siliquant.files import scratch
from siliquant.inputs import InputError, ToolError
from siliquant.processes import TEMPORARY_HERE, OutOfTimeError, module_command, run_program

from .floorplan import Floorplan, PortBit, floorplan, ports_around, with_room
from .lef import Macro
from .steiner import Point
from .technology import Technology, cell_macro

__all__ = ["MOST_CELLS", "Pin", "Placement", "PlacementError", "need_placer", "place_cells", "placer_version"]

MOST_CELLS = 100_000
"""Cells of the largest netlist that is placed."""
_SECONDS_LIMIT = 900
_SEED, _EFFORT = 1, 3
_FILLED = (0.93, 0.8, 0.0)  # of the rows, by cells with their free space: less where wide cells find no room
_STRETCHES = (1.0, 1.1, 1.3, 1.6, 2.0)  # of the rows, where cells find none without any free space of their own
_MIRRORED_X, _MIRRORED_Y = frozenset({"FN", "S"}), frozenset({"FS", "S"})

Pin = tuple[int, str]
"""A pin of an instance: its number, and the name; -1 and "port[bit]" for a port."""


class PlacementError(ToolError):
    """The placer failed at a netlist; the message holds what it said."""


class _NoRoomError(PlacementError):
    """Cells are too wide for the rows: it places one after the other, and finds no room for the last."""


@dataclass(frozen=True)
class Placement:
    """Where everything is, in nm: corners (lower left) and orientations of instances, ports, and pins by net.

    nets[n]: pins of net n with their points, the driver first; empty for the nets of constants. clock_nets: those that
    lead to a clock pin.
    """

    plan: Floorplan
    corners: tuple[Point, ...]
    widths_nm: tuple[int, ...]
    orientations: tuple[str, ...]
    ports: Mapping[PortBit, Point]
    nets: tuple[tuple[tuple[Pin, Point], ...], ...]
    clock_nets: frozenset[int]

    @property
    def utilisation(self) -> float:
        """Share of the core that cells take, in percent."""
        return 100 * sum(self.widths_nm) / (self.plan.width_nm * self.plan.rows)


def placer_version() -> str | None:
    """The version of coloquinte, or None where it is not installed."""
    try:
        return importlib.metadata.version("coloquinte")
    except importlib.metadata.PackageNotFoundError:
        return None


def need_placer() -> None:
    """Raises InputError where coloquinte is not installed."""
    if importlib.util.find_spec("coloquinte") is None:
        raise InputError(
            "a placement needs the package coloquinte, which is not installed: pip install '.[place]' in the checkout, "
            "under Python 3.11 or 3.12, for which it is built"
        )


def place_cells(netlist: Netlist, library: Library, technology: Technology, utilisation: float) -> Placement:
    """The placement of a netlist in a core of which its cells take ``utilisation`` percent.

    Raises InputError for cells that cannot be placed (hwmodel.placement.technology) and where coloquinte is not
    installed, and PlacementError where it fails.
    """
    need_placer()
    if len(netlist.instances) > MOST_CELLS:
        raise InputError(f"a netlist to be placed must have at most {MOST_CELLS} cells, not {len(netlist.instances)}")
    kinds = {cell: cell_macro(technology, library, cell) for cell in {each.cell for each in netlist.instances}}
    macros = [kinds[instance.cell] for instance in netlist.instances]
    site_nm = technology.site_nm
    sites = {cell: -(-round(macro.width_um * 1e3) // site_nm) for cell, macro in kinds.items()}
    widths = [sites[instance.cell] * site_nm for instance in netlist.instances]
    members, clock_nets = _members(netlist, library)
    for stretch, filled in product(_STRETCHES, _FILLED):
        plan = floorplan(widths, technology.row_nm, site_nm, utilisation, stretch)
        try:
            return _placed(netlist, plan, with_room(plan, widths, filled), widths, macros, members, clock_nets)
        except _NoRoomError:
            if (stretch, filled) == (_STRETCHES[-1], _FILLED[-1]):
                raise
    raise AssertionError("there are attempts")


def _placed(
    netlist: Netlist,
    plan: Floorplan,
    wider: Sequence[int],
    widths: Sequence[int],
    macros: Sequence[Macro],
    members: Sequence[Sequence[Pin]],
    clock_nets: frozenset[int],
) -> Placement:
    """One attempt, with the widths that cells are given. Raises _NoRoomError."""
    bits = [(port, bit) for port, nets in _ports(netlist) for bit in range(len(nets))]
    pulling = [pins for net, pins in enumerate(members) if net not in clock_nets and len(pins) > 1]
    ports = ports_around(plan, bits, {})
    corners, orientations = _run(plan, wider, widths, macros, pulling, ports)
    wishes = {}
    for pins in pulling:
        cells = [_pin_point(pin, corners, orientations, macros, ports) for pin in pins if pin[0] >= 0]
        if cells:
            centre = fmean(x for x, _ in cells), fmean(y for _, y in cells)
            wishes.update(dict.fromkeys(_bits_of(pins), centre))
    ports = ports_around(plan, bits, wishes)
    corners, orientations = _run(plan, wider, widths, macros, pulling, ports)
    nets = tuple(
        tuple((pin, _pin_point(pin, corners, orientations, macros, ports)) for pin in pins) for pins in members
    )
    found = Placement(plan, corners, tuple(widths), orientations, ports, nets, clock_nets)
    _check_legal(found)
    return found


def _ports(netlist: Netlist) -> list[tuple[str, tuple[int, ...]]]:
    return [*netlist.inputs.items(), *netlist.outputs.items()]


def _members(netlist: Netlist, library: Library) -> tuple[list[list[Pin]], frozenset[int]]:
    """The pins of every net, the driver first, and the nets that lead to clock pins."""
    drivers: list[list[Pin]] = [[] for _ in range(netlist.net_count)]
    others: list[list[Pin]] = [[] for _ in range(netlist.net_count)]
    clocked = set()
    clock_pins = set(library.clock_pins)
    registers = set(library.flip_flops)
    for port, nets in netlist.inputs.items():
        for bit, net in enumerate(nets):
            drivers[net].append((-1, f"{port}[{bit}]"))
    for number, instance in enumerate(netlist.instances):
        outputs = library.output_pins[instance.cell]
        for pin, net in instance.pins.items():
            (drivers if pin in outputs else others)[net].append((number, pin))
            if pin in clock_pins and instance.cell in registers:
                clocked.add(net)
    for port, nets in netlist.outputs.items():
        for bit, net in enumerate(nets):
            others[net].append((-1, f"{port}[{bit}]"))
    found = -1
    while found < len(clocked):  # back from the pins through gates and buffers of the clock
        found = len(clocked)
        for instance in netlist.instances:
            outputs = library.output_pins[instance.cell]
            if any(instance.pins.get(pin) in clocked for pin in outputs):
                inputs = [pin for pin in instance.pins if pin not in outputs]
                clocked.update(instance.pins[pin] for pin in inputs if pin in clock_pins or len(inputs) == 1)
    for constant in (ZERO_NET, ONE_NET):
        drivers[constant], others[constant] = [], []
    return [[*driver, *rest] for driver, rest in zip(drivers, others, strict=True)], frozenset(clocked)


def _bits_of(pins: Sequence[Pin]) -> list[PortBit]:
    found = []
    for number, name in pins:
        if number < 0:
            port, _, bit = name[:-1].rpartition("[")
            found.append((port, int(bit)))
    return found


def _pin_point(
    pin: Pin,
    corners: Sequence[Point],
    orientations: Sequence[str],
    macros: Sequence[Macro],
    ports: Mapping[PortBit, Point],
) -> Point:
    number, name = pin
    if number < 0:
        return ports[_bits_of([pin])[0]]
    x, y = _offset(macros[number], name, orientations[number])
    return corners[number][0] + x, corners[number][1] + y


def _offset(macro: Macro, pin: str, orientation: str = "N") -> Point:
    """From the lower left corner of a cell as it lies, in nm; its middle where a pin has no shape."""
    x, y = macro.pins.get(pin, (macro.width_um / 2, macro.height_um / 2))
    if orientation in _MIRRORED_X:
        x = macro.width_um - x
    if orientation in _MIRRORED_Y:
        y = macro.height_um - y
    return round(x * 1e3), round(y * 1e3)


def _run(
    plan: Floorplan,
    wider: Sequence[int],
    widths: Sequence[int],
    macros: Sequence[Macro],
    pulling: Sequence[Sequence[Pin]],
    ports: Mapping[PortBit, Point],
) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """Corners and orientations of all cells."""
    sides = [(wide - width) // 2 for wide, width in zip(wider, widths, strict=True)]
    numbers = {bit: len(widths) + index for index, bit in enumerate(ports)}
    nets = []
    for pins in pulling:
        who = [number if number >= 0 else numbers[_bits_of([(number, name)])[0]] for number, name in pins]
        where = [_offset(macros[number], name) if number >= 0 else (0, 0) for number, name in pins]
        room = [sides[number] if number >= 0 else 0 for number, _ in pins]
        nets.append((who, [x + side for (x, _), side in zip(where, room, strict=True)], [y for _, y in where]))
    job = {
        "widths_nm": wider, "row_nm": plan.row_nm, "rows": plan.rows, "width_nm": plan.width_nm, "nets": nets,
        "ports": list(ports.values()), "seed": _SEED, "effort": _EFFORT,
    }  # fmt: skip
    with scratch("place") as folder:
        (folder / "job.json").write_text(json.dumps(job))
        with (folder / "log").open("w+", errors="replace") as log:
            try:
                done = run_program(
                    module_command("hwmodel.placement.worker", "job.json", "result.json"),
                    cwd=folder, stdout=log, stderr=subprocess.STDOUT, timeout=_SECONDS_LIMIT,
                    env={**os.environ, **TEMPORARY_HERE, "OMP_NUM_THREADS": "1"},
                )  # fmt: skip
            except OutOfTimeError:
                cells = f"{len(widths)} cells in {_SECONDS_LIMIT} s"
                raise PlacementError(f"coloquinte did not place {cells}") from None
            if done.returncode:
                log.seek(0)
                said = (log.read().strip() or "nothing").splitlines()[-1]
                kind = _NoRoomError if "Not all cells have been placed" in said else PlacementError
                raise kind(f"coloquinte could not place {len(widths)} cells: {said[:200]}")
        found = json.loads((folder / "result.json").read_text())
    # Cells are whole sites wide, so moving each to the site before it makes none overlap.
    site_nm = plan.site_nm
    xs = [(x + side) // site_nm * site_nm for x, side in zip(found["x_nm"], sides, strict=True)]
    return tuple(zip(xs, found["y_nm"], strict=True)), tuple(found["orientations"])


def _check_legal(placement: Placement) -> None:
    """Raises PlacementError unless every cell is in a row, in the core, upright as its row is, and alone there."""
    plan = placement.plan
    rows: dict[int, list[tuple[int, int]]] = {}
    for (x, y), width, orientation in zip(placement.corners, placement.widths_nm, placement.orientations, strict=True):
        row, rest = divmod(y, plan.row_nm)
        upside_down = orientation in _MIRRORED_Y
        if rest or not 0 <= row < plan.rows or x < 0 or x + width > plan.width_nm or upside_down != bool(row % 2):
            raise PlacementError(f"coloquinte must place every cell in a row of the core, and one is at {x}, {y} nm")
        rows.setdefault(row, []).append((x, width))
    for cells in rows.values():
        end = 0
        for x, width in sorted(cells):
            if x < end:
                raise PlacementError(f"coloquinte must place cells beside each other, and two are at {x} nm of a row")
            end = x + width
