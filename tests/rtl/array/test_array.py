"""Arrays without a simulator: specs, the words of their memories, cycles, and the generated Verilog."""

import dataclasses
import json
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from rtl.array import Architecture, ArraySpec, Run, drained, most_drains
from rtl.array.images import activation_image, control_image, result_matrix, weight_image
from rtl.array.step import control_ports, control_word, step_layout
from rtl.mac import DESIGNS, BitSerialSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.manifests.array import array_manifest
from rtl.requant import MultiplierSpec
from rtl.spec.mac import MacSpec, Precision
from rtl.verilog.convert import MEMORY, to_verilog

TINY = UniformSpec(weight_bits=2, activation_bits=2, lanes=2, reduction_length=64)


def tiny(architecture: Architecture = Architecture.BROADCAST, **given: object) -> ArraySpec:
    values = {"rows": 2, "columns": 3, "activation_depth": 40, "weight_depth": 41, "result_depth": 18, **given}
    return ArraySpec(mac=TINY, architecture=architecture, **values)


BOTH = [pytest.param(architecture, id=architecture.value) for architecture in Architecture]


# What is refused.

REFUSALS = [
    (lambda: ArraySpec(mac=4), TypeError, "mac must be a MacSpec, not 4"),
    (lambda: ArraySpec(mac=TINY, architecture="systolic"), TypeError,
     "architecture must be an Architecture, not 'systolic'"),
    (lambda: tiny(rows=0), ValueError, "rows must be an integer from 1 to 256, not 0"),
    (lambda: tiny(columns=257), ValueError, "columns must be an integer from 1 to 256, not 257"),
    (lambda: tiny(columns=2.0), TypeError, "columns must be an integer from 1 to 256, not 2.0"),
    (lambda: tiny(activation_depth=0), ValueError, "activation_depth must be an integer from 1 to 65536, not 0"),
    (lambda: tiny(weight_depth=1 << 17), ValueError, "weight_depth must be an integer from 1 to 65536, not 131072"),
    (lambda: tiny(result_depth=True), TypeError, "result_depth must be an integer from 1 to 65536, not True"),
    (lambda: tiny(rows=19), ValueError, "result_depth must be at least the 19 words of one tile, not 18"),
    (lambda: tiny(rows=37, drains=2), ValueError, "result_depth must be at least the 19 words of one tile, not 18"),
    (lambda: tiny(drains=3), ValueError, "drains must be an integer from 1 to 2, not 3"),
    (lambda: tiny(drains=True), TypeError, "drains must be an integer from 1 to 2, not True"),
    (lambda: tiny(rows=9, drains=4), ValueError,
     "drains must each have rows, as 3 have with 3 of 9 each, not 4"),
    (lambda: drained(4, 0, 8), ValueError, "drains must be an integer of at least 1, not 0"),
    (lambda: tiny(result_width=9), ValueError, "result_width must be an integer from 10 to 48, not 9"),
    (lambda: tiny(result_width=49), ValueError, "result_width must be an integer from 10 to 48, not 49"),
    (lambda: tiny(requant=MultiplierSpec(accumulator_width=20)), ValueError,
     "the accumulator_width of requant must be the result_width 32, not 20"),
    (lambda: tiny().run(0, 1, 1, Precision(2, 2)), ValueError, "M must be an integer of at least 1, not 0"),
    (lambda: tiny().run(1, 1.5, 1, Precision(2, 2)), TypeError, "K must be an integer of at least 1, not 1.5"),
    (lambda: tiny().run(1, 1, 1, Precision(2, 3)), ValueError,
     "precision must be one of w2a2s, w2a2u for uniform_w2_a2_l2_k64, not w2a3s"),
    (lambda: tiny().run(1, 65, 1, Precision(2, 2)), ValueError,
     "the reduction must have at most 64 products (reduction_length), not 65"),
    (lambda: tiny().run(3, 41, 1, Precision(2, 2)), ValueError,
     "activation_depth must be at least 42 words for 3 x 41 x 1, not 40"),
    (lambda: tiny().run(1, 41, 4, Precision(2, 2)), ValueError,
     "weight_depth must be at least 42 words for 1 x 41 x 4, not 41"),
    (lambda: tiny().run(5, 1, 10, Precision(2, 2)), ValueError,
     "result_depth must be at least 24 words for 5 x 1 x 10, not 18"),
    (lambda: Run(steps=0, weight_planes=1, activation_planes=1, row_tiles=1, column_tiles=1), ValueError,
     "steps must be an integer from 1 to 65535, not 0"),
    (lambda: Run(steps=1, weight_planes=16, activation_planes=1, row_tiles=1, column_tiles=1), ValueError,
     "weight_planes must be an integer from 1 to 15, not 16"),
    (lambda: Run(steps=1, weight_planes=1, activation_planes=1, row_tiles=1, column_tiles="2"), TypeError,
     "column_tiles must be an integer from 1 to 65535, not '2'"),
    (lambda: images(tiny(), [[2]], [[1]], Precision(2, 2)), ValueError,
     "codes must be from -2 to 1 at w2a2s, not 2"),
    (lambda: images(tiny(), [[-1]], [[1]], Precision(2, 2, False)), ValueError,
     "codes must be from 0 to 3 at w2a2u, not -1"),
    (lambda: images(ArraySpec(mac=XnorSpec(lanes=2)), [[1, 0]], [[1, 1]], Precision(1, 1)), ValueError,
     "codes must be -1 or 1 at w1a1s, not 0"),
]  # fmt: skip


