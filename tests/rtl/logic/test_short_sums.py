"""Sums of fewer products than a step has: rare, and still hardware that is whole."""

from __future__ import annotations

import pytest

from rtl.logic import Datapath, Op
from rtl.mac import DESIGNS
from rtl.spec import MacSpec
from sim.mac.cases import variants, with_size


def unread_gates(datapath: Datapath) -> int:
    """Gates that no bit of the result depends on. In a carry-propagate adder no bit depends on higher ones."""
    needed, found = {*datapath.next_accumulator, *datapath.output}, 0
    for gate in reversed(datapath.schedule.gates):
        if gate.op is Op.ADD:
            width = 1 + max((place for place, bit in enumerate(gate.outputs) if bit in needed), default=-1)
            needed.update(gate.inputs[:width], gate.inputs[len(gate.outputs) :][:width])
        elif needed.isdisjoint(gate.outputs):
            found += 1
        else:
            needed.update(gate.inputs)
    return found


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.design)
def test_every_gate_is_read(design: type[MacSpec]) -> None:
    """An accumulator holds the products of one step, however short its sums are."""
    known = variants(design)
    for spec in known[:: max(1, len(known) // 3)]:
        for size in (3, 16):
            short = with_size(spec, size, reduction_length=1)
            assert unread_gates(short.build()) == 0, short.name
