"""The frame of registers accumulates, and no other frame is shown to."""

from typing import Any

import pytest

from sim.proofs import ProofError, prove_frame
from sim.proofs import frame as module


@pytest.mark.parametrize("stages", [0, 1, 2])
def test_the_frame_is_proved(stages: int) -> None:
    for partial in (False, True):
        found = prove_frame(stages, partial=partial)
        assert (found.stages, found.partial, len(found.steps)) == (stages, partial, 3)


def changed_frame(change: Any) -> type[module._Frame]:
    class Changed(module._Frame):
        def after(self, now: module.State, inputs: module.State) -> module.State:
            return {**super().after(now, inputs), **change(self, now, inputs)}

    return Changed


def valid_always(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    return {"valid": [inputs["in_valid"], *now["valid"][:-1]]}  # rst does nothing


def sum_always(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    end = frame._stages
    return {"sum": frame._stepped(frame._content(now)[end], now["clear"][end], now["sum"])}


def sum_too_early(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    end = frame._stages
    added = frame._stepped(frame._content(now)[end], now["clear"][end], now["sum"])
    return {"sum": frame._if(now["valid"][end - 1] if end else inputs["in_valid"], added, now["sum"])}


def clear_lost(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    return {"clear": [frame._false, *now["clear"][1:]]}


def shown_at_once(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    return {"shown": frame._call(frame._decide, frame._content(now)[frame._stages])}


def loads_lost(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    return {"loaded": now["loaded"]}


def out_valid_early(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    valid = list(frame_after_valid(frame, now, inputs))
    return {"valid": [*valid[:-1], valid[-2]]}


def frame_after_valid(frame: Any, now: module.State, inputs: module.State) -> list[Any]:
    return [frame._if(inputs["rst"], frame._false, each) for each in [inputs["in_valid"], *now["valid"][:-1]]]


@pytest.mark.parametrize("stages", [0, 2])
@pytest.mark.parametrize(
    "change", [valid_always, sum_always, sum_too_early, clear_lost, shown_at_once, loads_lost, out_valid_early]
)
def test_faults_are_refused(change: Any, stages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_Frame", changed_frame(change))
    with pytest.raises(ProofError, match=rf"^the frame with {stages} pipeline stages: this does not hold: "):
        prove_frame(stages)


def test_operands_before_a_sum_is_begun_are_not_shown_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Frame, "allowed", lambda self, now, inputs: self._terms.mk_true())
    with pytest.raises(ProofError, match="the invariant is kept"):
        prove_frame(1)


def last_lost(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    return {"last": changed_last(frame, now, inputs, inputs["in_valid"])}


def last_without_operands(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    return {"last": changed_last(frame, now, inputs, inputs["last"])}


def last_after_a_reset(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    entering = frame._and(inputs["in_valid"], inputs["last"])
    return {"last": [frame._if(inputs["rst"], frame._false, entering), *now["last"][:-1]]}


def last_late(frame: Any, now: module.State, inputs: module.State) -> dict[str, Any]:
    """A register more, as where out_valid came from a chain of another length."""
    entering = frame._and(inputs["in_valid"], inputs["last"])
    last = changed_last(frame, now, inputs, entering)
    return {"last": [*last[:-1], now["last"][-1]]}


def changed_last(frame: Any, now: module.State, inputs: module.State, first: Any) -> list[Any]:
    return [frame._if(inputs["rst"], frame._false, each) for each in [first, *now["last"][:-1]]]


@pytest.mark.parametrize("stages", [0, 2])
@pytest.mark.parametrize(
    "change", [last_lost, last_without_operands, last_after_a_reset, last_late, valid_always, clear_lost, sum_always]
)
def test_faults_of_a_unit_of_partial_sums_are_refused(
    change: Any, stages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_Frame", changed_frame(change))
    with pytest.raises(ProofError, match=rf"^the frame with {stages} pipeline stages: this does not hold: "):
        prove_frame(stages, partial=True)
