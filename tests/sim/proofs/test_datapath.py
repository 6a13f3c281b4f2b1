"""Datapaths are proved for all operands, and no datapath is that computes anything else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from random import Random

import pytest

from rtl.logic import DatapathBuilder, Port, Word
from rtl.mac import (
    DESIGNS,
    BitBladeSpec,
    BitFusionSpec,
    BitSerialSpec,
    Dc1dSpec,
    LoomSpec,
    PaddedSpec,
    SubwordSpec,
    UniformSpec,
    XnorSpec,
)
from rtl.mac.scalable import ScalableSpec
from rtl.spec import MacSpec, Precision
from sim.mac.cases import pair_cycles, variants, with_size
from sim.proofs import ProofError, prove_datapath
from tests.rtl.own.powers import PowersSpec
from tests.sim.proofs.faults import differs, mutants

SMALL = (
    UniformSpec(weight_bits=3, activation_bits=3, lanes=2),
    UniformSpec(weight_bits=6, activation_bits=6, lanes=1, booth=True),
    SubwordSpec(units=1, widths=(4, 2)),
    BitFusionSpec(units=1, widths=(4, 2)),
    BitBladeSpec(units=2, widths=(4, 2)),
    PaddedSpec(units=1, widths=(4, 2), gating=True),
    Dc1dSpec(units=2, widths=(4, 2)),
    XnorSpec(lanes=5),
    BitSerialSpec(units=3, maximum_bits=3),
    LoomSpec(units=4, maximum_bits=3),
)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: str(design.design))
def test_every_kind_and_form_of_every_design_is_proved(design: type[MacSpec]) -> None:
    for kind in design.variants():
        for size in (1, 3):
            spec = design(**{**kind, design.size_parameter: size})
            for form in spec.forms:
                found = prove_datapath(form)
                assert (found.name, found.precisions) == (form.name, len(form.precisions))
                assert found.cycles == sum(map(form.cycles_per_step, form.precisions))


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: str(design.design))
def test_sums_shorter_than_a_step_are_proved(design: type[MacSpec]) -> None:
    """Of the words of such sums the accumulator may take low bits alone."""
    known = variants(design)
    for spec in (known[0], known[-1]):
        for length in (1, 3):
            short = with_size(spec, 5, reduction_length=length)
            assert prove_datapath(short).precisions == len(short.precisions)


SCALABLE = [design for design in DESIGNS if issubclass(design, ScalableSpec)]


@pytest.mark.parametrize("design", SCALABLE, ids=lambda design: str(design.design))
def test_every_set_of_widths_is_proved(design: type[ScalableSpec]) -> None:
    for widths in (sets for count in (2, 3, 4) for sets in combinations((8, 4, 2, 1), count)):
        spec = design(widths=widths, units=1, reduction_length=1 << 17)
        assert prove_datapath(spec).precisions == len(spec.precisions)


PARALLEL = [design for design in DESIGNS if design not in (BitSerialSpec, LoomSpec, XnorSpec)]


@pytest.mark.parametrize("design", PARALLEL, ids=lambda design: str(design.design))
def test_units_whose_pairs_take_long_to_simulate_are_proved(design: type[MacSpec]) -> None:
    """Of each design one of these is simulated with every pair (sim/mac/cases.py). Serial ones see single bits: their
    kinds above are proved.
    """
    for spec in (with_size(variant, 1) for variant in variants(design)):
        if pair_cycles(spec) >= 1 << 15:
            for form in spec.forms:
                assert prove_datapath(form).precisions == len(form.precisions)


def test_sizes_that_no_solver_reaches_are_proved() -> None:
    found = prove_datapath(UniformSpec(weight_bits=8, activation_bits=8, lanes=64))
    assert found.gates > 10_000
    prove_datapath(SubwordSpec(units=16))
    prove_datapath(XnorSpec(lanes=256))


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_faults_are_refused(spec: MacSpec) -> None:
    datapath = spec.build()
    rng = Random(spec.name)
    every = list(mutants(datapath, rng))
    wrong = 0
    for mutant in rng.sample(every, min(40, len(every))):
        try:
            prove_datapath(spec, mutant)
        except ProofError:
            wrong += 1
        else:
            assert not differs(spec, mutant)
    assert wrong > 20  # a random wire changes what is computed, but for few


def test_a_fault_is_named() -> None:
    spec = UniformSpec(weight_bits=2, activation_bits=2, lanes=1)
    datapath = spec.build()
    swapped = replace(datapath, next_accumulator=datapath.next_accumulator[::-1])
    with pytest.raises(
        ProofError,
        match=r"^uniform_w2_a2_l1 at w2a2s: bits of a sum are "
        r"taken apart from their word, or in a product: \d+, ",
    ):
        prove_datapath(spec, swapped)
    wider = SubwordSpec(units=1).build()
    with pytest.raises(ProofError, match=r"^subword_u1_w842 at w8a8s: with mode = 0, activation_signed = 1, the "
                       r"accumulator port does not show the sum$"):  # fmt: skip
        prove_datapath(SubwordSpec(units=1), replace(wider, output=wider.output[1:] + wider.output[:1]))


def test_a_design_with_words_that_are_no_codes_is_proved_for_its_codes() -> None:
    spec = PowersSpec(lanes=3)
    datapath = spec.build()
    assert prove_datapath(spec).precisions == 2
    refused = 0
    for mutant in mutants(datapath, Random(0)):
        try:
            prove_datapath(spec, mutant)
        except ProofError:
            refused += 1
        else:
            assert not differs(spec, mutant)
    assert refused > len(datapath.circuit.gates) / 2


@dataclass(frozen=True, kw_only=True)
class ShortStepSpec(PaddedSpec):
    """Says of a step of wide operands that it is not full."""

    @cached_property
    def operand_ports(self) -> tuple[Port, ...]:
        return (*super().operand_ports, Port("short", 1, True, "1: a step that is not full"))

    def _pack_step(
        self, weights: Sequence[int], activations: Sequence[int], precision: Precision
    ) -> list[dict[str, int]]:
        short = precision.weight_bits == self.widest and len(weights) < self.units
        return [{**step, "short": int(short)} for step in super()._pack_step(weights, activations, precision)]


@dataclass(frozen=True, kw_only=True)
class WrongShortStepSpec(ShortStepSpec):
    """Then shows the sum shifted, as that of narrow operands."""

    def present(self, builder: DatapathBuilder, result: Word) -> Word:
        return builder.circuit.shift_right(super().present(builder, result), builder.bit("short"), 4)


def test_steps_that_are_not_full_show_the_sum_as_full_ones_do() -> None:
    assert prove_datapath(ShortStepSpec(units=2, widths=(4, 2), gating=True)).precisions == 4
    said = r" at w4a4s: in a step with 0 of 2 products, the port shows sums shifted by 4, not 0$"
    with pytest.raises(ProofError, match=said):
        prove_datapath(WrongShortStepSpec(units=2, widths=(4, 2), gating=True))
