"""Requantisers are proved for all accumulators and parameters, and no other graph is."""

from random import Random

import numpy as np
import pytest

from rtl.logic import Datapath
from rtl.logic.circuit import evaluate
from rtl.requant import LoadableSpec, MultiplierSpec, PartialSumSpec, RequantSpec, ThresholdSpec
from sim.proofs import ProofError, prove_requantiser
from tests.sim.proofs.faults import mutants

UNITS: tuple[LoadableSpec, ...] = (
    *(
        ThresholdSpec(bits=bits, accumulator_width=24, signed=signed)
        for bits in (1, 2, 4, 8)
        for signed in (True, False)
    ),
    ThresholdSpec(groups=12),
    ThresholdSpec(accumulator_width=48, bits=3, groups=5, pipeline_stages=2),
    MultiplierSpec(),
    MultiplierSpec(
        accumulator_width=24, multiplier_width=24, offset_width=40, shift=20, shift_bits=4, bits=8, groups=3
    ),
    MultiplierSpec(accumulator_width=6, bits=2, signed=False, groups=3, multiplier_width=3, offset_width=7, shift=2),
    MultiplierSpec(accumulator_width=4, bits=8, multiplier_width=1, offset_width=3, shift=0, pipeline_stages=2),
    MultiplierSpec(accumulator_width=4, bits=3, multiplier_width=2, offset_width=3, shift=30, shift_bits=5),
    MultiplierSpec(accumulator_width=4, bits=3, multiplier_width=2, offset_width=3, shift=30, pipeline_stages=1),
    MultiplierSpec(bits=1, groups=2),
    PartialSumSpec(groups=12),
    PartialSumSpec(groups=3, pipeline_stages=1, multiplier_width=20),
)
SMALL: tuple[LoadableSpec, ...] = (
    ThresholdSpec(accumulator_width=5, bits=3, groups=2),
    MultiplierSpec(accumulator_width=5, bits=3, multiplier_width=4, offset_width=6, shift=3, groups=2, shift_bits=1),
    PartialSumSpec(accumulator_width=5, groups=3, multiplier_width=4),
)


@pytest.mark.parametrize("spec", UNITS, ids=lambda spec: spec.name)
def test_units_of_real_sizes_are_proved(spec: LoadableSpec) -> None:
    found = prove_requantiser(spec)
    assert (found.name, found.groups) == (spec.name, spec.groups)
    assert found.gates == len(spec.build().circuit.gates)


def differs(spec: LoadableSpec, datapath: Datapath, cases: int = 400) -> bool:
    """Whether some random accumulator, sum so far and parameter sets give another result than the golden model."""
    rng = np.random.default_rng(0)
    low, high = spec.accumulator_range
    accumulators = rng.integers(low, high + 1, cases)
    group, first = rng.integers(0, spec.groups, cases), rng.integers(0, 2, cases)
    fields = [rng.integers(item.low, item.high + 1, (cases, spec.groups)) for item in spec.parameter_fields]
    parameters = np.stack(fields, axis=-1)
    if isinstance(spec, ThresholdSpec):
        parameters.sort(axis=-1)
    packed = [[spec.pack_parameters(one) for one in sets] for sets in parameters]
    words = {f"parameters{place}": np.array([sets[place] for sets in packed]) for place in range(spec.groups)}
    so_far = rng.integers(0, 1 << spec.total_width, cases) if isinstance(spec, PartialSumSpec) else first
    words |= {"accumulator": accumulators % (1 << spec.accumulator_width), "group": group, "first": first}
    given = {name: words[name] for name in datapath.circuit.inputs if name != "result"} | {"result": so_far}
    bits = evaluate(
        datapath.circuit, {name: given[name] for name in datapath.circuit.inputs}, datapath.next_accumulator
    )
    found = (bits.T.astype(np.int64) << np.arange(len(bits))).sum(axis=1)
    chosen = parameters[np.arange(cases), group]
    if isinstance(spec, PartialSumSpec):
        wanted = np.where(first, 0, so_far) + accumulators * chosen[:, 0]
        return bool((found != wanted % (1 << spec.total_width)).any())
    assert isinstance(spec, RequantSpec)
    codes = spec.compute(accumulators, chosen)
    return bool((np.array([spec.unpack(word) for word in found.tolist()]) != codes).any())


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_faults_are_refused(spec: LoadableSpec) -> None:
    rng = Random(spec.name)
    assert not differs(spec, spec.build())
    every = list(mutants(spec.build(), rng))
    refused = []
    for mutant in rng.sample(every, min(60, len(every))):
        try:
            prove_requantiser(spec, mutant)
        except ProofError as error:
            refused.append(str(error))
        else:
            assert not differs(spec, mutant)
    assert len(refused) > 50  # a few random wires change nothing
    assert all(sentence.startswith(f"{spec.name}: ") for sentence in refused)
