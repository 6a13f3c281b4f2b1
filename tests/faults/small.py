"""Commands that measure whole sets of designs, on a few of them: ``python -m tests.faults.small COMMAND ...``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from siliquant.commandline import run
from siliquant.files import torch_folder
from siliquant.processes import pin

__all__ = ["calibrate", "mutate", "prove", "record"]


def calibrate() -> None:
    """``calibrate`` of two designs, one of which is held out."""
    from hwmodel.calibrate import PROG, main
    from hwmodel.measurement import SweepDesign
    from rtl.mac import UniformSpec

    specs = [UniformSpec(weight_bits=bits, activation_bits=2, lanes=1, reduction_length=16) for bits in (2, 3)]
    designs = [SweepDesign(specs[0], None, (1.0,), "lsq-gaussian")]
    designs.append(SweepDesign(specs[1], "width", (1.0,), "lsq-gaussian"))
    _run("calibrate", PROG, lambda: main(None, designs))


def prove() -> None:
    """``prove`` of three designs and a requantiser."""
    from rtl.mac import UniformSpec, XnorSpec
    from rtl.requant import ThresholdSpec
    from sim import prove as command

    macs = [UniformSpec(weight_bits=bits, activation_bits=2, lanes=1) for bits in (2, 3)]
    command.standard_macs = lambda: (*macs, XnorSpec(lanes=2))  # type: ignore[assignment]
    command.standard_units = lambda: (ThresholdSpec(accumulator_width=8, bits=2),)  # type: ignore[assignment]
    _run("prove", command.PROG, command.main)


def mutate() -> None:
    """``mutate`` of two modules."""
    from rtl.mac import UniformSpec, XnorSpec
    from sim import mutate as command

    specs = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=9), XnorSpec(lanes=2)
    command.mutated_specs = lambda: specs  # type: ignore[assignment]
    _run("mutate", command.PROG, command.main)


def record() -> None:
    """``docs_tools.record`` of a result that a command of a second makes."""
    from docs_tools import record as command
    from docs_tools import results

    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    results.RESULTS = command.RESULTS = folder
    words = ("-m", "sim.prove", "--design", "xnor", "--lanes", "2", "--fresh")
    recorders: Mapping[str, Callable[[], command.Recorded]] = {
        "small": lambda: (command._written(*words), " ".join(words), ("amaranth",))
    }
    command.RECORDERS = recorders  # type: ignore[misc]
    _run("record", command.PROG, lambda: command.main(["small"]))


def _run(name: str, prog: str, main: Callable[[], None]) -> None:
    """As ``siliquant NAME`` of the words on the command line."""
    pin()
    torch_folder()
    sys.argv = [f"siliquant {name}", *sys.argv[2:]]
    run(prog, main)


MAINS = {each.__name__: each for each in (calibrate, prove, mutate, record)}

if __name__ == "__main__":
    MAINS[sys.argv[1]]()
