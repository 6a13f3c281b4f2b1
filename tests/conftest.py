"""Settings for all tests."""

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# A deadline per example would time the machine, not the code.
settings.register_profile("siliquant", deadline=None)
settings.load_profile("siliquant")


def pytest_configure(config: pytest.Config) -> None:
    """All processes of a run get a folder for temporary files that is removed at its end: some of what tests use
    (Yosys in the process of a test, clusters of Dask) leaves files there.
    """
    if hasattr(config, "workerinput"):  # of pytest-xdist: it has the folder of the first process
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # tmp_path is kept for a look afterwards
    folder = tempfile.mkdtemp(prefix="siliquant-tests-")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
