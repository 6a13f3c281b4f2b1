"""Arrays of every design simulated: random products, products of real networks, and proof that the bench finds faults.

The networks have the widths of the published ones and one layer a stage; their weights are fresh, since the arrays are
compared with the integers of those very layers.
"""

import hashlib
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import qat
from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, UniformSpec, XnorSpec
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec
from rtl.spec.mac import MacSpec, Precision
from siliquant.inputs import InputError
from sim.array.bench import arrays_from_json, arrays_to_json, run_array_tests, verilog_of_arrays
from sim.array.cases import Job, Settings, Step, arrays_of, load_jobs, save_jobs
from sim.simulators.toolchain import SimulationError, cached

TESTS = ("random_products", "short_sums", "passes", "single_changes", "far_shifts", "untouched", "last_cycle", "holds",
         "resets", "early_reads", "repeats", "refusals", "ping_pong", "overlap", "jobs")  # fmt: skip
MOST_JOBS = 8  # products of networks that the two arrays of a design share
MOST = 9  # rows and columns of a product of a network that are kept


class LayerProduct(NamedTuple):
    """A part of one GEMM of a quantised network: operands and what its integer path computes from them."""

    label: str
    precision: Precision
    left: np.ndarray
    right: np.ndarray
    accumulators: np.ndarray

    @property
    def k(self) -> int:
        return self.left.shape[1]


def quantised_networks() -> Iterator[tuple[str, Any, Any]]:
    """Name, integer model and inputs: DeiT-T, Swin-T and BERT-base in width."""
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        DeiTConfig,
        DeiTForImageClassification,
        SwinConfig,
        SwinForImageClassification,
    )

    from qat.integers.integer import IntegerModel
    from qat.network.convert import calibrate, quantize_model
    from qat.settings.scheme import Scheme

    torch.manual_seed(0)
    torch.set_num_threads(1)
    image = {"pixel_values": torch.randn(1, 3, 224, 224)}
    text = {"input_ids": torch.randint(0, 64, (1, 24)), "attention_mask": torch.ones(1, 24, dtype=torch.long)}
    deit = {"hidden_size": 192, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 768}
    for name, bits, inputs in (
        ("DeiT-T", 4, image), ("DeiT-T", 2, image), ("DeiT-T", 1, image), ("Swin-T", 4, image), ("BERT-base", 4, text),
        ("BERT-base", 1, text),
    ):  # fmt: skip
        model = {
            "DeiT-T": lambda: DeiTForImageClassification(DeiTConfig(**deit)),
            "Swin-T": lambda: SwinForImageClassification(SwinConfig(depths=[1, 1, 1, 1])),
            "BERT-base": lambda: BertForSequenceClassification(BertConfig(num_hidden_layers=1, vocab_size=64)),
        }[name]()
        scheme = Scheme(bits, bits)
        calibrate(quantize_model(model, scheme), [inputs])
        yield f"{name} at {bits} bits", IntegerModel.from_quantized(model.eval(), scheme, {}), inputs


def compute_network_products() -> list[LayerProduct]:
    """One product of every length and precision of each network."""
    from torch import Tensor

    from qat.network.gemm import Product, exact_product

    found: dict[object, LayerProduct] = {}

    for network, integer, inputs in quantised_networks():

        def record(product: Product, network: str = network) -> Tensor:
            result = exact_product(product)
            left, right, accumulators = (
                tensor.reshape(-1, *tensor.shape[-2:])[-1].numpy() for tensor in (product.left, product.right, result)
            )
            precision = Precision(product.right_bits, product.left_bits, product.left_signed)
            kept = (left[-MOST:], right[-MOST:], accumulators[-MOST:, -MOST:])
            item = LayerProduct(f"{network}, {product.name}", precision, *kept)
            found.setdefault((network.split()[0], precision, item.k), item)
            return result

        integer.logits(inputs, record)
    return list(found.values())


