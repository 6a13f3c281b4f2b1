"""The hash over what source does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from siliquant.files.cache import keep
from siliquant.files.source import code_sha256, meaning
from siliquant.inputs.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


def written(folder: Path, text: str, name: str = "one.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


CODE = 'def f(x):\n    """Says this."""\n    return x + 1  # why\n'


def test_comments_docstrings_and_layout_change_nothing_and_code_does(tmp_path: Path) -> None:
    one = code_sha256([written(tmp_path / "a", CODE)])
    assert code_sha256([written(tmp_path / "b", "def f(x):\n\n        return x \\\n +  1\n")]) == one
    assert code_sha256([written(tmp_path / "c", CODE.replace("+ 1", "+ 2"))]) != one
    assert code_sha256([written(tmp_path / "d", CODE, "two.py")]) != one
    assert code_sha256([written(tmp_path / "a", CODE)], "1.0") != one


def test_order_does_not_count_and_other_files_are_not_looked_at(tmp_path: Path) -> None:
    files = [written(tmp_path, f"x = {index}\n", f"{name}.py") for index, name in enumerate("abc")]
    assert code_sha256(files) == code_sha256([*reversed(files), written(tmp_path, "not Python", "data.json")])


def test_the_answer_is_kept_and_a_damaged_one_is_found_again(tmp_path: Path, cache: Path) -> None:
    file = written(tmp_path, CODE)
    found = code_sha256([file])
    (kept,) = (cache / "source").iterdir()
    assert kept.read_text().startswith(found + "\n")
    other = "0" * 64
    assert keep(kept, other, cache)
    assert code_sha256([file]) == other  # it is what is read
    for damaged in ("damaged", other, f"{found}\n# sha256 {other}\n"):
        kept.write_text(damaged)
        assert code_sha256([file]) == found


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(written(tmp_path, "a file", "cache-file")))
    assert len(code_sha256([written(tmp_path, CODE)])) == 64


# What later versions of Python read otherwise: strings within formatted ones, over lines, with braces.
TRAPS = r"""
'A docstring.'
from pathlib import Path
x, names = 1, {"ü": [0x_FF, 1e-3, 0o17]}
a = f"{x!r:>{10}} {{}} ü {names['ü'][0]:,.3f}" rf"\d{x}" "plain"  # 𐐀
b = f\'\'\'first {x}
  second {f"{x + 1}" + "y"} {
    x}\'\'\'
c = (f'{x=}', f"{'{'}", f'{(y := x)}', b"\x00", F"{x}")
def g(y: int = 1, /, *z: str) -> None:
	'doc'

	return y \
  + 1
""".replace("\\'", "'")
HASH = "863e75dc503ae2bb2323421184a69b21752426ba50c919872e9a69b30621f1d0"
PRINTED = """
import json, sys
sys.path.insert(0, sys.argv[1])
from siliquant.files.source import meaning
print(json.dumps([meaning(text) for text in json.load(sys.stdin)]))
"""


def interpreters() -> list[str]:
    """Every Python from 3.11 to 3.14 that is found here and runs."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    known = [path for minor in range(11, 15) for path in home.glob(f"versions/3.{minor}.*/bin/python3")]
    found = [*map(str, known), *filter(None, (shutil.which(f"python3.{minor}") for minor in range(11, 15)))]
    return [each for each in found if not subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode]


def test_every_version_of_python_reads_the_same(tmp_path: Path) -> None:
    sources = [TRAPS, *(path.read_text() for path in sorted(ROOT.glob("rtl/*.py")))]
    expected = [meaning(text) for text in sources]
    for python in interpreters():
        done = subprocess.run(
            [python, "-I", "-c", PRINTED, str(ROOT)],
            input=json.dumps(sources), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == expected, python
    # Where there is only one version: what all of them found.
    assert hashlib.sha256(expected[0].encode()).hexdigest() == HASH


def test_formatted_strings_keep_their_text() -> None:
    assert meaning('x = f"a{b}  {c!r}"\n') == "\0".join(["x", "=", 'f"a{b}  {c!r}"'])
    assert meaning('x = f"{a}"\n') != meaning('x = f"{b}"\n')
    assert meaning('f"{a()}"\n') != ""
    assert meaning('"plain" r"text"\n') == ""


def test_what_is_no_python_is_named(tmp_path: Path) -> None:
    for text in ("x = (\n", "def f(:\n  x\n y\n", "x = '''"):
        with pytest.raises(InputError, match=r"^one\.py: source must be Python, and is none: "):
            code_sha256([written(tmp_path, text)])


OWN = """
from dataclasses import dataclass
from beside import NUMBER
from rtl.mac import UniformSpec

@dataclass(frozen=True, kw_only=True)
class Mine(UniformSpec):
    design = "uniform"
    def datapath(self, builder):
        return NUMBER

@dataclass(frozen=True, kw_only=True)
class Other(UniformSpec):
    design = "uniform"
"""
ASKED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import own
from hwmodel.model.features import _key
from hwmodel.measurement.keys import code_of, design_name, generator_key
from rtl.array import CoreSpec
from rtl.mac import UniformSpec
kinds = (own.Mine, own.Other, UniformSpec)
specs = [kind(weight_bits=2, activation_bits=2, lanes=1) for kind in kinds]
specs += [CoreSpec(mac=spec, rows=2, columns=2) for spec in specs]
keys = [[generator_key(s), code_of(s), design_name(s)] for s in specs] + [[_key(s)] for s in specs[:3]]
print(json.dumps(keys))
"""


def asked(folder: Path) -> list[list[str | None]]:
    done = subprocess.run(
        [sys.executable, "-c", ASKED, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    keys: list[list[str | None]] = json.loads(done.stdout)
    return keys


def test_a_design_of_another_module_is_kept_under_the_code_of_that_module(tmp_path: Path) -> None:
    """Even where its name and parameters are those of one of ours, which must not be taken for it."""
    own, beside = written(tmp_path, OWN, "own.py"), written(tmp_path, "NUMBER = 1\n", "beside.py")
    first = asked(tmp_path)
    mine, other, ours, *cores = first[:6]
    assert len({mine[0], other[0], ours[0], *(core[0] for core in cores)}) == 6
    assert [each[2] is None for each in first[:6]] == [True, True, False, True, True, False]
    assert len({key for (key,) in first[6:]}) == 3
    assert asked(tmp_path) == first
    beside.write_text("NUMBER = 2\n")
    second = asked(tmp_path)
    own.write_text(OWN.replace("return NUMBER", "return NUMBER + 1"))
    third = asked(tmp_path)
    for index in range(9):
        same = index % 3 == 2  # ours
        assert len({str(each[index]) for each in (first, second, third)}) == (1 if same else 3)


def test_a_class_without_a_file_is_like_none_of_another_process() -> None:
    program = (
        "from hwmodel.measurement.keys import generator_key; from rtl.mac import UniformSpec\n"
        "class Mine(UniformSpec): pass\n"
        "assert generator_key(Mine()) == generator_key(Mine())\nprint(generator_key(Mine()))\n"
    )
    found = {
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 2
