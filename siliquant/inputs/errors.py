"""The errors that a user can mend: one base, whose sentence is all that a command prints before it ends with code 2.

Whatever else reaches a command line is a fault of the program itself (:func:`siliquant.commandline.cli.run`, exit code
70), so code that reads what a user gives turns every foreign exception into one of these, at the place that knows file
and line.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "MOST_CHARACTERS",
    "FileError",
    "InputError",
    "InputTypeError",
    "MissingFileError",
    "PackageMissing",
    "SiliquantError",
    "ToolError",
    "integer_at",
    "middle_out",
    "printable",
    "require",
    "short",
    "without_controls",
]

MOST_CHARACTERS = 500
"""Characters of the longest message that a command prints for bad input."""


class SiliquantError(Exception):
    """What a user can mend, as a full sentence of at most MOST_CHARACTERS characters: of a longer one the middle is
    left out.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(middle_out(sentence, MOST_CHARACTERS))


class InputError(SiliquantError, ValueError):
    """A value that is not what it must be.

    file: where it was read. place: a line, a row, a key in that file, as text ("line 12"). The sentence begins with
    both, ``libs/x.lib, line 12: area must be a number from 0 to 1e9, not 'big'``, or with the file alone where it is of
    that: ``libs/x.lib must have at most 536870912 bytes``.
    """

    def __init__(self, sentence: str, *, file: str | Path | None = None, place: str | None = None) -> None:
        self.sentence, self.file, self.place = sentence, file, place
        where = ", ".join(str(part) for part in (file, place) if part is not None)
        joint = " " if place is None and sentence.startswith("must ") else ": "
        super().__init__(f"{where}{joint}{sentence}" if where else sentence)

    def inside(self, file: str | Path) -> InputError:
        """The same error with the file that its reader did not know."""
        return type(self)(self.sentence, file=file, place=self.place)


def require(right: bool, must: str, value: object, place: str) -> None:
    """Raises InputError with a place in a file, ``engines.mac: must be ..., not ...``, where that is not right.
    must: what it must be, in words.
    """
    if not right:
        raise InputError(f"must {must}, not {short(value)}", place=place)


def integer_at(value: object, low: int, high: int, place: str) -> int:
    """An integer of a JSON file. Raises InputError, with its place there, for what is none (``true``, ``1.0``) or
    not from ``low`` to ``high``.
    """
    must = f"be {low}" if low == high else f"be an integer from {low} to {high}"
    require(type(value) is int and low <= value <= high, must, value, place)
    assert isinstance(value, int)
    return value


class InputTypeError(InputError, TypeError):
    """A value of the wrong kind: a text where there must be a number."""


class FileError(InputError, OSError):
    """A file that is missing, unreadable, too large, or no regular file."""


class MissingFileError(FileError, FileNotFoundError):
    """A file that is not there."""


class ToolError(SiliquantError, RuntimeError):
    """A program that is missing, or that failed at what it was asked for."""


class PackageMissing(ToolError):  # noqa: N818 (it names a state of the machine, not a fault)
    """A package of Python that a program of ours needs is not installed; the message says how to get it."""


def printable(text: str) -> str:
    """The text on one line, without control characters: blanks for what is white space, ``?`` for the rest."""
    return without_controls(" ".join(text.split()))


def without_controls(text: str) -> str:
    """The text with ``?`` for each control character, such as those that a terminal obeys; blanks stay."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def short(value: object, most: int = 60) -> str:
    """``repr`` of a value for a message, its middle left out where it is longer than ``most`` characters."""
    if isinstance(value, str) and len(value) > 4 * most:  # a repr of what may be megabytes
        value = value[: 2 * most] + value[-most:]
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits, a value that holds itself
        text = f"a {type(value).__name__}"
    return middle_out(text, most)


def middle_out(text: str, most: int) -> str:
    """The text, its middle left out where it is longer than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]}...{text[3 + most * 2 // 3 - most :]}"
