"""cocotb tests of arrays: every array of the bench, one after the other, against the products of its operands.

The simulation is started by :func:`sim.array.bench.run_array_tests`, which names the specs in the environment.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from rtl.array import ArraySpec, Refusal, Run
from rtl.spec import Precision

from .bench import ARRAYS_VARIABLE, JOBS_VARIABLE, arrays_from_json
from .cases import IntArray, Settings, Step, few_precisions, limit_settings, load_jobs, random_codes, random_parameters
from .testbench import ArrayTestbench, check_results, rows_of
from .trace import FLIP_VARIABLE, TRACE_VARIABLE, TraceWriter

_STEPS = 3  # a random reduction has at most so many steps


async def _arrays(bench: Any) -> AsyncIterator[tuple[ArrayTestbench, np.random.Generator]]:
    """Every array of the bench, reset, with a generator of random numbers."""
    specs = arrays_from_json(os.environ[ARRAYS_VARIABLE])
    path = os.environ.get(TRACE_VARIABLE)
    flip = os.environ.get(FLIP_VARIABLE)
    trace = TraceWriter(Path(path), int(flip) if flip else None) if path else None
    for index, spec in enumerate(specs):
        array = ArrayTestbench(bench, index, spec, trace)
        await array.open()
        yield array, np.random.default_rng(index)


def _random_step(spec: ArraySpec, precision: Precision, rng: np.random.Generator) -> Step:
    """Operands of any shape, up to two tiles and a bit of either side."""
    most = (2 * spec.rows + 1, _STEPS * spec.mac.products_per_step(precision), 2 * spec.columns + 1)
    m, k, n = (int(rng.integers(1, size + 1)) for size in most)
    return Step(*random_codes(spec.mac, precision, (m, k, n), rng), precision)


def _any_precision(spec: ArraySpec, rng: np.random.Generator) -> Precision:
    known = few_precisions(spec.mac)
    return known[int(rng.integers(len(known)))]


def _product(step: Step) -> IntArray:
    return np.asarray(step.activations @ step.weights.T, dtype=np.int64)


def _wrapped(values: IntArray, width: int) -> IntArray:
    """The lowest ``width`` bits, signed."""
    return (values + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))


def _label(step: Step) -> str:
    (m, k), n = step.activations.shape, len(step.weights)
    return f"{m} x {k} x {n} at {step.precision}"


def _in_place(spec: ArraySpec, drain: int, results: IntArray) -> int:
    """What a drain has in a result word for the results of a row, a number a column."""
    low = drain * spec.columns
    return sum(
        int(value) % (1 << spec.result_width) << (low + column) * spec.result_width
        for column, value in enumerate(results)
    )


async def _check(array: ArrayTestbench, step: Step) -> None:
    check_results(array.spec, _label(step), _product(step), await array.multiply(step))


@cocotb.test()
async def random_products(bench: Any) -> None:
    """Products of any shape, the precision another each time, loaded anew without a reset between."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        precisions = few_precisions(spec.mac, 6)
        for precision in (*precisions, *precisions[::-1]):
            await _check(array, _random_step(spec, precision, rng))


@cocotb.test()
async def short_sums(bench: Any) -> None:
    """Tiles that take about as long as they take to drain, and less; one result alone."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        for precision in few_precisions(spec.mac, 2):
            lanes = spec.mac.products_per_step(precision)
            for k in (1, lanes, *(lanes * steps for steps in range(spec.drain_rows - 1, spec.drain_rows + 2))):
                for m, n in ((1, 1), (spec.rows, spec.columns), (2 * spec.rows + 1, spec.columns + 1)):
                    await _check(array, Step(*random_codes(spec.mac, precision, (m, max(1, k), n), rng), precision))


@cocotb.test()
async def passes(bench: Any) -> None:
    """Runs whose sums are shifted, negated, added to the results before, and halved."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        for precision in few_precisions(spec.mac, 2) * 3:
            step = _random_step(spec, precision, rng)
            (m, k), n = step.activations.shape, len(step.weights)
            total = np.zeros((m, n), np.int64)
            for number in range(4):
                settings = Settings(int(rng.integers(4)), bool(rng.integers(2)), number > 0, bool(rng.integers(2)))
                step = Step(*random_codes(spec.mac, precision, (m, k, n), rng), precision, settings)
                term = _product(step) << settings.shift
                total = (total if settings.accumulate else 0) + (-term if settings.negate else term)
                total = total >> 1 if settings.halve else total
                label = f"{_label(step)}, pass {number} with {settings}"
                check_results(spec, label, total, await array.multiply(step))


