"""MixUp: weighted means of pairs of images and of their losses (Zhang et al., "mixup: Beyond Empirical Risk
Minimization", ICLR 2018), one weight a step and pairs within the step, as timm does it.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn import functional as F

__all__ = ["mix_weight", "mixed", "mixed_cross_entropy", "shown_labels"]

_STREAM = 0x6D6978  # apart from what seeds dropout at the same step


def mix_weight(alpha: float, seed: int, epoch: int, step: int) -> float:
    """The share of the images themselves, from 0 to 1, Beta(alpha, alpha); the same in every process; 1 for alpha 0."""
    if not alpha:
        return 1.0
    return float(np.random.Generator(np.random.PCG64([seed, epoch, step, _STREAM])).beta(alpha, alpha))


def mixed(images: Tensor, weight: float) -> Tensor:
    """``weight`` of each image [n, ...] and the rest of its partner: the first with the last, and so on."""
    return images if weight == 1 else images * weight + images.flip(0) * (1 - weight)


def mixed_cross_entropy(logits: Tensor, labels: Tensor, weight: float, smoothing: float) -> Tensor:
    """Mean cross-entropy with the labels [n] of both images of a pair, weighted as they are; targets are smoothed by
    ``smoothing``, 0 to 1, spread over all classes (Szegedy et al. 2016).
    """
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    if weight == 1:
        return loss
    return weight * loss + (1 - weight) * F.cross_entropy(logits, labels.flip(0), label_smoothing=smoothing)


def shown_labels(labels: Tensor, weight: float) -> Tensor:
    """Of the image that has the larger share."""
    return labels if weight >= 0.5 else labels.flip(0)
