"""Random arrays, and what may be done to one: runs of all kinds, with loads, holds, resets and odd starts between."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from rtl.array import Architecture, ArraySpec, Run
from rtl.mac import DESIGNS
from rtl.requant import MultiplierSpec, RequantSpec, ThresholdSpec
from rtl.spec import Precision
from siliquant.inputs import InputError, InputTypeError
from sim.fuzzing import SLOTS, Action

from .unit_drawing import draw_codes, draw_mac, draw_parameters, draw_unit

__all__ = ["draw_array", "draw_array_actions"]

_LANES = (1, 1, 2, 3, 4)
_LENGTHS = (16, 64, 1000, 4096)
_DEPTHS = (8, 12, 16, 24, 32, 64)
_STEPS = 3  # of a sum, at most


def draw_array(rng: Random) -> ArraySpec:
    """One array of few elements and small memories."""
    while True:
        mac = draw_mac(rng.choice(DESIGNS), rng, lanes=_LANES, lengths=_LENGTHS)
        rows, columns = rng.choice((1, 2, 2, 3, 3, 4, 5)), rng.choice((1, 2, 2, 3, 4))
        width = min(48, mac.accumulator_width + rng.choice((0, 0, 1, 4, 12)))
        try:
            requant = _requantiser(width, rng)
            found = ArraySpec(
                mac=mac, rows=rows, columns=columns, architecture=rng.choice(list(Architecture)),
                activation_depth=_depth(rng), weight_depth=_depth(rng), result_depth=_depth(rng), result_width=width,
                drains=rng.randint(1, rows), requant=requant,
            )  # fmt: skip
        except (InputError, InputTypeError):
            continue
        if any(_fits(found, precision) for precision in mac.precisions):
            return found


def _depth(rng: Random) -> int:
    return rng.choice(_DEPTHS) + rng.choice((0, 0, 1))


def _requantiser(width: int, rng: Random) -> RequantSpec | None:
    design = rng.choice((None, ThresholdSpec, ThresholdSpec, MultiplierSpec))
    if design is None:
        return None
    found = draw_unit(design, rng, accumulator_width=width, groups=rng.choice((1, 2, 3)))
    assert isinstance(found, RequantSpec)
    return found


def _fits(spec: ArraySpec, precision: Precision) -> bool:
    """Whether one step of one tile does."""
    try:
        spec.run(1, 1, 1, precision)
    except InputError:
        return False
    return True


def draw_array_actions(spec: ArraySpec, rng: Random) -> Iterator[Action]:
    """Some runs, one after the other or each loaded beside the one before."""
    precisions = [precision for precision in spec.mac.precisions if _fits(spec, precision)]
    requant = spec.requant
    if requant is not None:
        for group in range(requant.groups):
            for mask in [(1 << spec.columns) - 1] if rng.random() < 0.5 else [1 << c for c in range(spec.columns)]:
                yield Action("set", (mask, group, *draw_parameters(requant, rng)))
    slot = 0
    for _ in range(rng.randint(1, 4)):
        yield from _pace(rng)
        operands = _operands(spec, rng.choice(precisions), slot, rng)
        if operands is None:
            continue
        if requant is not None and rng.random() < 0.3:
            mask = rng.randint(1, (1 << spec.columns) - 1)
            yield Action("set", (mask, rng.randrange(requant.groups), *draw_parameters(requant, rng)))
        yield operands
        base = rng.random()
        for number in range(rng.choice((1, 1, 2, 3))):
            yield from _run(spec, operands, slot, number, base, rng)
        slot = (slot + 1) % SLOTS
    yield Action("wait", ())
    yield Action("read", (0, spec.result_depth))


def _pace(rng: Random) -> Iterator[Action]:
    """How often operands are held back, starts come too early, and loads pause."""
    if rng.random() < 0.6:
        hold, stray, gap = (rng.choice(most) for most in ((0, 0, 2, 8, 14), (0, 0, 4, 16), (0, 0, 4, 12)))
        yield Action("pace", (hold, stray, gap))


def _operands(spec: ArraySpec, precision: Precision, slot: int, rng: Random) -> Action | None:
    """Operands that fit, at the start of the memories, their end, or anywhere; None where none was found."""
    lanes = spec.mac.products_per_step(precision)
    for _ in range(20):
        m, n = (rng.choice((1, side, rng.randint(1, 2 * side + 1))) for side in (spec.rows, spec.columns))
        k = min(rng.choice((1, lanes, rng.randint(1, _STEPS * lanes))), spec.mac.reduction_length)
        try:
            run = spec.run(m, k, n, precision)
        except InputError:
            continue
        bases = []
        for depth, words in (
            (spec.weight_depth, run.weight_words), (spec.activation_depth, run.activation_words),
            (spec.control_depth, spec.control_cycles + run.weight_planes * run.activation_planes),
        ):  # fmt: skip
            most = depth - words
            bases.append(rng.choice((0, most, rng.randint(0, most))))
        codes = (*draw_codes(spec.mac, precision, n * k, m * k, rng),)
        return Action("operands", (slot, m, k, n, *bases, *codes), str(precision))
    return None


def _run(spec: ArraySpec, operands: Action, slot: int, number: int, where: float, rng: Random) -> Iterator[Action]:
    """One run of operands that are loaded; later ones mostly add to the one before. where: its results lie, 0 to 1."""
    _, m, k, n, *_ = operands.numbers
    precision = next(each for each in spec.mac.precisions if str(each) == operands.precision)
    run = spec.run(m, k, n, precision)
    most = spec.result_depth - run.tiles * spec.drain_rows
    base = 0 if where < 0.3 else most if where > 0.7 else round(where * most)
    plain = rng.random() < 0.4
    settings = (
        [0] * 4
        if plain
        else [rng.choice((0, 1, rng.randint(0, 15))), rng.getrandbits(1), int(number > 0), rng.getrandbits(1)]
    )
    requant = spec.requant
    if requant is not None:
        step = rng.getrandbits(1) if run.column_tiles <= requant.groups else 0
        settings += [rng.getrandbits(1), rng.randint(0, requant.groups - (run.column_tiles if step else 1)), step]
    if rng.random() < 0.15:
        yield from _odd(spec, run, rng)
    yield Action("run", (slot, base, *settings))
    kind = rng.random()
    if kind < 0.12:
        yield Action("idle", (rng.randrange(2 * spec.cycles(run) + 2),))
        yield Action("reset", (rng.randint(1, 2),))
    elif kind < 0.2:
        yield Action("idle", (rng.randrange(spec.cycles(run) + 2),))
    elif kind < 0.35:  # the next operands are loaded beside it, and the next run perhaps started in its last cycle
        return
    elif kind < 0.45:
        yield Action("read", (0, spec.result_depth))
    yield Action("wait", ())
    if rng.random() < 0.3:
        yield Action("idle", (rng.randint(1, 3),))


def _odd(spec: ArraySpec, run: Run, rng: Random) -> Iterator[Action]:
    """Starts with any settings, or those of a run but for one, most of which are refused; what is not has known cycles,
    and results that are not.
    """
    for _ in range(rng.randint(1, 3)):
        odd = []
        for port in spec.settings:
            most = (1 << port.width) - 1
            small = min(most, 2)
            odd.append(rng.choice((0, 1, 1, 1, small, rng.randint(0, small), rng.randint(0, most), most)))
        given = {port.name: value for port, value in zip(spec.settings, odd, strict=True)}
        if rng.random() < 0.5:
            name = rng.choice(list(given))
            given = {**dict.fromkeys(given, 0), **vars(run), name: given[name]}
            given |= {"requantise": 1, "group": odd[-2]} if name == "group" else {}
        if not spec.check_run(given) and given["steps"] * given["row_tiles"] * given["column_tiles"] > 64:
            continue  # it would take too long
        yield Action("start", tuple(given[port.name] for port in spec.settings))
        yield Action("wait", ()) if rng.random() < 0.8 else Action("reset", (1,))