@cocotb.test()
async def single_changes(bench: Any) -> None:
    """Runs that change their sums in one way, and in no other, behind one that does not."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        changes = {
            "shifted": Settings(shift=1), "negated": Settings(negate=True), "added": Settings(accumulate=True),
            "halved": Settings(halve=True),
        }  # fmt: skip
        for change, settings in changes.items():
            precision = _any_precision(spec, rng)
            shape = (spec.rows + 1, spec.mac.products_per_step(precision), spec.columns + 1)
            plain, changed = (Step(*random_codes(spec.mac, precision, shape, rng), precision) for _ in range(2))
            await _check(array, plain)
            changed = replace(changed, settings=settings)
            first, second = _product(plain), _product(changed)
            wanted = {"shifted": second << 1, "negated": -second, "added": first + second, "halved": second >> 1}
            check_results(spec, f"{_label(changed)}, only {change}", wanted[change], await array.multiply(changed))


@cocotb.test()
async def far_shifts(bench: Any) -> None:
    """Every shift, negated and halved or not; what lies above the width of a result is lost."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        for shift in range(1 << next(port.width for port in spec.settings if port.name == "shift")):
            settings = Settings(shift, bool(rng.integers(2)), halve=bool(rng.integers(2)))
            step = replace(_random_step(spec, _any_precision(spec, rng), rng), settings=settings)
            term = _product(step) << shift
            total = -term if settings.negate else term
            wanted = _wrapped(total >> 1 if settings.halve else total, spec.result_width)
            check_results(spec, f"{_label(step)} with {settings}", wanted, await array.multiply(step))


@cocotb.test()
async def untouched(bench: Any) -> None:
    """What a run does not write stays in the result memory, also in words that it has parts of, through a reset and a
    refusal.
    """
    async for array, rng in _arrays(bench):
        spec = array.spec
        for settings in (Settings(), Settings(negate=True)):  # by all drains at once, and one after the other
            precision = _any_precision(spec, rng)
            shape = (spec.rows, spec.mac.products_per_step(precision), spec.columns)
            step = Step(*random_codes(spec.mac, precision, shape, rng), precision)
            run = await array.load(step)
            held: dict[tuple[int, int], int] = {}
            values: dict[tuple[int, int], int] = {}
            for base in range(min(2 * spec.drain_rows, spec.result_depth - spec.drain_rows) + 1):
                placed = replace(run, result_base=base)
                changes = Settings(shift=1 + base % 2, negate=bool(base % 3))
                await array.start(placed, changes)
                await array.wait(placed)
                rows = rows_of(spec, placed)
                results = (_product(step) << changes.shift) * (-1 if changes.negate else 1)
                held |= rows
                values |= {(at, drain): _in_place(spec, drain, results[row]) for (at, drain), row in rows.items()}
            before = await array.read_parts(held)
            assert before == values, f"{spec.name}: expected {values}, not {before}"
            step = Step(*random_codes(spec.mac, precision, shape, rng), precision, settings)
            run = replace(await array.load(step), result_base=min(spec.drain_rows, spec.result_depth - spec.drain_rows))
            await array.reset(int(rng.integers(1, 3)))
            await array.refused(asdict(run) | settings.ports(spec) | {"steps": 0}, Refusal.STEPS)
            await array.start(run, settings)
            await array.wait(run)
            expected = -_product(step) if settings.negate else _product(step)
            check_results(spec, f"{_label(step)}, between others", expected, await array.read(run, shape[::2]))
            kept = {place: row for place, row in held.items() if place not in rows_of(spec, run)}
            after = await array.read_parts(kept)
            for place in kept:
                told = f"{spec.name}: address {place[0]}, drain {place[1]}"
                assert after[place] == before[place], f"{told}: expected {before[place]} as before, not {after[place]}"


