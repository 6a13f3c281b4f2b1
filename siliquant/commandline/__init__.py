"""Command lines: help that fits, one line and exit code 2 for bad input, options that several commands share.

Read ``cli``, ``options``, ``commands`` (the list of all), ``terminal`` (tables that fit), ``progress``,
``loading`` (large packages).
"""

from __future__ import annotations

from .cli import Parser, called, run
from .commands import Command, command_named, installed
from .loading import loading
from .options import (
    add_batch_size,
    add_checkpoint,
    add_format,
    add_jobs,
    add_out_file,
    add_out_folder,
    add_samples,
    read_jobs,
)
from .progress import working
from .terminal import console, print_notes, print_table

__all__ = [
    "Command",
    "Parser",
    "add_batch_size",
    "add_checkpoint",
    "add_format",
    "add_jobs",
    "add_out_file",
    "add_out_folder",
    "add_samples",
    "called",
    "command_named",
    "console",
    "installed",
    "loading",
    "print_notes",
    "print_table",
    "read_jobs",
    "run",
    "working",
]
