"""What --image-stats says: mean and deviation of red, green and blue that images of folders are normalised with."""

from __future__ import annotations

from siliquant.inputs import InputError, number, short

__all__ = ["IMAGENET_STATS", "IMAGE_STATS_HELP", "Stats", "read_image_stats"]

Stats = tuple[tuple[float, ...], tuple[float, ...]]
"""Means and deviations, as fractions of white."""
IMAGENET_STATS: Stats = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Of ImageNet, as torchvision, DeiT, Swin and SReT have them."""
IMAGE_STATS_HELP = "mean and deviation of images of folders: measured, imagenet, or R,G,B/R,G,B in shares of white"


def read_image_stats(text: str) -> Stats | None:
    """Means and deviations; None: to be measured.  InputError for what is none of the three forms."""
    if text == "measured":
        return None
    if text == "imagenet":
        return IMAGENET_STATS
    parts = [part.split(",") for part in text.split("/")] if len(text) <= 200 else []
    if [len(part) for part in parts] != [3, 3]:
        raise InputError(
            f"image_stats must be measured, imagenet, or six numbers as .5,.5,.4/.25,.24,.26, not {short(text)}"
        )
    mean = tuple(number("a mean of image_stats", value, -10, 10) for value in parts[0])
    return mean, tuple(number("a deviation of image_stats", value, 1e-6, 10) for value in parts[1])