@cocotb.test()
async def last_cycle(bench: Any) -> None:
    """A reset in the last cycle of a run lets its last result be written; one a cycle before does not."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        for settings in (Settings(), Settings(negate=True)):
            precision = _any_precision(spec, rng)
            shape = (spec.rows, spec.mac.products_per_step(precision), spec.columns)
            drawn = (Step(*random_codes(spec.mac, precision, shape, rng), precision) for _ in range(1000))
            step = next(each for each in drawn if _product(each)[:, -1].all())  # so that old and new are not the same
            run = await array.load(step)
            rows = rows_of(spec, run)  # the last is row 0, or where all drains are used the one that the first has then
            place = min(rows, key=rows.__getitem__) if settings.negate else (run.result_base + spec.drain_rows - 1, 0)
            low = (place[1] * spec.columns + spec.columns - 1) * spec.result_width  # of the last column
            known = []
            for before in (None, 2, 1):
                other = Settings(shift=3, negate=not settings.negate)
                await array.start(run, other if before is None else settings)
                if before is None:
                    await array.wait(run)
                else:
                    for _ in range(spec.cycles(run, changed=settings.negate) - before):
                        await array.cycle()
                    await array.reset(1)
                (word,) = (await array.read_parts({place: rows[place]}, [spec.columns - 1])).values()
                known.append((word >> low) % (1 << spec.result_width))
            total = int(_product(step)[rows[place], -1])
            values = (total << 3) * (1 if settings.negate else -1), -total if settings.negate else total
            old, new = (value % (1 << spec.result_width) for value in values)
            assert known == [old, old, new], f"{spec.name}: expected {[old, old, new]} with {settings}, not {known}"


@cocotb.test()
async def holds(bench: Any) -> None:
    """Operands that are held back at random, within sums that are long enough for it to matter what is added then."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        for number, share in enumerate((0.1, 0.5, 0.5, 0.9)):
            precision = _any_precision(spec, rng)
            shape = (spec.rows + 1, (_STEPS + 1) * spec.mac.products_per_step(precision), spec.columns + 1)
            step = Step(*random_codes(spec.mac, precision, shape, rng), precision)
            run = await array.load(step)
            await array.start(run, step.settings)
            await array.wait_watching(run, hold=share, seed=number)
            results = await array.read(run, (len(step.activations), len(step.weights)))
            check_results(array.spec, f"{_label(step)}, held {share}", _product(step), results)


@cocotb.test()
async def resets(bench: Any) -> None:
    """Resets at any time in a run; the next one is right."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        for _ in range(8):
            step = _random_step(spec, _any_precision(spec, rng), rng)
            run = await array.load(step)
            await array.start(run, step.settings)
            for _ in range(int(rng.integers(spec.cycles(run)))):
                await array.cycle()
            await array.reset(int(rng.integers(1, 3)))
            await _check(array, _random_step(spec, _any_precision(spec, rng), rng))


@cocotb.test()
async def early_reads(bench: Any) -> None:
    """Result words are read as soon as they are written, while the run goes on: as they are, and changed."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        precision = spec.mac.precisions[-1]
        shape = (2 * spec.rows, 2 * spec.mac.products_per_step(precision), 2 * spec.columns)  # four tiles
        for settings in (Settings(), Settings(negate=True)):
            step = Step(*random_codes(spec.mac, precision, shape, rng), precision, settings)
            run = await array.load(step)
            await array.start(run, step.settings)
            words = await array.wait_watching(run, read=shape[::2])
            early = f"{len(words)} of {4 * spec.drain_rows} words while busy"
            assert len(words) >= 3 * spec.drain_rows - 1, f"{spec.name}: {early}"
            results = await array.read(run, shape[::2], words)
            expected = -_product(step) if settings.negate else _product(step)
            check_results(spec, f"{_label(step)}, read early", expected, results)


