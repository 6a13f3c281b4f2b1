"""What argparse says, in the same words whichever version of Python it comes with."""

from __future__ import annotations

import pytest

from siliquant.commandline.cli import Parser


def made() -> Parser:
    parser = Parser(prog="package.module", description="Does one thing.")
    parser.add_argument("--form", choices=("a", "b"), default="a", metavar="NAME", help="form")
    parser.add_argument("--node", type=int, choices=(22, 45), default=45, metavar="N", help="process")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--one", metavar="X", help="one")
    which.add_argument("--two", metavar="Y", help="two")
    return parser


SAID = [
    ("--form c --one 1", "argument --form: invalid choice: 'c' (choose from 'a', 'b')"),
    ("--node 7 --one 1", "argument --node: invalid choice: 7 (choose from 22, 45)"),
    ("--node x --one 1", "argument --node: invalid int value: 'x'"),
    ("--one", "argument --one: expected one argument"),
    ("--one 1 --two 2", "argument --two: not allowed with argument --one"),
    ("--form a", "one of the arguments --one --two is required"),
    ("--one 1 --for a", "unrecognized arguments: --for a"),
]


@pytest.mark.parametrize(("given", "said"), SAID)
def test_errors_are_worded_alike(given: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        made().parse_args(given.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"package.module: error: {said}\n"


def test_help_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in made().format_help()
