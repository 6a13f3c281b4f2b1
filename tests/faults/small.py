"""Commands that measure whole sets of designs, on a few of them: ``python -m tests.faults.small COMMAND ...``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from siliquant.commandline import run
from siliquant.files import torch_folder
from siliquant.processes import pin

__all__ = ["agree", "calibrate", "gates", "mutate", "prove", "record"]


def calibrate() -> None:
    """``calibrate`` of two designs, one of which is held out."""
    _run("calibrate", _calibrate)


def gates() -> None:
    """``gates`` of a design and a requantiser."""
    _run("gates", _gates)


def prove() -> None:
    """``prove`` of three designs and a requantiser."""
    _run("prove", _prove)


def mutate() -> None:
    """``mutate`` of two modules."""
    _run("mutate", _mutate)


def agree() -> None:
    """``agree`` of two modules."""
    _run("agree", _agree)


def record() -> None:
    """``docs_tools.record`` of a result that a command of a second makes."""
    _run("record", _record)


def _calibrate() -> None:
    from hwmodel.calibrate import main
    from hwmodel.measurement import SweepDesign
    from rtl.mac import UniformSpec

    specs = [UniformSpec(weight_bits=bits, activation_bits=2, lanes=1, reduction_length=16) for bits in (2, 3)]
    designs = [SweepDesign(specs[0], None, (1.0,), "lsq-gaussian")]
    main(None, [*designs, SweepDesign(specs[1], "width", (1.0,), "lsq-gaussian")])


def _gates() -> None:
    from hwmodel.gates import main
    from rtl.mac import UniformSpec
    from rtl.requant import ThresholdSpec

    mac = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=9)
    main(None, (mac, ThresholdSpec(accumulator_width=6, bits=2, groups=1)))


def _prove() -> None:
    from rtl.mac import UniformSpec, XnorSpec
    from rtl.requant import ThresholdSpec
    from sim.prove import main

    macs = [UniformSpec(weight_bits=bits, activation_bits=2, lanes=1) for bits in (2, 3)]
    main(None, (*macs, XnorSpec(lanes=2), ThresholdSpec(accumulator_width=8, bits=2)))


def _mutate() -> None:
    from rtl.mac import UniformSpec, XnorSpec
    from sim.mutants import Subject
    from sim.mutate import main

    specs = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=9), XnorSpec(lanes=2)
    main(None, tuple(map(Subject, specs)))


def _agree() -> None:
    from rtl.mac import UniformSpec, XnorSpec
    from sim.agree import main

    main(None, (UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=9), XnorSpec(lanes=2)))


def _record() -> None:
    from docs_tools import record as command

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    words = ("-m", "sim.prove", "--design", "xnor", "--lanes", "2", "--fresh")
    small = {"small": lambda: (command._written(*words), " ".join(words), ("amaranth",))}
    command.main(["small"], small, folder)


def _run(name: str, main: Callable[[], None]) -> None:
    """As ``siliquant NAME`` of the words on the command line."""
    pin()
    torch_folder()
    sys.argv = [f"siliquant {name}", *sys.argv[2:]]
    run(name, main)


MAINS = {each.__name__: each for each in (calibrate, gates, prove, mutate, agree, record)}

if __name__ == "__main__":
    MAINS[sys.argv[1]]()
