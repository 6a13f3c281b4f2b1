"""Tables for LaTeX, with the rules of booktabs."""

from __future__ import annotations

from .table import Table, groups, shown

__all__ = ["escape", "latex"]

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}",
    # After the end of a row these would be its options.
    "[": "{[}", "]": "{]}", "*": "{*}",
    "µ": r"\textmu{}", "²": r"\textsuperscript{2}", "×": r"$\times$", "−": r"$-$", "–": "--", "±": r"$\pm$",
    "≤": r"$\le$", "≥": r"$\ge$", "·": r"$\cdot$", "°": r"\textdegree{}",
}  # fmt: skip


def escape(text: str) -> str:
    """Text that LaTeX sets as it is: no command, no end of a cell, one line. Letters of other scripts stay."""
    one_line = " ".join(text.split()).replace("--", "-\0-").replace("--", "-\0-")
    return "".join(_SPECIAL.get(character, character) for character in one_line).replace("\0", "{}")


def latex(table: Table) -> str:
    r"""A floating table, to be read with \input after \usepackage{booktabs,textcomp}; numbers stand at the right."""
    alignment = "".join("l" if column.digits is None else "r" for column in table.columns)
    lines = [
        r"% \usepackage[T1]{fontenc}",
        r"% \usepackage{booktabs,textcomp}",
        r"\begin{table}",
        rf"\caption{{{escape(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\centering",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
        *_groups(table),
        _line([column.header for column in table.columns]),
        r"\midrule",
    ]
    for row in table.rows:
        lines.append(_line([shown(column, cell) for column, cell in zip(table.columns, row, strict=True)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _groups(table: Table) -> list[str]:
    """The line over the headers and its rules."""
    cells, rules, at = [], [], 1
    for name, span in groups(table):
        cells.append(rf"\multicolumn{{{span}}}{{{'c' if name else 'l'}}}{{{escape(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{at}-{at + span - 1}}}")
        at += span
    return [f"{' & '.join(cells)} \\\\", " ".join(rules)] if cells else []


def _line(cells: list[str]) -> str:
    return f"{' & '.join(escape(cell) for cell in cells)} \\\\"
