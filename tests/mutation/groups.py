"""The modules that decide numbers, in groups, and the tests that are asked about each: those of its own folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from siliquant.inputs import InputError

__all__ = ["GROUPS", "ROOT", "asked_about", "files_of", "group_files"]

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "golden models and requantisers": (
            "rtl.spec", "rtl.mac", "rtl.array.passes", "rtl.array.images", "rtl.requant.datapath", "rtl.requant.fit",
            "rtl.requant.multiplier", "rtl.requant.partialsum", "rtl.requant.slopes", "rtl.requant.spec",
            "rtl.requant.thresholds", "rtl.requant.unit",
        ),
        "quantisers and integers": ("qat.quantisers", "qat.integers", "qat.export"),
        "cost model, power and networks": (
            "hwmodel.model", "hwmodel.fit", "hwmodel.power", "hwmodel.inference", "hwmodel.workload", "hwmodel.policy",
        ),
    }
)  # fmt: skip
"""Packages and modules by the name of their group."""
_ALSO = MappingProxyType(
    {
        # What a spec says is its designs' golden model, the ports of arrays, and in manifests.
        "rtl/spec": ("tests/rtl/mac", "tests/rtl/array", "tests/rtl/manifests"),
        "rtl/mac": ("tests/rtl/spec",),
        "rtl/requant": ("tests/qat/integers/test_requantise.py",),
        "hwmodel/model": ("tests/hwmodel/inference", "tests/hwmodel/measurement/test_arrays.py"),
        "hwmodel/fit": ("tests/hwmodel/test_validate.py", "tests/hwmodel/test_explain.py"),
        "hwmodel/inference": ("tests/hwmodel/model/test_drains.py", "tests/hwmodel/model/test_requantisers.py"),
        "hwmodel/workload": ("tests/hwmodel/test_policy.py", "tests/hwmodel/inference"),
    }
)


def files_of(name: str) -> list[str]:
    """The files of a package or module, from the root. Raises InputError where there are none."""
    path = ROOT / name.replace(".", "/")
    found = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    if not found or not found[0].is_file():
        raise InputError(f"a module must be one of this project, such as hwmodel.model, not {name!r}")
    return [str(file.relative_to(ROOT)) for file in found]


def group_files(group: str) -> list[str]:
    """The files of a group, from the root."""
    return [file for name in GROUPS[group] for file in files_of(name)]


def asked_about(file: str) -> list[str]:
    """The test files that are asked about a file, from the root: those of the folder that mirrors its own, and of
    those that _ALSO names.
    """
    *folders, name = file.split("/")
    if len(folders) == 1:
        places = [Path("tests", *folders, f"test_{name}")]
    else:
        places = [Path("tests", *folders), *(Path(place) for place in _ALSO.get("/".join(folders), ()))]
    found = {
        path for place in places for path in ((ROOT / place).rglob("test_*.py") if not place.suffix else [ROOT / place])
    }
    return sorted(str(path.relative_to(ROOT)) for path in found)
