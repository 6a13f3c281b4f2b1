"""Drives an array from its manifest alone. As in stranger.py nothing of the packages is imported here."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.sim.stranger import (
    Manifest,
    Module,
    code_word,
    legal_codes,
    load_word,
    some_parameters,
    step_of,
)

Matrix = list[list[int]]


@dataclass
class Shape:
    """M x K times K x N."""

    m: int
    k: int
    n: int


def parts(k: int, step: int) -> list[slice]:
    return [slice(low, min(low + step, k)) for low in range(0, k, step)]


def memory_words(manifest: Manifest, precision: Manifest, operand: str, matrix: Matrix) -> list[int]:
    """The words of the activation memory for codes [M, K], or of the weight memory for codes [N, K]."""
    places = manifest["parameters"]["rows" if operand == "activation" else "columns"]
    width = manifest["memories"][operand]["width"] // places
    tiles, k = -(-len(matrix) // places), len(matrix[0])
    words = []
    for tile in range(tiles):
        for part in parts(k, precision["products_per_step"]):
            planes = [0] * len(precision[f"{operand}_words"])
            for place in range(places):
                row = tile * places + place
                if row >= len(matrix):
                    continue
                codes = matrix[row][part]
                both = {name: [legal_codes(precision, name)[0]] * len(codes) for name in ("weight", "activation")}
                both[operand] = codes
                step = step_of(manifest, precision, both["weight"], both["activation"])
                found = step.weights if operand == "weight" else step.activations
                for plane, word in enumerate(found):
                    planes[plane] |= word << (place * width)
            words += planes
    return words


def control_words(manifest: Manifest, precision: Manifest, k: int) -> dict[int, int]:
    """The control table for sums of ``k`` products, by address."""
    memory, step = manifest["memories"]["control"], precision["products_per_step"]
    table = {}
    for base, used in ((0, step), (memory["last_step"], (k - 1) % step + 1)):
        weights = [legal_codes(precision, "weight")[0]] * used
        made = step_of(manifest, precision, weights, [legal_codes(precision, "activation")[0]] * used)
        for cycle in range(precision["cycles_per_step"]):
            word = low = 0
            for port in memory["ports"]:
                word |= made.controls[port["name"]][cycle] << low
                low += port["width"]
            table[base + cycle] = word
    return table


def check_array(path: Path, folder: Path, seed: int = 0) -> list[int]:
    """Products of several precisions, passes that accumulate, and codes; returns the results, which were compared."""
    manifest = json.loads(path.with_suffix(".json").read_text())
    rng = random.Random(seed)
    module = Module(path, manifest)
    compared: list[int] = []
    module.reset()
    runs = []
    rows, columns = (manifest["parameters"][name] for name in ("rows", "columns"))
    for precision in rng.sample(manifest["precisions"], min(4, len(manifest["precisions"]))):
        shape = Shape(rng.randint(1, 2 * rows), rng.randint(1, 3 * precision["products_per_step"]), 2 * columns - 1)
        runs.append(queue(module, precision, shape, rng))
    outputs = module.run(folder)
    for expected, places, (start, end), wrongs in runs:
        for cycle, error in wrongs:
            assert (outputs[cycle]["busy"], outputs[cycle]["error"]) == (0, error)
            assert outputs[cycle - 1]["busy"] == 1
            assert outputs[cycle]["written"] == 0
        assert all(outputs[cycle]["busy"] == 1 for cycle in range(start + 1, end)), "busy for all of the run"
        assert outputs[start]["busy"] == outputs[end]["busy"] == 0
        for (row, column), value in expected.items():
            cycle, place = places[row, column]
            width = manifest["parameters"]["result_width"]
            word = outputs[cycle]["result_data"]
            assert word is not None
            assert (word >> (place * width)) % (1 << width) == value, (row, column)
            compared.append(value)
    return compared


def queue(module: Module, precision: Manifest, shape: Shape, rng: random.Random) -> tuple:
    """Loads, runs three passes (the last one with codes, where there are requantisers) and reads all results."""
    manifest = module.manifest
    rows, columns, width = (manifest["parameters"][name] for name in ("rows", "columns", "result_width"))
    unit = manifest["requant"]
    steps = len(parts(shape.k, precision["products_per_step"]))
    row_tiles, column_tiles = -(-shape.m // rows), -(-shape.n // columns)
    planes = {name: len(precision[f"{name}_words"]) for name in ("weight", "activation")}
    total = [[0] * shape.n for _ in range(shape.m)]
    sets: list[Sequence[int]] = []
    if unit:
        bound = 40 * shape.k
        sets = [some_parameters(unit, -bound, bound, rng) for _ in range(unit["groups"])]
        for group, numbers in enumerate(sets):
            module.drive(load_requant=(1 << columns) - 1, load_group=group, load_parameters=load_word(unit, numbers))
    last = 2
    bases, wrongs = {}, []
    memory = results = manifest["memories"]["result"]
    bases[memory["base"]] = rng.choice([0, memory["words"] - row_tiles * column_tiles * memory["drain_rows"]])
    for number in range(last + 1):
        w = [[rng.choice(legal_codes(precision, "weight")) for _ in range(shape.k)] for _ in range(shape.n)]
        a = [[rng.choice(legal_codes(precision, "activation")) for _ in range(shape.k)] for _ in range(shape.m)]
        loads = {name: dict(enumerate(memory_words(manifest, precision, name, matrix)))
                 for name, matrix in (("weight", w), ("activation", a))}  # fmt: skip
        loads["control"] = control_words(manifest, precision, shape.k)
        for name, words in loads.items():
            memory = manifest["memories"][name]
            bases[memory["base"]] = base = rng.choice([0, memory["words"] - 1 - max(words)])
            load = "load_control" if name == "control" else f"load_{name}s"
            for address, word in words.items():
                module.drive(**{load: 1, f"{name}_address": base + address, f"{name}_data": word})
        shift, negate, halve = rng.randint(0, 2), rng.randint(0, 1), rng.randint(0, 1)
        settings = {
            "steps": steps,
            "weight_planes": planes["weight"],
            "activation_planes": planes["activation"],
            "row_tiles": row_tiles,
            "column_tiles": column_tiles,
            "shift": shift,
            "negate": negate,
            "halve": halve,
            "accumulate": int(number > 0),
            **bases,
        }
        if unit:
            settings |= {"requantise": int(number == last), "group": 0, "group_step": int(unit["groups"] > 1)}
        for row in range(shape.m):
            for column in range(shape.n):
                term = sum(x * y for x, y in zip(a[row], w[column], strict=True)) << shift
                total[row][column] = (total[row][column] + (-term if negate else term)) >> halve
        assert set(settings) == {setting["name"] for setting in manifest["settings"]}
        wrongs += refused(module, settings, rng)
        start = module.drive(start=1, **settings)
        operands = steps * planes["weight"] * planes["activation"]
        stored_whole = any((shift, negate, halve, number > 0, settings.get("requantise", 0)))
        drain = rows if stored_whole else manifest["cycles"]["drain_rows"]
        tiles = row_tiles * column_tiles
        cycles = (tiles - 1) * max(operands, drain) + operands + drain + manifest["cycles"]["rest"]
        for _ in range(cycles):
            module.drive(**{each["name"]: rng.getrandbits(each["width"]) for each in manifest["settings"]})
    end = module.drive()
    expected, places = {}, {}
    for column_tile in range(column_tiles):
        for row_tile in range(row_tiles):
            for row in range(rows):
                above, deep = rows - 1 - row, results["drain_rows"]
                address = bases["result_base"] + (column_tile * row_tiles + row_tile) * deep + above % deep
                cycle = module.drive(result_address=address) + 1
                for column in range(columns):
                    place = (row_tile * rows + row, column_tile * columns + column)
                    if place[0] < shape.m and place[1] < shape.n:
                        value = total[place[0]][place[1]]
                        group = column_tile if unit and unit["groups"] > 1 else 0
                        result = code_word(unit, sets[group], value) if unit else value % (1 << width)
                        expected[place], places[place] = result, (cycle, above // deep * columns + column)
    module.drive()
    return expected, places, (start, end), wrongs


def refused(module: Module, settings: dict[str, int], rng: random.Random) -> list[tuple[int, int]]:
    """Starts runs that must be refused: the cycle in which busy has fallen and the error that must be there."""
    manifest, found = module.manifest, []
    codes = {error["name"]: error["code"] for error in manifest["errors"]}
    memories = manifest["memories"]
    last = {name: {memory["base"]: memory["words"] - 1} for name, memory in memories.items()}
    most = {each["name"]: (1 << each["width"]) - 1 for each in manifest["settings"]}
    cases = [(name, {name: 0}) for name in ("steps", "weight_planes", "activation_planes", "row_tiles", "column_tiles")]
    cases += [(f"{name}_memory", last[name]) for name in ("weight", "activation", "control", "result")]
    cases += [("weight_memory", {"column_tiles": most["column_tiles"], "row_tiles": most["row_tiles"]})]
    one = {"steps": 2, "weight_planes": 1, "activation_planes": 1, "row_tiles": 2, "column_tiles": 1}
    one |= {memory["base"]: 0 for memory in memories.values()}
    if "requant_sets" in codes:
        sets = manifest["requant"]["groups"] + 1
        cases += [("requant_sets", {"requantise": 1, "column_tiles": sets, "group_step": 1})]
    for name, change in rng.sample(cases, len(cases)):
        module.drive(start=1, **(settings | one | change))
        for _ in range(manifest["refused_cycles"]):
            module.drive()
        found.append((module.drive(), codes[name]))
    return found
