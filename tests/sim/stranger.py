"""Drives generated modules from their manifests alone, as somebody does who has nothing else.

Nothing of the packages is imported here: JSON, Verilog and Icarus only. Sums are those of plain Python integers.
"""

import json
import random
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Words = dict[str, int]
Manifest = Mapping[str, Any]


@dataclass
class Module:
    """A module with its manifest, and what its ports are to be told cycle by cycle."""

    path: Path
    manifest: Manifest
    cycles: list[Words] = field(default_factory=list)

    def drive(self, **words: int) -> int:
        """One more cycle, ports that are not named at 0; returns its number."""
        self.cycles.append(words)
        return len(self.cycles) - 1

    def reset(self) -> None:
        self.drive(rst=1)
        self.drive(rst=1)

    def run(self, folder: Path) -> list[dict[str, int | None]]:
        """The outputs in every cycle, before its clock edge; None where a bit is unknown."""
        inputs = [("rst", 1)] + [(p["name"], p["width"]) for p in self.manifest["ports"] if p["direction"] == "input"]
        outputs = [(p["name"], p["width"]) for p in self.manifest["ports"] if p["direction"] == "output"]
        stimulus = []
        for words in self.cycles:
            assert set(words) <= {name for name, _ in inputs}
            joined = low = 0
            for name, width in inputs:
                assert 0 <= words.get(name, 0) < 1 << width, (name, words[name], width)
                joined |= words.get(name, 0) << low
                low += width
            stimulus.append(f"{joined:x}\n")
        (folder / "stimulus.hex").write_text("".join(stimulus))
        (folder / "bench.v").write_text(bench(self.manifest["module"], inputs, outputs, len(self.cycles)))
        command = ["iverilog", "-g2001", "-s", "bench", "-o", "bench.vvp", "bench.v", str(self.path)]
        subprocess.run(command, cwd=folder, check=True)
        said = subprocess.run(["vvp", "-n", "bench.vvp"], cwd=folder, check=True, capture_output=True, text=True).stdout
        return [shown(line, outputs) for line in said.splitlines()]


def bench(module: str, inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]], cycles: int) -> str:
    """A bench that reads a word of all inputs a cycle and writes one of all outputs, bit by bit."""
    total, pins, low = sum(width for _, width in inputs), [".clk(clk)"], 0
    for name, width in inputs:
        pins.append(f".{name}(now[{low + width - 1}:{low}])")
        low += width
    pins += [f".{name}(o_{name})" for name, _ in outputs]
    wires = "\n".join(f"  wire [{width - 1}:0] o_{name};" for name, width in outputs)
    names = ", ".join(f"o_{name}" for name, _ in outputs)
    return f"""\
module bench;
  reg clk = 0;
  reg [{total - 1}:0] words [0:{cycles - 1}];
  reg [{total - 1}:0] now;
  integer cycle;
{wires}
  {module} unit({", ".join(pins)});
  initial begin
    $readmemh("stimulus.hex", words);
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      now = words[cycle];
      #1 $display("%b", {{{names}}});
      clk = 1;
      #1 clk = 0;
    end
  end
endmodule
"""


