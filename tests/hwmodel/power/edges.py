"""Liberty tables of edges whose values can be told by hand."""

from __future__ import annotations

__all__ = ["edge_tables"]


def edge_tables(kind: str, rise: float, fall: float) -> str:
    """``rise_KIND`` and ``fall_KIND`` over the template t, with indices 0 and 1: these times 1 + slew in ns, and 1 more
    for each pF of load.
    """
    return " ".join(
        f'{name}_{kind} (t) {{ values ("{base}, {base + 1}", "{2 * base}, {2 * base + 1}"); }}'
        for name, base in (("rise", rise), ("fall", fall))
    )
