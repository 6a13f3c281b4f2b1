"""What code is compiled for."""

import platform

import pytest

from siliquant.processes import native_flags, processor


def test_a_processor_is_the_same_when_asked_again() -> None:
    assert processor() == processor() != ""


@pytest.mark.parametrize(
    ("machine", "flags"), [("x86_64", ("-march=native",)), ("aarch64", ("-march=native",)), ("riscv64", ())]
)
def test_compilers_get_an_option_that_they_know(
    machine: str, flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert native_flags() == flags
