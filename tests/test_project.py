"""The project itself: what it depends on, what imports what, and that its texts agree with its files."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hwmodel

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(PYPROJECT)["project"]
PACKAGES = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports", "docs_tools")

# What a module may import of ours beside its own package and siliquant, which is for all of them.
# The longest prefix of the module's name decides.
MAY_IMPORT = {
    "siliquant": (),  # its commands are named as text, and loaded when they are asked for
    "rtl": (),
    "sim": ("rtl", "qat.export"),
    "hwmodel": ("rtl",),
    "reports": ("hwmodel", "rtl"),
    "qat": (),
    "docs_tools": ("hwmodel", "rtl"),
}
WITHOUT_TORCH = (
    "siliquant",
    "hwmodel",
    "rtl",
    "qat.settings.names",
    "qat.settings.ranges",
    "qat.settings.options",
    "qat.parsers",
    "sim.parsers",
)


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return PROJECT["dependencies"] + [requirement for extra in extras for requirement in extra]


def pins() -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def source_files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(tree: ast.AST, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, inside functions and type-checking blocks too.

    ``from a import b`` counts as ``a.b``, since ``b`` may be a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            base = base[: len(base) - node.level + is_package] if node.level else []
            origin = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def wrong_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    rule = max((prefix for prefix in MAY_IMPORT if within(module, prefix)), key=len)
    allowed = (rule.split(".")[0], "siliquant", *MAY_IMPORT[rule])
    wrong = []
    for line, name in imported(ast.parse(source), module, is_package):
        ours = name.split(".")[0] in PACKAGES
        if ours and not any(within(name, package) for package in allowed):
            wrong.append(f"line {line}: {module} must not import {name}")
        if within(name, "torch") and any(within(module, package) for package in WITHOUT_TORCH):
            wrong.append(f"line {line}: {module} must not import torch")
    return wrong


@pytest.mark.parametrize("path", source_files(), ids=module_name)
def test_imports_point_one_way(path: Path) -> None:
    wrong = wrong_imports(path.read_text(), module_name(path), is_package=path.name == "__init__.py")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rtl.mac.uniform", "import sim.mac.testbench"),
        ("rtl.mac.uniform", "from ...hwmodel import synth"),
        ("rtl.array", "def late():\n    from hwmodel import synth"),
        ("hwmodel.model.model", "import torch.nn"),
        ("rtl.gen", "from torch import Tensor"),
        ("hwmodel.compare", "from reports.tables import table"),
        ("sim.equivalence", "from qat import layers"),
        ("sim.equivalence", "from qat.exporter import load"),
        ("sim.mac.testbench", "import hwmodel"),
        ("siliquant.files.write", "from rtl.spec.mac import Precision"),
        ("siliquant.main", "def late():\n    import hwmodel.compare"),
        ("qat.parsers", "import torch"),
        ("qat.export", "from rtl.spec.mac import Precision"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str) -> None:
    assert wrong_imports(source, module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rtl.mac.uniform", "from ..bitheap import BitHeap\nfrom . import common"),
        ("sim.equivalence", "from qat.export import load\nfrom qat import export\nimport rtl.spec.mac"),
        ("rtl.gen", "from siliquant.commandline.cli import Parser"),
        ("hwmodel.synthesis.flow", "import simpy, torchmetrics_free, numpy"),
        ("qat.train", "import torch"),
    ],
)
def test_a_right_import_is_left_alone(module: str, source: str) -> None:
    assert wrong_imports(source, module) == []


@pytest.mark.parametrize(
    "module",
    [
        "siliquant.commandline.completions",
        "hwmodel",
        "rtl.spec.mac",
        "rtl.gen",
        "hwmodel.compare",
        "qat.parsers",
        "sim.parsers",
    ],
)
def test_import_loads_neither_torch_nor_amaranth(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({{'torch', 'amaranth', 'pyosys'}} & sys.modules.keys()))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("requirement", requirements())
def test_every_dependency_says_why(requirement: str) -> None:
    lines = [line for line in PYPROJECT.splitlines() if f'"{requirement}"' in line]
    assert lines
    for line in lines:
        assert re.search(r'",\s+# \w.{10,}', line), f"no reason beside it: {line.strip()}"


@pytest.mark.parametrize("requirement", requirements())
def test_the_constraints_satisfy_the_ranges(requirement: str) -> None:
    parsed = Requirement(requirement)
    version = pins().get(canonicalize_name(parsed.name))
    assert version, f"{parsed.name} is not in constraints.txt"
    assert parsed.specifier.contains(version), f"constraints.txt has {parsed.name} {version}, which {parsed} leaves out"


def test_the_constraints_are_exact_and_sorted() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert [line for line in listed if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    names = [line.partition("==")[0] for line in listed]
    assert names == sorted(set(names))


def test_the_constraints_pin_the_torch_with_a_cpu_build() -> None:
    assert pins()["torch"] == "2.13.0"


def test_the_installed_version_is_the_one_in_the_source() -> None:
    assert importlib.metadata.version("siliquant") == hwmodel.__version__


def test_the_readme_names_only_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b(?=[^a-z]*(?:`|#|[A-Z]+=))", (ROOT / "README.md").read_text()))
    assert {"compare", "test", "setup"} <= named
    assert named <= targets


def test_the_readme_keeps_the_place_of_the_table() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("<!-- compare:begin -->") == text.count("<!-- compare:end -->") == 1
    assert text.index("<!-- compare:begin -->") < text.index("<!-- compare:end -->")


def test_a_missing_debian_package_is_named_with_the_way_to_install_it(tmp_path: Path) -> None:
    """With an empty PATH but for a shell, nothing is found; make goes on and says what to do."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cat", "mkdir"):
        (tools / tool).symlink_to(shutil.which(tool) or pytest.fail(f"{tool} is not on PATH"))
    make = shutil.which("make") or pytest.fail("make is not on PATH")
    command = [make, "debian-demo", "APT=no", f"VENV={tmp_path / 'venv'}"]
    result = subprocess.run(command, cwd=ROOT, env={"PATH": str(tools)}, capture_output=True, text=True, check=True)
    assert "opensta" in result.stderr
    assert "sudo apt-get install perl make g++ iverilog opensta" in result.stderr


def test_the_python_in_the_readme_gives_what_it_says() -> None:
    import doctest

    text = (ROOT / "README.md").read_text()
    examples = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    assert examples.examples
    assert doctest.DocTestRunner().run(examples).failed == 0
