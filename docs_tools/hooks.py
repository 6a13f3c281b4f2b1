"""What MkDocs does on top of its plugins: formulas as MathML, diagrams within the page, modules that no page names.

Nothing is left to a script that a browser would have to load.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

from latex2mathml.converter import convert

from docs_tools.commands import ROOT
from docs_tools.notebooks import notebooks, shown

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

__all__ = [
    "modules_of",
    "named_modules",
    "on_files",
    "on_page_content",
    "on_page_markdown",
    "with_diagrams",
    "with_mathml",
]

PACKAGES = ("rtl", "hwmodel", "sim", "qat", "reports", "siliquant")
INTERNAL = frozenset(
    {
        "hwmodel.yosys.worker",
        "sim.array.tests",
        "sim.mac.tests",
        "sim.fuzzing.netlist_worker",
        "sim.mutants.worker",
        "sim.controllers.worker",
        "sim.simulators.netlist_worker",
        "rtl.verilog.rtlil_worker",
    }
)
"""What is run by other processes, and imported by nothing."""
_FORMULA = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)
_NAME = re.compile(r"<mo>([A-Za-z]{2,})</mo>")  # of a function, not an operator with space around it
_DIAGRAM = re.compile(r'<p><img alt="(?P<alt>[^"]*)" src="(?P<path>[^"]*diagrams/[a-z-]+\.svg)" ?/?></p>')
_OTHERS = re.compile(r"^<!-- other modules: (?P<package>[a-z]+) -->$", re.MULTILINE)
_NAMED = re.compile(r"^::: ([a-z_.0-9]+)$", re.MULTILINE)
_NOTEBOOK = re.compile(r"\]\(\.\./(notebooks/[\w-]+)\.ipynb\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """The site with the notebooks as pages, and to be loaded down from it."""
    from mkdocs.structure.files import File

    for path in notebooks():
        files.append(File.generated(config, f"notebooks/{path.name}", abs_src_path=str(path)))
        page, images = shown(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
        for name, image in images.items():
            files.append(File.generated(config, f"notebooks/{name}", content=image))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Names the modules of a package that no page names, where a page asks for them. Links to the notebooks, which in
    the repository lie beside docs, lead to their pages.
    """
    del page, files
    named = named_modules(Path(config.docs_dir))

    def others(match: re.Match[str]) -> str:
        return "\n\n".join(f"::: {name}" for name in modules_of(match["package"]) if name not in named)

    return _NOTEBOOK.sub(r"](\1.md)", _OTHERS.sub(others, markdown))


def on_page_content(content: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts formulas and diagrams into the page."""
    del page, files
    return with_diagrams(with_mathml(content), Path(config.docs_dir) / "diagrams")


def with_mathml(content: str) -> str:
    r"""The page with MathML in place of what arithmatex left, \(...\) within lines and \[...\] between them."""

    def formula(match: re.Match[str]) -> str:
        text = html.unescape(match[2]).strip()
        display = "block" if text.startswith("\\[") else "inline"
        made = _NAME.sub(r"<mi>\1</mi>", convert(text[2:-2].strip(), display=display))
        return f'<div class="formula">{made}</div>' if display == "block" else made

    return _FORMULA.sub(formula, content)


def with_diagrams(content: str, folder: Path) -> str:
    """The page with the SVG of each diagram in place of an image, so that it has the colours of the page, and with the
    text of the image as its caption.
    """

    def figure(match: re.Match[str]) -> str:
        drawing = (folder / Path(match["path"]).name).read_text()
        drawing = re.sub(r"<style>.*?</style>\n?", "", drawing)
        # Each tip belongs to its own diagram: a page may have several.
        drawing = drawing.replace("tip", f"tip-{Path(match['path']).stem}")
        return f'<figure class="diagram">{drawing}<figcaption>{match["alt"]}</figcaption></figure>'

    return _DIAGRAM.sub(figure, content)


def modules_of(package: str) -> list[str]:
    """The modules of a package that have something to say, by name."""
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name != package and name not in INTERNAL and not name.rpartition(".")[2].startswith("_"):
            found.append(name)
    return found


def named_modules(docs: Path) -> set[str]:
    """The modules that pages name."""
    return {name for page in docs.rglob("*.md") for name in _NAMED.findall(page.read_text())}
