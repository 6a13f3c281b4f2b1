"""Arrays from their parameters: every design and requantiser comes back as it was, and what is wrong is said."""

import json
import re
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtl.requant
from rtl.array import Architecture, ArraySpec
from rtl.mac import DESIGNS, UniformSpec
from rtl.manifests import array_from_parameters
from rtl.manifests.rebuild import REQUANTISERS
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec
from rtl.spec.mac import MacSpec

MACS = [design(**given) for design in DESIGNS for given in design.variants()]
MACS += [design(pipeline_stages=2, reduction_length=100, **{design.size_parameter: 3}) for design in DESIGNS]
UNITS = [
    None,
    ThresholdSpec(accumulator_width=40),
    ThresholdSpec(accumulator_width=40, bits=1, signed=False, groups=7, pipeline_stages=1),
    MultiplierSpec(accumulator_width=40),
    MultiplierSpec(accumulator_width=40, bits=8, multiplier_width=5, offset_width=30, shift=3, shift_bits=2, groups=2),
]


def again(spec: ArraySpec) -> ArraySpec:
    return array_from_parameters(json.loads(json.dumps(spec.parameters)))


@pytest.mark.parametrize("mac", MACS, ids=lambda mac: mac.name)
def test_every_design_with_every_requantiser_comes_back(mac: MacSpec) -> None:
    for requant, architecture in product(UNITS, Architecture):
        spec = ArraySpec(mac=mac, architecture=architecture, result_width=40, requant=requant)
        found = again(spec)
        assert found == spec
        assert (type(found.mac), type(found.requant)) == (type(mac), type(requant))
        assert found.name == spec.name


@given(
    st.builds(
        ArraySpec,
        mac=st.sampled_from(MACS),
        rows=st.integers(1, 128),  # more may load more bits a cycle than an array can
        columns=st.integers(1, 128),
        architecture=st.sampled_from(Architecture),
        activation_depth=st.integers(1, 1 << 16),
        weight_depth=st.integers(1, 1 << 16),
        result_depth=st.integers(256, 1 << 16),
        result_width=st.just(40),
        requant=st.sampled_from(UNITS),
    )
)
def test_any_array_comes_back(spec: ArraySpec) -> None:
    assert again(spec) == spec


def test_no_requantiser_of_the_package_is_left_out() -> None:
    exported = [getattr(rtl.requant, name) for name in rtl.requant.__all__]
    classes = {each for each in exported if isinstance(each, type) and issubclass(each, RequantSpec)}
    assert set(REQUANTISERS) == classes - {RequantSpec}


SPEC = ArraySpec(mac=UniformSpec(), requant=ThresholdSpec(accumulator_width=32))
FIELDS = "mac, rows, columns, architecture, activation_depth, weight_depth, result_depth, result_width, drains, requant"


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda given: given.pop(name)


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (without("rows"), ValueError,
         f"the parameters of an array must be {FIELDS}, not {FIELDS.replace('rows, ', '')}"),
        (lambda given: given.update(colour=1), ValueError,
         f"the parameters of an array must be {FIELDS}, not {FIELDS}, colour"),
        (lambda given: given.update(architecture="ring"), ValueError,
         "architecture must be one of broadcast, systolic, not 'ring'"),
        (lambda given: given.update(mac=4), TypeError, "the parameters of mac must be a mapping, not 4"),
        (lambda given: given.update(mac={}), ValueError, "the parameters of mac must be design, parameters, not none"),
        (lambda given: given["mac"].update(design="abacus"), ValueError,
         f"the design of mac must be one of {', '.join(design.design for design in DESIGNS)}, not 'abacus'"),
        (lambda given: given["mac"]["parameters"].pop("lanes"), ValueError,
         ("the parameters of mac uniform must be reduction_length, pipeline_stages, weight_bits, activation_bits, "
         "lanes, not reduction_length, pipeline_stages, weight_bits, activation_bits")),
        (lambda given: given["requant"].update(design="partialsum"), ValueError,
         "the design of requant must be one of thresholds, multiplier, not 'partialsum'"),
        (lambda given: given.update(requant={"name": "thresholds_n32"}), ValueError,
         "the parameters of requant must be design, parameters, not name"),
        (lambda given: given["requant"]["parameters"].update(bits=9), ValueError,
         "bits must be an integer from 1 to 8, not 9"),
        (lambda given: given.update(rows="2"), TypeError, "rows must be an integer from 1 to 256, not '2'"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)  # fmt: skip
def test_what_is_wrong_is_said(change: Callable[[dict[str, Any]], object], kind: type[Exception], text: str) -> None:
    parameters = json.loads(json.dumps(SPEC.parameters))
    change(parameters)
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        array_from_parameters(parameters)
