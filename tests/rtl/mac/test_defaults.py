"""Designs without parameters are those whose names stand in documents; widths are whole numbers."""

from __future__ import annotations

from typing import Any

import pytest

from rtl.mac import DESIGNS, SubwordSpec


def test_designs_without_parameters() -> None:
    assert [design().name for design in DESIGNS] == [
        "uniform_w4_a4_l16", "padded_u4_w842_g0", "subword_u4_w842", "dc1d_u4_w842_a8", "bitfusion_u4_w842",
        "bitblade_u4_w842", "bitserial_u16_m8", "loom_u64_m8", "xnor_l64",
    ]  # fmt: skip
    assert {(spec.reduction_length, spec.pipeline_stages) for spec in (design() for design in DESIGNS)} == {(4096, 0)}


@pytest.mark.parametrize("widths", [[8, 4.0], [True, 4], (8, "4")])
def test_widths_are_whole_numbers(widths: Any) -> None:
    with pytest.raises(TypeError, match=r"^widths must be at least 2 of 8, 4, 2 .*, falling, not "):
        SubwordSpec(widths=widths)
