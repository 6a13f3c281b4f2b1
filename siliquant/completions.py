"""Completion of ``siliquant`` in a shell: a script with every command and option, printed once and sourced."""

from __future__ import annotations

from argparse import Action, ArgumentParser
from pathlib import Path

import shtab

from siliquant.commandline import Parser, installed

__all__ = ["completion"]


def completion(root: Parser, shell: str) -> str:
    """The script for bash, zsh or fish. Options are those of every design; names and folders are completed too.

    root: the parser of what stands before a command.
    """
    commands = root.add_subparsers(parser_class=ArgumentParser)
    for command in installed():
        try:
            options = command.make_parser()
        except ModuleNotFoundError:  # an optional package that it needs
            continue
        options.everything()
        for action in options._actions:
            _suggest(options, action)
        commands.add_parser(command.name, parents=[options], add_help=False, prog=f"siliquant {command.name}",
                            help=command.summary)  # fmt: skip
    return f"{shtab.complete(root, shell=shell).rstrip()}\n"


def _suggest(options: Parser, action: Action) -> None:
    """What may stand behind an option: a path, or one of some names."""
    if action.type is Path:
        action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
    elif action.choices is None:
        action.choices = options.suggestions.get(action.dest)
    action.help = (action.help or "").partition(" (default")[0]
