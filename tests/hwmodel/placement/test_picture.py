"""The picture of a placement: every cell, row and port, a scale bar, and no text that becomes markup."""

from __future__ import annotations

from xml.etree import ElementTree

from hwmodel.placement.floorplan import Floorplan
from hwmodel.placement.picture import picture
from hwmodel.placement.placer import Placement

SVG = "{http://www.w3.org/2000/svg}"


def test_cells_rows_ports_and_scale() -> None:
    plan = Floorplan(width_nm=20000, rows=10, row_nm=2000, site_nm=200)
    ports = {('<b"&', 0): (0, 1000), ("q", 1): (20000, 2000)}
    placement = Placement(plan, ((0, 0), (2000, 2000)), (2000, 4000), ("N", "FS"), ports, (), frozenset())
    text = picture(placement, ["logic_um2", "operand_registers_um2"], "<title> & more")
    root = ElementTree.fromstring(text)
    assert root.findtext(f"{SVG}g/{SVG}title") == "<title> & more"
    groups = {group.get("fill"): group for group in root.iter(f"{SVG}g")}
    # 20 um are 800 pixels: cells of 2 and 4 um, a row of 2 um; y is from the top down, below a title of 44 pixels.
    (logic,) = groups["#56b4e9"].findall(f"{SVG}rect")
    assert [float(logic.get(name, "")) for name in ("x", "y", "width", "height")] == [24, 44 + 720, 80, 80]
    (register,) = groups["#009e73"].findall(f"{SVG}rect")
    assert [float(register.get(name, "")) for name in ("x", "y", "width", "height")] == [104, 44 + 640, 160, 80]
    assert [dot.findtext(f"{SVG}title") for dot in root.iter(f"{SVG}circle")] == ['<b"&[0]', "q[1]"]
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert texts == ["<title> & more", "logic", "operand registers", "5 um"]
    bar = [path.get("d") for path in root.iter(f"{SVG}path")][-1]
    assert bar is not None
    assert "h200.00" in bar
    assert len(list(root.iter(f"{SVG}path"))) == plan.rows - 1 + 1
