"""Our figures beside published ones, from the measured rows of the comparison."""

from __future__ import annotations

from docs_tools.markdown import table
from docs_tools.measured import Measured, measured
from docs_tools.results import read_result
from rtl.mac import BitBladeSpec, BitFusionSpec, BitSerialSpec, LoomSpec, PaddedSpec, SubwordSpec, UniformSpec
from rtl.spec import MacSpec, Precision

__all__ = ["OWNS", "texts"]

OWNS = ("directions",)
UNITS = 4  # into one accumulator, where nothing else is said
WIDE = Precision(8, 8)
WIDEST = UniformSpec(weight_bits=8, activation_bits=8).label


def texts() -> dict[str, str]:
    """By place."""
    plain = measured(PaddedSpec(units=UNITS))
    fusion = measured(BitFusionSpec(units=UNITS))
    uniform = measured(UniformSpec(weight_bits=4, activation_bits=4, lanes=UNITS))
    subword, deep = (measured(SubwordSpec(units=UNITS, widths=widths)) for widths in ((8, 4), (8, 4, 2)))
    wide = measured(PaddedSpec(units=16))
    against_rtl = {row["design"]: row["ratio"] for row in read_result("qor-freepdk45")["plain"]}
    return {
        "directions.plain-area": f"{_unit_um2(plain):,.1f}",
        "directions.plain-energy": f"{_energy(plain):,.0f}",
        "directions.plain-ratio": f"{against_rtl[WIDEST]:.2f}",
        "directions-plain": _against_plain(plain),
        "directions.serial-shared": f"{_energy(measured(BitSerialSpec(units=64))) / _energy(wide):.1f}",
        "directions.loom-shared": f"{_energy(measured(LoomSpec(units=320))) / _energy(wide):.1f}",
        "directions.subword-energy": _percent(_energy(subword) / _energy(plain)),
        "directions.subword2-energy": _percent(_energy(deep) / _energy(plain)),
        "directions.subword2-stages": _stages(deep),
        "directions-bitfusion": _bitfusion(plain, fusion),
        "directions.fusion-stages": _stages(fusion),
        "directions.fusion-area": f"{_unit_um2(fusion):,.0f}",
        "directions.plain-area0": f"{_unit_um2(plain):,.0f}",
        "directions.agrees": _agrees(),
        "directions-energy": _stated_activity(),
        "directions-bitblade": _bitblade(),
        "directions-normalised": _normalised(uniform),
        "directions.fusion-parts": _parts(fusion),
        "directions.blade-parts": _parts(measured(BitBladeSpec(units=UNITS))),
        "directions.accumulator-share": f"{_spread():.1f}",
    }


def _against_plain(plain: Measured) -> str:
    def area(spec: MacSpec) -> float:
        return _unit_um2(measured(spec)) / _unit_um2(plain)

    def energy(spec: MacSpec) -> float:
        return _energy(measured(spec)) / _energy(plain)

    lines = [
        ("sum-together subword 8/4, area", _percent(area(SubwordSpec(units=UNITS, widths=(8, 4)))), "+10 %"),
        ("sum-together subword 8/4/2, area", _percent(area(SubwordSpec(units=UNITS))), "+18 %"),
        ("Bit Fusion 8/4/2, area", f"{area(BitFusionSpec(units=UNITS)):.1f}x", "up to 4.4x"),
        ("bit-serial, area a unit", _percent(area(BitSerialSpec(units=UNITS))), "down to -40 %"),
        (
            "bit-serial in one operand, energy of an 8 x 8-bit product",
            f"{energy(BitSerialSpec(units=UNITS)):.1f}x",
            "3.3x",
        ),
        ("bit-serial in both operands, energy of an 8 x 8-bit product", f"{energy(LoomSpec(units=UNITS)):.0f}x", "14x"),
    ]
    return table(("", "ours", "theirs"), lines)


def _bitfusion(plain: Measured, fusion: Measured) -> str:
    def uniform(bits: int) -> float:
        return _unit_um2(measured(UniformSpec(weight_bits=bits, activation_bits=bits, lanes=UNITS))) / _unit_um2(plain)

    power = _energy(fusion) / _energy(plain)  # one product of 8 bits a unit and cycle in both
    lines = [
        ("plain 2 x 2 to plain 8 x 8, area", f"{uniform(2):.2f}", f"{125 / 688:.2f}"),
        ("plain 4 x 4 to plain 8 x 8, area", f"{uniform(4):.2f}", f"{282 / 688:.2f}"),
        ("flexible 8/2 to plain 8 x 8, area", f"{_unit_um2(fusion) / _unit_um2(plain):.1f}", f"{1733 / 688:.1f}"),
        ("flexible 8/2 to plain 8 x 8, power at 8 bits", f"{power:.1f}", f"{344 / 172:.1f}"),
    ]
    return table(("", "ours", "theirs"), lines)