@cocotb.test()
async def repeats(bench: Any) -> None:
    """The same operands again, started in the first cycle in which that is possible; a start while busy is ignored."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        step = _random_step(spec, spec.mac.precisions[0], rng)
        run = await array.load(step)
        await array.start(run, step.settings)
        await array.wait_watching(run, start=True)
        await array.start(run, replace(step.settings, accumulate=True))
        await array.wait(run)
        results = await array.read(run, (len(step.activations), len(step.weights)))
        check_results(spec, f"{_label(step)}, twice", 2 * _product(step), results)


@cocotb.test()
async def refusals(bench: Any) -> None:
    """Settings at both sides of every limit: what is wrong ends with its cause and writes nothing, the rest runs."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        step = _random_step(spec, _any_precision(spec, rng), rng)
        shape = len(step.activations), len(step.weights)
        run = await array.load(step)
        await array.start(run, step.settings)
        await array.wait(run)
        for settings in limit_settings(spec, rng):
            cause = spec.check_run(settings)
            if cause:
                await array.refused(settings, cause)
                for _ in range(int(rng.integers(6))):
                    await array.cycle()
                for name, value in (("busy", 0), ("error", cause), ("written", 0)):
                    array.expect(name, value, "until the next start")
                continue
            check_results(spec, f"{_label(step)}, after refusals", _product(step), await array.read_again(run, shape))
            legal = Run(**{name: settings[name] for name in vars(run)})
            await array.begin(settings)
            await array.wait(legal)
            array.expect("written", legal.tiles * spec.drain_rows, f"{settings}")
            run = await array.load(step)
            await array.start(run, step.settings)
            await array.wait(run)
        check_results(spec, f"{_label(step)}, after refusals", _product(step), await array.read_again(run, shape))


