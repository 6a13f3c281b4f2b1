"""Placements: legal by an independent check, the same every time, and with short wires."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hwmodel.library.library import Library, find_library
from hwmodel.netlist.netlist import Instance, Netlist
from hwmodel.placement import placer
from hwmodel.placement.floorplan import Floorplan, floorplan, ports_around, with_room
from hwmodel.placement.placer import Placement, PlacementError, need_placer, place_cells, placer_version
from hwmodel.placement.steiner import steiner_tree
from hwmodel.placement.technology import technology_of
from siliquant.inputs import InputError

from .netlists import random_netlist

needs_placer = pytest.mark.skipif(
    placer_version() is None, reason="coloquinte is not installed: it is built for CPython up to 3.12"
)


@pytest.fixture(scope="module")
def library() -> Library:
    return find_library()


def check_legal(placement: Placement, netlist: Netlist, library: Library) -> None:
    """From rectangles alone: in the core, on sites, no two over each other, and as large as the cells' areas."""
    plan = placement.plan
    boxes = [
        (x, y, x + width, y + plan.row_nm) for (x, y), width in zip(placement.corners, placement.widths_nm, strict=True)
    ]
    for (x1, y1, x2, y2), instance in zip(boxes, netlist.instances, strict=True):
        assert 0 <= x1 < x2 <= plan.width_nm
        assert 0 <= y1 < y2 <= plan.height_nm
        assert x1 % plan.site_nm == 0
        assert y1 % plan.row_nm == 0
        assert (x2 - x1) * (y2 - y1) * 1e-6 == pytest.approx(library.areas[instance.cell], rel=1e-3)
    for a, (ax1, ay1, ax2, ay2) in enumerate(boxes):
        for bx1, by1, bx2, by2 in boxes[:a]:
            assert ax2 <= bx1 or bx2 <= ax1 or ay2 <= by1 or by2 <= ay1
    for x, y in placement.ports.values():
        assert x in (0, plan.width_nm) or y in (0, plan.height_nm)


@needs_placer
@pytest.mark.parametrize(
    ("cells", "utilisation", "seed"),
    [(1, 70, 0), (2, 95, 1), (5, 90, 2), (20, 95, 0), (40, 70, 1), (40, 20, 2), (150, 70, 0)],
)
def test_placements_are_legal(library: Library, cells: int, utilisation: float, seed: int) -> None:
    netlist = random_netlist(library, cells, seed)
    found = place_cells(netlist, library, technology_of(library), utilisation)
    check_legal(found, netlist, library)
    assert found.utilisation <= utilisation + 1e-9
    if cells >= 40:
        assert found.utilisation > 0.8 * utilisation
        assert 0.7 < found.plan.width_nm / found.plan.height_nm < 1.5


@needs_placer
def test_the_same_netlist_gives_the_same_placement_and_pins_lie_where_lef_has_them(library: Library) -> None:
    netlist = random_netlist(library, 60, 1)
    technology = technology_of(library)
    first, second = (place_cells(netlist, library, technology, 70) for _ in range(2))
    assert first == second
    seen = 0
    for net, pins in enumerate(first.nets):
        for (number, name), (x, y) in pins:
            if number < 0:
                continue
            instance = netlist.instances[number]
            assert instance.pins[name] == net
            macro = technology.macros[instance.cell]
            dx, dy = macro.pins[name]
            turned = first.corners[number][1] // 1400 % 2 == 1
            if turned:
                dy = 1.4 - dy
            if first.orientations[number] in ("FN", "S"):
                dx = macro.width_um - dx
            corner = first.corners[number]
            assert (x - corner[0], y - corner[1]) == pytest.approx((1e3 * dx, 1e3 * dy), abs=1)
            seen += 1
    assert seen == sum(len([net for net in each.pins.values() if net > 1]) for each in netlist.instances)
    assert first.clock_nets == {2}


@needs_placer
def test_wires_are_shorter_than_by_chance(library: Library) -> None:
    """A chain of 100 inverters: neighbours lie beside each other, half a core away from each other by chance."""
    chain = tuple(Instance(f"u{number}", "INV_X1", {"A": 2 + number, "ZN": 3 + number}) for number in range(100))
    names = ((), (), *((f"n{number}",) for number in range(101)))
    netlist = Netlist("chain", {"a": (2,)}, {"q": (102,)}, chain, names)
    found = place_cells(netlist, library, technology_of(library), 70)
    lengths = [steiner_tree([point for _, point in pins]).length for pins in found.nets if len(pins) > 1]
    assert sum(lengths) / len(lengths) < 0.25 * found.plan.width_nm