@pytest.fixture(scope="session")
def network_products() -> list[LayerProduct]:
    """Kept as long as neither the networks' code nor this file changes."""
    sources = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(Path(qat.__file__).parent.rglob("*.py")):
        sources.update(path.read_bytes())
    key = {"sources": sources.hexdigest(), "torch": version("torch"), "transformers": version("transformers")}

    def make(folder: Path) -> None:
        (folder / "products.pickle").write_bytes(pickle.dumps(compute_network_products()))

    found: list[LayerProduct] = pickle.loads((cached("networks", key, make) / "products.pickle").read_bytes())
    return found


def held_at(mac: MacSpec, product: LayerProduct) -> Precision | None:
    """A precision of the design that holds all codes of the product: its own, if that is one, or one of its sign."""
    own = product.precision
    for precision in sorted(mac.precisions, key=lambda p: (p != own, p.activation_signed != own.activation_signed)):
        weights, activations = mac.weight_values(precision).values, mac.activation_values(precision).values
        if np.isin(product.right, weights).all() and np.isin(product.left, activations).all():
            return precision
    return None


def network_jobs(specs: tuple[ArraySpec, ...], products: list[LayerProduct]) -> list[Job]:
    """What both arrays can run: the longest reduction on both, others dealt out.

    Those whose widths the design has; where there are none, as no network here has them, those whose codes it holds.
    """
    mac = min((spec.mac for spec in specs), key=lambda mac: len(mac.precisions))  # the other one has all of its
    fitting = [(product, held_at(mac, product)) for product in products]
    fitting = [(product, held) for product, held in fitting if held is not None]
    fitting = [(product, held) for product, held in fitting if held == product.precision] or fitting
    fitting.sort(key=lambda each: -each[0].k)
    others = fitting[1 :: -(-len(fitting) // MOST_JOBS)]
    jobs = []
    for number, (product, precision) in enumerate([fitting[0], *others]):
        for index in (number % 2,) if number else (0, 1):
            m, n = specs[index].rows + 1, specs[index].columns + 1
            step = Step(product.left[-m:], product.right[-n:], precision)
            jobs.append(Job(index, product.label, (step,), product.accumulators[-m:, -n:]))
    return jobs


def sliced_jobs(specs: tuple[ArraySpec, ...], products: list[LayerProduct]) -> list[Job]:
    """8-bit products on 4-bit hardware: weights as 64 * w2 + 8 * w1 + w0, activations as 16 * a1 + a0 (unsigned)."""
    jobs = []
    for product in products:
        if not product.label.endswith("patch_embeddings.projection"):
            continue
        for index in (0, 1):
            m, n = specs[index].rows + 1, specs[index].columns + 1
            a, w = product.left[-m:], product.right[-n:]
            weights = ((w & 7, 0), ((w >> 3) & 7, 3), (w >> 6, 6))
            activations = ((a & 15, False, 0), (a >> 4, True, 4))
            steps = [
                Step(part, digit, Precision(4, 4, signed), Settings(place + more, accumulate=place + more > 0))
                for digit, place in weights
                for part, signed, more in activations
            ]
            jobs.append(Job(index, f"{product.label}, sliced", tuple(steps), product.accumulators[-m:, -n:]))
    return jobs


def halved_jobs(specs: tuple[ArraySpec, ...]) -> list[Job]:
    """Two-bit weights on binary hardware: 2 * w = -2 * s1 + s0 - 1 with digits of -1 and +1."""
    jobs = []
    for index, spec in enumerate(specs):
        rng = np.random.default_rng(index)
        a, w = rng.integers(0, 2, (2 * spec.rows, 70)), rng.integers(-2, 2, (spec.columns + 1, 70))
        top, low = 2 * ((w >> 1) & 1) - 1, 2 * (w & 1) - 1
        precision = Precision(1, 1, False)
        steps = (
            Step(a, top, precision, Settings(shift=1, negate=True)),
            Step(a, low, precision, Settings(accumulate=True)),
            Step(a, np.ones_like(w), precision, Settings(negate=True, accumulate=True, halve=True)),
        )
        jobs.append(Job(index, "two-bit weights", steps, a @ w.T))
    return jobs


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.design)
def test_arrays_compute_products(design: type[MacSpec], tmp_path: Path, network_products: list[LayerProduct]) -> None:
    specs = arrays_of(design)
    jobs = network_jobs(specs, network_products)
    assert {job.index for job in jobs if job.steps[0].activations.shape[1] == 3072} == {0, 1}
    assert {job.steps[0].precision.activation_signed for job in jobs} == {False, True}
    if design is UniformSpec:
        jobs += sliced_jobs(specs, network_products)
    elif design is XnorSpec:
        jobs += halved_jobs(specs)
    log = run_array_tests(specs, tmp_path, jobs=jobs)
    for name in TESTS:
        assert re.search(rf"sim\.array\.tests\.{name} +PASS", log)


def test_networks_give_the_real_shapes(network_products: list[LayerProduct]) -> None:
    for network, lengths in (("DeiT-T", {64, 192, 198, 768}), ("Swin-T", {96, 384, 3072}), ("BERT-base", {768, 3072})):
        assert lengths <= {product.k for product in network_products if product.label.startswith(network)}
    kinds = {(p.precision, p.label.rpartition(".")[2]) for p in network_products}
    assert {
        (Precision(8, 8), "projection"), (Precision(4, 4, False), "context"), (Precision(4, 4), "scores"),
        (Precision(1, 1, False), "fc2"), (Precision(2, 2), "q_proj"),
    } <= kinds  # fmt: skip


TINY = UniformSpec(weight_bits=2, activation_bits=2, lanes=1, reduction_length=64)
BROADCAST, SYSTOLIC = (
    ArraySpec(
        mac=TINY, rows=2, columns=3, architecture=architecture, activation_depth=40, weight_depth=40, result_depth=18
    )
    for architecture in Architecture
)


def test_simulators_agree(tmp_path: Path) -> None:
    """Tiny arrays in Icarus, where what was never written is unknown and must not reach a result."""
    drained = [replace(spec, rows=3, columns=2, drains=2) for spec in (BROADCAST, SYSTOLIC)]
    run_array_tests([BROADCAST, SYSTOLIC, *drained], tmp_path, simulator="icarus")


REQUANT_BROADCAST = replace(
    BROADCAST, rows=3, drains=2, result_width=16,
    requant=MultiplierSpec(accumulator_width=16, groups=3, bits=3, signed=True, multiplier_width=7, offset_width=14,
                           shift=3, shift_bits=2, pipeline_stages=1),
)  # fmt: skip
REQUANT_SYSTOLIC = replace(
    SYSTOLIC, result_width=14, requant=ThresholdSpec(accumulator_width=14, groups=4, bits=3, signed=False)
)
REQUANT_BINARY = replace(
    REQUANT_SYSTOLIC, columns=2, drains=2, requant=ThresholdSpec(accumulator_width=14, groups=2, bits=1, signed=True)
)


def test_requantisers_give_the_codes_of_their_golden_model(tmp_path: Path) -> None:
    """Each kind that an array can have, in Icarus: parameters that were never loaded are unknown."""
    specs = [REQUANT_BROADCAST, REQUANT_SYSTOLIC, REQUANT_BINARY]
    assert {type(spec.requant) for spec in specs} == set(RequantSpec.__subclasses__())
    log = run_array_tests(specs, tmp_path, simulator="icarus", tests=("requantised", "passes", "refusals", "ping_pong"))
    for name in ("requantised", "passes", "refusals", "ping_pong"):
        assert re.search(rf"sim\.array\.tests\.{name} +PASS", log)


def pin(spec: ArraySpec, row: int, column: int, name: str) -> str:
    """A pattern whose group is what a pin of an element is connected to."""
    return rf"{spec.element.name} element_{row}_{column} \([^;]*?\.{name}\(([^)]*)\)"


class Fault(NamedTuple):
    """What the one group of ``pattern`` is replaced by, and what the bench must say."""

    name: str
    spec: ArraySpec
    pattern: str
    replacement: str
    message: str


FAULTS = (
    Fault(
        "weights of a neighbour", BROADCAST, pin(BROADCAST, 1, 0, "weights"), "weights[3:2]",
        r"row \d+, column \d+ \(element 1, 0\): expected -?\d+, not -?\d+; \d+ of \d+ results differ",
    ),
    Fault(
        "enable stuck at 1", BROADCAST, pin(BROADCAST, 1, 2, "enable"), "1'h1",
        r"row \d+, column \d+ \(element 1, 2\): expected -?\d+, not -?\d+",
    ),
    Fault(
        "enable stuck at 0", BROADCAST, pin(BROADCAST, 0, 1, "enable"), "1'h0",
        r"result word \d+ \(element 0, 1\): expected bits, not X+",
    ),
    Fault(
        "no drain", BROADCAST, pin(BROADCAST, 1, 0, "drain_in"), "10'h000",
        r"row \d+, column \d+ \(element 0, 0\): expected -?\d+, not 0",
    ),
    Fault(
        "no shift", SYSTOLIC, r"\.shift\((\{\w+, 1'b0\})\)", "2'h0",
        r"row \d+, column \d+ \(element 0, 0\): expected -?\d+, not -?\d+",
    ),
    Fault(
        "tiles do not wait for the drain", SYSTOLIC, r"last & \((since < \([^()]*\))\)", "1'h0",
        r"expected busy for \d+ cycles, ",
    ),
    Fault(
        "the run does not end", BROADCAST, r"if \(finished\) running <= (1'b0);", "running",
        r"expected busy for \d+ cycles, it is 1 after \d+",
    ),
    Fault(
        "an illegal run goes on", BROADCAST, r"assign refused = (phase_4 & [^;]+);", "1'h0",
        r"after the start of \{'steps': 0, .*\}: expected busy 0, not 1",
    ),
    Fault(
        "a size of 0 is taken", SYSTOLIC, r"\((column_tiles == 16'd0)\)", "1'h0",
        r"after the start of \{.*'column_tiles': 0, .*\}: expected (?:busy 0, not 1|error 5, not \d)",
    ),
    Fault(
        "a memory is a word larger", BROADCAST, r"weight_following > (10'd40)", "10'd41",
        r"after the start of \{.*\}: expected (?:busy 0, not 1|error 6, not \d)",
    ),
    Fault(
        "the base is not counted", SYSTOLIC, r"phase_3 \? (result_base) : 5'd0", "5'h00",
        r"after the start of \{.*\}: expected (?:busy 0, not 1|error 9, not \d)",
    ),
    Fault(
        "operands of a refused run go on", BROADCAST, r"\w operand_controller \([^;]*?\.stop\((stop)\)", "1'h0",
        r"expected -?\d+, not -?\d+|expected \w+ -?\d+, not -?\d+",
    ),
    Fault(
        "a sum of a refused run drains", BROADCAST, r"last_d2 <= (stop \? 1'b0 : last_d1);", "last_d1",
        r"expected (?:written 0|-?\d+), not -?\d+",
    ),
    Fault(
        "parameters of a neighbour", REQUANT_SYSTOLIC, r"\.load_valid\((load_requant\[1\])\)", "load_requant[0]",
        r"row \d+, column \d+ \(element \d, 1\): expected \d, not \d;|result word \d+ \(element \d, 1\): expected bits",
    ),
    Fault(
        "every column tile has the first set", REQUANT_SYSTOLIC,
        r"group_2 = run_group \+ (\(run_group_step \? \w+ : 2'd0\));", "2'd0",
        r"row \d+, column \d+ \(element \d, 2\): expected \d, not \d;",
    ),
    Fault(
        "the set of the next tile comes a cycle early", REQUANT_SYSTOLIC,
        r"group_2 = run_group \+ \(run_group_step \? (drained_column_d2) :", "drained_column_d1",
        r"row \d+, column \d+ \(element \d, 2\): expected \d, not \d;",
    ),
    Fault(
        "a threshold is one too high", REQUANT_SYSTOLIC, r"\[1\] \? (chosen_by_0_1\[59:45\]) :",
        "(chosen_by_0_1[59:45] + 15'd1)", r"row \d+, column \d+ \(element \d, \d\): expected \d, not \d;",
    ),
    Fault(
        "a column has sums for codes", REQUANT_BROADCAST, r"(run_requantise) \? \{13'd0,\s+code_1\}", "1'b0",
        r"row \d+, column \d+ \(element \d, 1\): expected \d, not -?\d+;",
    ),
    Fault(
        "a multiplier loads one set alone", REQUANT_BROADCAST,
        r"requant_2 \([^;]*?\.load_group\((load_group)\)", "2'd1",
        r"row \d+, column \d+ \(element \d, 2\): expected \d, not \d;|result word \d+ \(element \d, 2\): expected bits",
    ),
    Fault(
        "sets are one more", REQUANT_SYSTOLIC, r"16'd1\}\) > (17'd4)", "17'd5",
        r"after the start of \{.*\}: expected (?:busy 0, not 1|error 10, not \d)",
    ),
    Fault("hold is ignored", SYSTOLIC, r"\.hold\((hold)\)", "1'h0", r"expected busy for \d+ cycles, not \d+"),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_faulty_array_is_found(fault: Fault, tmp_path: Path) -> None:
    verilog = verilog_of_arrays([fault.spec])
    (found,) = re.finditer(fault.pattern, verilog)
    faulty = verilog[: found.start(1)] + fault.replacement + verilog[found.end(1) :]
    tests = ("random_products", "short_sums", "holds", "early_reads", "refusals")
    if fault.spec.requant is not None:
        tests = ("requantised", "refusals")
    with pytest.raises(SimulationError, match=rf"{fault.spec.name}: .*(?:{fault.message})"):
        run_array_tests([fault.spec], tmp_path, simulator="icarus", tests=tests, verilog=faulty)


def test_arrays_cover_shapes_and_stages() -> None:
    specs = [spec for design in DESIGNS for spec in arrays_of(design)]
    assert {spec.architecture for spec in specs} == set(Architecture)
    assert {spec.mac.pipeline_stages for spec in specs} == {0, 1, 2}
    for architecture in Architecture:
        places = {(spec.rows, spec.columns) for spec in specs if spec.architecture is architecture}
        assert {(2, 3), (4, 4), (1, 1), (3, 1), (1, 4)} <= places
        drains = {(spec.rows, spec.drains) for spec in specs if spec.architecture is architecture}
        assert {(2, 2), (3, 2), (4, 2)} <= drains
    assert {spec.result_width for spec in specs} == {32, 33}


def test_specs_and_jobs_travel(tmp_path: Path) -> None:
    specs = [spec for design in DESIGNS for spec in arrays_of(design)]
    assert arrays_from_json(arrays_to_json(specs)) == specs
    step = Step(np.ones((2, 3), np.int64), np.zeros((4, 3), np.int64), Precision(4, 4, False), Settings(3, halve=True))
    save_jobs(tmp_path / "jobs", [Job(1, "a", (step, step), np.ones((2, 4), np.int64))])
    (job,) = load_jobs(tmp_path / "jobs")
    assert (job.index, job.label, len(job.steps)) == (1, "a", 2)
    assert job.expected.tolist() == [[1] * 4] * 2
    for other in job.steps:
        assert (other.precision, other.settings) == (step.precision, step.settings)
        assert other.activations.tolist() == step.activations.tolist()
        assert other.weights.tolist() == step.weights.tolist()


def test_a_setting_that_an_array_has_no_port_for_is_refused() -> None:
    spec = ArraySpec(mac=UniformSpec(lanes=1), rows=1, columns=1)
    assert spec.requant is None
    assert Settings(shift=1).ports(spec)["shift"] == 1
    for asked in (Settings(requantise=True), Settings(group=1), Settings(group_step=True)):
        with pytest.raises(InputError, match=r"must be (False|0) in an array without a port for it"):
            asked.ports(spec)
