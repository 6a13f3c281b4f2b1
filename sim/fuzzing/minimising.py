"""The smallest case that still fails: fewer actions, fewer and smaller numbers, a smaller design."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from siliquant.inputs import InputError, InputTypeError

from .cases import Action, Case, spec_of

__all__ = ["minimised"]


def minimised(case: Case, fails: Callable[[Case], bool], most_tries: int = 400) -> Case:
    """A case that ``fails`` as ``case`` does, of which no part that was tried can be left out.

    fails: InputError counts as not failing: actions and a design that do not go together. At most so many tries.
    """
    left = most_tries

    def still(candidate: Case) -> bool:
        nonlocal left
        if left <= 0:
            return False
        left -= 1
        try:
            return fails(candidate)
        except (InputError, InputTypeError):
            return False

    found, before = case, None
    while found != before:
        before = found
        for candidates in (_fewer_actions, _smaller_designs, _fewer_numbers, _smaller_numbers):
            while (smaller := next((each for each in candidates(found) if still(each)), None)) is not None:
                found = smaller
    return found


def _fewer_actions(case: Case) -> Iterator[Case]:
    """Without some that follow each other, many at first."""
    for kept in _without_some(len(case.actions)):
        yield replace(case, actions=tuple(case.actions[place] for place in kept))


def _smaller_designs(case: Case) -> Iterator[Case]:
    for parameters in _smaller_parameters(case):
        yield replace(case, parameters=parameters)
    if case.junk:
        yield replace(case, junk=0)


def _fewer_numbers(case: Case) -> Iterator[Case]:
    """Fewer products in a part, fewer cycles without operands."""
    for place, action in enumerate(case.actions):
        if action.kind == "part":
            half = len(action.numbers) // 2
            for kept in _without_some(half):
                numbers = [action.numbers[start + index] for start in (0, half) for index in kept]
                yield _with(case, place, replace(action, numbers=tuple(numbers)))
        elif action.kind in ("idle", "reset") and action.cycles > 1:
            yield _with(case, place, replace(action, numbers=(1,)))


def _smaller_numbers(case: Case) -> Iterator[Case]:
    """One number that is 0 or nearer to it."""
    for place, action in enumerate(case.actions):
        for index, number in enumerate(action.numbers if action.kind not in ("idle", "reset") else ()):
            for each in dict.fromkeys((0, number // 2 if number > 0 else -(-number // 2))):
                if abs(each) < abs(number):
                    numbers = (*action.numbers[:index], each, *action.numbers[index + 1 :])
                    yield _with(case, place, replace(action, numbers=numbers))


def _with(case: Case, place: int, action: Action) -> Case:
    return replace(case, actions=(*case.actions[:place], action, *case.actions[place + 1 :]))


def _without_some(count: int) -> Iterator[list[int]]:
    """Places from 0 to ``count`` without a run of them, the longest runs first."""
    size = count
    while size:
        for start in range(0, count, size):
            yield [place for place in range(count) if not start <= place < start + size]
        size //= 2


def _smaller_parameters(case: Case) -> Iterator[dict[str, Any]]:
    """One parameter less: false, one fewer width, half of a number, or one less."""
    for name, value in case.parameters.items():
        smaller: Sequence[Any] = ()
        if isinstance(value, bool):
            smaller = (False,) if value else ()
        elif isinstance(value, int):
            smaller = tuple(dict.fromkeys(each for each in (1, value // 2, value - 1) if 0 <= each < value))
        elif isinstance(value, list | tuple):
            smaller = tuple([*value[:place], *value[place + 1 :]] for place in range(len(value)))
        for each in smaller:
            parameters = {**case.parameters, name: each}
            try:
                spec_of(case.design, parameters)
            except (InputError, InputTypeError):
                continue
            yield parameters
