"""Accuracy of a trained run, with its confidence interval: ``python -m qat.evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from siliquant.commandline import run
from siliquant.inputs import integer

from .parsers import evaluate as parser

PROG = "python -m qat.evaluate"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    from qat.data import MOST_SKIPPED
    from qat.training import evaluate, load_run, open_run_data

    options = parser().parse_args(arguments)
    batch_size = integer("batch_size", options.batch_size, 1, 1 << 20)
    as_json = options.format == "json"
    skip = integer("skip_unreadable", options.skip_unreadable, 0, MOST_SKIPPED)
    model, record = load_run(options.checkpoint)
    data, left_out = open_run_data(record.data, record.options, record.model, skip=skip)
    result = evaluate(model, data, batch_size=batch_size, progress=not as_json)
    result.check_finite()
    low, high = result.interval()
    if as_json:
        answer = {"score": result.score, "low": low, "high": high, "n": len(result.labels), "loss": result.loss}
        print(json.dumps(answer | ({"left_out": left_out} if left_out else {}), allow_nan=False))
        return
    what = "correlation" if result.regression else "accuracy"
    counts = f"{len(result.labels)} samples" if result.regression else f"{result.correct} of {len(result.labels)}"
    print(
        f"{what} {100 * result.score:.2f} % ({counts}; 95 % interval {100 * low:.2f} to {100 * high:.2f} %), "
        f"loss {result.loss:.4f}" + (f"; {len(left_out)} images left out" if left_out else "")
    )


if __name__ == "__main__":
    run(PROG, main)
