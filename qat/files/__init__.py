"""Readers of what others wrote: tensors, tables of texts, images. Never code, never more than a file holds."""

from __future__ import annotations

from .pixels import SUFFIXES, check_image, read_image, read_size
from .stored import check_network, read_model, save_model, save_tensors, tensors_sha256
from .tables import Table, read_parquet, read_tsv
from .weights import (
    MOST_FILE_BYTES,
    StoredArray,
    check_finite,
    check_plain,
    first_line,
    guarded,
    load_torch,
    quietly,
    read_folder,
    read_state_dict,
)

__all__ = [
    "MOST_FILE_BYTES",
    "SUFFIXES",
    "StoredArray",
    "Table",
    "check_finite",
    "check_image",
    "check_network",
    "check_plain",
    "first_line",
    "guarded",
    "load_torch",
    "quietly",
    "read_folder",
    "read_image",
    "read_model",
    "read_parquet",
    "read_size",
    "read_state_dict",
    "read_tsv",
    "save_model",
    "save_tensors",
    "tensors_sha256",
]
