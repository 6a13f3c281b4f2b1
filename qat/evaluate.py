"""Accuracy of a trained run, with its confidence interval: ``python -m qat.evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from siliquant.commandline import run
from siliquant.inputs import integer

from .parsers import evaluate as parser
from .parsers import read_workers

if TYPE_CHECKING:
    from qat.training import Evaluation

PROG = "python -m qat.evaluate"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    from qat.data import MOST_SKIPPED, worker_count
    from qat.training import device_named, evaluate, load_run, open_run_data

    options = parser().parse_args(arguments)
    batch_size = integer("batch_size", options.batch_size, 1, 1 << 20)
    as_json = options.format == "json"
    skip = integer("skip_unreadable", options.skip_unreadable, 0, MOST_SKIPPED)
    workers = read_workers(options)
    device = device_named(options.device)
    model, record = load_run(options.checkpoint)
    data, left_out = open_run_data(record.data, record.options, record.model, skip=skip)
    model.to(device)  # type: ignore[arg-type]
    workers = worker_count(data.test, workers, device)
    result = evaluate(model, data, batch_size=batch_size, device=device, workers=workers, progress=not as_json)
    result.check_finite()
    if as_json:
        low, high = result.interval()
        scores = {name: asdict(score) for name, score in result.scores.items()}
        answer = {"score": result.score, "low": low, "high": high, "n": len(result.labels), "loss": result.loss}
        print(
            json.dumps({**answer, "metrics": scores, **({"left_out": left_out} if left_out else {})}, allow_nan=False)
        )
        return
    said = "; ".join(_said(name, result) for name in result.scores)
    print(f"{said}; loss {result.loss:.4f}" + (f"; {len(left_out)} images left out" if left_out else ""))


def _said(name: str, result: Evaluation) -> str:
    from qat.training import METRICS

    score, n = result.scores[name], len(result.labels)
    counts = f"{result.correct} of {n}" if name == "accuracy" else f"{n} samples"
    interval = f"{100 * score.low:.2f} to {100 * score.high:.2f} %"
    return f"{METRICS[name].title} {100 * score.value:.2f} % ({counts}; 95 % interval {interval})"


if __name__ == "__main__":
    run(PROG, main)
