"""Changes of pixels that training images are given: RandAugment and random erasing.

In: an image and drawn numbers. Out: an image that they alone decide. Read ``operations``, then ``changes``.
"""

from __future__ import annotations

from .changes import DRAWS, Changes
from .operations import MOST_MAGNITUDE

__all__ = ["DRAWS", "MOST_MAGNITUDE", "Changes"]
