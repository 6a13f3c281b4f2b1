"""Arrays with their memories, and requantisers."""

from __future__ import annotations

from rtl.array import Architecture, ArraySpec
from rtl.mac import UniformSpec
from rtl.requant import MultiplierSpec, PartialSumSpec, ThresholdSpec

from .svg import ACCENT, arrow, box, document, label, line, note

__all__ = ["array", "multiplier", "partialsum", "thresholds"]


def array(architecture: Architecture) -> str:
    """Memories, controller and grid."""
    spec = ArraySpec(mac=UniformSpec(lanes=16), rows=3, columns=4, architecture=architecture)
    left, top, width, height = 230, 110, 96, 54
    right, bottom = left + spec.columns * (width + 26) - 26, top + spec.rows * (height + 22) - 22
    shapes = [
        box(left, 16, right - left, 30, "weight memory" if not spec.systolic else "weight memory, a bank a column"),
        box(
            20, top, 120, bottom - top, "activation|memory" if not spec.systolic else "activation|memory,|a bank a row"
        ),
        box(20, 16, 120, 60, "controller|control table"),
        line((140, 31), (left, 31), dashed=True),
        line((80, 76), (80, top), dashed=True),
        note(185, 22, "addresses"),
    ]
    for row in range(spec.rows):
        y = top + row * (height + 22)
        shapes += [box(170, y + 12, 18, 30, "", clocked=True)] if not spec.systolic else []
        start = 188 if not spec.systolic else 140
        shapes.append(line((140, y + 27), (170, y + 27)) if not spec.systolic else "")
        for column in range(spec.columns):
            x = left + column * (width + 26)
            shapes.append(box(x, y, width, height, "MAC|accumulator", clocked=spec.systolic))
            if spec.systolic:
                shapes.append(arrow((start, y + 27), (x, y + 27)))
                start = x + width
                if row < spec.rows - 1:
                    shapes.append(arrow((x + 24, y + height), (x + 24, y + height + 22)))
            if row < spec.rows - 1:
                shapes.append(line((x + 62, y + height), (x + 62, y + height + 22), width=2, colour=ACCENT))
        if not spec.systolic:
            shapes.append(line((start, y + 27), (left, y + 27)))
            for column in range(1, spec.columns):
                x = left + column * (width + 26)
                shapes.append(line((x - 26, y + 27), (x, y + 27)))
    for column in range(spec.columns):
        x = left + column * (width + 26)
        if spec.systolic:
            shapes.append(arrow((x + 24, 46), (x + 24, top)))
        else:
            shapes += [
                box(x + 9, 60, 30, 18, "", clocked=True),
                line((x + 24, 46), (x + 24, 60)),
                line((x + 24, 78), (x + 24, top)),
            ]
            for row in range(spec.rows - 1):
                y = top + row * (height + 22) + height
                shapes.append(line((x + 24, y), (x + 24, y + 22)))
        shapes.append(line((x + 62, bottom), (x + 62, bottom + 26), width=2, colour=ACCENT))
    y = bottom + 26
    shapes += [
        box(left, y, right - left, 30, "shift, negate, add the result so far, halve"),
        box(left, y + 46, right - left, 30, "requantiser of each column (optional)", dashed=True),
        arrow((left + (right - left) / 2, y + 30), (left + (right - left) / 2, y + 46)),
        box(left, y + 92, right - left, 30, "result memory"),
        arrow((left + (right - left) / 2, y + 76), (left + (right - left) / 2, y + 92)),
        label(right + 16, bottom + 12, "sums drain,|the last row first", anchor="start", colour=ACCENT, size=11),
        # The first row ends the other one of two drains.
        line((right - 34, top + height + 11), (right + 10, top + height + 11), (right + 10, y + 107), colour=ACCENT),
        arrow((right + 10, y + 107), (right, y + 107)),
        label(right + 16, y + 98, "other drains:|sums as they are", anchor="start", colour=ACCENT, size=11),
    ]
    return document(
        right + 130,
        y + 136,
        f"{architecture.value} array: memories, controller, elements, drain",
        [s for s in shapes if s],
    )


def thresholds() -> str:
    """Comparators and a thermometer code."""
    spec = ThresholdSpec(accumulator_width=16, bits=2)
    count = 2**spec.bits - 1
    shapes = [label(20, 80, f"accumulator|{spec.accumulator_width} bits", anchor="start")]
    for number in range(count):
        y = 20 + number * 44
        shapes += [
            box(210, y, 110, 32, f"threshold {number}", clocked=True),
            box(360, y, 60, 32, "at least"),
            arrow((320, y + 16), (360, y + 16)),
            arrow((120, 80), (150, 80), (150, y + 38), (390, y + 38), (390, y + 32)),
            arrow((420, y + 16), (470, y + 16)),
        ]
    shapes += [
        box(470, 20, 120, count * 44 - 12, "thermometer|code to binary"),
        arrow((590, 80), (640, 80)),
        label(646, 80, f"code, {spec.bits} bits", anchor="start"),
    ]
    return document(740, count * 44 + 34, "Requantiser by thresholds: a comparator each, and their count", shapes)


def multiplier() -> str:
    """Multiply, add, shift, clamp."""
    spec = MultiplierSpec(accumulator_width=16, bits=2, multiplier_width=7, offset_width=14, shift=11)
    shapes = [
        label(20, 50, f"accumulator|{spec.accumulator_width} bits", anchor="start"),
        arrow((120, 50), (160, 50)),
        box(160, 30, 110, 40, "times m, plus b"),
        box(160, 96, 110, 32, f"m {spec.multiplier_width}, b {spec.offset_width} bits", clocked=True),
        arrow((215, 96), (215, 70)),
        note(285, 112, "one set a group", anchor="start"),
        arrow((270, 50), (320, 50)),
        box(320, 30, 120, 40, f"shift right by {spec.shift}"),
        arrow((440, 50), (490, 50)),
        box(490, 30, 90, 40, "clamp"),
        arrow((580, 50), (630, 50)),
        label(636, 50, f"code, {spec.bits} bits", anchor="start"),
    ]
    return document(730, 140, "Requantiser by a multiplier: times m plus b, shifted and clamped", shapes)


def partialsum() -> str:
    """One head a cycle, times its scale."""
    spec = PartialSumSpec(accumulator_width=16, groups=3, multiplier_width=12)
    shapes = [
        label(20, 50, f"sum of a head,|{spec.accumulator_width} bits", anchor="start"),
        arrow((120, 50), (160, 50)),
        box(160, 30, 90, 40, "x m"),
        box(130, 96, 150, 32, f"m of {spec.groups} heads, {spec.multiplier_width} bits", clocked=True),
        arrow((205, 96), (205, 70)),
        note(295, 112, "one head a cycle", anchor="start"),
        arrow((250, 50), (300, 50)),
        box(300, 30, 60, 40, "add"),
        arrow((360, 50), (400, 50)),
        box(400, 30, 110, 40, f"total, {spec.total_width} bits", clocked=True),
        arrow((455, 30), (455, 12), (330, 12), (330, 30)),
        arrow((510, 50), (550, 50)),
        label(556, 50, "after the last head", anchor="start"),
    ]
    return document(690, 140, "Partial sums of heads: each times the scale of its head, added up", shapes)
