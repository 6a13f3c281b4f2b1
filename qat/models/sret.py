"""SReT, the sliced recursive transformer (Shen et al., "Sliced Recursive Transformer", ECCV 2022).

A convolutional stem, then stages of transformer blocks.  Every block is applied `recursions` times in a row
with the same weights, and each application is followed by a small non-linear projection of its own.  Tokens
attend within groups; at the repeated applications the groups are drawn from all over the image.  Modules are
named as in the ViT of Hugging Face transformers, and attention goes through its attention interface.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.swin.modeling_swin import SwinDropPath
from transformers.models.vit.modeling_vit import eager_attention_forward

from siliquant.inputs import InputError, InputTypeError

__all__ = ["SReTConfig", "SReTForImageClassification", "evaluation_order", "grid_sides"]


class SReTConfig(PreTrainedConfig):
    """Sizes of an SReT; the defaults are SReT-T at 224 x 224 pixels.

    Square images of image_size pixels; three 3x3 convolutions with stem_strides make the first token grid.
    widths, depths, num_heads and groups have one entry a stage: channels, distinct blocks, attention heads, and
    the number of token groups at each of the `recursions` applications of a block.  mlp_ratio and
    projection_ratio are hidden width over width.  drop_path_rate rises linearly from 0 at the first block to
    its value at the last.  TypeError and ValueError say which field is wrong and what it must be.
    """

    model_type = "sret"

    image_size: int = 224
    num_channels: int = 3
    stem_strides: Sequence[int] = (2, 2, 2)
    widths: Sequence[int] = (64, 128, 256)
    depths: Sequence[int] = (2, 5, 3)
    num_heads: Sequence[int] = (2, 4, 8)
    recursions: int = 2
    groups: Sequence[Sequence[int]] = ((8, 2), (4, 1), (1, 1))
    mlp_ratio: float = 3.6
    projection_ratio: float = 1.0
    qkv_bias: bool = True
    hidden_act: str = "gelu"
    attention_probs_dropout_prob: float = 0.0
    drop_path_rate: float = 0.1
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-6

    def __post_init__(self, **kwargs: Any) -> None:
        for name in ("image_size", "num_channels", "recursions"):
            _check_size(name, getattr(self, name))
        for name in ("stem_strides", "widths", "depths", "num_heads"):
            setattr(self, name, _sizes(name, getattr(self, name)))
        if not isinstance(self.groups, (list, tuple)):
            raise InputTypeError(f"groups must be a sequence with one entry a stage, not {self.groups!r}")
        self.groups = tuple(_sizes(f"groups[{stage}]", groups) for stage, groups in enumerate(self.groups))
        for name in ("mlp_ratio", "projection_ratio"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} must be a positive number, not {getattr(self, name)}")
        for name in ("attention_probs_dropout_prob", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if self.hidden_act not in ACT2FN:
            raise InputError(f"hidden_act must be an activation that transformers knows, not {self.hidden_act!r}")
        _check_shapes(self)
        super().__post_init__(**kwargs)


def grid_sides(config: SReTConfig) -> tuple[int, ...]:
    """Side of each stage's square token grid: (28, 14, 7) for SReT-T."""
    side = config.image_size
    for stride in config.stem_strides:
        side = _after_stride(side, stride)
    sides = [side]
    for _ in config.widths[1:]:
        sides.append(_after_stride(sides[-1], 2))
    return tuple(sides)


def evaluation_order(tokens: int) -> Tensor:
    """The order of `tokens` tokens whose slices are the groups of repeated applications in evaluation.

    int64 of shape (tokens,), a permutation: multiples, modulo `tokens`, of a step near the golden section that
    has no common divisor with it.  Every group is spread over the whole image as a random draw would be, no
    generator is involved, and hardware needs one adder for the addresses.
    """
    step = (618 * tokens + 500) // 1000
    while math.gcd(step, tokens) != 1:
        step += 1
    return torch.arange(tokens) * step % tokens


def _after_stride(side: int, stride: int) -> int:
    """Output side of a 3x3 convolution with padding 1."""
    return (side - 1) // stride + 1