def images(
    spec: ArraySpec, activations: list[list[int]], weights: list[list[int]], precision: Precision
) -> tuple[np.ndarray, np.ndarray]:
    a, w = np.array(activations, np.int64), np.array(weights, np.int64)
    run = spec.run(len(a), a.shape[1], len(w), precision)
    return activation_image(spec, run, a, precision), weight_image(spec, run, w, precision)


@pytest.mark.parametrize(("call", "kind", "text"), REFUSALS, ids=[text for *_, text in REFUSALS])
def test_refusals_say_what_must_be(call, kind, text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_what_just_fits_is_taken() -> None:
    spec = tiny()
    assert spec.run(2, 64, 1, Precision(2, 2)).steps == 32
    assert spec.run(4, 40, 3, Precision(2, 2)).activation_words == 40
    assert spec.run(6, 1, 9, Precision(2, 2)).tiles * spec.rows == 18
    assert tiny(activation_depth=1, result_depth=2, result_width=10).run(2, 2, 3, Precision(2, 2)).activation_words == 1
    assert tiny(activation_depth=1 << 16, result_width=48).rows == 2


# Sizes and cycles of a run.


def test_run_counts_words_and_tiles() -> None:
    run = ArraySpec(mac=LoomSpec(units=4), rows=3, columns=5).run(7, 10, 11, Precision(3, 2))
    assert run == Run(steps=3, weight_planes=3, activation_planes=2, row_tiles=3, column_tiles=3)
    assert (run.cycles_per_tile, run.tiles, run.activation_words, run.weight_words) == (18, 9, 18, 27)


def test_planes_are_the_words_that_a_step_needs() -> None:
    for precision in LoomSpec().precisions:
        assert ArraySpec(mac=LoomSpec(units=2)).planes(precision) == (precision.weight_bits, precision.activation_bits)
        assert ArraySpec(mac=BitSerialSpec(units=2)).planes(precision) == (precision.weight_bits, 1)
    assert {ArraySpec(mac=SubwordSpec()).planes(precision) for precision in SubwordSpec().precisions} == {(1, 1)}


def schedule(spec: ArraySpec, run: Run, drain: int) -> int:
    """Cycles of a run by following it: operands of the last cycle of a tile wait until ``drain`` cycles have passed."""
    cycle, free = -1, 0
    for _ in range(run.tiles):
        cycle = max(cycle + run.cycles_per_tile, free)
        free = cycle + drain
    # Read from memory, the edge or the first element, pipeline, accumulator, drain register; then the rows of a drain.
    taken = cycle + 1 + 2 + spec.mac.pipeline_stages + 1
    if spec.systolic:
        taken += (spec.rows - 1) + (spec.columns - 1)
    return taken + drain + (spec.requant.latency if spec.requant else 0)


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize(("rows", "columns", "stages"), [(1, 1, 0), (2, 3, 0), (4, 4, 1), (3, 1, 2), (1, 4, 2)])
def test_cycles_follow_the_schedule(architecture: Architecture, rows: int, columns: int, stages: int) -> None:
    spec = ArraySpec(mac=UniformSpec(lanes=2, pipeline_stages=stages), rows=rows, columns=columns,
                     architecture=architecture)  # fmt: skip
    for m, k, n in product((1, 4, 9), (1, 4, 7, 30), (1, 5, 12)):
        for drains in range(1, rows + 1):
            if most_drains(rows, drains) == drains:
                some = dataclasses.replace(spec, drains=drains)
                run = some.run(m, k, n, Precision(4, 4))
                assert some.cycles(run) == schedule(some, run, -(-rows // drains))
                assert some.cycles(run, changed=True) == schedule(some, run, rows)


def test_requantisers_add_their_latency() -> None:
    plain = tiny()
    requant = MultiplierSpec(accumulator_width=32, pipeline_stages=1)
    run = plain.run(3, 8, 4, Precision(2, 2))
    spec = tiny(requant=requant)
    assert spec.cycles(run) == plain.cycles(run) + requant.latency
    assert {"requantise", "group", "load_parameters"} <= {port.name for port in spec.ports}
    assert spec.name != plain.name


def test_loading_takes_the_longest_of_its_three_parts() -> None:
    spec = ArraySpec(mac=LoomSpec(units=4), rows=2, columns=2)
    assert spec.load_cycles(spec.run(20, 4, 2, Precision(2, 2))) == 20  # 10 row tiles of 2 planes
    assert spec.load_cycles(spec.run(2, 4, 20, Precision(3, 2))) == 30
    assert spec.load_cycles(spec.run(1, 1, 1, Precision(8, 8))) == 128  # the control table


# What the memories hold.


def images_of_precision(mac: MacSpec, precision: Precision, seed: int) -> None:
    """Replays the addresses of the controller: every word that an element gets must be that of MacSpec.pack."""
    spec = ArraySpec(mac=mac, rows=2, columns=2)
    rng = np.random.default_rng(seed)
    lanes, cycles = mac.products_per_step(precision), mac.cycles_per_step(precision)
    m, k, n = 3, 2 * lanes + 1 + int(rng.integers(lanes)), 3
    a = rng.choice(mac.activation_values(precision).values, (m, k))
    w = rng.choice(mac.weight_values(precision).values, (n, k))
    run = spec.run(m, k, n, precision)
    memories = {
        "activations": activation_image(spec, run, a, precision),
        "weights": weight_image(spec, run, w, precision),
    }
    control = dict(control_image(spec, k, precision))
    widths = {port.name: port.width for port in mac.operand_ports}
    words = {name: [int.from_bytes(row.tobytes(), "little") for row in image] for name, image in memories.items()}
    assert (len(words["activations"]), len(words["weights"])) == (run.activation_words, run.weight_words)
    assert run.weight_planes * run.activation_planes == cycles
    for row, column in product(range(m), range(n)):
        packed = mac.pack(w[column], a[row], precision)
        assert len(packed["clear"]) == run.steps * cycles
        for time in range(run.steps * cycles):
            step, cycle = divmod(time, cycles)
            weight_plane, activation_plane = divmod(cycle, run.activation_planes)
            for name, place, size, plane, planes in (
                ("activations", row, spec.rows, activation_plane, run.activation_planes),
                ("weights", column, spec.columns, weight_plane, run.weight_planes),
            ):
                tile, within = divmod(place, size)
                word = words[name][(tile * run.steps + step) * planes + plane]
                field = (word >> within * widths[name]) & ((1 << widths[name]) - 1)
                assert field == packed[name][time], (name, row, column, time)
            last = spec.control_cycles if step == run.steps - 1 else 0
            expected = control_word(mac, {port.name: packed[port.name][time] for port in control_ports(mac)})
            assert control[last + cycle] == expected


VARIANTS = [design(**given, **{design.size_parameter: size})
            for design in DESIGNS for given in design.variants() for size in (1, 3)] + [
    UniformSpec(weight_bits=1, activation_bits=8, lanes=5), UniformSpec(weight_bits=7, activation_bits=3, lanes=2),
    PaddedSpec(units=2), XnorSpec(lanes=37),
]  # fmt: skip


@pytest.mark.parametrize("mac", VARIANTS, ids=lambda mac: mac.name)
def test_memory_words_are_those_of_the_design(mac: MacSpec) -> None:
    for seed, precision in enumerate(mac.precisions):
        images_of_precision(mac, precision, seed)


def test_a_sum_of_one_short_step_uses_the_upper_half_of_the_control_table() -> None:
    spec = ArraySpec(mac=XnorSpec(lanes=4), rows=1, columns=1)
    words = dict(control_image(spec, 3, Precision(1, 1)))
    signed, odd = 1, 2
    assert words == {0: signed, 1: signed | odd}
    assert dict(control_image(spec, 8, Precision(1, 1))) == {0: signed, 1: signed}


def test_layouts_name_the_bits_of_codes() -> None:
    layout = step_layout(UniformSpec(weight_bits=3, activation_bits=2, lanes=2), Precision(3, 2), 1)
    assert layout.weights.tolist() == [[2, 3, 4, 0, 0, 0]]
    assert layout.activations.tolist() == [[2, 3, 0, 0]]
    assert layout.control == (1,)
    padding = step_layout(XnorSpec(lanes=3), Precision(1, 1), 2)
    assert padding.weights.tolist() == [[2, 3, 1]]
    assert padding.activations.tolist() == [[2, 3, 0]]


@pytest.mark.parametrize("width", [17, 32, 33, 48])
def test_results_are_put_back_in_place(width: int) -> None:
    mac = UniformSpec(lanes=2, reduction_length=64)
    spec = ArraySpec(mac=mac, rows=3, columns=2, result_width=width)
    run = spec.run(7, 5, 3, Precision(4, 4))
    rng = np.random.default_rng(width)
    limit = 1 << (width - 1)
    expected = rng.integers(-limit, limit, (9, 4))
    expected[0, 0], expected[6, 2] = -limit, limit - 1
    words = []
    for column_tile, row_tile, row in product(range(2), range(3), reversed(range(3))):
        values = expected[row_tile * 3 + row, column_tile * 2 : column_tile * 2 + 2].tolist()
        words.append(sum((value % (1 << width)) << (place * width) for place, value in enumerate(values)))
    pieces = -(-2 * width // 32)
    data = b"".join(word.to_bytes(4 * pieces, "little") for word in words)
    got = result_matrix(spec, run, np.frombuffer(data, "<u4").reshape(-1, pieces), 7, 3)
    assert got.dtype == np.int64
    assert got.tolist() == expected[:7, :3].tolist()


@pytest.mark.parametrize(("rows", "drains"), [(4, 1), (4, 2), (4, 4), (5, 2), (5, 3), (7, 3)])
def test_results_of_all_drains_are_put_back_in_place(rows: int, drains: int) -> None:
    """Row by row as the manifest says where each is."""
    spec = ArraySpec(mac=TINY, rows=rows, columns=3, drains=drains)
    run = spec.run(2 * rows, 1, 4, Precision(2, 2))
    expected = np.arange(2 * rows * 4).reshape(2 * rows, 4) - 5
    words = np.full((run.tiles * spec.drain_rows, drains * 3), 1 << 30, np.int64)
    layout = array_manifest(spec)["memories"]["result"]["layout"]
    word, place = (part.split(" ", 1)[1].replace("/", "//") for part in layout.split(", ")[:2])
    for m, n in product(range(2 * rows), range(4)):
        known = {"result_base": 0, "row_tiles": 2, "rows": rows, "columns": 3, "drain_rows": spec.drain_rows,
                 "row": m % rows, "row_tile": m // rows, "column": n % 3, "column_tile": n // 3}  # fmt: skip
        words[eval(word, {}, known), eval(place, {}, known)] = expected[m, n]  # noqa: S307
    got = result_matrix(spec, run, words.astype(np.uint32), 2 * rows, 4)
    assert got.tolist() == expected.tolist()


def test_as_many_drains_as_rows_allow() -> None:
    for rows, most in product(range(1, 40), range(1, 12)):
        found = most_drains(rows, most)
        legal = [d for d in range(1, min(rows, most) + 1) if -(-rows // -(-rows // d)) == d]
        assert found == legal[-1]
        spec = ArraySpec(mac=TINY, rows=rows, columns=1, **drained(rows, most, 64))
        assert 64 - found < spec.result_depth * found <= max(64, rows + found)


# The generated hardware.

SMALL = [
    ArraySpec(
        mac=design(**{design.size_parameter: 1}), rows=2, columns=2, architecture=architecture, drains=1 + number % 2
    )
    for number, design in enumerate(DESIGNS)
    for architecture in Architecture
]


@pytest.fixture(scope="module")
def verilog() -> str:
    return to_verilog(SMALL)


def test_verilog_is_the_same_each_time() -> None:
    specs = [tiny(architecture) for architecture in Architecture]
    assert to_verilog(specs) == to_verilog([dataclasses.replace(spec) for spec in specs])


def test_verilog_is_plain_2001_without_initial_values(verilog: str) -> None:
    for word in ("logic", "always_ff", "always_comb", "initial", "(*", "\\", str(Path.cwd())):
        assert word not in verilog


def test_every_module_is_there_once_with_its_ports(verilog: str) -> None:
    modules = {module for spec in SMALL for module in (*spec.parts, spec)}
    for module in modules:
        heads = re.findall(rf"^module {module.name} \(\n(.*?)^\);", verilog, re.DOTALL | re.MULTILINE)
        assert len(heads) == 1
        ports = re.findall(r"(?m)^  (?:input|output) .*?(\w+),?(?: +//.*)?$", heads[0])
        assert ports == ["clk", "rst", *(port.name for port in module.ports if port.width)]
    for leaf in ("siliquant_full_adder", "siliquant_memory_1r1w"):
        assert verilog.count(f"module {leaf}") == 1
    assert verilog.count("  siliquant_broadcast_element_xnor_l1 element_") == 4


def test_deep_memories_make_no_longer_text() -> None:
    shallow, deep = (
        to_verilog([tiny(activation_depth=depth, weight_depth=depth, result_depth=depth)]) for depth in (64, 1 << 16)
    )
    assert abs(len(deep) - len(shallow)) < 4000


def test_memories_come_with_arrays_only() -> None:
    assert MEMORY not in to_verilog([TINY])
    assert to_verilog([tiny()]).endswith(f"\n{MEMORY}`endif\n")


def test_icarus_accepts_every_array_as_verilog_2001(verilog: str, tmp_path: Path) -> None:
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    path = tmp_path / "all.v"
    path.write_text(verilog)
    command = ["iverilog", "-g2001", "-Wall", "-Wno-timescale", "-tnull", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr + done.stdout) == (0, "")


def test_names_differ_where_specs_do() -> None:
    changes = [{}, {"rows": 3}, {"columns": 2}, {"architecture": Architecture.SYSTOLIC}, {"activation_depth": 41},
               {"weight_depth": 40}, {"result_depth": 19}, {"result_width": 33}, {"drains": 2}]  # fmt: skip
    specs = [dataclasses.replace(tiny(), **change) for change in changes]
    assert len({spec.name for spec in specs}) == len(specs)
    assert all(re.fullmatch(r"[a-z]\w*", spec.name) for spec in specs)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_the_manifest_describes_ports_memories_and_cycles(spec: ArraySpec) -> None:
    data = json.loads(json.dumps(array_manifest(spec)))
    assert data["module"] == spec.name
    assert data["parameters"] == spec.parameters
    assert [port["name"] for port in data["ports"]] == [port.name for port in spec.ports]
    width = {port["name"]: port["width"] for port in data["ports"]}
    for name, memory in data["memories"].items():
        assert memory["width"] == width[f"{name}_data"]
        assert (memory["words"] - 1).bit_length() <= width[f"{name}_address"]
        assert memory["width"] % memory["banks"] == 0
    names = ["steps", "weight_planes", "activation_planes", "row_tiles", "column_tiles"]
    for precision, shape in product(spec.mac.precisions[:3], ((1, 1, 1), (5, 9, 7))):
        run = spec.run(*shape, precision)
        values = {name: getattr(run, name) for name in names}
        values |= {name: data["cycles"][name] for name in ("rows", "drain_rows", "rest")} | {"max": max}
        values["operands"] = eval(data["cycles"]["operands"], {}, values)  # noqa: S307
        for drain, changed in (("drain_rows", False), ("rows", True)):
            values["drain"] = values[drain]
            assert eval(data["cycles"]["run"], {}, values) == spec.cycles(run, changed=changed)  # noqa: S307
    planes = {(p["weight_planes"] * p["activation_planes"], p["cycles_per_step"]) for p in data["precisions"]}
    assert all(one == other for one, other in planes)
