"""Command lines: help that fits a screen, one line and exit code 2 for bad input, pipes that may be closed."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import select
import shutil
import sys
import tempfile
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from siliquant.files import FULL, sweep
from siliquant.inputs import (
    MOST_CHARACTERS,
    InputError,
    SiliquantError,
    decimal,
    middle_out,
    missing_package,
    no_memory,
    no_package,
    printable,
    short,
    whole,
)

__all__ = ["Once", "Parser", "called", "run"]

_WIDTH = 100  # columns of help, at most
_NAMES = 28  # columns of an option with its value


def called(prog: str) -> str:
    """The command as it was called: ``siliquant NAME`` where siliquant.main started it, else ``prog``."""
    return sys.argv[0] if sys.argv[0].startswith("siliquant ") else prog


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr.

    Help shows the default of every option that has one. In ``description`` and ``epilog`` paragraphs are filled and
    indented lines kept. A description may be a docstring: the command that it ends its first sentence with is left out.
    In the epilog ``python -m MODULE`` of this command reads as it was called. Options have no abbreviations, and one
    with a value stands once on a line, unless it is made to collect several (``action="append"``).
    """

    suggestions: dict[str, tuple[str, ...]]
    """Values for shell completion by destination, of options that check their values themselves."""

    def __init__(
        self, *, prog: str, description: str | None, epilog: str = "", add_help: bool = True, rare: bool = False
    ) -> None:
        self.suggestions = {}
        self.checks: list[Callable[[argparse.Namespace], None]] = []  # of lines that have no other error
        self.given: frozenset[str] = frozenset()
        self.stored: dict[str, Any] = {}
        self._hidden: argparse._ArgumentGroup | None = None
        self._all = False
        command = f"python -m {prog.removeprefix('python -m ')}"
        super().__init__(
            prog=called(prog),
            description=re.sub(r": ``python [^`]*``(?=\.)", "", description or ""),
            epilog=epilog.replace(command, called(command)),
            add_help=False,
            allow_abbrev=False,
            formatter_class=_Help,
        )
        self.register("action", None, Once)
        self.register("action", "store", Once)
        self.register("action", "last", _Last)
        self.register("type", Path, path)
        self.register("type", int, whole)  # int() and float() take digits of all scripts, and 1_0
        self.register("type", float, decimal)
        self.color = False  # from Python 3.14 argparse would colour its part of the help
        if add_help:
            self.add_argument("-h", "--help", action="help", help="show this help")
            self.add_argument("--version", action=_Version, help="show the version of siliquant")
        if rare:
            self.add_argument("--help-all", action=_HelpAll, help="show rarely needed options too")
            self._hidden = self.add_argument_group("rarely needed options")

    @property
    def rare(self) -> argparse._ActionsContainer:
        """Where options go that are rarely given: of a parser made with ``rare``, --help-all shows them."""
        return self._hidden or self

    def everything(self) -> None:
        """Adds options that otherwise depend on the value of another one: for shell completion. Here there are none."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse; ``given`` has the options that the line has."""
        line = sys.argv[1:] if args is None else list(args)
        # Options are never abbreviated, and no value begins with two hyphens.
        self.given = frozenset(text.partition("=")[0] for text in line if text.startswith("--"))
        self.stored = {}
        return super().parse_known_args(line, namespace)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As argparse; then what has to look outside the line, such as at folders."""
        found = super().parse_args(args, namespace)
        try:
            for check in self.checks:
                check(found)
        except argparse.ArgumentError as error:
            self.error(str(error))
        return found

    def only_with(self, needed: str, holds: bool, *options: str) -> None:
        """Raises InputError for the first of ``options`` that was given, where what gives it an effect does not hold.
        needed: that, in words, such as another option.
        """
        for option in () if holds else options:
            if option in self.given:
                raise InputError(f"{option} must be given with {needed} only")

    def error(self, message: str) -> NoReturn:
        """Ends the process with exit code 2, whether or not anybody reads why."""
        _say(_line(f"{self.prog}: error: ", printable(message)))
        sys.exit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help. Versions of Python differ in whether argparse raises where nobody reads it: here it does."""
        if message:
            (sys.stdout if file is None else file).write(message)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Words what is wrong itself, since versions of Python do it differently."""
        if action.choices is not None and value not in action.choices:
            known = ", ".join(map(repr, action.choices))
            raise argparse.ArgumentError(action, f"invalid choice: {short(value)} (choose from {known})")

    def format_help(self) -> str:
        """The help, at most 100 columns wide."""
        shown = self._action_groups
        self._action_groups = [group for group in shown if self._all or group is not self._hidden]
        try:
            return super().format_help()
        finally:
            self._action_groups = shown

    def format_everything(self) -> str:
        """The help with the options that are rarely given."""
        self._all = True
        try:
            return self.format_help()
        finally:
            self._all = False


def path(text: str) -> Path:
    """A path in an option. An empty one would be the current folder, which nobody means who says nothing; ``-`` is
    standard input or output elsewhere, and here a name that somebody may mean as ``./-``.
    """
    if text in ("", "-"):
        raise argparse.ArgumentTypeError(f"must be a path, not {text!r}")
    return Path(text)


class Once(argparse.Action):
    """Stores the value of an option, as argparse does, but does not forget one that the line had before."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _: str | None = None
    ) -> None:
        assert isinstance(parser, Parser)
        if self.option_strings and self.dest in parser.stored:
            before = parser.stored[self.dest]
            raise argparse.ArgumentError(self, f"must be given once, not as {_said(before)} and {_said(values)}")
        parser.stored[self.dest] = values
        setattr(namespace, self.dest, values)


