"""Made-up costs and small networks."""

from dataclasses import replace
from typing import Any

from hwmodel.inference.memories import Macro, SramTable
from hwmodel.inference.parts import Costs, EdgeCost, MacCost, UnitCost
from hwmodel.workload.workload import Gemm, PrecisionClass, Role, Workload
from rtl.array import ArraySpec
from rtl.array.element import ElementSpec
from rtl.mac import UniformSpec
from rtl.requant import LoadableSpec, PartialSumSpec, ThresholdSpec
from rtl.spec.mac import Precision


def mac_cost(element: ElementSpec, precision: Precision, role: Role) -> MacCost:
    """10 um2 a unit; 1 pJ a unit, bit of weight and cycle, twice that for values; 0.25 pJ a unit idle."""
    units = getattr(element.mac, element.mac.size_parameter)
    return MacCost(
        area_um2=10.0 * units,
        energy_pj_per_cycle=units * precision.weight_bits * (2.0 if role is Role.VALUE else 1.0),
        idle_pj_per_cycle=0.25 * units,
        leakage_uw=0.5 * units,
        minimum_period_ns=1.5,
    )


def edged_cost(element: ElementSpec, precision: Precision, role: Role) -> MacCost:
    """That, with something at the edge of each row, of each column, of the array, and drains that take energy."""

    def edge(scale: float) -> EdgeCost:
        return EdgeCost(
            area_um2=3 * scale, energy_pj_per_cycle=5 * scale * precision.activation_bits,
            idle_pj_per_cycle=0.75 * scale, leakage_uw=0.125 * scale,
        )  # fmt: skip

    plain = mac_cost(element, precision, role)
    return replace(plain, drain_pj=0.375, row=edge(1.0), column=edge(7.0), shared=edge(31.0))


def unit_cost(spec: LoadableSpec) -> UnitCost:
    """A partial sum costs twice a requantiser."""
    scale = 2.0 if isinstance(spec, PartialSumSpec) else 1.0
    return UnitCost(
        area_um2=100 * scale, energy_pj=3 * scale, idle_pj_per_cycle=0.5 * scale, leakage_uw=4 * scale,
        minimum_period_ns=1.75,
    )  # fmt: skip


TABLE = SramTable(
    "t", 45, "made up",
    (Macro(words=64, bits=32, area_um2=1000, read_pj=7, write_pj=11, leakage_uw=2, access_ns=1.25, cycle_ns=1),),
)  # fmt: skip
COSTS = Costs(mac=mac_cost, unit=unit_cost, clock_mhz=500, sram=TABLE, off_chip_pj_per_bit=0.125)
EDGED = replace(COSTS, mac=edged_cost)
MAC = UniformSpec(weight_bits=4, activation_bits=4, lanes=2, reduction_length=64)
REQUANT = ThresholdSpec(accumulator_width=32, bits=4, groups=2)
ARRAY = ArraySpec(
    mac=MAC, rows=2, columns=4, activation_depth=16, weight_depth=16, result_depth=8, requant=REQUANT
)  # fmt: skip


def gemm(name: str, role: Role, **changes: Any) -> Gemm:
    values: dict[str, Any] = {
        "layer": 0, "call": 0, "m": 5, "k": 6, "n": 8, "count": 1, "heads": 1,
        "precision_class": PrecisionClass.BODY, "activation_signed": True, "static": True, "bias": True,
        "feeds_gemm": False,
    }  # fmt: skip
    return Gemm(name=name, role=role, **{**values, **changes})


def network(*gemms: Gemm) -> Workload:
    return Workload(name="w", gemms=gemms, provenance={"model": "deit-tiny"})


SMALL = network(
    gemm("a", Role.QUERY, m=17, k=24, n=12, feeds_gemm=True), gemm("b", Role.FC1, m=17, k=12, n=24, call=0),
    gemm("c", Role.CLASSIFIER, m=1, k=12, n=10, precision_class=PrecisionClass.ENDS, layer=None),
)  # fmt: skip
