"""Recipes of papers: values of options that stand below a config file and the command line, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

__all__ = ["RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Values of options by name, and the options without which it is not that recipe."""

    values: Mapping[str, Any]
    needs: tuple[str, ...] = ()


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        # Huang, Shen, Dong, Cheng (TMLR 2024): section of experiments, and the released code. What neither says (the
        # clipped norm of the gradient, batches of calibration) has its default.
        "paper": Recipe(
            MappingProxyType(
                {
                    "epochs": 150,
                    "batch_size": 512,
                    "lr": 5e-4,
                    "warmup": 0.0,
                    "weight_decay": 1e-4,
                    "crops_per_image": 4,
                    "distill": "logits",
                    "obr": 0.01,
                    "granularity": "head",
                    "output_by_head": True,
                    "first_last_bits": 8,
                    "weight_scale": "learned",
                    "scale_start": "error",
                    "scale_steps": "absolute",
                    "scale_lr": 1.0,
                    "gradient_scale": "l1",
                }
            ),
            needs=("start", "soft_labels"),
        ),
        # Learned step size quantisation as published (Esser et al., ICLR 2020, section 2): one step size a tensor, its
        # start, the scale of its gradient, and steps of the optimiser in the number itself.
        "lsq": Recipe(
            MappingProxyType(
                {
                    "granularity": "tensor",
                    "first_last_bits": 8,
                    "weight_scale": "learned",
                    "scale_start": "mean",
                    "scale_steps": "absolute",
                    "scale_lr": 1.0,
                    "gradient_scale": "lsq",
                }
            ),
            needs=("start",),
        ),
    }
)
"""By the name that --recipe takes."""
