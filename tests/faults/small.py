"""Commands that measure whole sets of designs, on a few of them: ``python -m tests.faults.small COMMAND ...``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from siliquant.commandline import run
from siliquant.files import torch_folder
from siliquant.processes import pin

__all__ = ["calibrate", "mutate", "prove", "record"]


def calibrate() -> None:
    """``calibrate`` of two designs, one of which is held out."""
    _run("calibrate", _calibrate)


def prove() -> None:
    """``prove`` of three designs and a requantiser."""
    _run("prove", _prove)


def mutate() -> None:
    """``mutate`` of two modules."""
    _run("mutate", _mutate)


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


def _prove() -> None:
    from rtl.mac import UniformSpec, XnorSpec
    from rtl.requant import ThresholdSpec
    from sim import prove as command

    macs = [UniformSpec(weight_bits=bits, activation_bits=2, lanes=1) for bits in (2, 3)]
    command.standard_macs = lambda: (*macs, XnorSpec(lanes=2))  # type: ignore[assignment]
    command.standard_units = lambda: (ThresholdSpec(accumulator_width=8, bits=2),)  # type: ignore[assignment]
    command.standard_arrays = lambda: ()  # type: ignore[assignment]
    command.main()


def _mutate() -> None:
    from rtl.mac import UniformSpec, XnorSpec
    from sim import mutate as command
    from sim.mutants import Subject

    specs = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=9), XnorSpec(lanes=2)
    command.standard_subjects = lambda: tuple(map(Subject, specs))  # type: ignore[assignment]
    command.main()


def _record() -> None:
    from docs_tools import record as command
    from docs_tools import results

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    results.RESULTS = command.ROOT = folder
    words = ("-m", "sim.prove", "--design", "xnor", "--lanes", "2", "--fresh")
    command.RECORDERS = {  # type: ignore[misc]
        "small": lambda: (command._written(*words), " ".join(words), ("amaranth",))
    }
    command.main(["small"])


def _run(name: str, main: Callable[[], None]) -> None:
    """As ``siliquant NAME`` of the words on the command line."""
    pin()
    torch_folder()
    sys.argv = [f"siliquant {name}", *sys.argv[2:]]
    run(name, main)


MAINS = {each.__name__: each for each in (calibrate, prove, mutate, record)}

if __name__ == "__main__":
    MAINS[sys.argv[1]]()
