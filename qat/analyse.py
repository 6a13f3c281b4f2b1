"""Why a network is hard to quantise: sensitivity, outliers, oscillation: ``python -m qat.analyse``."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qat.settings import check_samples
from siliquant.commandline import console, print_notes, print_table, run, working
from siliquant.files import alone, write_atomically
from siliquant.inputs import integer, number, number_list, printable

from .parsers import analyse as parser
from .parsers import read_workers

if TYPE_CHECKING:
    from qat.analysis import Bench, Sensitivity, Settings, Subject

PROG = "python -m qat.analyse"
FORMAT = "siliquant-analysis 1"
_MOST_EPOCHS = 1_000_000
Report = Callable[[str], None]


@dataclass(frozen=True)
class _Asked:
    """Numbers of a command line, in range. samples: None where all are measured."""

    bits: tuple[int, ...]
    epochs: int
    lr: float
    convnet_epochs: int
    samples: int | None
    batch_size: int
    seed: int
    workers: int | None

    @classmethod
    def of(cls, options: Namespace) -> _Asked:
        if options.samples is not None:
            check_samples(options.samples)
        bits = number_list("bits", options.bits, lambda name, text: integer(name, text, 2, 8), 7)
        return cls(
            bits=tuple(sorted(bits)),
            epochs=integer("epochs", options.epochs, 0, _MOST_EPOCHS),
            lr=number("lr", options.lr, 0, 1e38),
            convnet_epochs=integer("convnet_epochs", options.convnet_epochs, 0, _MOST_EPOCHS),
            samples=options.samples,
            batch_size=integer("batch_size", options.batch_size, 1, 1 << 20),
            seed=integer("seed", options.seed, 0, (1 << 64) - 1),
            workers=read_workers(options),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    asked = _Asked.of(options)
    made.only_with("--epochs above 0", asked.epochs > 0, "--lr")

    from qat.analysis import Settings, open_subject, read_runs
    from qat.training import device_named

    device = device_named(options.device)
    folders = options.runs or []
    runs = read_runs(folders or _own(options.checkpoint))
    subject = open_subject(
        options.checkpoint, options.data, tokenizer=options.tokenizer, samples=asked.samples, seed=asked.seed
    )
    made.only_with("data of images", not subject.texts, "--convnet-epochs")
    for remark in subject.remarks:
        print(printable(remark), file=sys.stderr)
    settings = Settings(
        bits=asked.bits, epochs=asked.epochs, lr=asked.lr, batch_size=asked.batch_size, seed=asked.seed,
        workers=asked.workers, by_layer=options.by_layer, by_head=options.by_head, device=device,
    )  # fmt: skip
    with alone(options.out, "analysis"):
        found = _analysed(subject, settings, asked, runs, options.out)
        written = _written(found, options.out)
    _print(found, written)


def _own(checkpoint: Path) -> list[Path]:
    """The folder itself, where it is a run with oscillating weights."""
    from qat.training import read_record

    quantised = (checkpoint / "run.json").exists() and read_record(checkpoint).scheme is not None
    return [checkpoint] if quantised and (checkpoint / "metrics.jsonl").exists() else []


def _analysed(subject: Subject, settings: Settings, asked: _Asked, runs: Sequence[Any], folder: Path) -> dict[str, Any]:
    """All of an analysis as plain data; what is measured is kept in `folder` as it is made."""
    from qat.analysis import Bench, Store, code_version, count, groups, measure

    key = {**subject.key(), "code": code_version(), "device": settings.device.type}
    store = Store(folder / "measurements", key, lambda text: print(printable(text), file=sys.stderr))
    bench = Bench(subject, settings, store)
    images = not subject.texts and asked.convnet_epochs > 0
    with _shown(count(bench) + 1 + images) as report:
        sensitivity = measure(bench, report)
        outliers = _outliers(bench, report, asked.convnet_epochs if images else 0)
    found = {
        "format": FORMAT,
        "subject": {
            "source": subject.source.absolute().name,
            "model": type(subject.model).__name__,
            "parameters": sum(each.numel() for each in subject.model.parameters()),
            "data": subject.data.name,
            "samples": len(subject.data.test.labels),
            "seen": subject.seen,
        },
        "settings": {
            "bits": list(settings.bits), "epochs": settings.epochs, "lr": settings.lr if settings.epochs else None,
            "seed": settings.seed, "by_layer": settings.by_layer, "by_head": settings.by_head,
        },
        "sensitivity": _plain(sensitivity),
        "outliers": outliers,
        "oscillation": {
            "runs": [asdict(run) for run in runs],
            "groups": [
                {"runs": [run.name for run in group.runs],
                 "correlations": {name: asdict(each) for name, each in group.correlations.items()}}
                for group in groups(runs)
            ],
        },
        "versions": {name: version(name) for name in ("siliquant", "torch", "transformers", "scipy")},
    }  # fmt: skip
    plain: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return plain


def _plain(sensitivity: Sensitivity) -> dict[str, Any]:
    return {**asdict(sensitivity), "rows": [asdict(row) for row in sensitivity.rows]}


def _outliers(bench: Bench, report: Report, epochs: int) -> dict[str, Any]:
    from qat.analysis import Recipe, of_convnet, of_transformer, train_convnet

    settings, store = bench.settings, bench.store
    own = store.get({"what": "outliers"}, lambda: {"statistics": [each.to_dict() for each in of_transformer(bench)]})
    report("outliers")
    if not epochs:
        return {"convnet": None, "statistics": own["statistics"]}
    recipe = Recipe(epochs)
    question = {"what": "convnet", "recipe": asdict(recipe), "seed": settings.seed}
    kept = store.beside(question, "pt")

    def measured() -> Mapping[str, Any]:
        model = train_convnet(
            bench.subject, recipe, kept, seed=settings.seed, workers=settings.workers, device=settings.device
        )
        statistics, accuracy = of_convnet(model, bench)
        parameters = sum(each.numel() for each in model.parameters())
        return {"statistics": [each.to_dict() for each in statistics], "accuracy": accuracy, "parameters": parameters}

    other = store.get(question, measured)
    kept.unlink(missing_ok=True)
    report("ConvNet")
    convnet = {"parameters": other["parameters"], "accuracy": other["accuracy"], "recipe": asdict(recipe)}
    return {"convnet": convnet, "statistics": [*own["statistics"], *other["statistics"]]}


@contextmanager
def _shown(total: int) -> Iterator[Report]:
    """Shows how many networks were measured and what is left; a line now and then where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = Console(stderr=True)
    if not shown.is_terminal:
        done = 0
        with working("analysis", shown) as news:

            def count(what: str) -> None:
                nonlocal done
                done += 1
                news(f"{done} of {total}, {what}")

            yield count
        return
    columns = (TextColumn("measured"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
               TextColumn("{task.fields[news]}"))  # fmt: skip
    with Progress(*columns, console=shown, transient=True) as progress:
        task = progress.add_task("", total=total, news="")
        yield lambda what: progress.update(task, advance=1, news=what)


def _written(found: Mapping[str, Any], folder: Path) -> list[Path]:
    from qat.analysis import HeadRow, Row, policy_csv, policy_json, write_plots

    about, settings = found["subject"], found["settings"]
    rows = [Row(**row) for row in found["sensitivity"]["rows"]]
    heads = [HeadRow(**row) for row in found["sensitivity"]["heads"]]
    widths = ", ".join(map(str, settings["bits"]))
    how = f"{settings['epochs']} epochs of training" if settings["epochs"] else "calibrated scales"
    source = (
        f"siliquant analyse of {about['source']}: {about['samples']} samples of {about['data']}, {widths} bits, {how}"
    )
    if heads:
        source += "; rows of heads are those of their roles, shared out as whole heads cost alone"
    texts = {
        "analysis.json": json.dumps(found, indent=1) + "\n",
        "sensitivity.json": policy_json(rows, source, heads),
        "sensitivity.csv": policy_csv(rows, heads),
    }
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts] + write_plots(found, folder)


def _print(found: Mapping[str, Any], written: Sequence[Path]) -> None:
    from qat.analysis import sentence, tables

    out = console()
    print_notes(out, [sentence(found), ""])
    for each in tables(found):
        left = (0, 1) if each.headers[1] == "tensors" else (0,)
        print_table(out, each.title, each.headers, each.lines, left=left)
        if each.note:
            print_notes(out, [each.note, ""])
    print_notes(out, [f"{written[0].parent}: {', '.join(path.name for path in written)}"])


if __name__ == "__main__":
    run(PROG, main)
