"""What low-bit transformer hardware costs: synthesis, timing, power, and the comparison of MAC designs."""

import sys

if sys.argv[:1] == ["-m"]:  # this package is the command: what lies in the current folder must not shadow the others
    import runpy
    from pathlib import Path

    runpy.run_path(str(Path(__file__).parents[1] / "siliquant" / "processes" / "shadows.py"))["pin"]()

__version__ = "0.1.0"
