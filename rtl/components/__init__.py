"""Amaranth components that all designs share: the registers around the graph of a datapath. Loads Amaranth."""

from __future__ import annotations

from .mac import DatapathLogic, MacComponent

__all__ = ["DatapathLogic", "MacComponent"]
