"""Options that have no effect beside the others are refused, in every command that has some."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from siliquant.commandline.cli import Parser
from siliquant.inputs import InputError

MEASURES = "--synthesise, --check or a library without a cost model"
KNOWN = "--library sky130hd, ihp-sg13g2 or asap7"
BOTH = "--bits must not be given with both --weight-bits and --activation-bits"
REFUSED = [
    ("hwmodel.compare", "--off-chip-pj-per-bit 5", "--off-chip-pj-per-bit must be given with --model only"),
    ("hwmodel.compare", "--fresh", f"--fresh must be given with {MEASURES} only"),
    ("hwmodel.compare", "--effort=high", f"--effort must be given with {MEASURES} only"),
    ("hwmodel.compare", "--pdk-dir x", f"--pdk-dir must be given with {KNOWN} only"),
    ("hwmodel.synthesise", "--liberty x.lib --pdk-dir x", f"--pdk-dir must be given with {KNOWN} only"),
    ("hwmodel.calibrate", "--pdk-dir x", f"--pdk-dir must be given with {KNOWN} only"),
    ("hwmodel.synthesise", "--bits 4 --weight-bits 4 --activation-bits 4", BOTH),
    ("hwmodel.explain", "--bits 4 --weight-bits 4 --activation-bits 4", BOTH),
    ("hwmodel.latency", "--mix-widths 2,4", "--mix-widths must be given with --mean only"),
    ("hwmodel.latency", "--sensitivity x.csv", "--sensitivity must be given with --mean only"),
    ("sim.equivalence", "--checkpoint x --bits 4", "--bits must be given with --random only"),
    (
        "sim.equivalence",
        "--random deit-tiny --no-requantise --groups 2",
        "--groups must be given with requantisers (no --no-requantise) only",
    ),
    ("qat.train", "--out y --distill layers", "distill must be 'logits' without a teacher, not 'layers'"),
    ("qat.train", "--out y --crops-per-image 2", "crops_per_image must be given with soft_labels only"),
    ("qat.train", "--out y --new-head", "new_head must be given with start only"),
    ("qat.train", "--out y --obr 0 --obr-max-bits 3", "obr_max_bits must be given with obr only"),
    ("qat.softlabels", "--from-fkd x --data mnist5k --out y --seed 4", "--seed must be given with --teacher only"),
    ("qat.trace", "--model deit-tiny --tokens 9 --out y.json", "--tokens must be given with a network of texts only"),
]


@pytest.mark.parametrize(("module", "line", "sentence"), REFUSED)
def test_refused(module: str, line: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        import_module(module).main(line.split())
    assert str(caught.value) == sentence
    assert not list(tmp_path.iterdir())


def test_what_was_given_counts_also_where_it_is_the_default() -> None:
    made = Parser(prog="package.module", description=None)
    made.add_argument("--one", default="1", help="one")
    made.add_argument("--two", default="2", help="two")
    made.parse_args(["--two=2"])
    made.only_with("--one", True, "--two")
    made.only_with("--two", False, "--one")
    with pytest.raises(InputError, match=r"^--two must be given with --one only$"):
        made.only_with("--one", False, "--one", "--two")


@pytest.mark.parametrize("given", [["--place", ""], ["--place="]])
def test_an_empty_path(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    made = Parser(prog="package.module", description=None)
    made.add_argument("--place", type=Path, help="a place")
    with pytest.raises(SystemExit):
        made.parse_args(given)
    assert capsys.readouterr().err == "package.module: error: argument --place: must be a path, not ''\n"


@pytest.mark.parametrize("text", ["\u0664", "1_0", " 4", "+4", "04"])
def test_integers_of_argparse_are_those_of_all_options(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = Parser(prog="package.module", description=None)
    made.add_argument("--bits", type=int, help="bits")
    with pytest.raises(SystemExit):
        made.parse_args(["--bits", text])
    assert capsys.readouterr().err == f"package.module: error: argument --bits: invalid int value: {text!r}\n"
