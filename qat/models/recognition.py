"""Which network a Hugging Face folder holds, by the sizes in its config.json."""

from __future__ import annotations

import json
from pathlib import Path

from qat.settings import PRESET_NAMES

from .checkpoints import STRUCTURE
from .classes import model_class
from .folders import folder_config
from .presets import preset

__all__ = ["recognise", "says_its_network"]


def says_its_network(source: Path) -> bool:
    """Whether it is a Hugging Face folder, whose config.json describes the network. InputError for a bad one."""
    return (source / "config.json").exists() and folder_config(source) is not None


def recognise(folder: Path) -> tuple[str, int | None] | None:
    """What `--model` has to be for the network of a Hugging Face folder: the preset that it is and, where it is not the
    preset's, its image_size in pixels; else the folder itself.

    None for what has no config.json that says its network: a file, a folder of timm. InputError for one that cannot be
    read.
    """
    found = folder_config(folder) if (folder / "config.json").exists() else None
    if found is None:
        return None
    sizes = {"model_type": found.model_type, **found.to_dict()}
    for name in PRESET_NAMES:
        own = preset(name).config
        known = {"model_type": own.model_type, **own.to_dict()}
        # Through JSON, where tuples and lists are one.
        one_class = found.architectures == [model_class(own.model_type).__name__]  # DeiT has one with a single head
        if one_class and all(
            json.dumps(sizes.get(field)) == json.dumps(known.get(field)) for field in STRUCTURE if field != "image_size"
        ):
            pixels = sizes.get("image_size")
            return name, pixels if isinstance(pixels, int) and pixels != known.get("image_size") else None
    return str(folder), None
