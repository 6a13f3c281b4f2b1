"""Recordings of operands: which rows and columns are taken, what they stand for, and the file as hwmodel reads it."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwmodel.operands.recorded import pairs_of, read_recording
from qat.data.datasets import open_data
from qat.integers.subject import Subject, random_subject
from qat.network.gemm import Engine, Product, exact_product
from qat.settings.scheme import Scheme
from rtl.spec.mac import Precision
from sim.harness.tiles import Sampling, Tile, take_tiles
from sim.record import contents, main

LENGTHS = (37, 3, 20)
HEADS, HIDDEN, LAYERS = 3, 6, 5


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class Numbered:
    """Products like those of a network, but each operand says where it stands: row 1000 * sample + m is row m."""

    def gemms(self) -> list[SimpleNamespace]:
        """Two kinds of layers in every block, and a classifier."""
        named = [(f"layers.{i}.fc", "linear") for i in range(LAYERS)]
        named += [(f"layers.{i}.scores", "scores") for i in range(LAYERS)]
        return [SimpleNamespace(name=name, kind=kind) for name, kind in [*named, ("classifier", "linear")]]

    def logits(self, inputs: dict[str, torch.Tensor], engine: Engine) -> torch.Tensor:
        sample, tokens = int(inputs["input_ids"][0, 0]), inputs["input_ids"].shape[1]
        rows = 1000 * sample + torch.arange(tokens)
        for layer in range(LAYERS):
            name, heads = f"layers.{layer}", torch.arange(HEADS)[:, None]
            self._send(engine, f"{name}.fc", rows[None], torch.arange(50), HIDDEN, (4, True), (4, True))
            both = (rows + 100 * heads)[None]
            self._send(engine, f"{name}.scores", both, both, HIDDEN, (4, True), (4, False))
        return self._send(engine, "classifier", rows[None, :1], torch.arange(2), HIDDEN, (8, True), (8, True))

    @staticmethod
    def _send(
        engine: Engine, name: str, left: torch.Tensor, right: torch.Tensor, k: int,
        right_codes: tuple[int, bool], left_codes: tuple[int, bool],
    ) -> torch.Tensor:  # fmt: skip
        lines = [operand[..., None].expand(*operand.shape, k) for operand in (left, right)]
        return engine(Product(name, None, *lines, *left_codes, *right_codes))


def numbered() -> Subject:
    """Texts of LENGTHS tokens, padded to 40."""
    batches = []
    for sample, length in enumerate(LENGTHS):
        mask = (torch.arange(40) < length).long()[None]
        batches.append({"input_ids": torch.full((1, 40), sample), "attention_mask": mask})
    return Subject("numbered", Numbered(), tuple(batches), None)  # type: ignore[arg-type]


def lines(operand: np.ndarray) -> list[int]:
    """Where the rows of a tile stand; each says so in all its codes."""
    assert (operand == operand[:, :1]).all()
    return operand[:, 0].tolist()


def test_a_tile_is_what_one_element_computes_without_padding() -> None:
    """Rows and columns a whole array apart, over the samples one after the other, in few layers of all."""
    sampling = Sampling(layers=3, tiles=8, places=16)
    tiles = take_tiles(numbered(), sampling)
    assert [tile.name for tile in tiles if tile.kind == "linear"] == [f"layers.{i}.fc" for i in (0, 2, 4)] + [
        "classifier"
    ]
    stacked = [1000 * sample + row for sample, length in enumerate(LENGTHS) for row in range(length)]
    for place, tile in enumerate(tiles):
        if tile.kind == "scores" or tile.name == "classifier":
            continue
        assert lines(tile.activations) == stacked[place % 16 :: 16]
        assert lines(tile.weights) == list(range(50))[place % 16 :: 16]
        assert tile.outputs == pytest.approx(sum(LENGTHS) * 50 * LAYERS / 3 / len(LENGTHS), abs=1e-3)
    (last,) = [tile for tile in tiles if tile.name == "classifier"]
    assert lines(last.activations) == [1000 * ((len(tiles) - 1) % 3)]
    assert lines(last.weights) == [(len(tiles) - 1) % 2]
    assert last.outputs == 2


def test_products_of_two_activations_keep_query_and_key_of_one_head_together() -> None:
    tiles = take_tiles(numbered(), Sampling(layers=1, tiles=4, places=16))
    scores = [tile for tile in tiles if tile.kind == "scores"]
    assert [tile.matrix for tile in scores] == [0, 1, 2, 3]
    heads = set()
    for tile in scores:
        rows, columns = lines(tile.activations), lines(tile.weights)
        assert {row // 100 for row in rows} == {column // 100 for column in columns}
        heads.add(rows[0] // 100)
        assert {later - row for row, later in pairwise(rows)} <= {16}
    assert len({head % 10 for head in heads}) == HEADS
    assert len({head // 10 for head in heads}) == len(LENGTHS)
    assert sum(tile.outputs for tile in scores) == pytest.approx(
        LAYERS * HEADS * sum(length**2 for length in LENGTHS) / len(LENGTHS), abs=0.01
    )


@pytest.mark.parametrize("most", [3, 8, 20])
def test_at_most_so_many_rows_and_columns(most: int) -> None:
    """Evenly over all of them, of an array of 7 x 7."""
    first = take_tiles(numbered(), Sampling(layers=1, tiles=most, places=7))[0]
    rows = [sum(LENGTHS[: row // 1000]) + row % 1000 for row in lines(first.activations)]
    for found, count in ((rows, sum(LENGTHS)), (lines(first.weights), 50)):
        assert len(found) == min(most, len(range(0, count, 7)))
        assert {place % 7 for place in found} == {0}
        steps = np.diff(found)
        assert steps.min() > 0
        assert steps.max() - steps.min() <= 7


def test_the_products_of_a_network_come_out_of_its_tiles(tmp_path: Path) -> None:
    """Sums of recorded rows and columns are accumulators of PyTorch, as hwmodel reads them from the file."""
    subject = random_subject("vit-mnist", Scheme(weight_bits=4, activation_bits=4, scale_start="mean"), 2)
    results: dict[tuple[str, int | None], list[torch.Tensor]] = {}
    macs = 0

    def keep(product: Product) -> torch.Tensor:
        nonlocal macs
        result = exact_product(product)
        results.setdefault((product.name, product.part), []).append(result)
        macs += result.numel() * product.left.shape[-1]
        return result

    for batch in subject.batches:
        subject.model.logits(batch, keep)
    tiles = take_tiles(subject)
    assert sum(tile.macs for tile in tiles) == pytest.approx(macs / 2, rel=1e-4)
    path = tmp_path / "net-w4a4.npz"
    about = {"format": "siliquant-recording", "version": 1, "network": "net"}
    path.write_bytes(contents(tiles, about))
    assert contents(tiles, about) == path.read_bytes()
    read = read_recording(path)
    assert len(read.tiles) == len(tiles)
    for ours, theirs in zip(tiles, read.tiles, strict=True):
        assert (ours.weights == theirs.weights).all()
        assert (ours.activations == theirs.activations).all()
        assert ours.weights.shape[-1] == ours.activations.shape[-1]
        sums = ours.activations @ ours.weights.T
        wanted = {int(value) for result in results[ours.name, ours.part] for value in result.unique()}
        assert set(sums.ravel().tolist()) <= wanted
        if ours.kind == "linear":
            whole = torch.cat([result.reshape(-1, result.shape[-1]) for result in results[ours.name, ours.part]])
            offset = tiles.index(ours) % 16
            assert sums.tolist() == expected(whole.numpy(), offset)
    precisions = {(tile.weight_bits, tile.activation_bits, tile.activation_signed) for tile in tiles}
    assert precisions == {(8, 8, True), (4, 4, True), (4, 4, False)}
    assert len(pairs_of("net", Precision(4, 4, False), tmp_path)[0]) == sum(not t.activation_signed for t in tiles)


def expected(results: np.ndarray, offset: int) -> list[list[int]]:
    """Accumulators of the element in row and column ``offset`` of a 16 x 16 array: 8 x 8 of them at most."""
    for axis in (0, 1):
        chosen = np.arange(offset % min(16, results.shape[axis]), results.shape[axis], 16)
        number = min(8, len(chosen))
        results = results.take(chosen[np.arange(number) * len(chosen) // number], axis=axis)
    return results.tolist()


def test_zeros_and_bytes() -> None:
    """Shares of zeros are those of the whole product; unsigned 8-bit codes do not wrap round."""
    (tile, *_) = take_tiles(numbered(), Sampling(layers=1, tiles=2))
    assert tile.zero_weights == 0.02
    assert tile.zero_activations == pytest.approx(1 / sum(LENGTHS), abs=1e-4)
    codes = np.load(io.BytesIO(contents([bright(tile)], {})), allow_pickle=False)["codes"]
    assert codes.tolist() == [128, 255, 1, 255, 200, 0]


def bright(tile: Tile) -> Tile:
    return replace(
        tile, weights=np.array([[-128, -1, 1]]), activations=np.array([[255, 200, 0]]), activation_signed=False
    )


def test_the_command_records_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = open_data("mnist5k")
    subject = random_subject("vit-mnist", Scheme(weight_bits=2, activation_bits=2, scale_start="mean"), 1)
    options = {"model": "vit-mnist", "image_size": None, "tokenizer": None, "max_length": 48, "limit": None}
    origin = {"data": {"name": "mnist5k", "test_fingerprint": data.test.fingerprint}, "options": options}
    replace(subject.model, origin=origin).save(tmp_path / "net")
    out = tmp_path / "vit-mnist-w2a2.npz"
    main(["--checkpoint", str(tmp_path / "net"), "--out", str(out), "--samples", "2"])
    read = read_recording(out)
    about = read.description
    assert about["network"] == "vit-mnist"
    assert about["samples"] == 2
    assert about["data"] == origin["data"]
    assert about["checkpoint"]["file"] == "integer.safetensors"
    assert about["checkpoint"]["sha256"] == json.loads((tmp_path / "net" / "integer.json").read_text())["sha256"]
    assert about["command"] == f"python -m sim.record --checkpoint {tmp_path}/net --out {out} --samples 2"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["date"])
    shown = capsys.readouterr().out
    assert f"{out}: " in shown
    row = next(line for line in shown.splitlines() if "mlp.fc2" in line)
    assert row.split()[1:4] == ["w2a2u", "384", "3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.npz"], "the checkpoint must be a folder of qat.train or qat.export, not nowhere"),
        (["--out", "a.json"], "out must be a file whose name ends in .npz, not a.json"),
        (["--out", "a.npz", "--samples", "0"], "samples must be at least 1, not 0"),
    ],
)
def test_bad_input(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        main(["--checkpoint", "nowhere", *arguments])
    assert str(caught.value) == message