@cocotb.test()
async def ping_pong(bench: Any) -> None:
    """Operands are loaded and results read beside a run in other parts of the memories, layer after layer."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        steps = [Step(*random_codes(spec.mac, p, _half(spec, p), rng), p) for p in few_precisions(spec.mac, 3) * 2]
        runs = [_in_half(spec, step, number % 2) for number, step in enumerate(steps)]
        for inputs in array.load_words(steps[0], runs[0]):
            await array.cycle(**inputs)
        overlapped = 0
        for number, (step, run) in enumerate(zip(steps, runs, strict=True)):
            await array.start(run, step.settings)
            beside = array.load_words(steps[number + 1], runs[number + 1]) if number + 1 < len(steps) else []
            for inputs in beside:
                await array.cycle(**inputs)
                overlapped += array.glance("busy")
            if number:
                before, shape = steps[number - 1], (len(steps[number - 1].activations), len(steps[number - 1].weights))
                results = await array.read_again(runs[number - 1], shape)
                check_results(spec, f"{_label(before)}, read beside the next run", _product(before), results)
            for _ in range(spec.cycles(run) + 1):
                if not array.glance("busy"):
                    break
                await array.cycle()
            array.expect("busy", 0, f"{spec.cycles(run)} cycles after {_label(step)}")
        results = await array.read(runs[-1], (len(steps[-1].activations), len(steps[-1].weights)))
        check_results(spec, f"{_label(steps[-1])}, the last layer", _product(steps[-1]), results)
        assert overlapped, f"{spec.name}: no word was loaded beside a run"


@cocotb.test()
async def overlap(bench: Any) -> None:
    """Loads beside runs, the last word with the start, take the longer of both and no cycle more."""
    async for array, rng in _arrays(bench):
        spec = array.spec
        steps = [Step(*random_codes(spec.mac, p, _half(spec, p), rng), p) for p in few_precisions(spec.mac, 3) * 2]
        runs = [_in_half(spec, step, number % 2) for number, step in enumerate(steps)]
        loads = [array.load_words(step, run) for step, run in zip(steps, runs, strict=True)]
        begun = array.now()
        expected = len(loads[0])
        for number, (step, run) in enumerate(zip(steps, runs, strict=True)):
            for inputs in loads[number][:-1]:
                await array.cycle(**inputs)
            while array.sample("busy"):
                await array.cycle(load_weights=0, load_activations=0, load_control=0)
            await array.start(run, step.settings, loads[number][-1])
            taken = array.now() - begun
            assert taken == expected, f"{spec.name}: run {number} after {taken} cycles, not {expected}"
            if number + 1 < len(runs):
                expected += max(spec.cycles(run) + 1, spec.load_cycles(runs[number + 1]))
        await array.wait(runs[-1])
        results = await array.read(runs[-1], (len(steps[-1].activations), len(steps[-1].weights)))
        check_results(spec, f"{_label(steps[-1])}, loaded beside a run", _product(steps[-1]), results)


@cocotb.test()
async def requantised(bench: Any) -> None:
    """Sums in one pass and in several whose last is requantised, with sets of their own for each column and group that
    are loaded anew now and then, before a run and beside one; the same sums without; a reset leaves the sets alone.
    """
    async for array, rng in _arrays(bench):
        spec = array.spec
        requant = spec.requant
        if requant is None:
            continue
        seen: set[int] = set()
        sets: IntArray | None = None
        for number in range(14):
            precision = _any_precision(spec, rng)
            steps = [_random_step(spec, precision, rng)]
            (m, k), n = steps[0].activations.shape, len(steps[0].weights)
            n = min(n, requant.groups * spec.columns)
            for place in range(int(rng.integers(1, 3))):
                shift, more = int(rng.integers(3)), place > 0
                given = Settings(shift, bool(rng.integers(2)), more)
                steps[place:] = [Step(*random_codes(spec.mac, precision, (m, k, n), rng), precision, given)]
            total = sum((-1 if s.settings.negate else 1) * (_product(s) << s.settings.shift) for s in steps)
            tiles, step_on = -(-n // spec.columns), bool(rng.integers(2))
            group = int(rng.integers(requant.groups - (tiles - 1 if step_on else 0)))
            fresh = random_parameters(requant, np.asarray(total), rng, spec.columns * requant.groups)
            fresh = fresh.reshape(spec.columns, requant.groups, -1)
            if number % 3 == 2:
                fresh[:] = fresh[:1]  # one set for all columns
            if sets is None or number % 4:
                await array.load_parameters(fresh)
                sets = fresh.copy()
            settings = replace(steps[-1].settings, requantise=True, group=group, group_step=step_on)
            for each in steps[:-1]:
                await array.multiply(each)
            run = await array.load(steps[-1])
            await array.start(run, settings)
            used = range(group, group + (tiles if step_on else 1))
            await array.wait_watching(run, beside=_idle_sets(array, fresh, sets, used))
            results = await array.read(run, (m, n))
            columns = np.arange(n)
            own = sets[columns % spec.columns, group + (columns // spec.columns if step_on else 0)]
            codes = requant.compute(total, own[None])
            label = f"{_label(steps[-1])}, {len(steps)} passes, {settings}"
            check_results(spec, label, requant.code_values.words_of(codes), results)
            seen |= set(codes.ravel().tolist())
            if number % 5 == 4:
                await array.reset(int(rng.integers(1, 3)))
        wanted = requant.code_values.values
        assert len(seen) > len(wanted) // 2, f"{spec.name}: codes must be most of {wanted}, not {sorted(seen)}"


def _idle_sets(
    array: ArrayTestbench, fresh: IntArray, sets: IntArray, used: Sequence[int]
) -> Iterator[Mapping[str, int]]:
    """Loads the ``fresh`` parameters of groups that no run uses, a word each time, and notes them in ``sets``."""
    for inputs in array.parameter_words(fresh):
        group = inputs["load_group"]
        if group not in used:
            for column in range(array.spec.columns):
                if inputs["load_requant"] >> column & 1:
                    sets[column, group] = fresh[column, group]
            yield inputs


def _half(spec: ArraySpec, precision: Precision) -> tuple[int, int, int]:
    """M, K, N of a product that fits into half of each memory."""
    return 2 * spec.rows, 2 * spec.mac.products_per_step(precision) + 1, spec.columns + 1


def _in_half(spec: ArraySpec, step: Step, half: int) -> Run:
    (m, k), n = step.activations.shape, len(step.weights)
    return spec.run(
        m, k, n, step.precision,
        weight_base=half * (spec.weight_depth // 2), activation_base=half * (spec.activation_depth // 2),
        control_base=half * (spec.control_depth // 2), result_base=half * (spec.result_depth // 2),
    )  # fmt: skip


@cocotb.test()
async def jobs(bench: Any) -> None:
    """Products whose results were computed elsewhere."""
    given = load_jobs(Path(os.environ[JOBS_VARIABLE]))
    index = 0
    async for array, _ in _arrays(bench):
        for job in (job for job in given if job.index == index):
            for step in job.steps:
                results = await array.multiply(step)
            check_results(array.spec, job.label, job.expected, results)
        index += 1