def test_a_core_has_the_utilisation() -> None:
    for cells in (1, 3, 50, 700):
        for utilisation in (10.0, 70.0, 95.0):
            plan = floorplan([760] * cells, 1400, 190, utilisation)
            share = 100 * 760 * cells / (plan.width_nm * plan.rows)
            assert share <= utilisation + 1e-9
            assert plan.width_nm % 190 == 0
            assert share > utilisation * (1 - 190 / plan.width_nm) - 1e-9 or plan.width_nm == 760
    for utilisation in (9.9, 95.1, math.nan):
        with pytest.raises(InputError) as error:
            floorplan([760], 1400, 190, utilisation)
        assert str(error.value) == f"core_utilisation must be a number from 10 to 95, not {utilisation:g}"
    with pytest.raises(InputError) as error:
        floorplan([], 1400, 190, 70)
    assert str(error.value) == "a netlist must have cells to be placed"


def test_free_space_is_shared_out_in_sites() -> None:
    plan = Floorplan(width_nm=1000, rows=2, row_nm=100, site_nm=10)
    assert with_room(plan, [100, 300, 600], 0.9) == [180, 540, 1080]
    assert with_room(plan, [100, 300, 600], 0.0) == [100, 300, 600]


def test_ports_lie_around_the_core_in_the_order_of_what_they_wish() -> None:
    plan = Floorplan(width_nm=1000, rows=10, row_nm=100, site_nm=10)
    wishes = {("l", 0): (0.0, 500.0), ("b", 0): (500.0, 0.0), ("r", 0): (1000.0, 510.0), ("t", 0): (490.0, 1000.0)}
    found = ports_around(plan, [*wishes, ("x", 0)], wishes)
    assert list(found) == [("b", 0), ("r", 0), ("t", 0), ("l", 0), ("x", 0)]
    # A round of 4000 nm from the middle of the left side down, in slots of 800 nm, from their middles.
    assert list(found.values()) == [(0, 100), (700, 0), (1000, 500), (700, 1000), (0, 900)]


def test_errors_say_what_to_do(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = random_netlist(library, 3, 0)
    monkeypatch.setattr(placer.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError) as error:
        need_placer()
    assert str(error.value) == (
        "a placement needs the package coloquinte, which is not installed: pip install '.[place]' in the checkout, "
        "under Python 3.11 or 3.12, for which it is built"
    )
    with pytest.raises(InputError, match="a placement needs the package coloquinte"):
        place_cells(netlist, library, technology_of(library), 70)


@needs_placer
def test_faults_of_the_placer_are_named(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    netlist = random_netlist(library, 3, 0)
    monkeypatch.setattr(placer, "MOST_CELLS", 2)
    with pytest.raises(InputError) as error:
        place_cells(netlist, library, technology_of(library), 70)
    assert str(error.value) == "a netlist to be placed must have at most 2 cells, not 3"
    monkeypatch.undo()
    monkeypatch.setattr(placer, "module_command", lambda module, *words: ["/bin/sh", "-c", "echo no luck; exit 3"])
    with pytest.raises(PlacementError) as failure:
        place_cells(netlist, library, technology_of(library), 70)
    assert str(failure.value) == "coloquinte could not place 3 cells: no luck"


@needs_placer
def test_a_placement_that_is_not_legal_is_refused(library: Library) -> None:
    netlist = random_netlist(library, 10, 0)
    good = place_cells(netlist, library, technology_of(library), 70)
    ordered = sorted(range(10), key=lambda number: (good.corners[number][1], good.corners[number][0]))
    pair = next((a, b) for a, b in pairwise(ordered) if good.corners[a][1] == good.corners[b][1])
    corners = list(good.corners)
    corners[pair[1]] = corners[pair[0]]
    with pytest.raises(PlacementError, match="coloquinte must place cells beside each other, and two are at"):
        placer._check_legal(_moved(good, corners))
    corners = [(x, y + 1) for x, y in good.corners]
    with pytest.raises(PlacementError, match="coloquinte must place every cell in a row of the core, and one is at"):
        placer._check_legal(_moved(good, corners))


def _moved(placement: Placement, corners: list[tuple[int, int]]) -> Placement:
    return Placement(
        placement.plan, tuple(corners), placement.widths_nm, placement.orientations, placement.ports, placement.nets,
        placement.clock_nets,
    )  # fmt: skip
