"""How the C library's allocator treats the memory that a training step frees."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h in glibc
_LARGEST_BLOCK, _NEVER = 1 << 30, -1


def keep_freed_memory() -> bool:
    """Tells glibc to keep freed blocks of up to 1 GiB for the next step, for good; returns whether it took it.

    By default large tensors go back to the system when they are freed, and the next step pays a page fault for each
    4 KiB of them again.  False, and nothing happens, with another C library.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
