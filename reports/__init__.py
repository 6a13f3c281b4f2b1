"""Reports that bring together what the other packages computed: the demonstration from a network to silicon numbers."""

import sys

if sys.argv[:1] == ["-m"]:  # this package is the command: what lies in the current folder must not shadow the others
    import runpy
    from pathlib import Path

    runpy.run_path(str(Path(__file__).parents[1] / "siliquant" / "processes" / "shadows.py"))["pin"]()
