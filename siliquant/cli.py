"""Command lines that answer bad input with one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["Parser", "run"]


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line on stderr; defaults are shown by ``--help``."""

    def __init__(self, *, prog: str, description: str | None, epilog: str = "", add_help: bool = True) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            add_help=add_help,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Ends the process with exit code 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def run(prog: str, main: Callable[[], None]) -> NoReturn:
    """Runs ``main`` and exits: 0, 2 after a TypeError, ValueError or OSError (bad input, one line), 130 after Ctrl-C.

    Errors of the program itself keep their traceback.
    """
    try:
        main()
    except (TypeError, ValueError, OSError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        print(f"{prog}: error: {' '.join(text.split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
