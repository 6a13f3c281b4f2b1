"""Time of a training step of DeiT-T, full precision and quantised, side by side in one run.

    python benchmarks/qat_speed.py [--bits 4] [--repeats 9]

Forward, backward and AdamW on 8 images of 224 x 224. Each round times every variant once, in turn, so that a machine
that slows down slows all of them, and each after a step of its own that is not timed, as in training. Ratios are of
the medians, and of the fastest steps in brackets.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.nn import functional as F

from qat.models import build
from qat.network import OscillationTracker, bin_regulariser, calibrate, quantize_model, weight_quantizers
from qat.quantisers import FourierSurrogate
from qat.quantisers.native import keep_freed_memory, status
from qat.settings import Scheme
from siliquant.commandline import Parser, run
from siliquant.files import write_atomically


def main() -> None:
    parser = Parser(prog="python benchmarks/qat_speed.py", description=__doc__)
    parser.add_argument("--bits", type=int, default=4, metavar="B", help="bits of weights and activations, 2 to 8")
    parser.add_argument("--repeats", type=int, default=9, metavar="N", help="rounds")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the figures as JSON")
    arguments = parser.parse_args()
    keep_freed_memory()  # as the training command does
    torch.manual_seed(0)
    images, labels = torch.randn(8, 3, 224, 224), torch.randint(0, 1000, (8,))
    full = build("deit-tiny", num_labels=1000)
    per_head = build("deit-tiny", num_labels=1000)
    per_tensor = build("deit-tiny", num_labels=1000)
    for model, granularity in ((per_head, "head"), (per_tensor, "tensor")):
        scheme = Scheme(arguments.bits, arguments.bits, granularity=granularity)  # type: ignore[arg-type]
        calibrate(quantize_model(model, scheme), [{"pixel_values": images}])
    weights = list(weight_quantizers(per_head).values())
    tracker = OscillationTracker(weight_quantizers(per_head))
    optimizers = {
        id(m): torch.optim.AdamW([p for p in m.parameters() if p.requires_grad], lr=1e-5, fused=True)
        for m in (full, per_head, per_tensor)
    }

    def step(model: torch.nn.Module, *, regularised: bool = False, tracked: bool = False) -> None:
        optimizers[id(model)].zero_grad()
        loss = F.cross_entropy(model(pixel_values=images).logits, labels)
        if regularised:
            loss = loss + 0.01 * bin_regulariser(weights, max_bits=8)
        loss.backward()
        optimizers[id(model)].step()
        if tracked:
            tracker.update()

    def in_torch(work: Callable[[], None]) -> Callable[[], None]:
        def patched() -> None:
            with (
                patch("qat.quantisers.fakequant.native", return_value=False),
                patch("qat.network.oscillation.regulariser.native", return_value=False),
                patch("qat.network.oscillation.tracker.native", return_value=False),
            ):
                work()

        return patched

    def surrogate() -> None:
        for _, quantizer in weights:
            quantizer.surrogate = FourierSurrogate()
        step(per_head)
        for _, quantizer in weights:
            quantizer.surrogate = None

    def regulariser() -> None:
        bin_regulariser(weights, max_bits=8).backward()  # type: ignore[no-untyped-call]

    variants: dict[str, Callable[[], None]] = {
        "full precision": lambda: step(full),
        "a scale a tensor": lambda: step(per_tensor),
        "a scale a head": lambda: step(per_head),
        "a scale a head, regulariser": lambda: step(per_head, regularised=True),
        "a scale a head, regulariser, tracker": lambda: step(per_head, regularised=True, tracked=True),
        "a scale a head, Fourier surrogate": surrogate,
        "a scale a head, without compiled kernels": in_torch(lambda: step(per_head)),
        "regulariser alone": regulariser,
        "regulariser alone, without compiled kernels": in_torch(regulariser),
    }
    for work in variants.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in track(range(arguments.repeats), "rounds", console=Console(stderr=True), transient=True):
        for name, work in variants.items():
            work()
            began = time.perf_counter()
            work()
            times[name].append(1000 * (time.perf_counter() - began))
    base = times["full precision"]
    kernels = status()
    table = Table(
        "DeiT-T, batch 8", "median, ms", "fastest, ms", "of full precision (fastest)",
        title=f"{arguments.bits} bits, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"kernels: {kernels.compiler if kernels.available else kernels.reason}",
    )  # fmt: skip
    for name, taken in times.items():
        ratio = f"{statistics.median(taken) / statistics.median(base):.2f} ({min(taken) / min(base):.2f})"
        table.add_row(name, f"{statistics.median(taken):.0f}", f"{min(taken):.0f}", ratio)
    Console().print(table)
    if arguments.out:
        rows = [
            {
                "name": name,
                "median_ms": round(statistics.median(taken), 1),
                "ratio": round(statistics.median(taken) / statistics.median(base), 3),
                "fastest_ratio": round(min(taken) / min(base), 3),
            }
            for name, taken in times.items()
        ]
        about = {"model": "deit-tiny", "bits": arguments.bits, "batch": len(images), "repeats": arguments.repeats}
        write_atomically(arguments.out, json.dumps(about | {"rows": rows}) + "\n")


if __name__ == "__main__":
    run("python benchmarks/qat_speed.py", main)
