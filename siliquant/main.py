"""``siliquant COMMAND``: one entry to the commands of all packages. Only what a command needs is loaded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from siliquant.commandline import Command, Parser, command_named, installed, run
from siliquant.files import torch_folder
from siliquant.inputs import InputError, missing_package
from siliquant.processes import pin

__all__ = ["main", "parser"]

PROG = "siliquant"
SHELLS = ("bash", "zsh", "fish")
EPILOG = """\
siliquant COMMAND --help shows the options of a command; python -m MODULE is the same command. docs/commands.md has
what they share, and how to complete them in a shell. --traceback, with any command, shows where an error was raised.

examples:
  siliquant compare --bits 2,3,4
  siliquant gen --design uniform --lanes 16 --out build/
  siliquant --print-completion bash"""


def parser() -> Parser:
    """The options before a command."""
    known = installed()
    width = max(len(command.name) for command in known)
    lines = "\n".join(f"  {command.name:<{width}}  {command.summary}" for command in known)
    made = Parser(
        prog=PROG,
        description="Hardware for low-bit transformers: RTL, synthesis, a cost model, training, and the proof that all "
        f"agree.\n\ncommands:\n{lines}",
        epilog=EPILOG,
    )
    made.usage = "%(prog)s COMMAND [options]"
    made.add_argument("--print-completion", choices=SHELLS, metavar="SHELL", help="print completions for a shell")
    return made


def main() -> NoReturn:
    """The entry point; exits as :func:`siliquant.commandline.cli.run` does."""
    pin()
    torch_folder()
    run(PROG, start)


def start(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that the arguments name.

    Raises ValueError where there is none of that name, or a package that it needs is not installed.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given or given[0].startswith("-"):
        shell = parser().parse_args(given or ["--help"]).print_completion  # all other options end it
        from .completions import completion

        print(completion(parser(), shell), end="")
        return
    command = command_named(given[0])
    # A command sees what it would see as python -m MODULE; siliquant.commandline.cli.called reads how it was called.
    sys.argv = [f"{PROG} {command.name}", *given[1:]]
    try:
        if command.parser:  # so that help and bad options are answered before anything heavy is loaded
            command.make_parser().parse_args()
        command.run()
    except ModuleNotFoundError as error:
        package = missing_package(error)
        if package is None:  # a fault of ours
            raise
        raise InputError(_missing(command, package)) from error


def _missing(command: Command, package: str) -> str:
    wanted = f".[{command.extra}]" if command.extra else "."
    return (
        f"{command.name} needs the package {package}, which is not installed: make setup installs everything, "
        f"pip install '{wanted}' in the checkout what this command needs"
    )


if __name__ == "__main__":
    main()