class _Last(argparse.Action):
    """Stores the value that the line has last, of commands whose lines begin with what all runs of a study share."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, _: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)


def _said(value: Any) -> str:
    return short(str(value) if isinstance(value, Path) else value)


class _HelpAll(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002 (argparse's name)
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        assert isinstance(parser, Parser)
        print(parser.format_everything(), end="")
        parser.exit()


class _Version(argparse.Action):
    """The version is looked up when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002 (argparse's name)
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"siliquant {version('siliquant')}")
        parser.exit()


class _Help(argparse.HelpFormatter):
    """One line of usage with what must be given, defaults, filled paragraphs; 100 columns or the terminal's."""

    def __init__(self, prog: str) -> None:
        columns = shutil.get_terminal_size((_WIDTH, 24)).columns
        super().__init__(prog, max_help_position=_NAMES, width=min(_WIDTH, columns))

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        """The program, [options], and those that are required."""
        choices = [group for group in groups if group.required]
        parts = ["%(prog)s [options]"]
        parts += [f"({' | '.join(map(self._form, group._group_actions))})" for group in choices]
        parts += [self._form(action) for action in actions if action.required]
        super().add_usage(usage or " ".join(parts), [], [], prefix)

    def _form(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return self._format_args(action, self._get_default_metavar_for_positional(action))
        return self._format_action_invocation(action)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """``-h, --help`` and ``--out DIR``."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"

    def _get_help_string(self, action: argparse.Action) -> str:
        text, bracket, default = (action.help or "").partition(" (default")
        if action.choices is not None and action.metavar is not None:
            text = f"{text}: {', '.join(map(str, action.choices))}"
        value = action.default
        plain = value is None or isinstance(value, bool) or value == [] or value == argparse.SUPPRESS
        return f"{text}{bracket}{default}" if plain or bracket else f"{text} (default %(default)s)"

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(
            line if verbatim else textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
            for verbatim, line in _paragraphs(text)
        )


def _paragraphs(text: str) -> Iterator[tuple[bool, str]]:
    """Lines to be kept (True: indented or empty) and paragraphs (False), in order."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip() and not line.startswith(" "):
            lines.append(line)
            continue
        if lines:
            yield False, " ".join(lines)
            lines = []
        yield True, line
    if lines:
        yield False, " ".join(lines)


class _OutputClosed(Exception):  # noqa: N818 (it says what happened)
    """Nobody reads standard output any more."""


def run(prog: str, main: Callable[[], None]) -> NoReturn:
    """Runs ``main`` and exits.

    0: done. 2: a SiliquantError, an OSError or no memory, as one line of at most 500 characters. 130: Ctrl-C. 70:
    anything else, which is a fault of the program: one line that names a file with the traceback. ``--traceback`` among
    the arguments shows it instead, here and for the others. Where standard output is closed early, as by ``| head``,
    what would have ended with 0 ends with 1 and without a word. An error keeps its code, whoever reads it.
    """
    shown = "--traceback" in sys.argv
    try:
        _open_standard_streams()
        if shown:
            sys.argv = [argument for argument in sys.argv if argument != "--traceback"]
        sweep()
        _with_output(main)
    except _OutputClosed:
        sys.exit(1)
    except KeyboardInterrupt:
        _say(f"{called(prog)}: interrupted")
        sys.exit(130)
    except Exception as error:
        if not isinstance(error, SiliquantError | OSError) and _explained(error) is None:
            _fault(prog, error, shown)
        if shown:
            _say(traceback.format_exc().rstrip())
        _say(_line(f"{called(prog)}: error: ", _sentence(error)))
        sys.exit(2)
    finally:
        _flush_or_drop(sys.stderr)
    sys.exit(0)


def _fault(prog: str, error: Exception, shown: bool) -> NoReturn:
    """Says that the program itself is wrong."""
    if shown:
        _say(traceback.format_exc().rstrip())
    _say(_line(f"{called(prog)}: a fault of siliquant itself, {_kept(error, shown)}: ", _sentence(error)))
    sys.exit(70)


def _open_standard_streams() -> None:
    """Where the caller closed a standard stream (``>&-``), nothing reads it and nothing is read: it is the null device.

    Otherwise the next file that is opened would be taken for it. Standard error may lie on a full disk.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # it is the lowest that is free, which the next file gets
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_RDWR)
            os.set_inheritable(number, True)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("r" if name == "stdin" else "w")  # noqa: SIM115 (open until the end)
            setattr(sys, name, stream)
    given = sys.__stderr__
    if given is not None and sys.stderr is given:
        log = io.BufferedWriter(_Log(given.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(log, given.encoding, given.errors, line_buffering=True, write_through=True)


class _Log(io.FileIO):
    """Standard error. Where its disk is full, what is said is lost, and not the work. It may be a pipe that does not
    block, as another program made it: a full one is waited for.
    """

    def write(self, data: Any, /) -> int:
        try:
            while (written := super().write(data)) is None:
                room = select.poll()
                room.register(self.fileno(), select.POLLOUT)
                room.poll()
        except OSError as error:
            if error.errno not in FULL:
                raise
            return len(data)
        return written


def _sentence(error: Exception) -> str:
    """What an error says, on one line that no terminal obeys."""
    text = str(error)
    if (why := _explained(error)) is not None:
        text = why
    elif isinstance(error, OSError) and error.strerror is not None:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
        if error.errno in FULL:
            text += f"; free some space where this command writes, or in {os.environ.get('TMPDIR') or '/tmp'} (TMPDIR)"
    elif not isinstance(error, SiliquantError | OSError):
        text = f"{type(error).__name__}: {text}"
    return printable(text)


def _explained(error: Exception) -> str | None:
    """What a user can do where memory or a package is missing; None of other errors."""
    if (why := no_memory(error)) is not None:
        return why
    package = missing_package(error) if isinstance(error, ModuleNotFoundError) else None
    return no_package(package) if package is not None else None


def _line(start: str, text: str) -> str:
    """Both on one line of at most MOST_CHARACTERS characters: of a longer one the middle of `text` is left out."""
    most = max(MOST_CHARACTERS - len(start), 80)  # a name that is very long leaves so many for what is wrong
    return f"{start}{middle_out(text, most)}"


def _kept(error: Exception, shown: bool) -> str:
    """Writes the traceback into the folder for temporary files; says where, or how to see it."""
    if shown:
        return "with the traceback above"
    lines = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="siliquant-traceback-", suffix=".txt")
        with os.fdopen(handle, "w") as stream:
            stream.write(f"{' '.join(sys.argv)}\n\n{lines}")
    except (OSError, ValueError):
        return "shown in full with --traceback"
    return f"with the traceback in {name}"


def _say(text: str) -> None:
    """A line on standard error, if anybody reads it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(text, file=sys.stderr)


def _with_output(main: Callable[[], None]) -> None:
    """``main``, and then what is still in the buffer of standard output. How ``main`` ended stands: an error of the
    buffer is the command's only where it did well.
    """
    try:
        try:
            main()
        except SystemExit as ended:
            if not ended.code:
                sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        if _nobody_reads():
            raise _OutputClosed from None
        raise
    finally:
        _flush_or_drop(sys.stdout)


def _flush_or_drop(stream: TextIO) -> None:
    """Writes what is still in a buffer. Where that cannot be, it is lost: the interpreter would try again as it ends,
    complain, and end with another code.
    """
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _nobody_reads() -> bool:
    """Whether standard output is a pipe without a reader: the broken pipe may also be one to a child."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False
