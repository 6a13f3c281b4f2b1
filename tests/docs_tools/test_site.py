"""The site is built without a warning, and shows everything without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from latex2mathml.converter import convert

from docs_tools.commands import ROOT
from docs_tools.diagrams import FOLDER
from docs_tools.docstrings import to_markdown
from docs_tools.hooks import INTERNAL, PACKAGES, modules_of, named_modules, with_diagrams, with_mathml

DOCS = ROOT / "docs"


def built(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """As make docs does: not --quiet, with which MkDocs does not count warnings, and --strict lets them pass."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=root, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return folder


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("[dead](nowhere.md)", "'nowhere.md'"),
        ("[no anchor](other.md#nothing)", "does not contain an anchor '#nothing'"),
        ("[outside](/other.md)", "absolute link"),
    ],
)
def test_a_dead_link_fails(fault: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text().partition("\nhooks:")[0].partition("\ntheme:")[0])
    validation = (ROOT / "mkdocs.yml").read_text().partition("\nvalidation:")[2].partition("\nnav:")[0]
    settings |= {"validation": yaml.safe_load(validation), "nav": [{"Home": "index.md"}, {"Other": "other.md"}]}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[other](other.md)\n")
    assert built(tmp_path, tmp_path / "site").returncode == 0
    (tmp_path / "docs" / "index.md").write_text(f"# Home\n\n{fault}\n")
    done = built(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    (tmp_path / "docs" / "index.md").write_text("# Home\n")
    (tmp_path / "docs" / "lost.md").write_text("# Lost\n")
    done = built(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "lost.md" in done.stdout + done.stderr


def test_make_docs_counts_warnings() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ndocs:")[2].partition("\n\n")[0]
    assert "--strict" in recipe
    assert "--quiet" not in recipe


class Loads(HTMLParser):
    """What a page loads, and what it says."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "object", "embed"):
            self.addresses += filter(None, [given.get("src"), given.get("data")])
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect", "modulepreload"):
            self.addresses += filter(None, [given.get("href")])

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_every_page_of_the_folder_is_a_page_of_the_site(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS).with_suffix(".html")).exists()


def test_nothing_is_loaded_from_a_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address in Loads(page).addresses:
            assert not re.match(r"(https?:)?//", address), f"{page.relative_to(site)} loads {address}"
            if not address.startswith("data:") and page.name != "404.html":
                assert (page.parent / address.partition("?")[0].partition("#")[0]).exists(), address
    for style in (site / "stylesheets").rglob("*.css"):
        assert "http" not in style.read_text()


def test_the_notebooks_are_linked_and_there(site: Path) -> None:
    content = (site / "notebooks.html").read_text().partition("<article")[2]
    linked = list(dict.fromkeys(re.findall(r'href="(notebooks/[\w-]+)\.html"', content)))
    assert linked == [f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    for address in linked:
        page, notebook = site / f"{address}.html", site / f"{address}.ipynb"
        assert f'href="{notebook.name}"' in page.read_text()
        assert notebook.read_bytes() == (ROOT / f"{address}.ipynb").read_bytes()


def test_search_works_from_a_file(site: Path) -> None:
    assert "iframe-worker.js" in (site / "index.html").read_text()
    assert (site / "search" / "search_index.js").read_text().startswith("var __index = ")


def test_formulas_are_mathml_and_diagrams_are_in_the_page(site: Path) -> None:
    method = (site / "method.html").read_text()
    assert method.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') >= 8
    for page in site.rglob("*.html"):
        text = page.read_text()
        assert "arithmatex" not in text
        assert not re.search(r"\$\$|\\\(|\\frac", "".join(Loads(page).text))
    assert (site / "hardware.html").read_text().count('<figure class="diagram"><svg') == 10


def test_the_api_has_every_module(site: Path) -> None:
    shown = "".join(page.read_text() for page in (site / "api").glob("*.html"))
    for package in PACKAGES:
        for name in modules_of(package):
            assert f'id="{name}"' in shown, f"{name} is on no page"
    assert all(name not in named_modules(DOCS) for name in INTERNAL)
    assert named_modules(DOCS) <= {name for package in PACKAGES for name in modules_of(package)}


def test_a_reference_in_a_docstring_is_a_link(site: Path) -> None:
    page = (site / "api" / "rtl.html").read_text()
    assert ":class:" not in page
    assert ":meth:" not in page
    assert 'href="#rtl.mac.bitfusion.BitFusionSpec"' in page


def test_formulas_within_and_between_lines() -> None:
    page = r'a <span class="arithmatex">\(x &lt; 1\)</span> <div class="arithmatex">\[ y^2 \]</div>'
    inline, block = convert("x < 1"), convert("y^2", display="block")
    assert with_mathml(page) == f'a {inline} <div class="formula">{block}</div>'


def test_a_diagram_has_the_text_of_its_image_as_caption() -> None:
    done = with_diagrams('<p><img alt="A &amp; B" src="diagrams/uniform-against-mixed.svg" /></p>', FOLDER)
    assert done.startswith('<figure class="diagram"><svg ')
    assert done.endswith("</svg>\n<figcaption>A &amp; B</figcaption></figure>")


def test_two_diagrams_of_a_page_do_not_share_their_tips() -> None:
    page = "".join(f'<p><img alt="x" src="diagrams/{name}.svg" /></p>' for name in ("frame", "loom"))
    done = with_diagrams(page, FOLDER)
    assert done.count("<figure") == 2
    assert 'id="tip-frame"' in done
    assert "url(#tip-loom)" in done
    assert "<style>" not in done


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("One line.", "One line."),
        ("Sum over k of w_k * a_k, [M, K], 2 < 3.", r"Sum over k of w\_k \* a\_k, \[M, K], 2 \< 3."),
        ("``spec`` and `x_1`, *args.", r"`spec` and `x_1`, \*args."),
        (":class:`a.B` or :func:`c`", "[`a.B`][a.B] or `c`"),
        ("Text:\n\n    a * b\n    c\n\nMore.", "Text:\n\n    a * b\n    c\n\nMore."),
        ("Text.\n\n>>> 1 + 1\n2\n\nMore.", "Text.\n\n\n```pycon\n>>> 1 + 1\n2\n```\n\n\nMore."),
        (
            "Args:\n    a, b: both,\n        of them.\n    c: third.\n\nMore.",
            "\n**Args**\n\n- `a, b`: both, of them.\n- `c`: third.\n\nMore.",
        ),
        (
            "Parameters\n----------\na\n    first\nb, c\n    others\n    too",
            "\n**Parameters**\n\n- `a`: first\n- `b, c`: others too\n",
        ),
    ],
)
def test_docstrings_become_markdown(text: str, markdown: str) -> None:
    assert to_markdown(text, {"a.B": "a.B"}.get) == markdown
