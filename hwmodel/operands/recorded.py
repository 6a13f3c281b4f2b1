"""Operand codes recorded from trained networks, and the order in which one element of an array sees them.

A recording is an .npz file, NETWORK-wBaB.npz, of two byte arrays that hold no Python objects (sim.record writes it):

    description   JSON in UTF-8: where the codes come from, and the "tiles": sizes, precision, shares of zeros
    codes         tile by tile: weights [columns, products], then activations [rows, products], two's complement

A tile is what one element of an output-stationary array of ``places`` x ``places`` elements computes of one matrix
product: rows and columns that many apart. One-bit signed codes are -1 and +1.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rtl.spec import MAX_BITS, IntArray, Precision, check_integer
from siliquant.inputs import InputError, belongs, json_object, listing, member, read_bytes, short

__all__ = [
    "PACKAGED_STREAMS",
    "Pair",
    "Recording",
    "Tile",
    "pairs_of",
    "read_recording",
    "recorded_networks",
    "sums_of",
]

PACKAGED_STREAMS = Path(__file__).resolve().parents[1] / "data" / "streams"
_NAME = re.compile(r"(?P<network>.+)-w\d+a\d+")
_MOST_BYTES = 64 << 20  # of a file, and of what it unpacks to
_TILE_FIELDS = frozenset(
    {
        "name", "part", "matrix", "kind", "outputs", "columns", "rows", "products", "weight_bits", "weight_signed",
        "activation_bits", "activation_signed", "zero_weights", "zero_activations",
    }
)  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class Tile:
    """Operands of one matrix product at one element: weights [columns, K] and activations [rows, K].

    name, part: of the product in the network, and the head where it is computed head by head. of_weights: whether the
    weights are stored ones; else they are the second of two activations. outputs: how many sums of the network, for
    one sample, this tile stands for.
    """

    name: str
    part: int | None
    of_weights: bool
    outputs: float
    weight_bits: int
    activation_bits: int
    activation_signed: bool
    weights: IntArray
    activations: IntArray


@dataclass(frozen=True, eq=False)
class Recording:
    """One file. sha256: of all that decides a stream, which the date and the command are not."""

    name: str
    sha256: str
    description: Mapping[str, Any]
    tiles: tuple[Tile, ...]

    @property
    def label(self) -> str:
        """Its name and the start of its hash."""
        return f"{self.name} {self.sha256[:12]}"


@dataclass(frozen=True, eq=False)
class Pair:
    """Weights [columns, K] and activations [rows, K] whose products an element computes, ``outputs`` of them."""

    name: str
    weights: IntArray
    activations: IntArray
    outputs: float

    @property
    def products(self) -> int:
        """K."""
        return int(self.weights.shape[-1])

    def sums(self, seed: int = 0) -> Iterator[tuple[IntArray, IntArray]]:
        """Weights [K] and activations [K] of sum after sum, without end: all rows for a column, then the next column.

        ``seed`` is the row and the column to start with, counted round and round.
        """
        columns, rows = len(self.weights), len(self.activations)
        while True:
            for column in range(seed, seed + columns):
                for row in range(seed, seed + rows):
                    yield self.weights[column % columns], self.activations[row % rows]


def recorded_networks(folder: Path = PACKAGED_STREAMS) -> tuple[str, ...]:
    """Names of the networks that have recordings in ``folder``."""
    found = (_NAME.fullmatch(path.stem) for path in folder.glob("*.npz"))
    return tuple(sorted({match["network"] for match in found if match}))


def read_recording(path: Path) -> Recording:
    """The recording in a file. ValueError when it is none, damaged or of another version; OSError as usual."""
    with belongs(path, "a recording of operands"):
        members = _members(read_bytes(path, _MOST_BYTES))
        description = json_object(members["description"].tobytes().decode("utf-8", "replace"))
        form = member(description, "format", str), member(description, "version", int)
        if form != ("siliquant-recording", 1):
            raise InputError(f"its format must be siliquant-recording 1, not {form[0][:40]} {form[1]}")
        codes = members["codes"]
        tiles = _tiles(member(description, "tiles", list), codes)
    decisive = json.dumps(description["tiles"], sort_keys=True).encode() + codes.tobytes()
    return Recording(path.stem, hashlib.sha256(decisive).hexdigest(), description, tiles)


def pairs_of(
    network: str, precision: Precision, folder: Path = PACKAGED_STREAMS
) -> tuple[tuple[Pair, ...], tuple[Recording, ...]]:
    """Products of a network at a precision, in its order, and the recordings they come from.

    Where both widths were never used together, weights come from the recordings with the one and activations from
    those with the other: of the same layer where it was recorded at both. Where it was not (8-bit first and last
    layers beside 4-bit ones) the activations decide the length of the sums, and weights are cut or repeated to it.
    Products of two activations are left out then. ValueError, with what there is, where a width was not recorded.
    """
    return _pairs(network, precision, folder)


def sums_of(
    pairs: tuple[Pair, ...], cycles: int, cycles_of_sum: Callable[[int], int], seed: int = 0
) -> list[tuple[IntArray, IntArray]]:
    """Weights and activations of whole sums, layer after layer, that take at least so many cycles.

    Each layer has its share of them by its number of outputs: as many sums as fit into its part of ``cycles``
    (``cycles_of_sum`` of their length), then one more at a time to the layer that lacks most. The sums of a layer
    are spread evenly over its pairs.
    """
    layers: dict[str, list[Pair]] = {}
    for pair in pairs:
        layers.setdefault(pair.name, []).append(pair)
    groups = list(layers.values())
    costs = [sum(cycles_of_sum(pair.products) for pair in group) / len(group) for group in groups]
    shares = [cost * sum(pair.outputs for pair in group) for cost, group in zip(costs, groups, strict=True)]
    wanted = [cycles * share / sum(shares) for share in shares]
    counts = [int(cycles_wanted / cost) for cycles_wanted, cost in zip(wanted, costs, strict=True)]
    while True:
        chosen = [
            (pair, (place + 1) * count // len(group) - place * count // len(group))
            for group, count in zip(groups, counts, strict=True)
            for place, pair in enumerate(group)
        ]
        if sum(number * cycles_of_sum(pair.products) for pair, number in chosen) >= cycles:
            return [both for pair, number in chosen for both in islice(pair.sums(seed), number)]
        counts[max(range(len(groups)), key=lambda i: wanted[i] - counts[i] * costs[i])] += 1


@cache
def _recordings(network: str, folder: Path) -> tuple[Recording, ...]:
    paths = sorted(folder.glob("*.npz"))
    return tuple(
        read_recording(path) for path in paths if (match := _NAME.fullmatch(path.stem)) and match["network"] == network
    )


@lru_cache(maxsize=256)
def _pairs(network: str, precision: Precision, folder: Path) -> tuple[tuple[Pair, ...], tuple[Recording, ...]]:
    tiles = [(tile, recording) for recording in _recordings(network, folder) for tile in recording.tiles]
    weights = [both for both in tiles if both[0].weight_bits == precision.weight_bits]
    activations = [
        both
        for both in tiles
        if (both[0].activation_bits, both[0].activation_signed)
        == (precision.activation_bits, precision.activation_signed)
    ]
    _check_width(network, "weight_bits", precision.weight_bits, {tile.weight_bits for tile, _ in tiles}, weights)
    sign = "signed" if precision.activation_signed else "unsigned"
    widths = {tile.activation_bits for tile, _ in tiles if tile.activation_signed == precision.activation_signed}
    _check_width(network, f"activation_bits of {sign} activations", precision.activation_bits, widths, activations)

    together = [both for both in weights if both in activations]
    if together:
        return tuple(Pair(t.name, t.weights, t.activations, t.outputs) for t, _ in together), _sources(together)
    weights, activations = ([both for both in each if both[0].of_weights] for each in (weights, activations))
    same = {(tile.name, tile.part): (tile, recording) for tile, recording in weights}
    joined = [(same[a.name, a.part], (a, recording)) for a, recording in activations if (a.name, a.part) in same]
    if not joined:
        joined = [(weights[i % len(weights)], both) for i, both in enumerate(activations)]
    found = []
    for (weight, _), (activation, _) in joined:
        codes, length = weight.weights, activation.activations.shape[-1]
        if codes.shape[-1] != length:
            codes = np.resize(codes, (max(1, codes.size // length), length))
        found.append(Pair(activation.name, codes, activation.activations, activation.outputs))
    return tuple(found), _sources([both for each in joined for both in each])


def _check_width(network: str, name: str, bits: int, known: set[int], found: list[Any]) -> None:
    if not found:
        widths = listing(map(str, sorted(known)), "or")
        raise InputError(f"{name} must be {widths} in the stream {network}, which has no others recorded, not {bits}")


def _sources(tiles: list[tuple[Tile, Recording]]) -> tuple[Recording, ...]:
    return tuple({recording.name: recording for _, recording in tiles}.values())


def _members(content: bytes) -> dict[str, np.ndarray[Any, Any]]:
    """The two arrays of an .npz file."""
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in ("codes", "description"):
                if f"{name}.npy" not in archive.namelist():
                    raise InputError(f"it has no {name}")
                with archive.open(f"{name}.npy") as stream:
                    data = stream.read(_MOST_BYTES + 1)  # and not more, whatever the archive says of its size
                if len(data) > _MOST_BYTES:
                    raise InputError(f"{name} must have at most {_MOST_BYTES} bytes")
                found[name] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, TypeError, KeyError, EOFError, OSError, NotImplementedError, RuntimeError, SyntaxError,
            MemoryError, zipfile.BadZipFile, zlib.error, struct.error) as error:  # fmt: skip
        # What zipfile and NumPy raise for damaged bytes, which they document nowhere.
        raise error if isinstance(error, InputError) else InputError(f"it is no archive of arrays: {error}") from None
    return found


def _tiles(entries: list[Any], codes: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[Tile, ...]:
    if codes.dtype != np.uint8 or codes.ndim != 1:
        raise InputError(f"codes must be bytes in one row, not {codes.dtype} of shape {codes.shape}")
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != _TILE_FIELDS:
            raise InputError(f"a tile must be an object with {', '.join(sorted(_TILE_FIELDS))}")
        for name in ("name", "kind"):
            member(entry, name, str)
        for name in ("columns", "rows", "products"):
            check_integer(name, entry[name], 1, _MOST_BYTES)
        for name in ("weight_bits", "activation_bits"):
            check_integer(name, entry[name], 1, MAX_BITS)
        if not 0 < member(entry, "outputs", float) < 1e18:
            raise InputError(
                f"outputs of {entry['name'][:60]} must be a positive number, not {short(entry['outputs'])}"
            )
        if entry["part"] is not None:
            check_integer("part", entry["part"], 0, _MOST_BYTES)
        member(entry, "activation_signed", bool)
        if not member(entry, "weight_signed", bool):
            raise InputError(f"the weights of {entry['name'][:60]} must be signed")
    size = sum((entry["columns"] + entry["rows"]) * entry["products"] for entry in entries)
    if codes.size != size:
        raise InputError(f"codes must be {size} by the sizes of the tiles, not {codes.size}")
    found, start = [], 0
    for entry in entries:
        operands = []
        for lines, signed in ((entry["columns"], True), (entry["rows"], entry["activation_signed"])):
            part = codes[start : start + lines * entry["products"]]
            start += lines * entry["products"]
            values = part.view(np.int8) if signed else part
            operands.append(values.reshape(lines, entry["products"]).astype(np.int64))
        found.append(
            Tile(
                name=entry["name"], part=entry["part"], of_weights=entry["kind"] not in ("scores", "context"),
                outputs=entry["outputs"], weight_bits=entry["weight_bits"], activation_bits=entry["activation_bits"],
                activation_signed=entry["activation_signed"], weights=operands[0], activations=operands[1],
            )
        )  # fmt: skip
    return tuple(found)