def _check_size(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputTypeError(f"{name} must be an integer, not {value!r}")
    if value < 1:
        raise InputError(f"{name} must be at least 1, not {value}")


def _sizes(name: str, values: object) -> tuple[int, ...]:
    if not isinstance(values, (list, tuple)):
        raise InputTypeError(f"{name} must be a sequence of integers, not {values!r}")
    for index, value in enumerate(values):
        _check_size(f"{name}[{index}]", value)
    return tuple(values)


def _check_shapes(config: SReTConfig) -> None:
    """What one field asks of another."""
    if len(config.stem_strides) != 3:
        raise InputError(f"stem_strides must have 3 entries, not {len(config.stem_strides)}")
    if not config.widths:
        raise InputError("widths must have at least one entry, one a stage")
    if config.widths[0] % 2:
        raise InputError(f"widths[0] must be even, since the stem begins with half of it, but it is {config.widths[0]}")
    for name in ("depths", "num_heads", "groups"):
        if len(getattr(config, name)) != len(config.widths):
            raise InputError(
                f"{name} must have {len(config.widths)} entries, one a stage as widths has, "
                f"not {len(getattr(config, name))}"
            )
    for stage, (narrow, wide) in enumerate(zip(config.widths, config.widths[1:], strict=False)):
        if wide % narrow:
            raise InputError(
                f"widths[{stage + 1}] must be a multiple of {narrow}, the width before it, for the depthwise "
                f"convolution between the stages, not {wide}"
            )
    sides = grid_sides(config)
    for stage, (width, heads, groups) in enumerate(zip(config.widths, config.num_heads, config.groups, strict=True)):
        if width % heads:
            raise InputError(f"widths[{stage}] must be a multiple of num_heads[{stage}] = {heads}, not {width}")
        if len(groups) != config.recursions:
            raise InputError(
                f"groups[{stage}] must have {config.recursions} entries, one an application, not {len(groups)}"
            )
        for application, count in enumerate(groups):
            if sides[stage] ** 2 % count:
                raise InputError(
                    f"groups[{stage}][{application}] must divide the stage's {sides[stage] ** 2} tokens, not {count}"
                )


class SReTAttention(nn.Module):
    """Multi-head self-attention: (batch, tokens, width) to the same; each row of the batch is one group."""

    def __init__(self, config: SReTConfig, width: int, num_heads: int) -> None:
        super().__init__()
        self.config = config
        self.num_attention_heads = num_heads
        self.head_dim = width // num_heads
        self.attention_dropout = config.attention_probs_dropout_prob
        self.scaling = self.head_dim**-0.5
        self.is_causal = False
        self.q_proj = nn.Linear(width, width, bias=config.qkv_bias)
        self.k_proj = nn.Linear(width, width, bias=config.qkv_bias)
        self.v_proj = nn.Linear(width, width, bias=config.qkv_bias)
        self.o_proj = nn.Linear(width, width)

    def forward(self, hidden_states: Tensor) -> Tensor:
        batch, tokens, _ = hidden_states.shape
        by_head = (batch, tokens, -1, self.head_dim)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        output, _ = attend(
            self,
            self.q_proj(hidden_states).view(by_head).transpose(1, 2),
            self.k_proj(hidden_states).view(by_head).transpose(1, 2),
            self.v_proj(hidden_states).view(by_head).transpose(1, 2),
            None,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
        )
        return cast(Tensor, self.o_proj(output.reshape(batch, tokens, -1).contiguous()))


class SReTMLP(nn.Module):
    """Two linear layers with the activation between them."""

    def __init__(self, config: SReTConfig, width: int, ratio: float) -> None:
        super().__init__()
        self.activation_fn: Callable[[Tensor], Tensor] = ACT2FN[config.hidden_act]
        self.fc1 = nn.Linear(width, max(1, int(width * ratio)))
        self.fc2 = nn.Linear(self.fc1.out_features, width)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return cast(Tensor, self.fc2(self.activation_fn(self.fc1(hidden_states))))


class SReTResidual(nn.Module):
    """shortcut * a + branch * b with learned scalars a and b that start at 1."""

    def __init__(self, drop_path_rate: float = 0.0) -> None:
        super().__init__()
        self.shortcut_coefficient = nn.Parameter(torch.ones(1))
        self.branch_coefficient = nn.Parameter(torch.ones(1))
        self.drop_path = SwinDropPath(drop_path_rate)

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        return self.shortcut_coefficient * shortcut + self.branch_coefficient * cast(Tensor, self.drop_path(branch))


class SReTBlock(nn.Module):
    """Group attention and MLP, each after a layer norm and beside a residual connection."""

    def __init__(
        self, config: SReTConfig, width: int, num_heads: int, groups: Sequence[int], drop_path_rate: float
    ) -> None:
        super().__init__()
        self.groups = tuple(groups)
        self.layernorm_before = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attention = SReTAttention(config, width, num_heads)
        self.attention_residual = SReTResidual(drop_path_rate)
        self.layernorm_after = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.mlp = SReTMLP(config, width, config.mlp_ratio)
        self.mlp_residual = SReTResidual(drop_path_rate)

    def forward(self, hidden_states: Tensor, application: int) -> Tensor:
        """(batch, tokens, width) to the same; `application` counts from 0 and selects the number of groups."""
        attended = self._attend_in_groups(self.layernorm_before(hidden_states), application)
        hidden_states = self.attention_residual(hidden_states, attended)
        return cast(Tensor, self.mlp_residual(hidden_states, self.mlp(self.layernorm_after(hidden_states))))

    def _attend_in_groups(self, hidden_states: Tensor, application: int) -> Tensor:
        batch, tokens, width = hidden_states.shape
        groups = self.groups[application]
        if groups == 1:  # attention to all tokens does not see their order
            return cast(Tensor, self.attention(hidden_states))
        by_group = (batch * groups, tokens // groups, width)
        if application == 0:
            return cast(Tensor, self.attention(hidden_states.reshape(by_group))).reshape(batch, tokens, width)
        # Drawn on the CPU, so that a seed gives the same groups on every device.
        order = (torch.randperm(tokens) if self.training else evaluation_order(tokens)).to(hidden_states.device)
        attended = cast(Tensor, self.attention(hidden_states[:, order].reshape(by_group)))
        return attended.reshape(batch, tokens, width)[:, order.argsort()]


class SReTProjection(nn.Module):
    """The non-linear projection after one application of a block."""

    def __init__(self, config: SReTConfig, width: int) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.mlp = SReTMLP(config, width, config.projection_ratio)
        self.residual = SReTResidual()

    def forward(self, hidden_states: Tensor) -> Tensor:
        return cast(Tensor, self.residual(hidden_states, self.mlp(self.layernorm(hidden_states))))


class SReTStage(nn.Module):
    """Blocks, each applied `recursions` times; projections[block * recursions + application] follows each."""

    def __init__(self, config: SReTConfig, stage: int, drop_path_rates: Sequence[float]) -> None:
        super().__init__()
        width = config.widths[stage]
        self.recursions = config.recursions
        self.blocks = nn.ModuleList(
            SReTBlock(config, width, config.num_heads[stage], config.groups[stage], rate) for rate in drop_path_rates
        )
        self.projections = nn.ModuleList(
            SReTProjection(config, width) for _ in range(len(drop_path_rates) * config.recursions)
        )

    def forward(self, hidden_states: Tensor) -> Tensor:
        for index, projection in enumerate(self.projections):
            block, application = divmod(index, self.recursions)
            hidden_states = projection(self.blocks[block](hidden_states, application))
        return hidden_states


class SReTEmbeddings(nn.Module):
    """Images (batch, channels, side, side) to tokens (batch, side^2, widths[0]) with learned positions."""

    def __init__(self, config: SReTConfig) -> None:
        super().__init__()
        width = config.widths[0]
        layers: list[nn.Module] = []
        channels = config.num_channels
        for outputs, stride in zip((width // 2, width, width), config.stem_strides, strict=True):
            layers += [nn.Conv2d(channels, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            channels = outputs
        self.stem = nn.Sequential(*layers)
        self.position_embeddings = nn.Parameter(torch.zeros(1, grid_sides(config)[0] ** 2, width))

    def forward(self, pixel_values: Tensor) -> Tensor:
        return cast(Tensor, self.stem(pixel_values)).flatten(2).transpose(1, 2) + self.position_embeddings


class SReTModel(nn.Module):
    """Images to normalised tokens of the last stage."""

    def __init__(self, config: SReTConfig) -> None:
        super().__init__()
        self.sides = grid_sides(config)
        self.embeddings = SReTEmbeddings(config)
        last = max(1, sum(config.depths) - 1)
        rates = [config.drop_path_rate * index / last for index in range(sum(config.depths))]
        starts = [sum(config.depths[:stage]) for stage in range(len(config.depths) + 1)]
        self.stages = nn.ModuleList(
            SReTStage(config, stage, rates[starts[stage] : starts[stage + 1]]) for stage in range(len(config.depths))
        )
        self.downsamples = nn.ModuleList(
            nn.Conv2d(narrow, wide, 3, 2, 1, groups=narrow)
            for narrow, wide in zip(config.widths, config.widths[1:], strict=False)
        )
        self.layernorm = nn.LayerNorm(config.widths[-1], eps=config.layer_norm_eps)

    def forward(self, pixel_values: Tensor) -> Tensor:
        hidden_states = self.embeddings(pixel_values)
        for index, stage in enumerate(self.stages):
            if index:
                side = self.sides[index - 1]
                grid = hidden_states.transpose(1, 2).unflatten(2, (side, side))
                hidden_states = self.downsamples[index - 1](grid).flatten(2).transpose(1, 2)
            hidden_states = stage(hidden_states)
        return cast(Tensor, self.layernorm(hidden_states))


class SReTForImageClassification(PreTrainedModel):
    """SReT with a linear classifier on the mean of the last stage's tokens."""

    config: SReTConfig
    config_class = SReTConfig
    base_model_prefix = "sret"
    main_input_name = "pixel_values"
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: SReTConfig) -> None:
        super().__init__(config)
        self.sret = SReTModel(config)
        self.classifier = nn.Linear(config.widths[-1], len(config.id2label or {}))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            # The small normal start of linear layers would all but close the depthwise convolutions.
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, SReTEmbeddings):
            init.trunc_normal_(module.position_embeddings, std=self.config.initializer_range)
        elif isinstance(module, SReTResidual):
            init.ones_(module.shortcut_coefficient)
            init.ones_(module.branch_coefficient)
        else:
            super()._init_weights(module)

    def forward(self, pixel_values: Tensor) -> ImageClassifierOutput:
        """Logits of shape (batch, num_labels) for images (batch, num_channels, image_size, image_size)."""
        expected = (self.config.num_channels, self.config.image_size, self.config.image_size)
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:]) != expected:
            raise InputError(
                f"pixel_values must have the shape (batch, {', '.join(map(str, expected))}), "
                f"not {tuple(pixel_values.shape)}"
            )
        return ImageClassifierOutput(logits=self.classifier(self.sret(pixel_values).mean(dim=1)))
