"""Options that several commands have: each with one name, one sentence of help and one way to read it."""

from __future__ import annotations

from argparse import Action, ArgumentError, Namespace, _ActionsContainer
from pathlib import Path

from siliquant.files import check_place
from siliquant.inputs import FileError, integer
from siliquant.processes import cores

from .cli import Parser

__all__ = [
    "MOST_JOBS",
    "add_batch_size",
    "add_checkpoint",
    "add_format",
    "add_jobs",
    "add_out_file",
    "add_out_folder",
    "add_samples",
    "read_jobs",
]

MOST_JOBS = 1024


def add_out_folder(parser: Parser, holds: str, default: str | None = None, *, required: bool = False) -> Action:
    """``--out DIR``; ``holds``: what is written there."""
    return parser.add_argument(
        "--out", type=Path, metavar="DIR", default=None if default is None else Path(default), required=required,
        help=f"output folder: {holds}",
    )  # fmt: skip


def add_out_file(parser: Parser, holds: str, *, required: bool = False) -> Action:
    """``--out FILE``; ``holds``: what is written there. A place that cannot be written is told before anything is
    done for it.
    """
    action = parser.add_argument("--out", type=Path, metavar="FILE", required=required, help=f"output file: {holds}")

    def check(options: Namespace) -> None:
        try:
            if options.out is not None:
                check_place(options.out)
        except FileError as error:
            raise ArgumentError(action, str(error)) from None

    parser.checks.append(check)
    return action


def add_format(parser: Parser, *forms: str) -> Action:
    """``--format``, by default the first of ``forms``."""
    return parser.add_argument("--format", choices=forms, default=forms[0], metavar="NAME", help="what is printed")


def add_jobs(parser: _ActionsContainer, default: int | None = None) -> Action:
    """``--jobs N``, as text for :func:`read_jobs`."""
    text = "" if default else " (default: the processor's cores)"
    return parser.add_argument(
        "--jobs", metavar="N", default=None if default is None else str(default), help=f"work done side by side{text}"
    )


def read_jobs(text: str | None) -> int:
    """The number in ``--jobs``, 1 to 1024; of cores where it was not given. Raises ValueError."""
    return cores() if text is None else integer("jobs", text, 1, MOST_JOBS)


def add_checkpoint(parser: _ActionsContainer, *, integers: bool = False, required: bool = False) -> Action:
    """``--checkpoint DIR``: a run, or with ``integers`` also what was exported of one."""
    folder = "folder of a trained run" + (", or of its exported integers" if integers else "")
    return parser.add_argument("--checkpoint", type=Path, metavar="DIR", help=folder, required=required)


def add_samples(parser: Parser, default: int | None, more: str = "") -> Action:
    """``--samples N``."""
    return parser.add_argument(
        "--samples", type=int, metavar="N", default=default, help=f"test samples, images or texts{more}"
    )


def add_batch_size(parser: Parser, default: int) -> Action:
    """``--batch-size N``."""
    return parser.add_argument(
        "--batch-size", metavar="N", default=str(default), help="samples at a time, 1 to 1048576"
    )