def _stated_activity() -> str:
    """Registers and the rest of plain multipliers, at two activities."""
    record = read_result("published-energy")
    places = [record["renewed"].index(renewed) for renewed in (1.0, 0.25)]
    lines = []
    for unit in record["units"]:
        energies = [f"{unit[part][place]:.0f}" for part in ("registers_fj", "rest_fj") for place in places]
        size = f"{unit['area_um2']:.0f} / {unit['published_um2']:.0f}"
        lines.append((f"{unit['bits']} x {unit['bits']}", size, *energies, f"{unit['published_fj']:.0f}"))
    headers = (
        "", "area um2, ours / theirs", "registers, p = 1", "registers, p = 0.25", "the rest, p = 1",
        "the rest, p = 0.25", "theirs",
    )  # fmt: skip
    return table(headers, lines)


def _agrees() -> str:
    units = read_result("published-energy")["units"]
    return ", ".join(f"{unit['agrees_at']} ({unit['bits']} bits)" for unit in units)


def _bitblade() -> str:
    lines = []
    for units in (1, 3, 4, 5):
        fusion, blade = measured(BitFusionSpec(units=units)), measured(BitBladeSpec(units=units))
        cells = [str(units), f"{fusion.spec.pipeline_stages} / {blade.spec.pipeline_stages}"]
        cells.append(_percent(blade.row.area_um2 / fusion.row.area_um2))
        for bits in (8, 4, 2):
            found = [each.energy_fj(Precision(bits, bits)) for each in (blade, fusion)]
            cells.append("" if found[0] is None or found[1] is None else _percent(found[0] / found[1]))
        lines.append(cells)
    headers = ("units", "stages of Bit Fusion / BitBlade", "area", *(f"energy at {b} bits" for b in (8, 4, 2)))
    return table(headers, lines, left=0)


def _normalised(uniform: Measured) -> str:
    alike = measured(UniformSpec(weight_bits=4, activation_bits=4, lanes=16))  # as many products as four units

    def line(name: str, spec: MacSpec) -> tuple[str, str, str]:
        units = _unit_um2(measured(spec)) / _unit_um2(uniform)
        return name, f"{units:.1f}x", f"{measured(spec).row.area_um2 / alike.row.area_um2:.1f}x"

    lines = [
        line("Bit Fusion, ours", BitFusionSpec(units=UNITS, widths=(8, 4))),
        line("BitBlade, ours", BitBladeSpec(units=UNITS, widths=(8, 4))),
        ("theirs", "4.3x", "1.1 to 1.5x"),
    ]
    return table(("8/4 against uniform 4 x 4", "area, equal units", "area for each 4 x 4-bit product a cycle"), lines)


def _parts(one: Measured) -> str:
    """Shares of the compressor's full adders, of registers, and of all other gates."""
    parts, area = one.row.parts, one.row.area_um2
    registers = sum(
        getattr(parts, f"{name}_um2")
        for name in ("operand_registers", "pipeline_registers", "accumulator_registers", "control")
    )
    other = area - parts.compressor_um2 - registers
    shares = [f"{100 * value / area:.0f}" for value in (parts.compressor_um2, registers, other)]
    return f"{shares[0]} % are full adders of the compressor, {shares[1]} % registers, and {shares[2]} %"


def _spread() -> float:
    """By how much the ratio to a plain MAC changes with how many units share an accumulator, at most."""
    plain, wide = measured(PaddedSpec(units=UNITS)), measured(PaddedSpec(units=16))
    found = []
    for few, many in (
        (BitSerialSpec(units=UNITS), BitSerialSpec(units=64)),
        (LoomSpec(units=UNITS), LoomSpec(units=320)),
    ):
        alone, shared = _energy(measured(few)) / _energy(plain), _energy(measured(many)) / _energy(wide)
        found.append(alone / shared)
    return max(found)


def _unit_um2(one: Measured) -> float:
    return one.row.area_um2 / int(getattr(one.spec, one.spec.size_parameter))


def _energy(one: Measured) -> float:
    found = one.energy_fj(WIDE)
    if found is None:
        raise LookupError(f"{one.spec.name} must have power at {WIDE} among the packaged rows")
    return found


def _stages(one: Measured) -> str:
    number = one.spec.pipeline_stages
    return ("no pipeline register", "one pipeline register", "two pipeline registers")[number]


def _percent(ratio: float) -> str:
    """A ratio as what it is more or less, in percent."""
    rounded = round(100 * (ratio - 1))
    return "0 %" if rounded == 0 else f"{rounded:+d} %"
