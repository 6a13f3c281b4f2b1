"""Which full adders work on complemented inputs: the choice that saves most inverters and product gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .adders import ADDER, INPUTS, is_register_product
from .gates import Bit, Gates


class _Costs:
    """Area of having a signal in true and in complement form (um2, relative), by what drives it."""

    def __init__(self, gates: Gates, areas: Mapping[str, float], complements: Mapping[str, tuple[str, str]]) -> None:
        self.gates, self.areas, self.complements = gates, areas, complements

    def of(self, bit: Bit) -> tuple[float, float]:
        source = self.gates.driver.get(bit)
        inverter = self.areas["not"]
        if source is None:
            return 0.0, inverter
        name, _ = source
        kind = self.gates.cells[name]["type"]
        if kind in self.complements:
            return 0.0, 0.0
        if kind == "$_NOT_":
            true, complement = self.of(self.gates.cells[name]["connections"]["A"][0])
            return complement, true
        if kind == "$_AND_":
            cheap = is_register_product(self.gates, name, self.complements)
            return self.areas["nor"] if cheap else self.areas["and"], self.areas["nand"]
        if kind == "$_OR_":
            return self.areas["or"], self.areas["nor"]
        if kind == "$_NAND_":
            return self.areas["nand"], self.areas["and"]
        if kind == "$_NOR_":
            return self.areas["nor"], self.areas["or"]
        if kind in ("$_XOR_", "$_XNOR_", "$_MUX_"):
            return 0.0, 0.0
        return 0.0, inverter


_ROUNDS = 12  # of local search, at most


def choose_polarity(
    gates: Gates,
    areas: Mapping[str, float],
    complements: Mapping[str, tuple[str, str]],
    inverted: Mapping[str, bool],
) -> dict[str, bool]:
    """True for each full adder that shall work on complemented inputs.

    areas: of not, nand, nor, and, or.  inverted: whether the cell's "sum" and "carry" pins are
    inverted.  Local search from three starts (all true, all complemented, alternating by depth).
    """
    adders = gates.of_type(ADDER)
    if not adders:
        return {}
    costs = _Costs(gates, areas, complements)
    signals = _signals(gates, adders, costs)
    touching: dict[str, list[int]] = {name: [] for name in adders}
    for index, (source, readers, _, _) in enumerate(signals):
        for name in dict.fromkeys([*([source[0]] if source else []), *readers]):
            touching[name].append(index)
    evaluate = _evaluator(signals, areas["not"], inverted)
    depth = _depths(gates, adders)
    starts: list[Callable[[str], bool]] = [lambda _: False, lambda _: True, lambda name: depth[name] % 2 == 1]
    best: tuple[float, dict[str, bool]] | None = None
    for start in starts:
        form = {name: start(name) for name in adders}
        for _ in range(_ROUNDS):
            changed = False
            for name in adders:
                before = sum(evaluate(index, form) for index in touching[name])
                form[name] = not form[name]
                if sum(evaluate(index, form) for index in touching[name]) < before - 1e-9:
                    changed = True
                else:
                    form[name] = not form[name]
            if not changed:
                break
        total = sum(evaluate(index, form) for index in range(len(signals)))
        if best is None or total < best[0] - 1e-9:
            best = (total, form)
    assert best is not None
    return best[1]


_Signal = tuple[tuple[str, str] | None, list[str], int, tuple[float, float]]


def _signals(gates: Gates, adders: list[str], costs: _Costs) -> list[_Signal]:
    """For each net at a full adder: the adder and pin driving it, the adders and how many others reading it."""
    seen: dict[Bit, _Signal] = {}
    for name in adders:
        for pin in (*INPUTS, "sum", "carry"):
            bit = gates.pin(name, pin)
            if not isinstance(bit, int) or bit in seen:
                continue
            source = gates.driver.get(bit)
            if source is not None and gates.cells[source[0]]["type"] != ADDER:
                source = None
            reading = [gates.cells[cell]["type"] == ADDER for cell, _, _ in gates.sinks[bit]]
            readers = [cell for (cell, _, _), adder in zip(gates.sinks[bit], reading, strict=True) if adder]
            others = reading.count(False) + (bit in gates.output_bits)
            seen[bit] = (source, readers, others, (0.0, 0.0) if source else costs.of(bit))
    return list(seen.values())


def _evaluator(
    signals: list[_Signal], inverter: float, inverted: Mapping[str, bool]
) -> Callable[[int, Mapping[str, bool]], float]:
    def evaluate(index: int, form: Mapping[str, bool]) -> float:
        source, readers, others, (true_area, complement_area) = signals[index]
        wanted = {form[name] for name in readers}
        if source is None:
            if others:
                wanted = wanted | {False}
            if len(wanted) == 2:
                return min(true_area, complement_area) + min(inverter, max(true_area, complement_area))
            return complement_area if True in wanted else true_area
        given = form[source[0]] ^ inverted[source[1]]
        cost = inverter if (not given) in wanted else 0.0
        return cost + (0.5 * inverter if others and given and not cost else 0.0)

    return evaluate


def _depths(gates: Gates, adders: list[str]) -> dict[str, int]:
    """The longest chain of full adders in front of each."""
    depth: dict[str, int] = {}
    for start in adders:
        stack = [start]
        while stack:
            name = stack[-1]
            before = [gates.driver.get(gates.pin(name, pin) or "", ("", ""))[0] for pin in INPUTS]
            before = [cell for cell in before if cell and gates.cells[cell]["type"] == ADDER]
            missing = [cell for cell in before if cell not in depth]
            if missing and name not in depth:
                stack += missing
                continue
            depth[name] = 1 + max((depth[cell] for cell in before), default=-1)
            stack.pop()
    return depth
