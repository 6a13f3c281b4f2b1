"""Generated Verilog is kept under all that decides it."""

import importlib
import sys
from pathlib import Path

import pytest

from rtl.array import ArraySpec
from rtl.mac import UniformSpec
from rtl.spec import MacSpec
from rtl.verilog import to_verilog
from sim.simulators import generated, generated_verilog

OWN = """
from dataclasses import dataclass
from rtl.mac import UniformSpec

@dataclass(frozen=True, kw_only=True)
class Mine(UniformSpec):
    design = "uniform"
    def datapath(self, builder):
        builder.set_controls(["activation_signed"], [[0], [1]])
        for weight, activation in zip(builder.fields("weights", 2), builder.fields("activations", 2)):
            signed = builder.bit("activation_signed")
            builder.heap.add_product(weight, activation, activation_signed=signed, negative=True)
"""
SIZE = {"weight_bits": 2, "activation_bits": 2, "lanes": 1}


@pytest.fixture(autouse=True)
def _cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SILIQUANT_CACHE_DIR", str(tmp_path / "cache"))


def own_design(folder: Path, text: str) -> MacSpec:
    (folder / "own_of_generated.py").write_text(text)
    sys.modules.pop("own_of_generated", None)
    importlib.invalidate_caches()
    return importlib.import_module("own_of_generated").Mine(**SIZE)  # type: ignore[no-any-return]


@pytest.mark.parametrize("place", ["alone", "array"])
def test_an_edit_of_a_design_that_is_not_ours_is_generated_anew(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    texts = []
    for text in (OWN, OWN.replace("builder.bit(", "0 * builder.bit("), OWN):
        mac = own_design(tmp_path, text)
        spec = mac if place == "alone" else ArraySpec(mac=mac, rows=1, columns=1)
        texts.append(generated_verilog([spec]))
        assert texts[-1] == to_verilog([spec])
    assert texts[0] == texts[2] != texts[1]
    assert generated_verilog([UniformSpec(**SIZE)]) == to_verilog([UniformSpec(**SIZE)])


def test_it_is_generated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = UniformSpec(**SIZE)
    text = generated_verilog([spec])
    monkeypatch.setattr(generated, "to_verilog", lambda specs: pytest.fail("it is generated again"))
    assert generated_verilog([spec]) == text


@pytest.mark.parametrize("name", ["siliquant", "amaranth", "pyosys"])
def test_another_version_generates_anew(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = UniformSpec(**SIZE)
    generated_verilog([spec])
    known = generated.package_version
    monkeypatch.setattr(generated, "package_version", lambda each: "another" if each == name else known(each))
    monkeypatch.setattr(generated, "to_verilog", lambda specs: "anew")
    generated._code_sha256.cache_clear()
    try:
        assert generated_verilog([spec]) == "anew"
    finally:
        generated._code_sha256.cache_clear()


def test_words_that_no_name_may_be_and_code_are_in_the_key_and_comments_are_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken: list[str] = []

    def noted(files, *more):  # type: ignore[no-untyped-def]
        taken.extend(str(file) for file in files)
        return "code"

    monkeypatch.setattr(generated, "code_sha256", noted)
    generated._code_sha256.cache_clear()
    try:
        generated_verilog([UniformSpec(**SIZE)])
        generated_verilog([UniformSpec(**SIZE, reduction_length=2)])
    finally:
        generated._code_sha256.cache_clear()
    names = ["/".join(Path(each).parts[-3:]) for each in taken]
    assert names.count("siliquant/inputs/quoting.py") == names.count("rtl/verilog/expressions.py") == 1  # of two calls
