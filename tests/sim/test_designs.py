"""Whole networks on small arrays of the designs that the other whole networks do not run on."""

import pytest
import torch

from qat.settings.scheme import Override, Scheme
from rtl.array import ArraySpec
from rtl.mac import BitBladeSpec, BitSerialSpec, PaddedSpec, SubwordSpec
from tests.sim.networks import array, check_network, scheme

# What three of these designs switch between, and what one runs bit by bit.
EVEN = scheme(2, 2, Override("*.fc1", 4, 4), Override("*.fc2", 8, 8))
ODD = scheme(
    2, 2, Override("*.fc1", 6, 7), Override("*.fc2", 5, 6), Override("*.o_proj", 7, 2), Override("*.v_proj", 3, 5)
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("model", "precision", "spec"),
    [
        ("vit-mnist", EVEN, array(PaddedSpec(units=2, gating=True), 2, 2, 2)),
        ("swin-mnist", EVEN, array(SubwordSpec(units=2), 2, 2, 2, systolic=True)),
        ("sret-mnist", EVEN, array(BitBladeSpec(units=1), 2, 2, 2)),
        ("vit-mnist", ODD, array(BitSerialSpec(units=8), 2, 2, 2, systolic=True)),
    ],
    ids=["padded", "subword", "bitblade", "bitserial"],
)
def test_networks_are_equal_at_rtl(model: str, precision: Scheme, spec: ArraySpec) -> None:
    check_network(model, precision, spec)
