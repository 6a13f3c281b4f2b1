"""What code is compiled for."""

import platform
from pathlib import Path

import pytest

from siliquant.processes import native_flags, processor

INFO = """processor\t: {number}
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: A processor
cpu MHz\t\t: {mhz}
flags\t\t: fpu {flag}
"""


def test_a_processor_is_its_model_and_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not its cores, nor how fast they run just now."""

    def with_cores(*cores: tuple[float, str]) -> str:
        text = "\n".join(INFO.format(number=number, mhz=mhz, flag=flag) for number, (mhz, flag) in enumerate(cores))
        monkeypatch.setattr(Path, "read_text", lambda path, **_: text if str(path) == "/proc/cpuinfo" else "")
        return processor()

    one = with_cores((2000.0, "avx2"))
    assert one == "cpu family\t: 6\nflags\t\t: fpu avx2\nmodel\t\t: 143\nmodel name\t: A processor"
    assert with_cores((2000.0, "avx2"), (3100.5, "avx2")) == one
    assert with_cores((2000.0, "avx512f")) == one.replace("avx2", "avx512f")


def test_a_system_without_that_file_names_its_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path, **_: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert processor() == "arm"


@pytest.mark.parametrize(
    ("machine", "flags"), [("x86_64", ("-march=native",)), ("aarch64", ("-march=native",)), ("riscv64", ())]
)
def test_compilers_get_an_option_that_they_know(
    machine: str, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert native_flags() == flags
