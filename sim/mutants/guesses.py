"""What may always hold of a module and a mutant of it side by side: each guess is an expression that is 1 where it does
not. Most guesses are wrong; those that hold let a checker prove by induction that nothing can be seen.

Where nobody reads registers of both, they may differ. So each is guessed to be the same under each mask: a bit of the
module, a count that is not yet done, a sum that has begun since the last reset, settings that were accepted. What holds
of masks alone is guessed too: two of them together, or three in the ways in which a sum moves from stage to stage.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

__all__ = ["Guesses"]

_SMALL = 3
"""Bits of a register that counts what is left: each number of it is a mask."""
_ELEMENT = "element_"
_PHASE = "settings_check.phase_"
# Registers that are not 0 as long as operands or sums are on their way, and others that are called alike.
_MOVING = ("valid", "last", "tile_q", "drained_", "active_d", "finished", "left", "issue")
_HELD = ("drained_address", "drained_drain", "drained_short", "drained_complete", "drained_column")
_CONTROL = ("", "drain_controller")
_STOP = "stop"
_RUNNING = "running"
_TOGETHER = "together"


class Guesses:
    """registers: widths of the module's by name, scopes before a dot. both: those that the mutant has, too. right,
    wrong: the net of a register of either. apart: those of both that may differ. others: signals that are masks, too.
    """

    def __init__(
        self,
        registers: Mapping[str, int],
        both: Collection[str],
        right: Callable[[str], str],
        wrong: Callable[[str], str],
        apart: Collection[str],
        others: Sequence[str] = (),
    ) -> None:
        self._registers = {name: width for name, width in registers.items() if name not in (_STOP, _TOGETHER)}
        self._right, self._wrong, self._apart, self._others = right, wrong, apart, others
        self._stops, self._changes = _STOP in registers, _TOGETHER in registers
        self._phases = sorted(name for name in registers if name.startswith(_PHASE))
        # Where a sum may begin: names of a bit that says that operands are there, and of one that says that they are
        # the first of a sum, side by side.
        self._starts = [
            (valid, clear)
            for valid in self._bits() for clear in self._bits()
            if valid in both and _scope(valid) == _scope(clear) and "valid" in _last(valid) and "clear" in _last(clear)
        ]  # fmt: skip

    def accepted(self, most: Mapping[str, int]) -> Iterator[str]:
        """What is taken for granted of an array, where ``most`` is not empty: :meth:`bounded` and :meth:`goes_on`."""
        if most:
            yield self.bounded(most)
            yield self.goes_on()

    def bounded(self, most: Mapping[str, int]) -> str:
        """Settings that have been checked do not exceed the largest numbers that the check accepts, as
        :mod:`sim.controllers` proves. Raises ValueError where the module lacks a register that this speaks of.
        """
        if lacking := most.keys() - self._registers.keys():
            raise ValueError(f"an array must have the registers {', '.join(sorted(lacking))}")
        bounds = " && ".join(f"{self._right(name)}<= {value}" for name, value in most.items())
        return f"!({self._right(self._phases[-1])}&& !{self._right(_STOP)}) || ({bounds})"

    def goes_on(self) -> str:
        """A run goes on as long as operands or sums are on their way. :mod:`sim.controllers.pair` proves it of the
        models of both controllers; of the array itself a solver looks for the contrary in the first cycles. Raises
        ValueError where the module has no register that says whether one does.
        """
        if _RUNNING not in self._registers:
            raise ValueError(f"an array must have the register {_RUNNING}")
        moving = [
            f"(|{self._right(name)})" for name in self._registers
            if _scope(name) in _CONTROL and any(word in _last(name) for word in _MOVING)
            and not any(word in name for word in _HELD)
        ]  # fmt: skip
        return f"!({' || '.join(moving)}) || {self._right(_RUNNING)}"

    def declared(self) -> Iterator[str]:
        """Masks that are registers of their own: a sum has begun here, and nothing else was added; settings were
        accepted.
        """
        for place, (valid, clear) in enumerate(self._starts):
            ends = f"rst || {self._extra(valid)}"
            if self._stops and _ELEMENT not in valid:  # nothing stops what is in the elements
                ends += f" || {self._right(_STOP)}"
            begins = f"({self._right(valid)}&& {self._right(clear)})"
            yield f"  reg sum_{place} = 0;"
            yield f"  always @(posedge clk) sum_{place} <= !({ends}) && (sum_{place} || {begins});"
        if self._phases and self._stops:
            yield "  reg checked = 0;"
            yield (
                f"  always @(posedge clk) checked <= !rst && {self._right(_RUNNING)}"
                f"&& (checked || ({self._right(self._phases[-1])}&& !{self._right(_STOP)}));"
            )
        for place, (_, text) in enumerate(self._masks()):
            yield f"  wire mask_{place} = {text};"

    def wrong(self) -> Iterator[tuple[int, str]]:
        """Guesses, as words whose bits are 1 where one does not hold: width and text."""
        masks = list(enumerate(self._masks()))
        for name, width in self._registers.items():
            right, wrong = self._right(name), self._wrong(name)
            if name in self._apart:
                near = [place for place, (scope, _) in masks if not scope or scope == _scope(name)]
                yield from ((width, f"{{{width}{{mask_{place}}}}} & ({right}^ {wrong})") for place in near)
                if 1 < width <= _SMALL:
                    yield 1, f"((|{right}) && !(|{wrong}))"
            if 1 < width <= _SMALL:  # such as controls, of which not every word is there
                yield from ((1, f"({right}== {value})") for value in range(1 << width))
            if width > _SMALL and _ELEMENT not in name:
                most = [place for place, (scope, _) in masks if not scope]
                yield from ((width, f"{{{width}{{mask_{place}}}}} & {right}") for place in most)
        names = [f"mask_{place}" for place, _ in masks]
        for place, name in enumerate(names[:-1]):
            count = len(names) - place - 1
            others = f"{{{', '.join(names[place + 1 :])}}}"
            yield count, f"{{{count}{{{name}}}}} & {others}"
            yield count, f"{{{count}{{!{name}}}}} & {others}"
            yield count, f"{{{count}{{{name}}}}} & ~{others}"
        for place, (valid, clear) in enumerate(self._starts):
            yield 1, f"(!sum_{place} && {self._right(valid)}&& !{self._right(clear)})"
            for before in range(len(self._starts)):
                if before != place:
                    yield 1, f"(sum_{before} && !sum_{place} && !{self._right(valid)})"

    def _bits(self) -> list[str]:
        return [name for name, width in self._registers.items() if width == 1]

    def _extra(self, valid: str) -> str:
        """Operands that are there only in the mutant."""
        return f"({self._wrong(valid)}&& !{self._right(valid)})"

    def _masks(self) -> Iterator[tuple[str, str]]:
        """Scope, empty where a mask says something of all the module, and text of each mask."""
        yield "", "1'b1"
        yield from (("", name) for name in self._others)
        for name in self._bits():
            yield _where(name), self._right(name)
        for name, width in self._registers.items():
            if 1 < width <= _SMALL and ("left" in name or "since" in name):
                yield from ((_where(name), f"({self._right(name)}>= {least})") for least in range(1, 1 << width))
        runs = [name for name in self._bits() if _last(name) == _RUNNING]
        for place, (valid, _) in enumerate(self._starts):
            yield _where(valid), f"sum_{place}"
            yield _where(valid), self._extra(valid)
            yield from (
                (_where(valid), f"(!sum_{place} && !{self._right(valid)}&& {self._right(run)})") for run in runs
            )
        if self._changes:  # how long a tile drains depends on whether all drains are used
            together = self._right(_TOGETHER)
            for name in self._bits():
                if "tile" in _last(name):
                    yield from (("", f"({self._right(name)}&& {sign}{together})") for sign in ("", "!"))
        if self._phases and self._stops:
            yield "", "checked"
            for first in range(len(self._phases)):
                later = " || ".join(self._right(name) for name in self._phases[first:])
                yield "", f"(checked || {later})"


def _scope(name: str) -> str:
    return name.rpartition(".")[0]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _where(name: str) -> str:
    """The scope of an element's register; elsewhere a register says something of all the module."""
    return _scope(name) if _ELEMENT in name else ""
