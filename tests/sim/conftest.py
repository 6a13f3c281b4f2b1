"""What tests of simulations share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from sim.simulators import toolchain


@pytest.fixture
def spoiled_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that reads the text of Verilator's headers, not what was compiled of them, ends with an error."""
    real = toolchain.run_tool

    def run_tool(command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> str:
        if "VK_PCH_H=runtime.h" in command:
            (folder / "runtime.h").write_text("#error\n")
        return real(command, folder, env)

    monkeypatch.setattr(toolchain, "run_tool", run_tool)
