"""Manifests: layouts that say what packing does, legal control values, and texts that stay short."""

import json
import random

import numpy as np
import pytest

from rtl.mac import DESIGNS, BitFusionSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec, XnorSpec
from rtl.manifests.mac import manifest, manifest_text
from rtl.manifests.requant import requant_manifest
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec
from rtl.requant.vectors import golden_vectors
from rtl.spec.layout import Field, fields_of
from rtl.spec.mac import MacSpec
from sim.mac.scenarios import operand_codes
from tests.sim.stranger import cycles_of, step_of

SPECS = [
    design(**given, **{design.size_parameter: size})
    for design in DESIGNS
    for given in design.variants()
    for size in (1, 3)
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_layouts_say_what_packing_does(spec: MacSpec) -> None:
    """Full and short steps of random codes, at every precision."""
    rng = np.random.default_rng(1)
    described = json.loads(manifest_text(manifest(spec)))
    for precision, known in zip(spec.precisions, described["precisions"], strict=True):
        weights, activations = operand_codes(spec, precision)
        step = spec.products_per_step(precision)
        for used in {0, 1, step - 1, step}:
            w, a = rng.choice(weights, used).tolist(), rng.choice(activations, used).tolist()
            packed = spec.pack(w, a, precision)
            cycles = cycles_of(step_of(described, known, w, a), known)
            assert {name: [words[name] for words in cycles] for name in cycles[0]} == {
                name: words for name, words in packed.items() if name != "clear"
            }


def test_control_values_and_when_they_may_change() -> None:
    def controls(spec: MacSpec) -> dict[str, tuple[list[int], str]]:
        return {each["port"]: (each["legal"], each["changes"]) for each in manifest(spec)["controls"]}

    assert controls(SubwordSpec()) == {"mode": ([0, 1, 3], "sum"), "activation_signed": ([0, 1], "step")}
    assert controls(PaddedSpec(gating=True, widths=(8, 4)))["mode"] == ([0, 1], "sum")
    assert controls(PaddedSpec()) == {"activation_signed": ([0, 1], "step")}
    assert controls(BitFusionSpec())["weight_mode"] == ([0, 1, 3], "step")
    assert controls(XnorSpec())["odd_padding"] == ([0, 1], "step")
    assert controls(LoomSpec())["bit_sum"] == (list(range(15)), "step")


def test_fields_of_a_word() -> None:
    """Codes of two bits: one in place, two in reverse order each extended to three bits, zeros between."""
    word = np.array([2, 3, 0, 6, 7, 7, 4, 5, 5])
    assert fields_of(word, 2) == (Field(0, 2, 0, 0, 2), Field(3, 3, 2, 0, 2, 2, 3, -1))


def test_long_manifests_stay_short() -> None:
    text = manifest_text(manifest(LoomSpec(units=32)))
    assert json.loads(text) == json.loads(json.dumps(manifest(LoomSpec(units=32))))
    assert len(text) < 150_000
    assert max(map(len, text.splitlines())) < 500
    assert '"weight_range": [-8, 7],' in manifest_text(manifest(UniformSpec()))


UNITS = [
    ThresholdSpec(groups=3, bits=3),
    MultiplierSpec(shift_bits=3, shift=4, signed=False, groups=12),
    PartialSumSpec(groups=4),
]


@pytest.mark.parametrize("spec", UNITS, ids=lambda spec: spec.name)
def test_fields_of_a_parameter_set(spec: ThresholdSpec | MultiplierSpec | PartialSumSpec) -> None:
    described = requant_manifest(spec)
    rng = random.Random(0)
    numbers = [rng.randint(*field["range"]) for field in described["parameter_fields"]]
    numbers = sorted(numbers) if isinstance(spec, ThresholdSpec) else numbers
    word = 0
    for field, number in zip(described["parameter_fields"], numbers, strict=True):
        word |= ((number - field["stored_less"]) % (1 << field["width"])) << field["low"]
    assert word == spec.pack_parameters(numbers)
    assert sum(field["width"] for field in described["parameter_fields"]) == spec.parameter_width


@pytest.mark.parametrize("spec", UNITS[:2], ids=lambda spec: spec.name)
def test_golden_vectors_have_most_codes(spec: ThresholdSpec | MultiplierSpec) -> None:
    found = golden_vectors(spec)
    assert found == golden_vectors(spec)
    assert len(set(found["code"])) > (1 << spec.bits) // 2
    assert len(found["loads"]) == min(spec.groups, 8)
    sets = [found["loads"][group]["parameters"] for group in found["group"]]
    assert found["code"] == spec.compute(found["accumulator"], sets).tolist()


def test_golden_vectors_of_sums() -> None:
    spec = UNITS[2]
    assert isinstance(spec, PartialSumSpec)
    found = golden_vectors(spec)
    starts = [place for place, first in enumerate(found["first"]) if first]
    ends = [place for place, last in enumerate(found["last"]) if last]
    assert [total is not None for total in found["total"]] == [bool(last) for last in found["last"]]
    for start, end in zip(starts, ends, strict=True):
        assert end - start < spec.groups
        terms = zip(found["group"][start : end + 1], found["accumulator"][start : end + 1], strict=True)
        assert found["total"][end] == sum(found["loads"][group]["parameters"][0] * value for group, value in terms)