def shown(line: str, outputs: Sequence[tuple[str, int]]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name, width in outputs:
        bits, line = line[:width], line[width:]
        found[name] = int(bits, 2) if set(bits) <= {"0", "1"} else None
    return found


def signed(word: int, width: int) -> int:
    return word - (1 << width) if word >> (width - 1) else word


def legal_codes(precision: Manifest, operand: str) -> list[int]:
    low, high = precision[f"{operand}_range"]
    listed = precision[f"{operand}_codes"]
    return list(range(low, high + 1)) if listed is None else [value for value, _ in listed]


def bits_of(code: int, kind: str, width: int, listed: Sequence[Sequence[int]] | None = None) -> int:
    """A code as its encoding has it, or the list of all codes."""
    if listed is not None:
        return dict(listed)[code]
    if kind == "bipolar":
        return int(code > 0)
    assert kind == "twos_complement" or code >= 0
    return code & ((1 << width) - 1)


def word_of(layout: Iterable[Mapping[str, int]], codes: Sequence[int]) -> int:
    """One word of a port, from codes as bits."""
    word = 0
    for entry in layout:
        for k in range(entry["count"]):
            code = codes[entry["index"] + k * entry["index_step"]] >> entry["code_low"]
            code &= (1 << entry["code_width"]) - 1
            if code >> (entry["code_width"] - 1):
                code |= (1 << entry["width"]) - (1 << entry["code_width"])
            word |= code << (entry["low"] + k * entry["low_step"])
    return word


@dataclass
class Step:
    """The words of one step: of weights and activations, and the values of the control ports in every cycle."""

    weights: list[int]
    activations: list[int]
    controls: dict[str, list[int]]


def step_of(manifest: Manifest, precision: Manifest, weights: Sequence[int], activations: Sequence[int]) -> Step:
    """A step with these codes, the unused places filled."""
    unused = precision["products_per_step"] - len(weights)
    fill, controls = precision["unused_products"], {name: list(v) for name, v in precision["controls"].items()}
    w = [*weights, *[fill["weight"]] * unused]
    a = [*activations, *[fill["activations"][0]] * (unused // 2), *[fill["activations"][1]] * (unused - unused // 2)]
    if fill["balance"]:
        controls[fill["balance"]] = [unused % 2] * precision["cycles_per_step"]
    words = {}
    for operand, codes in (("weight", w), ("activation", a)):
        kind, width, listed = (precision[f"{operand}_{name}"] for name in ("encoding", "bits", "codes"))
        bits = [bits_of(code, kind, width, listed) for code in codes]
        layouts = [manifest["layouts"][number] for number in precision[f"{operand}_words"]]
        words[operand] = [word_of(layout, bits) for layout in layouts]
    for port, values in controls.items():
        legal = next(each["legal"] for each in manifest["controls"] if each["port"] == port)
        assert set(values) <= set(legal)
    return Step(words["weight"], words["activation"], controls)


def cycles_of(step: Step, precision: Manifest) -> list[Words]:
    """The operand and control ports of a MAC in every cycle of a step."""
    n = len(step.activations)
    assert len(step.weights) * n == precision["cycles_per_step"]
    return [
        {
            "weights": step.weights[c // n],
            "activations": step.activations[c % n],
            **{port: values[c] for port, values in step.controls.items()},
        }
        for c in range(precision["cycles_per_step"])
    ]


def may_follow(manifest: Manifest, first: Manifest, other: Manifest) -> bool:
    """Whether steps of both precisions may be in one sum."""
    kept = [each["port"] for each in manifest["controls"] if each["changes"] == "sum"]
    return all(first["controls"][port] == other["controls"][port] for port in kept)


def check_mac(path: Path, folder: Path, sums: int = 40, seed: int = 0) -> int:
    """Random sums on a MAC, with stalls and precisions that change where they may; returns how many it compared."""
    manifest = json.loads(path.with_suffix(".json").read_text())
    rng = random.Random(seed)
    module = Module(path, manifest)
    module.reset()
    low, high = manifest["accumulator_range"]
    due: dict[int, int | None] = {}
    precisions = manifest["precisions"]
    for _ in range(sums):
        first = rng.choice(precisions)
        total, clear = 0, 1
        for _ in range(rng.randint(1, 4)):
            precision = rng.choice([each for each in precisions if may_follow(manifest, first, each)])
            count = rng.randint(0, precision["products_per_step"])
            w = [rng.choice(legal_codes(precision, "weight")) for _ in range(count)]
            a = [rng.choice(legal_codes(precision, "activation")) for _ in range(count)]
            total += sum(one * other for one, other in zip(w, a, strict=True))
            assert low <= total <= high
            words = cycles_of(step_of(manifest, precision, w, a), precision)
            for number, ports in enumerate(words):
                while rng.random() < 0.1:
                    module.drive(clear=rng.randint(0, 1), weights=rng.randint(0, 1))
                cycle = module.drive(in_valid=1, clear=clear, **ports)
                due[cycle + manifest["latency_cycles"]] = total if number == len(words) - 1 else None
                clear = 0
    for _ in range(manifest["latency_cycles"] + 1):
        module.drive()
    compared = 0
    for cycle, outputs in list(enumerate(module.run(folder)))[1:]:
        assert outputs["out_valid"] == int(cycle in due), cycle
        if due.get(cycle) is not None:
            word = outputs["accumulator"]
            assert word is not None, cycle
            assert signed(word, manifest["accumulator_width"]) == due[cycle], cycle
            compared += 1
    return compared


def rank_of(unit: Manifest, numbers: Sequence[int], accumulator: int) -> int:
    """The rules of the manifest in plain Python."""
    named = dict(zip((each["name"] for each in unit["parameter_fields"]), numbers, strict=True))
    if "number of thresholds <= accumulator" in unit["rule"]:
        return sum(number <= accumulator for number in numbers)
    assert "min(max((accumulator * multiplier + offset) >> shift, 0), 2**code_bits - 1)" in unit["rule"]
    shift = named.get("shift", unit["parameters"]["shift"])
    scaled = (accumulator * named["multiplier"] + named["offset"]) >> shift
    return min(max(scaled, 0), (1 << unit["code_bits"]) - 1)


def code_word(unit: Manifest, numbers: Sequence[int], accumulator: int) -> int:
    """The bits of the code of an accumulator."""
    code = unit["lowest"] + unit["step"] * rank_of(unit, numbers, accumulator)
    assert unit["code_range"][0] <= code <= unit["code_range"][1]
    return bits_of(code, unit["code_encoding"], unit["code_bits"])


def load_word(unit: Manifest, numbers: Sequence[int]) -> int:
    word = 0
    for each, number in zip(unit["parameter_fields"], numbers, strict=True):
        assert each["range"][0] <= number <= each["range"][1]
        word |= ((number - each["stored_less"]) % (1 << each["width"])) << each["low"]
    return word


def some_parameters(unit: Manifest, low: int, high: int, rng: random.Random) -> list[int]:
    """A parameter set with which accumulators from ``low`` to ``high`` have many codes."""
    fields = unit["parameter_fields"]
    if "threshold" in unit["rule"]:
        numbers = sorted(rng.randint(low, high + 1) for _ in fields)
        return [*numbers[:-1], fields[-1]["range"][1]] if rng.random() < 0.2 else numbers
    named = {each["name"]: each["range"] for each in fields}
    shift = rng.randint(*named["shift"]) if "shift" in named else unit["parameters"]["shift"]
    slope = (1 << (unit["code_bits"] + shift)) // (high - low + 1)
    multiplier = min(max(slope + rng.randint(-(slope // 2), slope // 2), 1), named["multiplier"][1])
    offset = min(max(-low * multiplier, named["offset"][0]), named["offset"][1])
    return [multiplier, offset, *([shift] if "shift" in named else [])]


def check_unit(path: Path, folder: Path, accumulators: int = 400, seed: int = 0) -> int:
    """A requantiser on its own; returns how many different codes came out."""
    unit = json.loads(path.with_suffix(".json").read_text())
    rng = random.Random(seed)
    module, (low, high) = Module(path, unit), unit["accumulator_range"]
    module.reset()
    sets = [some_parameters(unit, low // 4, high // 4, rng) for _ in range(unit["groups"])]
    for group, numbers in enumerate(sets):
        module.drive(load_valid=1, load_group=group, load_parameters=load_word(unit, numbers))
    due = {}
    width = next(port["width"] for port in unit["ports"] if port["name"] == "accumulator")
    for _ in range(accumulators):
        group, value = rng.randrange(unit["groups"]), rng.choice([low, high, rng.randint(low, high) // 4])
        cycle = module.drive(in_valid=1, group=group, accumulator=value % (1 << width))
        due[cycle + unit["latency_cycles"]] = code_word(unit, sets[group], value)
    for _ in range(unit["latency_cycles"] + 1):
        module.drive()
    for cycle, outputs in list(enumerate(module.run(folder)))[1:]:
        assert outputs["out_valid"] == int(cycle in due), cycle
        assert cycle not in due or outputs["code"] == due[cycle], cycle
    return len(set(due.values()))


def check_vectors(path: Path, folder: Path) -> int:
    """The golden vectors beside a unit; returns how many results were compared."""
    unit, given = (json.loads(path.with_suffix(end).read_text()) for end in (".json", ".vectors.json"))
    module = Module(path, unit)
    module.reset()
    for load in given["loads"]:
        word = int(load["load_parameters"], 16)
        assert word == load_word(unit, load["parameters"])
        module.drive(load_valid=1, load_group=load["group"], load_parameters=word)
    result = "code" if "code" in given else "total"
    widths = {port["name"]: port["width"] for port in unit["ports"]}
    due = {}
    for number, accumulator in enumerate(given["accumulator"]):
        more = {name: given[name][number] for name in ("first", "last") if name in given}
        words = {"group": given["group"][number], "accumulator": accumulator % (1 << widths["accumulator"])}
        cycle = module.drive(in_valid=1, **words, **more)
        value = given[result][number]
        if value is not None:
            kind = unit.get("code_encoding", "twos_complement")
            due[cycle + unit["latency_cycles"]] = bits_of(value, kind, widths[result])
    for _ in range(unit["latency_cycles"] + 1):
        module.drive()
    for cycle, outputs in list(enumerate(module.run(folder)))[1:]:
        assert outputs["out_valid"] == int(cycle in due), cycle
        assert cycle not in due or outputs[result] == due[cycle], cycle
    return len(due)
