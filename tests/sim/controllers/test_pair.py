"""Both controllers of an array together: proved, refused with faults, and tied as the Verilog ties them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rtl.array import Architecture, ArraySpec
from rtl.mac import BitSerialSpec
from rtl.requant import ThresholdSpec
from rtl.verilog import to_verilog
from sim.controllers import feed, pair, store
from sim.controllers.pair import PAIR_STEPS, delays_of, prove_pair
from sim.controllers.terms import Terms, any_of
from sim.controllers.transition import read_modules
from sim.proofs import ProofError
from tests.sim.controllers.test_controllers import ARRAYS, FAULTED

TIED = (
    *ARRAYS[:4],
    FAULTED,
    ArraySpec(
        mac=BitSerialSpec(units=1, pipeline_stages=2), rows=3, columns=2, drains=2, architecture=Architecture.SYSTOLIC,
        requant=ThresholdSpec(accumulator_width=32, groups=2, pipeline_stages=1),
    ),
)  # fmt: skip


@pytest.mark.parametrize("spec", TIED, ids=lambda spec: spec.name)
def test_a_run_goes_on_as_long_as_anything_is_on_its_way(spec: ArraySpec) -> None:
    prove_pair(spec, Terms())


@pytest.mark.parametrize("delays", [(1, 0), (2, 3), (5, 1)])
def test_the_lines_may_have_any_length(delays: tuple[int, int]) -> None:
    prove_pair(ARRAYS[2], Terms(), delays)


def registers_between(module: dict[str, Any], net: int, source: set[int], end: set[int]) -> set[int]:
    """How many registers there are between a net and those that it depends on: on all paths that pass no ``end``."""
    drivers = {
        bit: cell
        for cell in module["cells"].values()
        for pin, bits in cell["connections"].items()
        if cell["port_directions"][pin] == "output"
        for bit in bits
    }
    found, seen, waiting = set[int](), set[tuple[int, int]](), [(net, 0)]
    while waiting:
        bit, count = waiting.pop()
        if (bit, count) in seen or (bit in end and count):
            continue
        seen.add((bit, count))
        if bit in source:
            found.add(count)
        cell = drivers.get(bit)
        if cell is None or not cell["type"].startswith("$") or cell["type"].startswith("$mem"):
            continue
        if cell["type"] == "$dff":
            place = cell["connections"]["Q"].index(bit)
            waiting.append((cell["connections"]["D"][place], count + 1))
        else:
            waiting += [(each, count) for pin, bits in cell["connections"].items() if pin != "Y" for each in bits]
    return found


@pytest.mark.parametrize("spec", TIED, ids=lambda spec: spec.name)
def test_the_lines_between_the_controllers_are_as_long_as_in_the_verilog(spec: ArraySpec) -> None:
    module = read_modules(to_verilog([spec]), spec.name)[spec.name]
    pins = {label: cell["connections"] for label, cell in module["cells"].items() if "controller" in label}
    operands, drain = pins["operand_controller"], pins["drain_controller"]
    between, behind = delays_of(spec)
    assert registers_between(module, drain["tile"][0], {operands["last"][0]}, set()) == {between}
    (busy,) = module["netnames"]["running"]["bits"]
    # One register more is the run's own.
    assert registers_between(module, busy, {drain["finished"][0]}, {busy}) == {behind + 1}


def never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed._Model, "waits", property(lambda model: model.terms.truth(value=False)))


def waits_a_cycle_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed._Model, "waits", property(lambda model: model.word("since") < model.spec.drain_rows - 1))


def another(change: Callable[[Any, Any], dict[str, Any]]) -> Callable[[pytest.MonkeyPatch], None]:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        right = pair._after

        def wrong(now: Any, inputs: Any, launch: Any) -> Any:
            after = right(now, inputs, launch)
            return replace(after, **change(now, after))

        monkeypatch.setattr(pair, "_after", wrong)

    return patch


def ends_with_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends with the last row of any column."""
    right = store._Model.is_last
    monkeypatch.setattr(
        store._Model,
        "is_last",
        lambda model, counter, size: right(model, "r", "R") if counter == "c" else right(model, counter, size),
    )


FAULTS = (
    ("operands never wait", never_waits, 2),
    ("operands wait a cycle less", waits_a_cycle_less, 2),
    ("a run ends with a column", ends_with_a_column, 2),
    ("a stop leaves what is on its way", another(lambda now, after: {"lasts": [*after.lasts[:-1], now.lasts[-2]]}), 0),
    ("the end of a tile is lost", another(lambda now, after: {"lasts": [~now.busy & now.busy, *after.lasts[1:]]}), 2),
    ("a run ends at once", another(lambda now, after: {"busy": after.busy & after.fed.on}), 2),
    ("a run has no end", another(lambda now, after: {"busy": any_of(after.busy, now.busy)}), 0),
    ("the line is shorter for operands",
     another(lambda now, after: {"entered": [*after.entered[:-1], any_of(after.entered[-1], now.lasts[0])]}), 0),
)  # fmt: skip


@pytest.mark.parametrize(("plant", "step"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_faults_are_refused(
    plant: Callable[[pytest.MonkeyPatch], None], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    said = f"{FAULTED.name}, controllers together: this does not hold: {PAIR_STEPS[step]}"
    with pytest.raises(ProofError, match=f"^{re.escape(said)}$"):
        prove_pair(FAULTED, Terms(), (4, 2))
