"""Reads of a LEF file what a placement needs: sizes and pins of cells, the site, the wires of routing layers.

    SITE name ... SIZE w BY h ; ... END name
    LAYER name ... TYPE ROUTING ; WIDTH w ; RESISTANCE RPERSQ r ; CAPACITANCE CPERSQDIST c ;
          EDGECAPACITANCE e ; ... END name
    MACRO name ... ORIGIN x y ; SIZE w BY h ; PIN name ... PORT LAYER ... RECT or POLYGON ... END ... END name

(LEF/DEF 5.8 Language Reference.) All else is passed over. Lengths are in um, resistances in Ohm a square,
capacitances in pF a um2 and, of each edge, pF a um.

Bounds: MOST_BYTES a file, MOST_ITEMS layers, sites and macros, names of MOST_NAME characters, finite numbers of at most
MOST_UM; sizes and widths are above 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from siliquant.inputs import InputError, read_bytes, short, unpack

__all__ = ["MOST_BYTES", "MOST_ITEMS", "MOST_NAME", "MOST_UM", "Layer", "Lef", "Macro", "read_lef"]

MOST_BYTES = 256 << 20
MOST_ITEMS = 100_000
MOST_NAME = 128
MOST_UM = 1e6
_TOKEN = re.compile(r'#[^\n]*|"[^"]*"|[^\s;#"][^\s;"]*|;|"')
_NUMBER = re.compile(r"[+-]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_BLOCKS = frozenset({"VIA", "VIARULE", "NONDEFAULTRULE", "NOISETABLE", "CORRECTIONTABLE", "ARRAY"})  # END <name>
_SECTIONS = frozenset({"UNITS", "PROPERTYDEFINITIONS", "SPACING", "IRDROP"})  # END <their own word>


@dataclass(frozen=True)
class Layer:
    """A routing layer: width_um of its wires, None for what the file does not state.

    ohm_per_square; pf_per_um2 of a wire's area, and pf_per_um of each of its two edges.
    """

    name: str
    width_um: float | None
    ohm_per_square: float | None
    pf_per_um2: float | None
    pf_per_um: float


@dataclass(frozen=True)
class Macro:
    """A cell: its size in um, and of each pin the centre of its shapes, in um from the lower left corner."""

    width_um: float
    height_um: float
    pins: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Lef:
    """Routing layers from the lowest up, macros by name, and (width, height) in um of sites by name."""

    layers: tuple[Layer, ...]
    macros: Mapping[str, Macro]
    sites: Mapping[str, tuple[float, float]]


def read_lef(path: Path) -> Lef:
    """The file, which may be packed by gzip or xz. Raises FileError and InputError with the line."""
    content = unpack(read_bytes(path, MOST_BYTES), MOST_BYTES, path)
    return _Reader(content.decode("utf-8", "replace"), path).read()


class _Reader:
    """Goes through the words of a file once."""

    def __init__(self, text: str, file: Path) -> None:
        self._text, self._file = text, file
        self._words = (match for match in _TOKEN.finditer(text) if not match[0].startswith("#"))
        self._place = 0
        self._layers: list[Layer] = []
        self._macros: dict[str, Macro] = {}
        self._sites: dict[str, tuple[float, float]] = {}

    def read(self) -> Lef:
        while (word := self._next()) is not None:
            kind = word.upper()
            if kind == "LAYER":
                self._layer(self._name("LAYER"))
            elif kind == "MACRO":
                self._macro(self._name("MACRO"))
            elif kind == "SITE":
                self._site(self._name("SITE"))
            elif kind in _BLOCKS:
                self._pass_block(self._name(kind))
            elif kind in _SECTIONS:
                self._pass_block(kind)
            elif kind == "BEGINEXT":
                while self._word("BEGINEXT").upper() != "ENDEXT":
                    pass
            elif kind == "END":
                break
            elif word != ";":
                self._pass_statement(kind)
            if max(len(self._layers), len(self._macros), len(self._sites)) > MOST_ITEMS:
                raise self._fail(f"there must be at most {MOST_ITEMS} layers, macros or sites in a file")
        if not self._found_any:
            raise self._no_lef()
        return Lef(tuple(self._layers), self._macros, self._sites)

    @property
    def _found_any(self) -> bool:
        return bool(self._layers or self._macros or self._sites)

    def _no_lef(self) -> InputError:
        return InputError("must be a LEF file, and has no LAYER, MACRO or SITE", file=self._file)

    def _pass_statement(self, kind: str) -> None:
        while (word := self._next()) != ";":
            if word is None:
                raise self._fail(f"the file ends inside {kind[:60]}") if self._found_any else self._no_lef()

    def _layer(self, name: str) -> None:
        found: dict[str, float] = {}
        routing = False
        while (kind := self._word(f"LAYER {name}").upper()) != "END":
            words = self._rest(kind)
            if kind == "TYPE":
                routing = [word.upper() for word in words[:1]] == ["ROUTING"]
            elif kind == "WIDTH" and words:
                found[kind] = self._length(f"WIDTH of layer {name}", words[0])
            elif (kind, *(word.upper() for word in words[:1])) in (
                ("RESISTANCE", "RPERSQ"), ("CAPACITANCE", "CPERSQDIST")
            ):  # fmt: skip
                found[kind] = self._amount(f"{kind} of layer {name}", words[1] if len(words) > 1 else "")
            elif kind == "EDGECAPACITANCE" and words:
                found[kind] = self._amount(f"{kind} of layer {name}", words[0])
        self._end(name)
        if routing:
            self._layers.append(
                Layer(name, found.get("WIDTH"), found.get("RESISTANCE"), found.get("CAPACITANCE"),
                      found.get("EDGECAPACITANCE", 0.0))
            )  # fmt: skip

    def _site(self, name: str) -> None:
        size = None
        while (kind := self._word(f"SITE {name}").upper()) != "END":
            words = self._rest(kind)
            if kind == "SIZE":
                size = self._size(f"site {name}", words)
        self._end(name)
        if size is not None:
            self._sites[name] = size

    def _macro(self, name: str) -> None:
        if name in self._macros:
            raise self._fail(f"macro {name} must be there once")
        size, origin = None, (0.0, 0.0)
        pins: dict[str, tuple[float, float]] = {}
        while (kind := self._word(f"MACRO {name}").upper()) != "END":
            if kind == "PIN":
                pin = self._name("PIN")
                centre = self._pin(pin)
                if centre is not None:
                    pins[pin] = centre
            elif kind in ("OBS", "DENSITY"):
                while self._word(kind).upper() != "END":
                    pass
            else:
                words = self._rest(kind)
                if kind == "SIZE":
                    size = self._size(f"macro {name}", words)
                elif kind == "ORIGIN" and len(words) == 2:
                    origin = self._number("ORIGIN", words[0]), self._number("ORIGIN", words[1])
        self._end(name)
        if size is None:
            raise self._fail(f"macro {name} must state a SIZE")
        shifted = {pin: (x + origin[0], y + origin[1]) for pin, (x, y) in pins.items()}
        self._macros[name] = Macro(*size, shifted)

    def _pin(self, name: str) -> tuple[float, float] | None:
        """The centre of the box around the shapes of a pin; None where it has none."""
        xs: list[float] = []
        ys: list[float] = []
        while (kind := self._word(f"PIN {name}").upper()) != "END":
            if kind != "PORT":
                self._rest(kind)
                continue
            while (shape := self._word("PORT").upper()) != "END":
                words = self._rest(shape)
                if shape in ("RECT", "POLYGON"):
                    if words[:1] and words[0].upper() == "MASK":
                        words = words[2:]
                    numbers = [self._number(shape, word) for word in words]
                    if len(numbers) < 4 or len(numbers) % 2:
                        raise self._fail(f"{shape} of pin {name} must have pairs of coordinates, two or more")
                    xs += numbers[::2]
                    ys += numbers[1::2]
        self._end(name)
        return ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2) if xs else None

    def _pass_block(self, name: str) -> None:
        while True:
            if self._word(name).upper() == "END" and self._word(name) == name:
                return

    def _end(self, name: str) -> None:
        found = self._word(f"END {name}")
        if found != name:
            raise self._fail(f"END {name} is missing: found END {found[:40]}")

    def _rest(self, kind: str) -> list[str]:
        """The words to the next semicolon."""
        words = []
        while (word := self._word(kind)) != ";":
            words.append(word)
        return words

    def _size(self, what: str, words: list[str]) -> tuple[float, float]:
        if len(words) != 3 or words[1].upper() != "BY":
            raise self._fail(f"SIZE of {what} must be as in 0.76 BY 1.4")
        return self._length(f"SIZE of {what}", words[0]), self._length(f"SIZE of {what}", words[2])

    def _length(self, what: str, word: str) -> float:
        value = self._number(what, word)
        if not value > 0:
            raise self._fail(f"{what} must be above 0, not {short(word)}")
        return value

    def _amount(self, what: str, word: str) -> float:
        value = self._number(what, word)
        if value < 0:
            raise self._fail(f"{what} must be at least 0, not {short(word)}")
        return value

    def _number(self, what: str, word: str) -> float:
        value = float(word) if _NUMBER.fullmatch(word) else math.nan
        if not abs(value) <= MOST_UM:
            raise self._fail(f"{what} must be a number of at most {MOST_UM:g}, not {short(word)}")
        return value

    def _name(self, kind: str) -> str:
        name = self._word(kind)
        if name == ";" or len(name) > MOST_NAME:
            raise self._fail(f"{kind} must have a name of 1 to {MOST_NAME} characters, not {short(name)}")
        return name

    def _word(self, inside: str) -> str:
        word = self._next()
        if word is None:
            raise self._fail(f"the file ends inside {inside[:60]}")
        return word

    def _next(self) -> str | None:
        match = next(self._words, None)
        if match is None:
            return None
        self._place = match.start()
        return match[0]

    def _fail(self, sentence: str) -> InputError:
        line = self._text.count("\n", 0, self._place) + 1
        return InputError(sentence, file=self._file, place=f"line {line}")
