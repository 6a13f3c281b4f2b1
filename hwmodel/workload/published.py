"""Accuracies that others published, beside which our costs are shown. None of them was measured here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["published_accuracy", "published_source"]

_PATH = Path(__file__).resolve().parents[1] / "data" / "published.json"


def published_accuracy(model: str, bits: int) -> float | None:
    """Top-1 accuracy on ImageNet-1K in percent of a uniform model of ``bits`` bits (32: full precision); None where
    none was published.
    """
    found: float | None = _data()["accuracies_percent"].get(model, {}).get(str(bits))
    return found


def published_source() -> str:
    """Where the accuracies are from."""
    return str(_data()["source"])


@lru_cache(maxsize=1)
def _data() -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads(_PATH.read_text())
    return data
