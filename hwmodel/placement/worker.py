"""One run of coloquinte in a process of its own: python -m hwmodel.placement.worker JOB.json RESULT.json.

Its log goes to standard output, one thread is what makes it repeat (hwmodel.placement.placer sets it), and a fault in
it ends this process alone.

job     widths_nm, row_nm, rows, width_nm: of movable cells and the core; ports: places of fixed points; nets: for each
        its members (cells, then ports, by number) and their pins' offsets from the lower left corner; seed, effort
result  x_nm, y_nm: lower left corners of the movable cells; orientations: N, FS, FN or S
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import coloquinte

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Reads the job, writes the result."""
    job = json.loads(Path(arguments[0]).read_text())
    Path(arguments[1]).write_text(json.dumps(_placed(job)))


def _placed(job: dict[str, Any]) -> dict[str, Any]:
    cells, ports = len(job["widths_nm"]), job["ports"]
    circuit = coloquinte.Circuit(cells + len(ports))
    circuit.cell_width = [*job["widths_nm"], *(0 for _ in ports)]
    circuit.cell_height = [job["row_nm"]] * cells + [0] * len(ports)
    circuit.cell_is_fixed = [False] * cells + [True] * len(ports)
    circuit.cell_is_obstruction = [True] * cells + [False] * len(ports)
    circuit.cell_row_polarity = [coloquinte.CellRowPolarity.SAME] * (cells + len(ports))
    circuit.cell_x = [job["width_nm"] // 2] * cells + [x for x, _ in ports]
    circuit.cell_y = [0] * cells + [y for _, y in ports]
    upright, flipped = coloquinte.CellOrientation.N, coloquinte.CellOrientation.FS
    circuit.rows = [
        coloquinte.Row(
            coloquinte.Rectangle(0, job["width_nm"], row * job["row_nm"], (row + 1) * job["row_nm"]),
            flipped if row % 2 else upright,
        )
        for row in range(job["rows"])
    ]
    for members, xs, ys in job["nets"]:
        circuit.add_net(members, xs, ys)
    circuit.check()
    parameters = coloquinte.ColoquinteParameters(job["effort"], job["seed"])
    circuit.place_global(parameters)
    circuit.legalize(parameters)
    circuit.place_detailed(parameters)
    return {
        "x_nm": list(circuit.cell_x)[:cells],
        "y_nm": list(circuit.cell_y)[:cells],
        "orientations": [each.name for each in list(circuit.cell_orientation)[:cells]],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
