"""hwmodel.operands.recorded: files of operands, which weights meet which activations, and the order of the sums."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwmodel.operands.recorded import PACKAGED_STREAMS, Pair, pairs_of, read_recording, recorded_networks, sums_of
from rtl.spec.mac import Precision
from rtl.spec.numbers import signed_range

K = 6


def tile(
    name: str, weights: list[int], activations: list[int], bits: tuple[int, int] = (4, 4), signed: bool = True,
    products: int = K, **others: Any,
) -> dict[str, Any]:  # fmt: skip
    """A tile whose columns and rows are constant codes."""
    about = {
        "name": name, "part": None, "matrix": 0, "kind": "linear", "outputs": 10.0,
        "columns": len(weights), "rows": len(activations), "products": products,
        "weight_bits": bits[0], "weight_signed": True, "activation_bits": bits[1], "activation_signed": signed,
        "zero_weights": 0.0, "zero_activations": 0.0,
    }  # fmt: skip
    codes = [code for line in (*weights, *activations) for code in [line % 256] * products]
    return about | others | {"codes": codes}


def write(folder: Path, name: str, tiles: list[dict[str, Any]], **about: Any) -> Path:
    """A recording as the description of the format says, written without the code that writes them."""
    text = json.dumps(
        {"format": "siliquant-recording", "version": 1}
        | about
        | {"tiles": [{key: value for key, value in one.items() if key != "codes"} for one in tiles]}
    )
    codes = np.array([code for one in tiles for code in one["codes"]], np.uint8)
    path = folder / f"{name}.npz"
    np.savez(path, description=np.frombuffer(text.encode(), np.uint8), codes=codes)
    return path


def of(pairs: tuple[Pair, ...]) -> list[tuple[str, list[int], list[int]]]:
    """Names and the first codes of columns and rows."""
    return [(pair.name, pair.weights[:, 0].tolist(), pair.activations[:, 0].tolist()) for pair in pairs]


def test_codes_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = write(
        tmp_path, "net-w8a8",
        [tile("a", [-128, 127], [255, 0, 1], (8, 8), False), tile("b", [-1, 1], [1], (1, 1), kind="scores")],
    )  # fmt: skip
    read = read_recording(path)
    assert read.name == "net-w8a8"
    first, second = read.tiles
    assert first.weights.tolist() == [[-128] * K, [127] * K]
    assert first.activations.tolist() == [[255] * K, [0] * K, [1] * K]
    assert first.weights.dtype == np.int64
    assert first.of_weights
    assert second.weights.tolist() == [[-1] * K, [1] * K]
    assert not second.of_weights
    assert recorded_networks(tmp_path) == ("net",)


def test_the_hash_is_of_the_codes_alone(tmp_path: Path) -> None:
    """A date does not change a stream, a code does."""
    hashes = set()
    for name, code, date in (("a", 1, "x"), ("b", 1, "y"), ("c", 2, "x")):
        read = read_recording(write(tmp_path, f"{name}-w4a4", [tile("l", [code], [3])], date=date))
        assert read.label == f"{name}-w4a4 {read.sha256[:12]}"
        hashes.add(read.sha256)
    assert len(hashes) == 2


def test_weights_stay_with_the_activations_of_their_product(tmp_path: Path) -> None:
    write(tmp_path, "net-w4a4", [tile("x", [1, 2], [3]), tile("y", [4], [5]), tile("y", [6], [7], signed=False)])
    write(tmp_path, "net-w2a2", [tile("x", [1], [-2], (2, 2)), tile("first", [99], [98], (8, 8))])
    write(tmp_path, "other-w4a4", [tile("x", [7], [7])])
    pairs, sources = pairs_of("net", Precision(4, 4), tmp_path)
    assert of(pairs) == [("x", [1, 2], [3]), ("y", [4], [5])]
    assert [source.name for source in sources] == ["net-w4a4"]
    assert of(pairs_of("net", Precision(4, 4, False), tmp_path)[0]) == [("y", [6], [7])]
    assert of(pairs_of("net", Precision(8, 8), tmp_path)[0]) == [("first", [99], [98])]


def test_mixed_widths_are_of_the_same_layer_of_two_recordings(tmp_path: Path) -> None:
    """Without products of two activations, which no hardware runs at two widths in such a network."""
    write(
        tmp_path, "net-w2a2",
        [
            tile("x", [1], [0], (2, 2)), tile("s", [1], [1], (2, 2), kind="scores"),
            tile("o", [-2], [0], (2, 2), part=0), tile("o", [-1], [0], (2, 2), part=1),
        ],
    )  # fmt: skip
    write(
        tmp_path, "net-w4a4",
        [tile("s", [1], [1], kind="scores"), tile("o", [3], [7], part=1, outputs=5.0), tile("x", [3], [6, 5])],
    )  # fmt: skip
    pairs, sources = pairs_of("net", Precision(2, 4), tmp_path)
    assert of(pairs) == [("o", [-1], [7]), ("x", [1], [6, 5])]
    assert [pair.outputs for pair in pairs] == [5.0, 10.0]
    assert [source.name for source in sources] == ["net-w2a2", "net-w4a4"]


def test_weights_of_other_layers_take_the_length_of_the_activations(tmp_path: Path) -> None:
    write(
        tmp_path, "net-w4a4",
        [
            tile("first", [100, 101], [90], (8, 8), products=4), tile("x", [1], [2]), tile("y", [1], [3], products=2),
            tile("last", [102], [91], (8, 8), products=1),
        ],
    )  # fmt: skip
    pairs, _ = pairs_of("net", Precision(8, 4), tmp_path)
    assert [pair.name for pair in pairs] == ["x", "y"]
    assert pairs[0].weights.tolist() == [[100, 100, 100, 100, 101, 101]]
    assert pairs[1].weights.tolist() == [[102, 102]]
    assert [pair.activations.shape for pair in pairs] == [(1, 6), (1, 2)]


def test_an_element_keeps_its_column_for_all_rows() -> None:
    pair = Pair("x", np.array([[1], [2]]), np.array([[3], [4], [5]]), 1.0)
    order = [(int(w[0]), int(a[0])) for w, a in islice(pair.sums(), 7)]
    assert order == [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5), (1, 3)]
    order = [(int(w[0]), int(a[0])) for w, a in islice(pair.sums(4), 4)]
    assert order == [(1, 4), (1, 5), (1, 3), (2, 4)]


def test_layers_have_their_share_of_the_cycles() -> None:
    """By outputs times cycles of a sum; what is recorded of a layer shares evenly."""
    pairs = tuple(
        Pair(name, np.full((2, k), code), np.full((3, k), code), outputs)
        for name, k, outputs, code in (("x", 8, 100.0, 1), ("y", 16, 25.0, 2), ("y", 16, 25.0, 3), ("z", 4, 50.0, 4))
    )
    sums = sums_of(pairs, 1000, lambda length: length // 4)
    assert sum(len(w) // 4 for w, _ in sums) in range(1000, 1004)
    counts = Counter(int(w[0]) for w, _ in sums)
    assert counts == {1: 223, 2: 55, 3: 56, 4: 111}
    assert [int(w[0]) for w, _ in sums] == sorted(int(w[0]) for w, _ in sums)


@pytest.mark.parametrize("cycles", [1, 7, 40, 41])
def test_no_fewer_cycles_and_no_sum_too_many(cycles: int) -> None:
    pairs = tuple(Pair(str(k), np.ones((1, k), int), np.ones((1, k), int), 3.0) for k in (30, 4, 9))
    lengths = [len(w) for w, _ in sums_of(pairs, cycles, lambda length: length)]
    assert sum(lengths) >= cycles
    assert sum(lengths) - 30 < cycles


@pytest.mark.parametrize(
    ("precision", "message"),
    [
        (Precision(2, 4), "weight_bits must be 3 or 8 in the stream net, which has no others recorded, not 2"),
        (
            Precision(3, 8, False),
            "activation_bits of unsigned activations must be 4 in the stream net, which has no others recorded, not 8",
        ),
    ],
)
def test_a_width_that_was_not_recorded(tmp_path: Path, precision: Precision, message: str) -> None:
    write(tmp_path, "net-w3a4", [tile("x", [1], [2], (3, 4), signed=False), tile("y", [1], [2], (8, 8))])
    with pytest.raises(ValueError) as caught:
        pairs_of("net", precision, tmp_path)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"format": "x"}, "x 1"),
        ({"version": 2}, "siliquant-recording 2"),
    ],
)
def test_another_format(tmp_path: Path, change: dict[str, Any], found: str) -> None:
    path = write(tmp_path, "net-w4a4", [tile("x", [1], [2])], **change)
    with pytest.raises(ValueError) as caught:
        read_recording(path)
    wanted = "its format must be siliquant-recording 1"
    assert str(caught.value) == f"{path} must be a recording of operands: {wanted}, not {found}"


def test_damaged_files(tmp_path: Path) -> None:
    """What is wrong is in the sentence, with the file; objects in a file are not loaded."""
    good = tile("x", [1], [2])
    cases = {
        "a tile must be an object with ": [{key: value for key, value in good.items() if key != "part"}],
        "must be signed": [good | {"weight_signed": False}],
        "codes must be 18 by the sizes of the tiles, not 12": [good | {"rows": 2}],
    }
    for message, tiles in cases.items():
        path = write(tmp_path, "net-w4a4", tiles)
        with pytest.raises(ValueError, match=f"^{path} must be a recording of operands: .*{message}"):
            read_recording(path)
    path = write(tmp_path, "net-w4a4", [good])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="must be a recording of operands"):
        read_recording(path)
    np.savez(path, codes=np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="must be a recording of operands: it has no description"):
        read_recording(path)
    np.savez(path, description=np.array([{}], object), codes=np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match=r"must be a recording of operands: .*allow_pickle"):
        read_recording(path)
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "none-w1a1.npz")


def test_what_comes_with_the_package() -> None:
    """Small, with all that says where it is from; codes in range, zeros as in the whole products."""
    paths = sorted(PACKAGED_STREAMS.glob("*.npz"))
    assert sum(path.stat().st_size for path in paths) < 400_000
    assert recorded_networks() == ("minilm", "vit-mnist")
    for path in paths:
        read = read_recording(path)
        about = read.description
        scheme = about["scheme"]
        assert path.stem == f"{about['network']}-w{scheme['weight_bits']}a{scheme['activation_bits']}"
        assert about["command"].startswith("python -m sim.record --checkpoint runs/")
        assert about.keys() >= {"data", "samples", "date", "versions"}
        assert len(about["checkpoint"]["sha256"]) == 64
        kinds = Counter(entry["kind"] for entry in about["tiles"])
        assert kinds.keys() >= {"linear", "scores", "context"}
        zeros: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for entry, one in zip(about["tiles"], read.tiles, strict=True):
            for operand, codes, limits in (
                ("weights", one.weights, signed_range(one.weight_bits, True)),
                ("activations", one.activations, signed_range(one.activation_bits, one.activation_signed)),
            ):
                bipolar = limits == (-1, 0)
                low, high = (-1, 1) if bipolar else limits
                assert low <= codes.min() <= codes.max() <= high
                assert not bipolar or codes.all()
                pair = float((codes == 0).mean()), entry[f"zero_{operand}"]
                zeros.setdefault((one.name.split(".")[-1], operand), []).append(pair)
        for shares in zeros.values():
            tiles, wholes = np.array(shares).mean(0)
            assert tiles == pytest.approx(wholes, abs=0.12)
