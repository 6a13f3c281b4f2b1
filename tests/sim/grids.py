"""Small grids of elements."""

from rtl.array.element import ElementSpec, GridSpec
from rtl.mac import UniformSpec
from rtl.spec.mac import MacSpec

SMALL = UniformSpec(weight_bits=2, activation_bits=3, lanes=1, reduction_length=16)


def grid_of(mac: MacSpec, systolic: bool, rows: int, columns: int) -> GridSpec:
    return GridSpec(element=ElementSpec(mac=mac, systolic=systolic), rows=rows, columns=columns)
