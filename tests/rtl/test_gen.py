"""The command line that writes Verilog, and the Verilog and manifest themselves."""

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from rtl.array import MOST_LOADED_BITS, ArraySpec
from rtl.gen import main
from rtl.mac import DESIGNS, BitFusionSpec, UniformSpec
from rtl.manifests import array_from_parameters
from rtl.manifests.mac import manifest
from rtl.names import short
from rtl.requant import ThresholdSpec
from rtl.verilog import numbered_verilog
from rtl.verilog.convert import GenerationError, to_verilog
from siliquant.commandline import working

ROOT = Path(__file__).resolve().parents[2]


def gen(*arguments: str, module: bool = False, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    start = ["-m", "rtl.gen"] if module else [str(ROOT / "rtl" / "gen.py")]
    return subprocess.run(
        [sys.executable, "-W", "error", *start, *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_the_command_writes_a_module_and_its_manifest_the_same_each_time(tmp_path: Path) -> None:
    arguments = ["--design", "uniform", "--weight-bits", "4", "--activation-bits", "4", "--lanes", "16", "--out"]
    first = gen(*arguments, str(tmp_path / "a"))
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines() == [str(tmp_path / "a" / f"uniform_w4_a4_l16{end}") for end in (".v", ".json")]
    second = gen(*arguments, str(tmp_path / "b"), module=True)
    assert second.returncode == 0, second.stderr
    for end in (".v", ".json"):
        name = f"uniform_w4_a4_l16{end}"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_command_runs_from_any_folder(tmp_path: Path) -> None:
    done = gen("--design", "loom", "--units", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "loom_u3_m8.v").is_file()


def test_list_shows_every_design_and_parameter() -> None:
    done = gen("--list")
    assert done.returncode == 0
    for design in DESIGNS:
        assert f"{design.design}: {design.summary}" in done.stdout
        for name, (default, meaning) in design.parameter_help().items():
            assert f"--{name.replace('_', '-')}" in done.stdout
            shown = "/".join(map(str, default)) if isinstance(default, tuple) else default
            assert f"{meaning} (default {shown})" in done.stdout


def test_the_command_writes_an_array_and_its_manifest_the_same_each_time(tmp_path: Path) -> None:
    arguments = ["--design", "uniform", "--weight-bits", "4", "--activation-bits", "4", "--lanes", "2"]
    arguments += ["--array", "2x3", "--architecture", "systolic", "--activation-depth", "40", "--result-width", "24"]
    for folder in ("a", "b"):
        done = gen(*arguments, "--out", str(tmp_path / folder))
        assert done.returncode == 0, done.stderr
    name = "systolic_2x3_uniform_w4_a4_l2_a_5a004e79"
    assert [Path(line).name for line in done.stdout.splitlines()] == [f"{name}.v", f"{name}.json"]
    for end in (".v", ".json"):
        first, second = ((tmp_path / folder / f"{name}{end}").read_bytes() for folder in ("a", "b"))
        assert first == second
    data = json.loads((tmp_path / "a" / f"{name}.json").read_text())
    assert data["module"] == name
    assert data["parameters"]["activation_depth"] == 40
    assert data["memories"]["weight"]["words"] == 2048


def test_an_array_is_broadcast_unless_told_otherwise(tmp_path: Path) -> None:
    done = gen("--design", "xnor", "--lanes", "1", "--array", "1x1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "broadcast_1x1_xnor_l1_a2048_w20_76a3d2d9.v").is_file()


def test_an_array_gets_requantisers(tmp_path: Path) -> None:
    """One a column, as wide as a result; the manifest says how to load them, and has what makes the array again."""
    arguments = ["--design", "uniform", "--lanes", "1", "--array", "1x3", "--result-width", "24", "--requant-bits", "2"]
    done = gen(*arguments, "--groups", "5", "--requant-signed", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    unit = "thresholds_n24_g5_b2_s1"
    name = short(f"broadcast_1x3_uniform_w4_a4_l1_a2048_w2048_r2048_b24_{unit}")
    verilog = (tmp_path / f"{name}.v").read_text()
    assert verilog.count(f"module siliquant_{unit} (") == 1
    instances = re.findall(rf"(?m)^  siliquant_{unit} (\w+) \(", verilog)
    assert sorted(instances) == ["requant_0", "requant_1", "requant_2"]
    data = json.loads((tmp_path / f"{name}.json").read_text())
    requant = ThresholdSpec(accumulator_width=24, groups=5, bits=2, signed=True)
    spec = ArraySpec(mac=UniformSpec(lanes=1), rows=1, columns=3, result_width=24, requant=requant)
    assert array_from_parameters(data["parameters"]) == spec
    assert data["requant"]["module"] == f"siliquant_{unit}"
    assert data["requant"]["code_range"] == [-2, 1]
    fields, ports = data["requant"]["parameter_fields"], {port["name"]: port["width"] for port in data["ports"]}
    assert [(field["name"], field["width"]) for field in fields] == [(f"threshold{n}", 25) for n in range(3)]
    assert sum(field["width"] for field in fields) == ports["load_parameters"]
    assert any(line.startswith("load_requant: ") for line in data["protocol"])


def test_requantisers_have_one_set_and_codes_from_0_unless_told_otherwise(tmp_path: Path) -> None:
    done = gen("--design", "xnor", "--lanes", "1", "--array", "1x1", "--requant-bits", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text())["parameters"]["requant"] == {
        "design": "thresholds",
        "parameters": {"accumulator_width": 32, "groups": 1, "pipeline_stages": 0, "bits": 1, "signed": False},
    }


NAMES = ", ".join(design.design for design in DESIGNS)
TOO_WIDE = (
    "an array must load at most 64,000 bits a cycle, not {} ({} rows x {} of activations + {} columns x {} of weights)"
)
BAD = [
    ("--design uniform --weight-bits 9", "weight_bits must be an integer from 1 to 8, not 9"),
    ("--design uniform --lanes 0", "lanes must be an integer from 1 to 1024, not 0"),
    ("--design uniform --lanes many", "lanes must be an integer, not 'many'"),
    ("--design nosuch", f"design must be one of {NAMES}, not 'nosuch'"),
    ("--design uniform --units 3", "unrecognized arguments: --units 3"),
    ("", "--design must be given, or --requant alone; --list shows the designs"),
    ("--design uniform --array 16", "array must be ROWSxCOLUMNS, as in 16x16, not '16'"),
    ("--design uniform --array 0x4", "rows must be an integer from 1 to 256, not 0"),
    ("--design uniform --array 4x257", "columns must be an integer from 1 to 256, not 257"),
    ("--design uniform --array 4x4 --architecture ring",
     "argument --architecture: invalid choice: 'ring' (choose from 'broadcast', 'systolic')"),
    ("--design uniform --array 4x4 --weight-depth deep", "weight_depth must be an integer, not 'deep'"),
    ("--design uniform --array 4x4 --drains 1 --result-depth 3",
     "result_depth must be at least the 4 words of one tile, not 3"),
    ("--design uniform --array 4x4 --drains 5",
     "drains must be an integer from 1 to 4, the rows of the array, not 5"),
    ("--design uniform --array 4x4 --drains 0",
     "drains must be an integer from 1 to 4, the rows of the array, not 0"),
    ("--lanes 2 --design uniform --lanes 4 --design loom", "argument --lanes: must be given once, not as '2' and '4'"),
    ("--design uniform --array 4x4 --result-width 16", "result_width must be an integer from 20 to 48, not 16"),
    ("--design uniform --architecture systolic", "--architecture must be given with --array only"),
    ("--design uniform --activation-depth 64", "--activation-depth must be given with --array only"),
    ("--array 4x4", "--design must be given, or --requant alone; --list shows the designs"),
    ("--design uniform --requant-bits 4", "--requant-bits must be given with --array only"),
    ("--design uniform --groups 2", "--groups must be given with --array only"),
    ("--design uniform --requant-signed", "--requant-signed must be given with --array only"),
    ("--design uniform --array 4x4 --groups 2", "--groups must be given with --requant or --requant-bits only"),
    ("--design uniform --array 4x4 --requant-signed",
     "--requant-signed must be given with --requant or --requant-bits only"),
    ("--design uniform --array 4x4 --requant-bits few", "requant_bits must be an integer, not 'few'"),
    ("--design uniform --array 4x4 --requant-bits 9", "requant_bits must be an integer from 1 to 8, not 9"),
    ("--design uniform --array 4x4 --requant-bits 0", "requant_bits must be an integer from 1 to 8, not 0"),
    ("--design uniform --array 4x4 --requant-bits 4 --groups 0", "groups must be an integer from 1 to 1024, not 0"),
    ("--design uniform --array 4x4 --requant-bits 4 --groups all", "groups must be an integer, not 'all'"),
    ("--design uniform --array 4x4 --requant nosuch",
     "requant must be one of thresholds, multiplier, partialsum, not 'nosuch'"),
    ("--design uniform --array 4x4 --requant partialsum",
     "requant at the drain of an array must be thresholds or multiplier, not partialsum"),
    ("--design uniform --array 4x4 --requant multiplier --requant-accumulator-width 9",
     "--requant-accumulator-width must not be given with --array: it is --result-width"),
    ("--design uniform --requant multiplier", "--requant must be given with --array only"),
    ("--design uniform --requant-shift 3", "--requant-shift must be given with --array only"),
    ("--requant multiplier --array 4x4", "--design must be given, or --requant alone; --list shows the designs"),
    ("--requant multiplier --architecture systolic", "--architecture must be given with --array only"),
    ("--requant multiplier --lanes 4", "unrecognized arguments: --lanes 4"),
    ("--requant thresholds --requant-shift 4", "--requant-shift must not be given with --requant thresholds"),
    ("--requant partialsum --requant-bits 4", "--requant-bits must not be given with --requant partialsum"),
    ("--requant partialsum --requant-signed", "--requant-signed must not be given with --requant partialsum"),
    ("--requant thresholds --requant-bits 8 --groups 1024",
     "a requantiser must hold at most 131,072 bits of parameters, not 1024 sets of 5355"),
    ("--requant multiplier --requant-shift far", "requant_shift must be an integer, not 'far'"),
    ("--requant multiplier --requant-shift 62", "shift must be an integer from 0 to 61, not 62"),
    ("--design xnor --lanes 260 --array 1x256", TOO_WIDE.format("66,820", 1, 260, 256, 260)),
    ("--design uniform --lanes 1024 --weight-bits 8 --activation-bits 8 --array 256x256",
     TOO_WIDE.format("4,194,304", 256, 8192, 256, 8192)),
    ("--design uniform --lanes \u0664", "lanes must be an integer, not '\u0664'"),
    ("--design uniform --lanes +4", "lanes must be an integer, not '+4'"),
    ("--design uniform --lanes 04", "lanes must be an integer, not '04'"),
    ("--design uniform --array 02x2", "rows must be an integer, not '02'"),
    ("--design uniform --array 2x\u0662", "array must be ROWSxCOLUMNS, as in 16x16, not '2x\u0662'"),
    ("--design subword --widths 8", "widths must be at least 2 of 8, 4, 2 and 1, falling, not '8'"),
    ("--design subword --widths 4/8", "widths must be at least 2 of 8, 4, 2 and 1, falling, not '4/8'"),
    ("--design subword --widths 8/4/2/1/", "widths must be widths such as 8/4/2, not '8/4/2/1/'"),
    ("--design padded --widths 16/8", "widths must be widths such as 8/4/2, not '16/8'"),
    ("--design loom --maximum-bits 1", "maximum_bits must be an integer from 2 to 8, not 1"),
    (f"--design uniform --prefix {'a' * 65}", "prefix must have at most 64 characters, not 65"),
    ("--design uniform --prefix 9", "prefix must be a Verilog identifier, not '9'"),
    ("--design uniform --prefix a-b", "prefix must be a Verilog identifier, not 'a-b'"),
    ("--design uniform --design uniform", "every design must be another one, not uniform_w4_a4_l16 twice"),
    ("--design uniform --prefix a --design loom --prefix b",
     "--prefix must be the same for all designs, not a and b"),
    ("--design uniform --design loom --lanes 3", "unrecognized arguments: --lanes 3"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_bad_values_are_one_line_and_exit_code_2(arguments: str, sentence: str, tmp_path: Path) -> None:
    done = gen(*arguments.split(), "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"rtl.gen: error: {sentence}\n"
    assert not (tmp_path / "out").exists()


def test_an_empty_path_is_refused(tmp_path: Path) -> None:
    for given in (["--out", ""], ["--out="]):
        done = gen("--design", "uniform", *given, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (2, "rtl.gen: error: argument --out: must be a path, not ''\n")
    assert not list(tmp_path.iterdir())


def test_blanks_around_a_number_are_refused(tmp_path: Path) -> None:
    done = gen("--design", "uniform", "--lanes", " 4", "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (2, "rtl.gen: error: lanes must be an integer, not ' 4'\n")


def test_a_design_that_fails_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise GenerationError("no")

    monkeypatch.setattr("rtl.verilog.files.to_verilog", fails)
    with pytest.raises(GenerationError):
        main(["--design", "uniform", "--lanes", "1", "--out", str(tmp_path / "some" / "where")])
    assert not list(tmp_path.iterdir())


def test_the_widest_array_is_made(tmp_path: Path) -> None:
    """64,000 bits of operands a cycle leave room for all other ports, of the largest memories too."""
    deep = [part for name in ("activation", "weight", "result") for part in (f"--{name}-depth", "65536")]
    done = gen("--design", "loom", "--units", "1000", "--array", "1x63", *deep, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*.json")
    widths = {port["name"]: port["width"] for port in json.loads(path.read_text())["ports"]}
    assert widths["activation_data"] + widths["weight_data"] == MOST_LOADED_BITS


def test_no_array_has_more_ports_than_amaranth_numbers() -> None:
    """Beside the operands: the most bits that each other port can have."""
    mac = BitFusionSpec(units=1)
    requant = ThresholdSpec(accumulator_width=48, groups=1024, bits=8, signed=True)
    deep = dict.fromkeys(("activation_depth", "weight_depth", "result_depth"), 1 << 16)
    spec = ArraySpec(mac=mac, rows=256, columns=256, result_width=48, requant=requant, **deep)  # type: ignore[arg-type]
    inputs = sum(port.width for port in spec.ports if port.is_input)
    assert inputs - spec.loaded_bits(256, 256) + MOST_LOADED_BITS + 2 <= 1 << 16  # two bits are constants


def test_long_work_is_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtl.verilog.files.working", partial(working, lines=(0.01,)))
    main(["--design", "uniform", "--lanes", "16", "--out", str(tmp_path)])
    assert re.search(r"(?m)^Verilog of uniform_w4_a4_l16: 0 s$", capsys.readouterr().err)


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = gen("--design", "uniform", "--out", str(tmp_path / "file"))
    assert done.returncode == 2
    assert done.stderr == f"rtl.gen: error: {tmp_path / 'file'}: File exists\n"


SMALL = [design(**{design.size_parameter: 1}) for design in DESIGNS]


@pytest.fixture(scope="module")
def verilog() -> str:
    return to_verilog(SMALL)


def test_one_file_may_hold_many_modules_and_one_adder(verilog: str) -> None:
    for spec in SMALL:
        assert verilog.count(f"module {spec.name} (") == 1
    assert verilog.count("module siliquant_full_adder (") == 1
    assert to_verilog(SMALL) == verilog


def test_verilog_is_plain_2001_without_initial_values(verilog: str) -> None:
    for word in ("logic", "always_ff", "always_comb", "initial", "(*", str(ROOT)):
        assert word not in verilog


def test_icarus_accepts_every_design_as_verilog_2001(verilog: str, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    path = tmp_path / "all.v"
    path.write_text(verilog)
    done = subprocess.run(
        ["iverilog", "-g2001", "-Wall", "-Wno-timescale", "-tnull", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr + done.stdout) == (0, "")


def test_yosys_reads_every_design_without_a_warning(verilog: str, tmp_path: Path) -> None:
    path = tmp_path / "all.v"
    path.write_text(verilog)
    script = "import sys; from pyosys import libyosys as y; d = y.Design(); [d.run_pass(c) for c in sys.argv[1:]]"
    commands = [f"read_verilog {path}", "hierarchy -check", "proc", "check -assert"]
    done = subprocess.run([sys.executable, "-c", script, *commands], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Warning" not in done.stdout + done.stderr


def test_the_manifest_says_how_to_drive_the_module(verilog: str) -> None:
    for spec in SMALL:
        data = json.loads(json.dumps(manifest(spec)))
        assert data["module"] == spec.name
        assert type(spec)(**data["parameters"]) == spec
        assert data["latency_cycles"] == spec.latency
        head = verilog[verilog.index(f"module {spec.name} (") :]
        head = head[: head.index("\n);")]
        ports = re.findall(r"(?m)^  (input|output) +wire +(?:\[(\d+):0\] )?(\w+),? +// (.*(?:\n +// .*)*)$", head)
        shown = [
            (way, int(high or 0) + 1, name, " ".join(re.split(r"\n +// ", text))) for way, high, name, text in ports
        ]
        wanted = [(port["direction"], port["width"], port["name"], port["packing"]) for port in data["ports"]]
        assert shown[2:] == wanted
        assert [name for _, _, name, _ in shown[:2]] == ["clk", "rst"]
        assert set(data["versions"]) == {"siliquant", "amaranth"}
        assert len(data["precisions"]) == len(spec.precisions)


def test_rtlil_that_cannot_be_read_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from amaranth.back import rtlil

    convert = rtlil.convert
    monkeypatch.setattr(rtlil, "convert", lambda *given, **named: convert(*given, **named)[:0] + "this is no RTLIL\n")
    with pytest.raises(GenerationError, match=r"^uniform_w4_a4_l16: expected a module, not this is no RTLIL$"):
        to_verilog([UniformSpec()])
    with pytest.raises(GenerationError, match=r"Yosys could not write Verilog: .*ERROR"):
        numbered_verilog([UniformSpec()])
