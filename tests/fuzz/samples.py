"""Small good inputs of every reader, made by what writes them or cut from what comes with the package."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from siliquant.inputs.policies import Bits, policy_text
from tests.kept import kept_folder, kept_runs

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "hwmodel" / "data"
CLASSES = 3

Files = Mapping[str, bytes]


def _folder(fill: Callable[[Path], object]) -> Files:
    """What ``fill`` writes into a folder."""
    with tempfile.TemporaryDirectory() as name:
        fill(Path(name))
        return {
            str(path.relative_to(name)): path.read_bytes() for path in sorted(Path(name).rglob("*")) if path.is_file()
        }


def sensitivities() -> list[Files]:
    table = b"role,layer,sensitivity\nvalue,,3.5\nquery,0,1\nfc1,2,0.25\n"
    heads = b"role,layer,head,sensitivity\nvalue,,,3.5\nquery,0,1,1\n"
    return [{"t.json": (DATA / "sensitivity.json").read_bytes()}, {"t.csv": table}, {"t.csv": heads}]


def policies() -> list[Files]:
    widths: list[dict[str, tuple[Bits, Bits]]] = [{"fc1": (2, 4)}, {"q_proj": ((2, 4, 8), (2, 4, 4)), "fc1": (4, 4)}]
    return [{"p.json": policy_text(each, {"network": "mine"}).encode()} for each in widths]


def workload_tables() -> list[Files]:
    rows = ["name,role,layer,m,k,n,count,heads,ends", "a,query,0,17,96,96,1,3,false", "a.fc1,,0,17,96,384,1,,"]
    return [{"w.csv": "\n".join(rows).encode()}]


def workloads() -> list[Files]:
    return [{"w.json": (DATA / "workloads" / f"{name}.json").read_bytes()} for name in ("vit-mnist", "deit-tiny")]


def cost_models() -> list[Files]:
    return [{"m.json": path.read_bytes()} for path in sorted((DATA / "models").glob("*.json"))]


def memories() -> list[Files]:
    return [{"s.json": path.read_bytes()} for path in sorted((DATA / "sram").glob("cacti*.json"))]


def calibrations() -> list[Files]:
    """The first rows of a table; its provenance says so."""
    import hashlib

    lines = (DATA / "calibration" / "freepdk45.csv").read_bytes().splitlines(keepends=True)[:6]
    about = json.loads((DATA / "calibration" / "freepdk45.json").read_text())
    text = b"".join(lines)
    about |= {"table_sha256": hashlib.sha256(text).hexdigest(), "rows": len(lines) - 1}
    return [{"freepdk45.csv": text, "freepdk45.json": json.dumps(about, indent=1).encode()}]


def recordings() -> list[Files]:
    return [{"net-w2a2.npz": (DATA / "streams" / "vit-mnist-w2a2.npz").read_bytes()}]


def rows() -> list[Files]:
    lines = (DATA / "rows" / "freepdk45.jsonl").read_bytes().splitlines()
    return [{"row.json": line} for line in (lines[0], lines[-1])]


def parameters() -> list[Files]:
    return [{"p.json": b'{"units": 3, "reduction_length": 256, "activation_signed": true, "pipeline_stages": 1}'}]


def mixtures() -> list[Files]:
    return [{"m.txt": b"2:1/3,4:1/2,8:1/6"}, {"m.txt": b"3:0.25,4:0.75"}]


def lefs() -> list[Files]:
    from hwmodel.library.library import find_library

    folder = find_library().path.parent
    cells = (folder / "stdcells.lef").read_text().split("\nMACRO ")
    wires = (folder / "rtk-tech.lef").read_text().split("\nVIA ")
    text = "\nMACRO ".join([*cells[:4]]).encode() + b"\nEND LIBRARY\n"
    return [{"c.lef": text}, {"t.lef": wires[0].encode()}, {"c.lef.gz": gzip.compress(text, mtime=0)}]


def liberties() -> list[Files]:
    from hwmodel.library.library import find_library

    whole = find_library().read().splitlines(keepends=True)
    starts = [number for number, line in enumerate(whole) if line.lstrip().startswith("cell (")]
    names = ("INV_X1", "NAND2_X1", "DFF_X1", "FA_X1")
    cells = []
    for start, end in zip(starts, [*starts[1:], len(whole) - 1], strict=True):
        if any(f"({name})" in whole[start] for name in names):
            cells += whole[start:end]
    text = "".join([*whole[: starts[0]], *cells, "}\n"]).encode()
    return [{"l.lib": text}, {"l.lib.gz": gzip.compress(text, mtime=0)}, {"l.lib.xz": lzma.compress(text)}]


def accuracies() -> list[Files]:
    from reports.inputs.accuracies import Accuracies, to_json
    from reports.runs import read_run

    with tempfile.TemporaryDirectory() as parent:
        run = read_run(kept_folder("vit-mnist-w2a2-all", Path(parent)))
    return [{"a.json": to_json(Accuracies("a run", "2026-01-02", (run,))).encode()}]


def studies() -> list[Files]:
    from reports.inputs.training import study_json

    return [{"t.json": study_json("a study", [kept_runs()["vit-mnist-w2a2-all"], kept_runs()["minilm-fp"]]).encode()}]


@cache
def comparisons() -> list[Files]:
    def fill(folder: Path) -> None:
        command = [sys.executable, "-m", "hwmodel.compare", "--bits", "4", "--designs", "loom", "--out", str(folder)]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)

    made = _folder(fill)
    return [{name: made[name]} for name in ("compare.json", "compare.csv")]


def equivalences() -> list[Files]:
    return [{"e.json": (ROOT / "tests" / "hwmodel" / "inference" / "equivalence_vit_mnist.json").read_bytes()}]


def oscillations() -> list[Files]:
    line = {"epoch": 1, "oscillation": 0.25, "oscillation_by_module": {"layers.0.fc1": 0.5}, "loss": None}
    later = line | {"epoch": 2}
    return [
        {"metrics.csv": b"epoch,oscillation,loss\n1,0.25,2.5\n2,0.125,2\n"},
        {"metrics.jsonl": f"{json.dumps(line)}\n{json.dumps(later)}\n".encode()},
    ]


def runs() -> list[Files]:
    with tempfile.TemporaryDirectory() as parent:
        folder = kept_folder("vit-mnist-w2a2-all", Path(parent))
        return [{name: (folder / name).read_bytes() for name in ("run.json", "metrics.csv")}]


def configurations() -> list[Files]:
    options = {"model": "vit-mnist", "bits": 2, "lr": 0.001, "epochs": 3, "data": "digits", "override": ["*.mlp.*=2/4"]}
    yaml = "\n".join(f"{name}: {json.dumps(value)}" for name, value in options.items())
    toml = "\n".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
    return [{"c.yaml": yaml.encode()}, {"c.toml": toml.encode()}]


def sentences() -> list[Files]:
    import pandas as pd

    text = b'sentence\tlabel\na fine film\t1\nno good\t0\nit says "yes"\t1\n'
    frame = pd.DataFrame({"sentence": ["good", "bad"], "label": [1, 0], "idx": [0, 1]})
    stream = io.BytesIO()
    frame.to_parquet(stream)
    shard = "00000-of-00001.parquet"
    return [
        {"train.tsv": text, "dev.tsv": text},
        {f"train-{shard}": stream.getvalue(), f"validation-{shard}": stream.getvalue()},
    ]


def images() -> list[Files]:
    from PIL import Image

    draw = np.random.default_rng(0)
    seeds = []
    for form, name, kind in (("JPEG", "jpg", "RGB"), ("PNG", "png", "L"), ("PNG", "png", "P"), ("PNG", "png", "I;16")):
        stream = io.BytesIO()
        wide = draw.integers(0, 60_000 if kind == "I;16" else 255, (9, 8, 3) if kind == "RGB" else (9, 8))
        pixels = wide.astype(np.uint16 if kind == "I;16" else np.uint8)
        image = Image.fromarray(pixels)
        (image.convert("P") if kind == "P" else image).save(stream, form)
        seeds.append({f"{part}/{c}/i.{name}": stream.getvalue() for part in ("train", "val") for c in ("a", "b")})
    return seeds


@cache
def tiny_config() -> Any:
    """The configuration of a very small ViT."""
    from transformers import ViTConfig

    return ViTConfig(
        image_size=8, patch_size=4, num_channels=1, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, num_labels=CLASSES,
    )  # fmt: skip


@cache
def _network() -> Any:
    import torch
    from transformers import ViTForImageClassification

    torch.manual_seed(0)
    return ViTForImageClassification(tiny_config()).eval()


def checkpoints() -> list[Files]:
    import argparse

    import safetensors.torch
    import torch

    state = {name: value.clone() for name, value in _network().state_dict().items()}
    prefixed = {f"module.{key}": value for key, value in state.items()}
    found = [{"m.safetensors": safetensors.torch.save(state)}]
    for wrapped in (state, {"model": state, "epoch": 3}, {"state_dict": prefixed},
                    {"model": state, "args": argparse.Namespace(lr=0.1)}):  # fmt: skip
        stream = io.BytesIO()
        torch.save(wrapped, stream)
        found.append({"m.pth": stream.getvalue()})
    return found


def model_folders() -> list[Files]:
    return [_folder(lambda folder: _network().save_pretrained(folder))]


def integers() -> list[Files]:
    import copy

    import torch

    from qat.integers.integer import IntegerModel
    from qat.network.convert import calibrate, quantize_model
    from qat.settings.scheme import Scheme

    found = []
    for bits in ((2, 2), (1, 1)):
        scheme = Scheme(weight_bits=bits[0], activation_bits=bits[1])
        model = quantize_model(copy.deepcopy(_network()), scheme)
        calibrate(model, [{"pixel_values": torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))}])
        found.append(_folder(lambda folder, m=model, s=scheme: IntegerModel.from_quantized(m, s, {}).save(folder)))  # type: ignore[misc]
    return found


def trained_runs() -> list[Files]:
    from tests.qat.conftest import train_tiny

    return [_folder(lambda folder: train_tiny(folder / "run", bits=2, epochs=1))]


def fkd_labels() -> list[Files]:
    import torch

    content = [torch.rand(2, 4), torch.zeros(2, 1), [torch.rand(2, 3), torch.randint(0, 10, (2, 3))]]
    stream = io.BytesIO()
    torch.save(content, stream)
    return [{"f.tar": stream.getvalue()}]


def soft_labels() -> list[Files]:
    from tests.qat.test_softlabels import make

    return [_folder(lambda folder: make(folder))]
