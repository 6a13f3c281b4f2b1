"""Records operand codes of the matrix products of a trained network, as one element of an array sees them.

The network runs in PyTorch on the first test samples of its data. Of each kind of product a few layers are taken, and
of each of them some rows of activations and columns of weights. The operand streams of hwmodel are such recordings:
those in hwmodel/data/streams, by the name of the network; hwmodel/operands/recorded.py describes the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qat.settings import check_samples
from siliquant.commandline import console, loading, print_table, run, working
from siliquant.files import package_version, write_atomically
from siliquant.inputs import InputError

from .parsers import record as parser

if TYPE_CHECKING:
    from rich.console import Console

    from qat.integers import Subject
    from sim.harness import Tile

__all__ = ["contents", "main"]

PROG = "sim.record"
HEADERS = ("product", "precision", "K", "tiles", "MACs", "zero weights", "zero activations")


def contents(tiles: Sequence[Tile], about: Mapping[str, Any]) -> bytes:
    """The file of a recording: a description as JSON and the codes, both as bytes. The same input, the same bytes."""
    text = json.dumps({**about, "tiles": [tile.about for tile in tiles]}, separators=(",", ":"))
    codes = [operand.astype(np.uint8).ravel() for tile in tiles for operand in (tile.weights, tile.activations)]
    stream = io.BytesIO()
    np.savez_compressed(stream, description=np.frombuffer(text.encode(), np.uint8), codes=np.concatenate(codes))
    return stream.getvalue()


def print_tiles(out: Console, tiles: Sequence[Tile]) -> None:
    """One line for each kind of product."""
    kinds: dict[tuple[str, str], list[Tile]] = {}
    for tile in tiles:
        sign = "s" if tile.activation_signed else "u"
        precision = f"w{tile.weight_bits}a{tile.activation_bits}{sign}"
        kinds.setdefault((_behind_the_number(tile.name), precision), []).append(tile)
    macs, lines = sum(tile.macs for tile in tiles), []
    for key, members in kinds.items():
        lengths = sorted({tile.weights.shape[-1] for tile in members})
        shares = (
            sum(tile.macs for tile in members) / macs,
            sum(tile.zero_weights for tile in members) / len(members),
            sum(tile.zero_activations for tile in members) / len(members),
        )
        length = str(lengths[0]) if len(lengths) == 1 else f"{lengths[0]}-{lengths[-1]}"
        lines.append([*key, length, str(len(members)), *(f"{share:.1%}" for share in shares)])
    print_table(out, "recorded operands", HEADERS, lines)


def _behind_the_number(name: str) -> str:
    """The name of a layer within its block."""
    parts = name.split(".")
    return ".".join(parts[max((place + 1 for place, part in enumerate(parts) if part.isdigit()), default=0) :])


def _provenance(subject: Subject, places: int, checkpoint: Path, command: str) -> dict[str, Any]:
    """Where a recording comes from."""
    origin, scheme = dict(subject.model.origin), subject.model.scheme
    weights = next(path for path in sorted(checkpoint.glob("*.safetensors")) if path.stem in ("integer", "model"))
    with weights.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "format": "siliquant-recording",
        "version": 1,
        "network": Path(origin["options"]["model"]).resolve().name,  # a name, or the folder that describes it
        "scheme": scheme.to_dict(),
        "data": {name: origin["data"][name] for name in ("name", "test_fingerprint")},
        "samples": len(subject.batches),
        "places": places,
        "checkpoint": {"file": weights.name, "sha256": digest},
        "versions": {"python": platform.python_version(), "torch": package_version("torch"), "numpy": np.__version__},
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = parser().parse_args(given)
    if options.out.suffix != ".npz":
        raise InputError(f"out must be a file whose name ends in .npz, not {options.out}")
    check_samples(options.samples)
    with working("recording") as news:
        news("loading PyTorch")
        with loading():
            import torch

            from qat.integers import open_subject
            from sim.harness import DEFAULT, take_tiles

        torch.set_num_threads(1)  # float sums depend on the number of threads, and with them a code now and then
        news("the network")
        subject = open_subject(options.checkpoint, options.samples)
        tiles = take_tiles(subject)
    about = _provenance(subject, DEFAULT.places, options.checkpoint, f"python -m {PROG} {shlex.join(given)}")
    content = contents(tiles, about)
    write_atomically(options.out, content)
    out = console()
    print_tiles(out, tiles)
    count = sum(tile.weights.size + tile.activations.size for tile in tiles)
    out.print(f"{options.out}: {count:,} codes in {len(content):,} bytes")


if __name__ == "__main__":
    run(PROG, main)
