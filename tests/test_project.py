"""The project itself: what it depends on, what an import loads, and that its texts agree with its files."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hwmodel

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(PYPROJECT)["project"]
PACKAGES = ("siliquant", "hwmodel", "rtl", "sim", "qat", "reports", "docs_tools")


def requirements() -> list[str]:
    extras = PROJECT["optional-dependencies"].values()
    return PROJECT["dependencies"] + [requirement for extra in extras for requirement in extra]


def pins() -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


@pytest.mark.parametrize(
    "module",
    [
        "siliquant.completions",
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


FREE = {"triton"}  # each build of torch for CUDA demands one exact version: a second pin could only contradict it


@pytest.mark.parametrize("requirement", requirements())
def test_the_constraints_satisfy_the_ranges(requirement: str) -> None:
    parsed = Requirement(requirement)
    if parsed.name in FREE:
        assert parsed.name not in pins()
        return
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
    assert {"compare", "demo", "test"} <= named
    assert named <= targets


def test_the_readme_is_short_and_its_tables_are_narrow() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 130
    assert max(line.count("|") - 1 for line in lines if line.startswith("|")) <= 6


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
