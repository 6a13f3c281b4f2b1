"""A browser for tests (Debian's chromium without a window, over the DevTools protocol), and made-up comparisons."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import reports.page.assembly
from hwmodel.comparison.comparison import EQUAL_THROUGHPUT, EQUAL_UNITS, Row
from hwmodel.comparison.tables import write_tables
from hwmodel.model.file import load_model
from hwmodel.workload import standard_mixture
from reports import render
from reports.inputs.accuracies import Accuracies, Run, to_json
from reports.numbers.validation import Library, Point, Quantity
from reports.page.assembly import computed_rows

ROOT = Path(__file__).resolve().parents[2]

_PATIENCE_S = 60.0


class Browser:
    """One page. Messages go through pipes (file descriptors 3 and 4 of the browser), each ended by a zero byte.

    problems: what the page said on its console as an error or warning, exceptions, and requests to anything but files.
    """

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()

        def connect() -> None:
            # Out of the way first: one of them may be 3 or 4 itself.
            spare = os.dup(to_browser), os.dup(from_browser)
            os.dup2(spare[0], 3, inheritable=True)
            os.dup2(spare[1], 4, inheritable=True)

        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe",
            f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, preexec_fn=connect, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._loaded = False
        self.problems: list[str] = []
        self._session = ""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def close(self) -> None:
        """Ends the browser, with all its processes."""
        os.close(self._write)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait()
        os.close(self._read)

    def open(self, page: Path, width: int = 1280, *, theme: str = "light", media: str = "") -> None:
        """Loads a file at a width in pixels; theme: light or dark, as the system prefers; media: "print" or none."""
        self.problems.clear()
        self.resize(width)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self._ask("Emulation.setEmulatedMedia", media=media, features=features)
        self._loaded = False
        self._ask("Page.navigate", url=page.resolve().as_uri())
        deadline = time.monotonic() + _PATIENCE_S
        while not self._loaded:
            self._take(self._message(deadline))
        self.value("document.fonts.ready.then(() => true)")

    def resize(self, width: int, height: int = 900) -> None:
        """The size of the window in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("Emulation.setDeviceMetricsOverride", **size)

    def value(self, expression: str) -> Any:
        """What some JavaScript gives, as JSON; of a promise, what it is fulfilled with."""
        found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"]["exception"].get("description", expression))
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """A real click of the mouse in the middle of the first element that matches."""
        place = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)
        # What it scrolls is scrolled in the next frame.
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")

    def press(self, key: str) -> None:
        """A key by its name, Tab or Enter."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        self._ask("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def screenshot(self, *, whole: bool = True) -> bytes:
        """A PNG of the whole page, or of what the window shows."""
        return base64.b64decode(self._ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def pdf(self) -> bytes:
        """The page as it prints."""
        return base64.b64decode(self._ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            answer = self._message(deadline)
            if answer.get("id") != number:
                self._take(answer)
                continue
            if "error" in answer:
                raise AssertionError(f"{method}: {answer['error']['message']}")
            result: dict[str, Any] = answer["result"]
            return result

    def _take(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.problems.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.problems.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                self.problems.append(f"asked for {url}")

    def _message(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._read, 1 << 20) if ready else b""
            if not data:
                raise AssertionError("the browser must answer, and does not")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(line)
        return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Skips where there is no chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("chromium is not installed: on Debian, apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        made = Browser(program, Path(profile))
        yield made
        made.close()


Ratios = tuple[float, float | None, float, float | None]
"""Area and energy at equal throughput, area and power at equal units, each as a multiple of the uniform design."""


@pytest.fixture(scope="session")
def made_rows() -> Callable[..., tuple[Row, ...]]:
    """Makes rows of a comparison from ratios by bits and design; the uniform design has 100 um2, 50 uW and 200 fJ.
    At 2 bits nothing is mixed."""

    def make(ratios: Mapping[int, Mapping[str, Ratios]], **changes: Any) -> tuple[Row, ...]:
        rows = []
        for bits, designs in ratios.items():
            uniform = f"uniform {bits}x{bits}"
            mixture = "2b:1" if bits == 2 else str(standard_mixture(bits))
            for design, found in {uniform: (1.0, 1.0, 1.0, 1.0), **designs}.items():
                energy, power = (ratio if ratio is None else float(ratio) for ratio in (found[1], found[3]))
                for normalisation, units in ((EQUAL_UNITS, 4), (EQUAL_THROUGHPUT, 16)):
                    same = normalisation == EQUAL_UNITS
                    row = Row(
                        bits=bits, normalisation=normalisation, family=design.split()[0], design=design,
                        spec=f"{design.split()[0]}_w{bits}" if design == uniform else design.replace(" ", "_"),
                        units=units, mixture=f"{bits}b:1" if design == uniform else mixture,
                        run_as=f"{bits}b:1" if design == uniform else mixture, run_as_mean_bits=float(bits),
                        pipeline_stages=0, macs_per_cycle=float(units), area_um2=100.0 * units * found[2],
                        area_um2_per_unit=100.0 * found[2], area_um2_per_mac_per_cycle=100.0 * found[0],
                        power_uw=None if power is None else 50.0 * units * power,
                        power_uw_per_unit=None if power is None else 50.0 * power,
                        energy_fj_per_mac=None if energy is None else 200.0 * energy,
                        minimum_period_ns=None if energy is None else 1.5, meets_clock=None if energy is None else True,
                        settled_energy_fj_per_mac=None if energy is None else 150.0 * energy,
                        area_ratio=float(found[2] if same else found[0]), power_ratio=power if same else energy,
                        source="model", library="madelib", corner="typical", clock_mhz=500.0,
                        activity="uniform", toggles="glitch-aware",
                    )  # fmt: skip
                    rows.append(replace(row, **changes))
        return tuple(rows)

    return make


@pytest.fixture(scope="session")
def made_library() -> Library:
    """Two points of each quantity, one held out and wrong by 5, 10 and 20 %."""

    def quantity(name: str, unit: str, error: float) -> Quantity:
        points = (
            Point("uniform_w4", 500.0, "", False, 100.0, 101.0),
            Point("loom_u8", 500.0, "", True, 1000.0, 1000.0 * (1 + error / 100)),
        )
        return Quantity(name, unit, points, error, error, 1.0)

    quantities = (quantity("area", "µm²", 5.0), quantity("power", "µW", 10.0), quantity("period", "ns", 20.0))
    tools = {"yosys": "0.70"}
    return Library("freepdk45", "typical", "2026-01-02", "python -m made", tools, quantities, designs=2, held_out=1)


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """compare.json of two designs at 4 bits, by the packaged model."""
    folder = tmp_path_factory.mktemp("compare")
    rows = [
        row
        for row in computed_rows(load_model("freepdk45"), 500.0, [4])
        if row.design.split()[0] in ("uniform", "loom")
    ]
    write_tables(rows, folder)
    return folder / "compare.json"


@pytest.fixture(scope="session")
def everything(compared: Path, made_library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with every section."""
    folder = tmp_path_factory.mktemp("report")
    own = Run(
        name="<all> & more", model="vit-mnist", data="mnist5k", weight_bits=4, activation_bits=4, seed=0, samples=1000,
        accuracy_percent=96.0, low_percent=94.6, high_percent=97.0,
    )  # fmt: skip
    accuracy = folder / "own.json"
    accuracy.write_text(to_json(Accuracies("python -m qat.train", "2026-11-20", (own,))))
    arguments = [
        "--out", str(folder / "report"), "--compare", str(compared), "--model", "vit-mnist",
        "--accuracy", str(accuracy),
        "--equivalence", str(ROOT / "tests" / "hwmodel" / "inference" / "equivalence_vit_mnist.json"),
        "--oscillation", str(ROOT / "tests" / "reports" / "vit-mnist-w2a2-all" / "metrics.csv"),
        "--sensitivity", str(ROOT / "hwmodel" / "data" / "sensitivity.json"),
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        # Every calibration point of the package would take a minute on a machine that never looked at them.
        patch.setattr(reports.page.assembly, "libraries", lambda: (made_library,))
        render.main(arguments)
    return folder / "report"
