"""What each design is where nothing is said: written out, so that no change of a default, bound or list goes unseen."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from rtl.mac import DESIGNS, SubwordSpec, design_named
from rtl.spec import Precision
from siliquant.inputs import InputError

BY_WIDTH = [(8, 8), (4, 4), (2, 2)]
PORTS = {
    "uniform": ({"weights": 64, "activations": 64, "activation_signed": 1}, 20),
    "padded": ({"weights": 32, "activations": 32, "activation_signed": 1}, 28),
    "subword": ({"weights": 32, "activations": 32, "mode": 2, "activation_signed": 1}, 28),
    "dc1d": ({"weights": 32, "activations": 128, "weight_mode": 2, "activation_signed": 1}, 28),
    "bitfusion": (
        {"weights": 128, "activations": 128, "weight_mode": 2, "activation_mode": 2, "activation_signed": 1}, 28
    ),
    "bitblade": (
        {"weights": 128, "activations": 128, "weight_mode": 2, "activation_mode": 2, "activation_signed": 1}, 28
    ),
    "bitserial": ({"weights": 16, "activations": 128, "activation_signed": 1, "weight_bit": 3, "weight_sign": 1}, 28),
    "loom": (
        {"weights": 64, "activations": 64, "activation_signed": 1, "bit_sum": 4, "weight_sign": 1, "activation_top": 1},
        28,
    ),
    "xnor": ({"weights": 64, "activations": 64, "activation_signed": 1, "odd_padding": 1}, 14),
}  # fmt: skip
"""Operand ports with their bits, and those of the accumulator: 4096 products of -8 * 15, of -128 * 255, or of 1 * 1."""
PAIRS = {
    "uniform": [(4, 4)],
    "padded": BY_WIDTH,
    "subword": BY_WIDTH,
    "dc1d": list(product((8, 4, 2), range(8, 0, -1))),
    "bitfusion": list(product((8, 4, 2), repeat=2)),
    "bitblade": list(product((8, 4, 2), repeat=2)),
    "bitserial": list(product(range(1, 9), repeat=2)),
    "loom": list(product(range(1, 9), repeat=2)),
    "xnor": [(1, 1)],
}
DEFAULTS = {
    "uniform": {"booth": False, "weight_bits": 4, "activation_bits": 4, "lanes": 16},
    "padded": {"booth": False, "units": 4, "widths": (8, 4, 2), "gating": False},
    "subword": {"units": 4, "widths": (8, 4, 2)},
    "dc1d": {"units": 4, "widths": (8, 4, 2), "activation_bits": 8},
    "bitfusion": {"units": 4, "widths": (8, 4, 2)},
    "bitblade": {"units": 4, "widths": (8, 4, 2)},
    "bitserial": {"units": 16, "maximum_bits": 8},
    "loom": {"units": 64, "maximum_bits": 8},
    "xnor": {"lanes": 64},
}
SCALABLE = ["8/4", "8/4/2", "4/2", "8/2", "4/2/1"]
KINDS = {
    "uniform": ["uniform 4x4"],
    "padded": ["padded plain 8/4/2", "padded gated 8/4/2", "padded gated 4/2/1"],
    "subword": [f"subword {widths}" for widths in SCALABLE],
    "dc1d": ["dc1d 8/4/2 x 8", "dc1d 8/4 x 8", "dc1d 4/2 x 4"],
    "bitfusion": [f"bitfusion {widths}" for widths in SCALABLE],
    "bitblade": [f"bitblade {widths}" for widths in SCALABLE],
    "bitserial": ["bitserial 8", "bitserial 4"],
    "loom": ["loom 8", "loom 4"],
    "xnor": ["xnor"],
}
MOST = {
    "uniform": 1024, "padded": 256, "subword": 256, "dc1d": 256, "bitfusion": 256, "bitblade": 256, "bitserial": 1024,
    "loom": 4096, "xnor": 4096,
}  # fmt: skip
NAMES = list(PORTS)
MODULES = [
    "uniform_w4_a4_l16", "padded_u4_w842_g0", "subword_u4_w842", "dc1d_u4_w842_a8", "bitfusion_u4_w842",
    "bitblade_u4_w842", "bitserial_u16_m8", "loom_u64_m8", "xnor_l64",
]  # fmt: skip
"""Their names, as they stand in documents."""


def test_the_designs_are_these() -> None:
    assert [design.design for design in DESIGNS] == NAMES
    assert [design_named(name).design for name in NAMES] == NAMES
    assert [design().name for design in DESIGNS] == MODULES
    with pytest.raises(InputError, match=rf"^design must be one of {', '.join(NAMES)}, not 'none'$"):
        design_named("none")


@pytest.mark.parametrize("name", NAMES)
def test_where_nothing_is_said(name: str) -> None:
    design = design_named(name)
    spec = design()
    ports, accumulator = PORTS[name]
    assert {port.name: port.width for port in spec.operand_ports} == ports
    assert {port.name: port.width for port in spec.ports} == {
        "in_valid": 1, "clear": 1, **ports, "out_valid": 1, "accumulator": accumulator,
    }  # fmt: skip
    assert [port.is_input for port in spec.ports] == [True] * (2 + len(ports)) + [False] * 2
    assert list(spec.precisions) == [Precision(w, a, signed) for w, a in PAIRS[name] for signed in (True, False)]
    shared = {"reduction_length": 4096, "pipeline_stages": 0, "half_adders": False}
    assert {key: default for key, (default, _) in design.parameter_help().items()} == shared | DEFAULTS[name]
    assert [design(**kind).label for kind in design.variants()] == KINDS[name]
    assert spec.mixes_precisions == (name not in ("uniform", "xnor"))
    assert design.size_parameter == ("lanes" if name in ("uniform", "xnor") else "units")
    assert len(spec.forms) == (4 if name == "padded" else 2)


@pytest.mark.parametrize("name", NAMES)
def test_sizes_end_where_they_are_said_to(name: str) -> None:
    design, size = design_named(name), design_named(name).size_parameter
    assert getattr(design(**{size: MOST[name]}), size) == MOST[name]
    for wrong in (0, MOST[name] + 1):
        with pytest.raises(InputError, match=rf"^{size} must be an integer from 1 to {MOST[name]}, not {wrong}$"):
            design(**{size: wrong})
    assert design(reduction_length=1 << 24).reduction_length == 1 << 24
    for wrong in (0, (1 << 24) + 1):
        with pytest.raises(InputError, match=rf"^reduction_length must be an integer from 1 to 16777216, not {wrong}$"):
            design(reduction_length=wrong)
    for wrong in (-1, 3):
        with pytest.raises(InputError, match=rf"^pipeline_stages must be an integer from 0 to 2, not {wrong}$"):
            design(pipeline_stages=wrong)


def test_serial_designs_need_two_bits_and_take_eight() -> None:
    for name in ("bitserial", "loom"):
        design = design_named(name)
        assert [len(design(maximum_bits=bits).precisions) for bits in (2, 8)] == [8, 128]
        for wrong in (1, 9):
            with pytest.raises(InputError, match=rf"^maximum_bits must be an integer from 2 to 8, not {wrong}$"):
                design(maximum_bits=wrong)


@pytest.mark.parametrize("widths", [[8, 4.0], [True, 4], (8, "4")])
def test_widths_are_whole_numbers(widths: Any) -> None:
    with pytest.raises(TypeError, match=r"^widths must be at least 2 of 8, 4, 2 .*, falling, not "):
        SubwordSpec(widths=widths)
