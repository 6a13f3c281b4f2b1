"""Block diagrams: the frame of every MAC, lanes, serial planes, binary products."""

from __future__ import annotations

from rtl.mac import BitSerialSpec, LoomSpec, UniformSpec, XnorSpec
from rtl.spec import MacSpec, Precision

from .svg import ACCENT, arrow, box, document, label, line, note

__all__ = ["bitserial", "frame", "loom", "uniform", "xnor"]


def frame() -> str:
    """What every design has around its products."""
    spec = UniformSpec(lanes=16, pipeline_stages=1)
    shapes = [
        label(20, 60, "weights", anchor="start"),
        label(20, 100, "activations", anchor="start"),
        label(20, 140, "controls", anchor="start"),
        *(arrow((100, y), (130, y)) for y in (60, 100, 140)),
        box(130, 40, 80, 120, "operand|registers", clocked=True),
        arrow((210, 100), (240, 100)),
        box(240, 40, 110, 120, "products|of the design"),
        arrow((350, 100), (380, 100)),
        box(380, 40, 30, 120, ""),
        box(410, 40, 60, 120, "bit|heap"),
        line((410, 24), (410, 176), dashed=True, width=2),
        note(410, 16, f"{spec.pipeline_stages} pipeline stage (0 to 2)"),
        arrow((470, 100), (500, 100)),
        box(500, 70, 110, 60, "accumulator|(inverted sum)", clocked=True),
        arrow((610, 100), (650, 100)),
        label(655, 100, f"sum, {spec.accumulator_width} bits", anchor="start"),
        arrow((555, 130), (555, 190), (440, 190), (440, 160)),
        note(498, 202, "or ones: clear"),
        arrow((100, 232), (130, 232)),
        label(20, 232, "in_valid", anchor="start"),
    ]
    stages = spec.latency
    for stage in range(stages):
        x = 130 + stage * 160
        shapes.append(box(x, 218, 60, 28, "valid", clocked=True))
        shapes.append(arrow((x + 60, 232), (x + 160 if stage < stages - 1 else 650, 232)))
    shapes.append(label(655, 232, "out_valid", anchor="start"))
    return document(
        760, 262, "The frame of every MAC: operand registers, products, bit heap, pipeline, accumulator", shapes
    )


def uniform() -> str:
    """Lanes into one heap."""
    spec = UniformSpec(weight_bits=4, activation_bits=4, lanes=4)
    shapes = []
    for lane in range(spec.lanes):
        y = 30 + lane * 46
        shapes += [
            note(70, y, f"weight {lane}, {spec.weight_bits} bits"),
            note(70, y + 20, f"activation {lane}, {spec.activation_bits} bits"),
            arrow((145, y), (190, y + 6)),
            arrow((145, y + 20), (190, y + 14)),
            box(190, y - 6, 150, 32, f"{spec.weight_bits * spec.activation_bits} partial products"),
            arrow((340, y + 10), (390, y + 10)),
        ]
    height = 30 + spec.lanes * 46
    shapes += [
        box(390, 20, 80, height - 40, "bit heap"),
        arrow((470, height / 2), (510, height / 2)),
        box(510, height / 2 - 24, 120, 48, f"accumulator|{spec.accumulator_width} bits", clocked=True),
        arrow((570, height / 2 + 24), (570, height + 6), (430, height + 6), (430, height - 20)),
        arrow((630, height / 2), (670, height / 2)),
    ]
    return document(690, height + 24, f"uniform: {spec.lanes} lanes of 4 x 4 bits summed in one bit heap", shapes)


def _serial(spec: MacSpec, precision: Precision, blocks: list[str], title: str, rows: list[str]) -> str:
    """Blocks from left to right, and below them the words of the ports, cycle by cycle."""
    shapes, x, width, gap = [], 20.0, 112, 24
    for number, text in enumerate(blocks):
        shapes.append(box(x, 24, width, 48, text, clocked=number in (0, len(blocks) - 1)))
        if number < len(blocks) - 1:
            shapes.append(arrow((x + width, 48), (x + width + gap, 48)))
        x += width + gap
    last, before = x - gap - width / 2, x - 2 * gap - 1.5 * width
    shapes.append(arrow((last, 72), (last, 92), (before, 92), (before, 72)))
    words = spec.pack([3] * spec.products_per_step(precision), [1] * spec.products_per_step(precision), precision)
    cycles = len(words["clear"])
    step = min(40.0, 560.0 / cycles)
    top = 128
    shapes.append(
        label(
            20,
            top - 14,
            f"one step at {precision.weight_bits} x {precision.activation_bits} bits: {cycles} cycles",
            anchor="start",
            bold=True,
        )
    )
    for number, name in enumerate(rows):
        y = top + 6 + number * 26
        shapes.append(note(150, y + 11, name, anchor="end"))
        for cycle in range(cycles):
            value = words[name][cycle]
            shapes.append(
                f'<rect x="{160 + cycle * step:g}" y="{y:g}" width="{step:g}" height="22" stroke-opacity="0.45"/>'
            )
            colour = ACCENT if value and name.endswith(("sign", "top")) else "currentColor"
            shapes.append(label(160 + cycle * step + step / 2, y + 11, str(value), size=11, colour=colour))
    return document(max(x, 160 + cycles * step + 20), top + 16 + 26 * len(rows), title, shapes)


def bitserial() -> str:
    """Weights one bit a cycle."""
    spec, precision = BitSerialSpec(units=16), Precision(4, 4)
    blocks = [
        "1 + 8 bits|a unit",
        f"AND,|{spec.units} units",
        "sum of a plane,|signs negated",
        "shift left by|weight_bit",
        "add",
        f"accumulator|{spec.accumulator_width} bits",
    ]
    return _serial(spec, precision, blocks, "bitserial: one bit of every weight a cycle", ["weight_bit", "weight_sign"])


def loom() -> str:
    """Both operands one bit a cycle."""
    spec, precision = LoomSpec(units=64), Precision(4, 4)
    blocks = [
        "1 + 1 bit|a unit",
        f"AND,|{spec.units} units",
        "count of ones,|signs negated",
        "shift left by|bit_sum",
        "add",
        f"accumulator|{spec.accumulator_width} bits",
    ]
    return _serial(
        spec,
        precision,
        blocks,
        "loom: one bit of every weight and of every activation a cycle",
        ["bit_sum", "weight_sign", "activation_top"],
    )


def xnor() -> str:
    """Binary products."""
    spec = XnorSpec(lanes=64)
    shapes = [
        label(20, 50, f"weights, {spec.lanes} bits", anchor="start"),
        label(20, 90, f"activations, {spec.lanes} bits", anchor="start"),
        arrow((160, 50), (200, 58)),
        arrow((160, 90), (200, 82)),
        box(200, 44, 150, 52, "XNOR where signed,|AND where {0, 1}"),
        arrow((350, 70), (390, 70)),
        box(390, 44, 110, 52, "bit heap:|count the ones"),
        arrow((500, 70), (540, 70)),
        box(540, 44, 110, 52, f"accumulator|{spec.accumulator_width} bits", clocked=True),
        arrow((595, 96), (595, 120), (445, 120), (445, 96)),
        arrow((650, 70), (690, 70)),
        label(20, 140, "signed: 2 x ones - lanes; unsigned: 2 x ones - sum of activations", anchor="start"),
    ]
    return document(710, 160, "xnor: products of one-bit operands by population count", shapes)
