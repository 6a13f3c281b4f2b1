"""Every accumulator through the gates and the golden model of requantisers, against their rule written out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rtl.logic.circuit import evaluate
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec

__all__ = ["check_accumulators", "unit_specs"]

_SETS = 40  # of parameters, in each place


def unit_specs() -> Iterator[RequantSpec]:
    """Accumulators of 8 bits, codes of all signs and of up to 8 bits (thresholds: 6), one parameter set and three."""
    for bits in range(1, 9):
        for signed in (False, True):
            for groups in (1, 3):
                if bits <= 6:
                    yield ThresholdSpec(accumulator_width=8, bits=bits, signed=signed, groups=groups)
                yield MultiplierSpec(
                    accumulator_width=8, bits=bits, signed=signed, groups=groups, multiplier_width=5,
                    offset_width=12, shift=4, shift_bits=2,
                )  # fmt: skip


def check_accumulators(spec: RequantSpec, seed: int = 0) -> int:
    """Every accumulator with many parameter sets in every place; how many codes were compared. Raises AssertionError
    for the first that is wrong.
    """
    datapath, rng = spec.build(), np.random.default_rng(seed)
    low, high = spec.accumulator_range
    x = np.arange(low, high + 1)
    for group in range(spec.groups):
        for turn in range(_SETS):
            numbers = _parameters(spec, rng, turn)
            words = {name: np.zeros(1, dtype=object) for name in datapath.circuit.inputs}
            words |= {"accumulator": x & ((1 << spec.accumulator_width) - 1), "group": np.array([group])}
            words[f"parameters{group}"] = np.array([spec.pack_parameters(numbers)], dtype=object)
            bits = evaluate(datapath.circuit, words, datapath.next_accumulator)
            found = (bits.astype(np.int64) << np.arange(spec.bits)[:, None]).sum(0)
            wanted = _ranks(spec, x, numbers) + spec.code_range[0] * (spec.bits > 1)
            got = np.array([spec.unpack(int(word)) for word in found])
            golden = spec.compute(x, numbers)
            if spec.bits == 1 and spec.signed:  # the codes are -1 and 1
                wanted = 2 * wanted - 1
            for name, codes in (("gates", got), ("golden model", golden)):
                wrong = np.flatnonzero(codes != wanted)
                if len(wrong):
                    place = int(wrong[0])
                    raise AssertionError(
                        f"{spec.name}, {name}: the code of {x[place]} with {list(numbers)} must be {wanted[place]}, "
                        f"not {codes[place]}; {len(wrong)} of {len(x)} codes are wrong"
                    )
    return spec.groups * _SETS * len(x)


def _ranks(spec: RequantSpec, x: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Place of the code among the codes, as docs/hardware.md says."""
    if isinstance(spec, ThresholdSpec):
        return np.array([sum(int(value >= threshold) for threshold in numbers) for value in x])
    multiplier, offset, shift = (*numbers, spec.shift)[:3]
    return np.array([min(max((int(value) * multiplier + offset) >> shift, 0), 2**spec.bits - 1) for value in x])


def _parameters(spec: RequantSpec, rng: np.random.Generator, turn: int) -> tuple[int, ...]:
    """Ends of the ranges first, then any; thresholds ascend."""
    fields = spec.parameter_fields
    if turn < 2:
        return tuple((field.low, field.high)[turn] for field in fields)
    drawn = [int(rng.integers(field.low, field.high + 1)) for field in fields]
    return tuple(sorted(drawn)) if isinstance(spec, ThresholdSpec) else tuple(drawn)
