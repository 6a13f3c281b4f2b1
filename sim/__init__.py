"""Simulation: every design against its golden model, to the bit."""

import sys

if sys.argv[:1] == ["-m"]:  # this package is the command: what lies in the current folder must not shadow the others
    import runpy
    from pathlib import Path

    runpy.run_path(str(Path(__file__).parents[1] / "siliquant" / "processes" / "shadows.py"))["pin"]()
    from siliquant.files import torch_folder

    torch_folder()  # before torch is loaded
