"""Shared by the tests of the cost model: small designs of every kind, made-up coefficients, a cache of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.model.features import PARTS, Vector
from hwmodel.model.model import Coefficients, LibraryModel, Range
from hwmodel.model.paths import Step
from hwmodel.model.structure import Part
from rtl.logic.circuit import Bit, Op
from rtl.mac import (
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.spec.mac import MacSpec
from tests.hwmodel.model.slowcounts import Node

SMALL: tuple[MacSpec, ...] = (
    UniformSpec(weight_bits=3, activation_bits=2, lanes=3, reduction_length=40),
    UniformSpec(weight_bits=4, activation_bits=4, lanes=4, reduction_length=64, pipeline_stages=1),
    PaddedSpec(units=1, reduction_length=20),
    PaddedSpec(units=1, gating=True, reduction_length=20, pipeline_stages=1),
    SubwordSpec(units=1, reduction_length=20),
    SubwordSpec(units=1, widths=(8, 4), reduction_length=20, pipeline_stages=2),
    BitFusionSpec(units=1, widths=(8, 4), reduction_length=20),
    BitBladeSpec(units=2, widths=(8, 4), reduction_length=20, pipeline_stages=1),
    BitSerialSpec(units=3, reduction_length=20),
    LoomSpec(units=5, reduction_length=40),
    XnorSpec(lanes=7, reduction_length=50),
)
"""A small design of every kind, with and without pipeline registers."""


QUARTERS = {
    Op.NOT: (0,), Op.AND: (1,), Op.OR: (1,), Op.XOR: (2,), Op.MUX: (2,), Op.FULL_ADDER: (4, 3), Op.HALF_ADDER: (2, 1),
}  # fmt: skip
"""Delays of the outputs of gates, in quarters of a full adder's sum."""


def delays(low: float = 0.5, high: float = 1.5, seed: int = 0) -> dict[Step, float]:
    """A delay in ns of each step, drawn between ``low`` and ``high`` tenths; fan-out costs less."""
    drawn = np.random.default_rng(seed).uniform(low / 10, high / 10, len(Step))
    found = dict(zip(Step, drawn.tolist(), strict=True))
    return found | {Step.FAN_OUT: found[Step.FAN_OUT] / 5, Step.LOAD: found[Step.LOAD] / 50}


def by_part(low: float, high: float, seed: int) -> Vector:
    """A number of each part, drawn between ``low`` and ``high``."""
    return np.random.default_rng(seed).uniform(low, high, len(PARTS))


def coefficients(**changes: Any) -> Coefficients:
    """Made-up coefficients, every one different from every other."""
    made = Coefficients(
        area_um2=by_part(1.0, 5.0, 1),
        strained_um2=by_part(0.1, 0.9, 8),
        leakage_nw=by_part(10.0, 90.0, 2),
        clock_fj=1.7,
        gate_fj=2.9,
        still_fj=0.8,
        settled_fj=by_part(1.0, 8.0, 3),
        glitch_fj=by_part(0.5, 3.0, 4),
        pulse_fj=by_part(0.1, 0.4, 7),
        ahead_fj=1.3,
        relaxed_ns=delays(seed=5),
        fastest_ns={step: 0.6 * value for step, value in delays(seed=6).items()},
        strain_from=0.2,
        strain_to=0.6,
        strain_power=1.0,
        leakage_growth=0.6,
        clock_growth=0.05,
        settled_growth=0.3,
        glitch_growth=0.2,
        glitch_share=0.15,
        margin=0.15,
    )
    return replace(made, **changes)


def model(
    name: str = "made-up", *, most: float = 1e6, smallest_um2: float = 0.0, provenance: Mapping[str, str] | None = None,
    **changes: Any,
) -> LibraryModel:  # fmt: skip
    """A model of made-up coefficients, fitted on up to ``most`` of each part and areas from ``smallest_um2``."""
    known = Range(np.full(len(PARTS), most), smallest_um2, 1e6, ("booth", "half_adders"))
    return LibraryModel(name, "tt_1p0v_25c", 1.0, coefficients(**changes), known, provenance or {"process": "none"})


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is found of designs is kept in a folder of the test."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("SILIQUANT_CACHE_DIR", str(folder))
        yield folder


def one_cycle(nodes: Sequence[Node], before: dict[Bit, int], after: dict[Bit, int]) -> dict[Bit, int]:
    """Transitions of every net while the inputs go from ``before`` to ``after``; gates act on what they see now.

    An output follows its gate by the delay; where the gate changes its mind before that, nothing happens.
    """
    made = {bit: node.stage for node in nodes for bit in node.outputs}
    net, count = dict(before), dict.fromkeys(made, 0)
    pending: dict[Bit, tuple[int, int]] = {}
    now = 0
    while True:
        for bit in [bit for bit, (when, _) in pending.items() if when == now]:
            net[bit] = pending.pop(bit)[1]
            count[bit] += 1
        for node in nodes:
            seen = {bit: net[bit] if made.get(bit) == node.stage else after[bit] for bit in node.inputs}
            for bit, value, delay in zip(node.outputs, logic(node, seen), QUARTERS[node.op], strict=True):
                if bit in pending and value == net[bit]:
                    del pending[bit]
                elif bit not in pending and value != net[bit]:
                    if delay:
                        pending[bit] = now + delay, value
                    else:
                        net[bit], count[bit] = value, count[bit] + 1
        if not pending:
            assert all(net[bit] == after[bit] for bit in made), "every net must settle"
            return count
        now = min(when for when, _ in pending.values())


def logic(node: Node, seen: dict[Bit, int]) -> tuple[int, ...]:
    x = [seen[bit] for bit in node.inputs]
    match node.op:
        case Op.NOT:
            return (1 - x[0],)
        case Op.AND:
            return (min(x),)
        case Op.OR:
            return (max(x),)
        case Op.XOR:
            return (sum(x) % 2,)
        case Op.MUX:
            return (x[1] if x[0] else x[2],)
    return sum(x) % 2, sum(x) // 2


def glitches_one_by_one(nodes: Sequence[Node], bits: dict[Bit, Sequence[int]], changes: int) -> dict[Part, float]:
    """Transitions beyond one a cycle, a cycle at a time."""
    found = dict.fromkeys(Part, 0)
    for cycle in range(changes):
        before, after = ({bit: int(wave[at]) for bit, wave in bits.items()} for at in (cycle, cycle + 1))
        count = one_cycle(nodes, before, after)
        for node in nodes:
            if node.part is not None:
                found[node.part] += sum(count[bit] - (before[bit] != after[bit]) for bit in node.outputs)
    return {part: number / changes for part, number in found.items()}
