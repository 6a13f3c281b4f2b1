"""The smallest case that still fails: fewer actions, fewer and smaller numbers, a smaller design."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from rtl.verilog import Reset
from siliquant.inputs import InputError, InputTypeError

from .cases import Action, Case, Fault, spec_of

__all__ = ["minimised"]

_COUNTED = ("idle", "reset", "stray")


def minimised(
    case: Case, fault: Fault, run: Callable[[Case], Fault | None], most_tries: int = 400
) -> tuple[Case, Fault]:
    """A case that fails as ``case`` does, of which no part that was tried can be left out, and how it fails.

    fault: of ``case``. run: that of any case; only one of the same kind counts. InputError counts as none: actions and
    a design that do not go together. At most so many tries.
    """
    left, latest = most_tries, fault

    def still(candidate: Case) -> bool:
        nonlocal left, latest
        if left <= 0:
            return False
        left -= 1
        try:
            given = run(candidate)
        except (InputError, InputTypeError):
            return False
        if given is None or given.kind != fault.kind:
            return False
        latest = given
        return True

    found, before = case, None
    while found != before:
        before = found
        for candidates in (_fewer_actions, _smaller_designs, _fewer_numbers, _smaller_numbers):
            while (smaller := next((each for each in candidates(found) if still(each)), None)) is not None:
                found = smaller
    return found, latest


def _fewer_actions(case: Case) -> Iterator[Case]:
    """Without some that follow each other, many at first; one at least is left."""
    for kept in _without_some(len(case.actions)):
        if kept:
            yield replace(case, actions=tuple(case.actions[place] for place in kept))


def _smaller_designs(case: Case) -> Iterator[Case]:
    for parameters in (*_together(case.parameters), *_smaller(case.parameters)):
        try:
            spec_of(case.design, parameters)
        except (InputError, InputTypeError):
            continue
        yield replace(case, parameters=parameters)
    if case.junk:
        yield replace(case, junk=0)
    if case.reset is not Reset.SYNCHRONOUS_HIGH:
        yield replace(case, reset=Reset.SYNCHRONOUS_HIGH)


def _together(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Of an array what can only be less together: rows and drains, widths of results and of their requantisers."""
    if given.get("drains", 1) > 1:
        yield {**given, "drains": 1}
        yield {**given, "rows": 1, "drains": 1}
    if isinstance(given.get("requant"), Mapping):
        unit, width = given["requant"], given["result_width"]
        for less in dict.fromkeys((width // 2, width - 1)):
            parameters = {**unit["parameters"], "accumulator_width": less}
            yield {**given, "result_width": less, "requant": {**unit, "parameters": parameters}}


def _fewer_numbers(case: Case) -> Iterator[Case]:
    """Fewer products in a part, smaller matrices, fewer cycles without operands."""
    for place, action in enumerate(case.actions):
        if action.kind == "part":
            half = len(action.numbers) // 2
            for kept in _without_some(half):
                numbers = [action.numbers[start + index] for start in (0, half) for index in kept]
                yield _with(case, place, replace(action, numbers=tuple(numbers)))
        elif action.kind == "operands":
            for smaller in _smaller_matrices(action.numbers):
                yield _with(case, place, replace(action, numbers=smaller))
        elif action.kind in _COUNTED and action.cycles > 1:
            for cycles in dict.fromkeys((1, action.cycles // 2, action.cycles - 1)):
                yield _with(case, place, replace(action, numbers=(cycles,)))


def _smaller_matrices(numbers: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Without some activations' rows, some weights' rows, or some products of each."""
    slot, m, k, n, *bases = numbers[:7]
    weights = [numbers[7 + row * k : 7 + (row + 1) * k] for row in range(n)]
    activations = [numbers[7 + n * k + row * k : 7 + n * k + (row + 1) * k] for row in range(m)]

    def made(rows: list[tuple[int, ...]], columns: list[tuple[int, ...]]) -> tuple[int, ...]:
        size = len(columns[0])
        codes = [code for row in (*columns, *rows) for code in row]
        return slot, len(rows), size, len(columns), *bases, *codes

    for kept in _without_some(m):
        if kept:
            yield made([activations[row] for row in kept], weights)
    for kept in _without_some(n):
        if kept:
            yield made(activations, [weights[row] for row in kept])
    for kept in _without_some(k):
        if kept:
            yield made(*([tuple(row[i] for i in kept) for row in rows] for rows in (activations, weights)))


def _smaller_numbers(case: Case) -> Iterator[Case]:
    """Numbers that are 0 or nearer to it: all codes at once, then one after the other."""
    for place, action in enumerate(case.actions):
        first = 7 if action.kind == "operands" else 0
        if action.kind == "operands" and any(action.numbers[first:]):
            codes = tuple(min(1, max(-1, code)) for code in action.numbers[first:])
            for each in ((0,) * len(codes), codes):
                if each != action.numbers[first:]:
                    yield _with(case, place, replace(action, numbers=(*action.numbers[:first], *each)))
        for index, number in enumerate(action.numbers if action.kind not in _COUNTED else ()):
            if action.kind == "operands" and index in (1, 2, 3):  # sizes
                continue
            for smaller in dict.fromkeys((0, number // 2 if number > 0 else -(-number // 2))):
                if abs(smaller) < abs(number):
                    numbers = (*action.numbers[:index], smaller, *action.numbers[index + 1 :])
                    yield _with(case, place, replace(action, numbers=numbers))
        if action.kind in ("run", "start") and action.numbers and action.numbers[-1] == 0:
            yield _with(case, place, replace(action, numbers=action.numbers[:-1]))


def _with(case: Case, place: int, action: Action) -> Case:
    return replace(case, actions=(*case.actions[:place], action, *case.actions[place + 1 :]))


def _without_some(count: int) -> Iterator[list[int]]:
    """Places from 0 to ``count`` without a run of them, the longest runs first."""
    size = count
    while size:
        for start in range(0, count, size):
            yield [place for place in range(count) if not start <= place < start + size]
        size //= 2


def _smaller(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One value less, at any depth."""
    for name, value in given.items():
        for each in _less(name, value):
            yield {**given, name: each}


def _less(name: str, value: Any) -> Iterator[Any]:
    """Less of a value: false, an entry less, half of a number or one less, no requantiser, the first of two words."""
    if isinstance(value, bool):
        if value:
            yield False
    elif isinstance(value, int):
        yield from dict.fromkeys(each for each in (1, value // 2, value - 1) if 0 <= each < value)
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield [*value[:place], *value[place + 1 :]]
            for smaller in _less(name, each):
                yield [*value[:place], smaller, *value[place + 1 :]]
    elif isinstance(value, Mapping):
        if name == "requant":
            yield None
        yield from _smaller(value)
    elif isinstance(value, str) and value in _SIMPLER:
        yield _SIMPLER[value]


_SIMPLER: Mapping[str, str] = {
    "systolic": "broadcast", "channel": "tensor", "head": "tensor", "statistical": "learned", "error": "mean"
}  # fmt: skip
"""Words among the parameters, and which is simpler."""
