"""From a policy to a trained network: the widths that are assigned are those that are trained and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwmodel.inference import Costs, MacCost, UnitCost, network_cost
from hwmodel.latency import main as latency
from hwmodel.policy import main as policy
from hwmodel.workload import read_workload
from hwmodel.workload.policyfile import read_assignment
from qat.evaluate import main as evaluate
from qat.export import main as export
from qat.integers import open_subject
from qat.network import QuantLinear, gemms, role_of
from qat.trace import to_text, workload
from qat.train import main
from qat.training.runs import load_run, read_record
from rtl.array import Architecture, ArraySpec
from rtl.mac import BitFusionSpec
from rtl.requant import ThresholdSpec
from siliquant.inputs import policy_text, policy_widths
from sim.harness import verify

pytestmark = pytest.mark.usefixtures("quick")
TINY = ["--model", "vit-tiny", "--limit", "16", "--batch-size", "16", "--epochs", "1", "--calibration-batches", "1",
        "--threads", "1", "--device", "cpu"]  # fmt: skip


@pytest.fixture
def network(tmp_path: Path, quick: None) -> Path:
    """The list of GEMMs."""
    path = tmp_path / "vit-tiny.json"
    path.write_text(to_text(workload("vit-tiny", labels=10)))
    return path


@pytest.mark.parametrize(("mean", "widths"), [("3", "2,4,8"), ("2", "1,2,4"), ("3/5", "2,4/4,6")])
def test_a_network_is_trained_at_the_widths_of_a_policy(
    mean: str, widths: str, network: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    file, out = tmp_path / "policy.json", tmp_path / "run"
    policy(["--model", str(network), "--mean", mean, "--mix-widths", widths, "--out", str(file)])
    ended = command(main, *TINY, "--policy", file, "--out", out)
    assert (ended.code, ended.out) == (0, ""), ended.err
    wanted, layers = policy_widths(file), gemms(load_run(out)[0])
    assert list(wanted) == list(dict.fromkeys(gemm.name for gemm in read_workload(network).gemms))
    assert len(set(wanted.values())) > 2
    for name, layer in layers.items():
        activations, weights = ({*each.bits} for each in layer.operands())
        assert (weights, activations) == tuple({bits} for bits in wanted[name]), name
    resumed = command(main, "--policy", file, "--out", out, "--resume")
    assert resumed.code == 0, resumed.err


def test_overrides_of_ones_own_stand_above_a_policy(network: Path, command: Callable[..., Any], tmp_path: Path) -> None:
    file, out = tmp_path / "policy.json", tmp_path / "run"
    policy(["--model", str(network), "--mean", "3", "--mix-widths", "2,4,8", "--out", str(file)])
    ended = command(main, *TINY, "--policy", file, "--override", "*.fc1=5/6", "--out", out)
    assert ended.code == 0, ended.err
    layers = gemms(load_run(out)[0])
    assert [[each.bits for each in layers[name].operands()] for name in layers if name.endswith("fc1")] == [
        [(6,), (5,)]
    ] * 2
    assert read_record(out).options["policy"] == str(file)


def test_a_policy_that_does_not_fit_is_refused(network: Path, command: Callable[..., Any], tmp_path: Path) -> None:
    file, out = tmp_path / "policy.json", tmp_path / "run"
    policy(["--model", str(network), "--mean", "3", "--mix-widths", "2,4,8", "--out", str(file)])
    whole = policy_widths(file)

    def refusal(widths: dict[str, tuple[int, int]], *more: str) -> str:
        file.write_text(policy_text(widths, {}))
        ended = command(main, *TINY, "--policy", file, "--out", out, *more)
        assert (ended.code, ended.out, out.exists()) == (2, "", False)
        [line] = ended.err.splitlines()
        return line.removeprefix("program: error: ")

    first = "vit.layers.0.attention.k_proj"
    assert refusal({name: bits for name, bits in whole.items() if name != first}) == (
        f"the policy {file} must have bits for every GEMM, and lacks {first}"
    )
    assert refusal({**whole, "vit.layers.2.mlp.fc1": (2, 2)}) == (
        "overrides must match a GEMM of the model, but vit.layers.2.mlp.fc1 match none"
    )
    assert refusal({**whole, "*.fc1": (2, 2)}).endswith(
        "names must be those of single GEMMs, without * ? [ ], not '*.fc1'"
    )
    assert refusal(whole, "--bits", "32") == "policy must not be given with bits 32"


def test_a_run_keeps_its_policy(network: Path, command: Callable[..., Any], tmp_path: Path) -> None:
    file, out = tmp_path / "policy.json", tmp_path / "run"
    policy(["--model", str(network), "--mean", "3", "--mix-widths", "2,4,8", "--out", str(file)])
    assert command(main, *TINY, "--policy", file, "--out", out).code == 0
    widths = policy_widths(file)
    file.write_text(policy_text({**widths, "classifier": (7, 7)}, {}))
    ended = command(main, "--policy", file, "--out", out, "--resume")
    assert ended.code == 2
    assert ended.err == f"program: error: policy and override must give the widths that the run in {out} has\n"
    file.unlink()  # what is trained is in the run
    assert command(main, "--out", out, "--resume").code == 0


HEADS = "query", "key", "value", "scores", "context"


@pytest.fixture
def heads(network: Path, tmp_path: Path) -> Path:
    """A policy of 2 and 4 bits in which heads differ, in file heads.json; no two of a layer are as sensitive."""
    table = tmp_path / "sensitivity.csv"
    rows = [f"{role},,,1e-6" for role in ("projection", "fc1", "fc2")]
    rows += [f"{role},{layer},{head},{(place + 5 * head + 3 * layer) % 7 + 1}"
             for place, role in enumerate(HEADS) for layer in range(2) for head in range(3)]  # fmt: skip
    table.write_text("\n".join(["role,layer,head,sensitivity", *rows, ""]))
    file = tmp_path / "heads.json"
    policy(["--model", str(network), "--mean", "2.5", "--mix-widths", "2,4", "--sensitivity", str(table), "--by-head",
            "--out", str(file)])  # fmt: skip
    return file


def test_a_network_is_trained_at_widths_by_head(
    heads: Path, network: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    """Trained, resumed, evaluated and exported; then computed on an array, bit for bit, in the cycles of its costs."""
    out, integers = tmp_path / "run", tmp_path / "integers"
    wanted = policy_widths(heads)
    differing = {name for name, (weights, _) in wanted.items() if isinstance(weights, tuple)}
    assert {role_of(name) for name in differing} >= {"query", "value", "scores", "context"}
    ended = command(main, *TINY, "--policy", heads, "--no-output-by-head", "--out", out)
    assert (ended.code, ended.out) == (0, ""), ended.err
    assert command(main, "--policy", heads, "--out", out, "--resume").code == 0
    for name, layer in gemms(load_run(out)[0]).items():
        for bits, given in zip(layer.operands()[::-1], wanted[name], strict=True):
            each = (given,) * bits.groups if isinstance(given, int) else given
            assert bits.bits == (tuple(sorted(set(each))) if name in differing and bits is layer.operands()[0]
                                 and isinstance(layer, QuantLinear) else each), name  # fmt: skip
    assert command(evaluate, "--checkpoint", out, "--device", "cpu").code == 0
    ended = command(export, "--checkpoint", out, "--out", integers, "--samples", "5", "--device", "cpu")
    assert ended.code == 0, ended.err
    subject = open_subject(integers, 1)
    array = ArraySpec(
        mac=BitFusionSpec(units=1), rows=4, columns=4, architecture=Architecture.SYSTOLIC,
        requant=ThresholdSpec(accumulator_width=32, bits=4, signed=False),
    )  # fmt: skip
    found = verify(subject, array)
    assert found.mismatches == 0
    widths = read_assignment(heads, read_workload(network))
    nothing = {"area_um2": 0.0, "idle_pj_per_cycle": 0.0, "leakage_uw": 0.0, "minimum_period_ns": 0.0}
    cost = network_cost(array, widths, Costs(
        mac=lambda *_: MacCost(**nothing, energy_pj_per_cycle=0.0), unit=lambda _: UnitCost(**nothing, energy_pj=0.0),
        clock_mhz=500, sram=None,
    ))  # fmt: skip
    cycles: dict[str, int] = {}
    for kind in cost.kinds:
        for gemm in kind.gemms:
            whole = gemm.name.partition(",")[0]
            cycles[whole] = cycles.get(whole, 0) + kind.cycles
    for record in found.gemms:
        taken = record.code_cycles if record.codes else record.cycles + record.load_cycles
        assert cycles[record.name] == taken, record.name
        assert record.products == (3 if record.name in differing else 1)


AT = "vit.layers.0.attention"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--granularity", "tensor"), f"weight_bits of {AT}.q_proj must be one number or 1, one a head, not 3"),
        (("--query-key", "reparameterised"),
         f"activation_bits of {AT}.q_proj, {AT}.k_proj and {AT}.v_proj must be one with query_key reparameterised"),
    ],
)  # fmt: skip
def test_widths_by_head_need_scales_by_head(
    given: tuple[str, str], said: str, heads: Path, command: Callable[..., Any], tmp_path: Path
) -> None:
    ended = command(main, *TINY, "--policy", heads, *given, "--out", tmp_path / "run")
    assert (ended.code, ended.err.splitlines()[-1]) == (2, f"program: error: {said}")


def test_costs_are_those_of_the_same_widths(network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.json"
    mix = ["--mean", "3/5", "--mix-widths", "2,4/4,6"]
    policy(["--model", str(network), *mix, "--out", str(file)])
    capsys.readouterr()
    found = []
    for given in (mix, ["--policy", str(file)]):
        latency(["--model", str(network), "--design", "bitfusion", *given])
        found.append(capsys.readouterr().out)
    assert found[0] == found[1]
    with pytest.raises(ValueError, match=r"^--mean and --policy must not be given together$"):
        latency(["--model", str(network), *mix, "--policy", str(file)])


def test_an_assignment_is_of_its_network(network: Path, tmp_path: Path) -> None:
    file, found = tmp_path / "policy.json", read_workload(network)
    policy(["--model", str(network), "--mean", "3", "--mix-widths", "2,4,8", "--out", str(file)])
    assert str(read_assignment(file, found).mean_bits) == "3"
    widths = policy_widths(file)
    scores = "vit.layers.0.attention.scores"
    for changed, said in (
        ({name: bits for name, bits in widths.items() if name != scores},
         f"it must have the widths of all its GEMMs, and lacks '{scores}'"),
        ({**widths, "more": (2, 2)}, "its GEMMs must be those of that network, which has no 'more'"),
        ({**widths, scores: (2, 4)}, f"'{scores}' must have one width, not 2/4: it multiplies two activations"),
    ):  # fmt: skip
        file.write_text(policy_text(changed, {}))
        with pytest.raises(ValueError) as caught:
            read_assignment(file, found)
        assert str(caught.value).endswith(said)
        assert str(caught.value).startswith(str(file))
    assert json.loads(network.read_text())["name"] == "vit-tiny"
