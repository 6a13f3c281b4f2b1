"""Settings for all tests, and the names of those that fail as soon as they do: a run may be cut off."""

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# Tests have all cores already: threads of PyTorch that spin while they wait for each other would take most of the time.
# Read when libraries are loaded, here and in the commands that tests start; no number depends on it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A deadline per example would time the machine, not the code.
settings.register_profile("siliquant", deadline=None)
settings.load_profile("siliquant")


class Failures:
    """Writes one line for every failure as it comes in; in the process that reports, not in a worker."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = str(crash.message).partition("\n")[0][:200] if crash else ""
            where = report.nodeid if report.when == "call" else f"{report.nodeid} ({report.when})"
            self._terminal.ensure_newline()
            self._terminal.write_line(f"FAILED {where} - {reason}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Failures are named as they come. All processes of a run get a folder for temporary files that is removed at its
    end: some of what tests use (Yosys in the process of a test, clusters of Dask) leaves files there.
    """
    if hasattr(config, "workerinput"):  # of pytest-xdist: it has the folder of the first process
        return
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        config.pluginmanager.register(Failures(terminal), "failures as they come")
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # tmp_path is kept for a look afterwards
    folder = tempfile.mkdtemp(prefix="siliquant-tests-")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
