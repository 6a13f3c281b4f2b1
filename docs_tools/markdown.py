"""Tables in Markdown, and as CSV beside the pages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

__all__ = ["rounded", "spread", "table"]


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table whose first ``left`` columns are aligned left, all others right. Bars in cells do not part them.

    >>> print(table(["design", "area"], [["loom", "1.5"]]))
    | design | area |
    | --- | ---: |
    | loom | 1.5 |
    """
    lines = [headers, ["---" if column < left else "---:" for column in range(len(headers))], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """The smallest and the largest of some values, or the one that both are when rounded.

    >>> spread([0.94, 2.03, 1.3]), spread([1.01, 1.02])
    ('0.9 to 2.0', '1.0')
    """
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def rounded(text: str) -> str:
    """A CSV text with its fractions to six significant digits: the last ones differ between machines.

    >>> print(rounded("design,area\\nloom,51.100624423"))
    design,area
    loom,51.1006
    """
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(
        [_rounded(cell) for cell in row] for row in csv.reader(io.StringIO(text))
    )
    return made.getvalue().rstrip("\n")


def _rounded(cell: str) -> str:
    try:
        return f"{float(cell):.6g}" if "." in cell else cell
    except ValueError:
        return cell
