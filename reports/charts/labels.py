"""Labels that do not lie upon each other: at the ends of lines moved apart, beside points on the side with room."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["apart", "beside", "together"]


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places with at least ``gap`` between any two, in the same order, within ``low`` and ``high`` where there is room
    for all, and as little moved as that takes.

    >>> apart([1.0, 1.2, 5.0], 1.0, 0.0, 10.0)
    [0.6, 1.6, 5.0]
    """
    order = sorted(range(len(places)), key=lambda index: (places[index], index))
    # Runs of labels that touch: each as wide as its labels need, about the mean of their own places.
    runs: list[list[int]] = []
    starts: list[float] = []
    for index in order:
        runs.append([index])
        starts.append(_start([index], places, gap, low, high))
        while len(runs) > 1 and starts[-2] + len(runs[-2]) * gap > starts[-1]:
            runs[-2:] = [runs[-2] + runs[-1]]
            starts[-2:] = [_start(runs[-1], places, gap, low, high)]
    found = [0.0] * len(places)
    for run, start in zip(runs, starts, strict=True):
        for number, index in enumerate(run):
            found[index] = round(start + number * gap, 9)
    return found


def _start(run: Sequence[int], places: Sequence[float], gap: float, low: float, high: float) -> float:
    centre = sum(places[index] for index in run) / len(run)
    length = (len(run) - 1) * gap
    return max(low, min(centre - length / 2, high - length))


def beside(
    points: Sequence[tuple[float, float]],
    widths: Sequence[float],
    height: float,
    size: tuple[float, float],
    taken: Sequence[tuple[float, float, float, float]] = (),
) -> list[tuple[float, float]]:
    """For each point the lower left corner of its label, on no point and no other label where there is room.

    All in one unit, as typographic points: widths and the height of the labels, and the size of the panel, within which
    labels stay. taken: boxes that labels keep clear of, from left and low to right and high. Of places around a point
    the nearest is preferred, at its right first.

    >>> beside([(10.0, 10.0), (30.0, 10.0)], [15.0, 15.0], 8.0, (100.0, 50.0))
    [(10.0, 15.0), (35.0, 6.0)]
    """
    gap = 5.0
    boxes = [*taken, *((x - gap + 1, y - gap + 1, x + gap - 1, y + gap - 1) for x, y in points)]
    found: list[tuple[float, float]] = [(0.0, 0.0)] * len(points)
    # From the right: what has no neighbour there keeps the place that is read first.
    for index in sorted(range(len(points)), key=lambda index: (-points[index][0], points[index][1])):
        (x, y), width = points[index], widths[index]
        places = []
        for far in (gap, 2.6 * gap, 4.2 * gap):
            middle = y - height / 2
            places += [
                (x + far, middle), (x, y + far), (x, y - far - height), (x - width, y + far),
                (x - width, y - far - height), (x - far - width, middle), (x + far, y + far),
                (x + far, y - far - height),
            ]  # fmt: skip

        def cost(place: tuple[float, float], x: float = x, y: float = y, width: float = width) -> float:
            left, low, right, high = place[0], place[1], place[0] + width, place[1] + height
            outside = max(0.0, -left, -low, right - size[0], high - size[1])
            shared = sum(
                max(0.0, min(right, box[2]) - max(left, box[0])) * max(0.0, min(high, box[3]) - max(low, box[1]))
                for box in boxes
            )
            away = max(left - x, x - right, 0.0) + max(low - y, y - high, 0.0)
            return shared + 100 * outside + 2 * max(0.0, away - 2 * gap)

        place = min(places, key=cost)
        found[index] = (round(place[0], 6), round(place[1], 6))
        boxes.append((place[0], place[1], place[0] + width, place[1] + height))
    return found


def together(designs: Sequence[str]) -> str:
    """One label for designs that are alike.

    >>> together(["bitfusion 8/4/2", "bitblade 8/4/2"]), together(["loom", "uniform"])
    ('bitfusion/bitblade 8/4/2', 'loom/uniform')
    """
    first, *others = (design.partition(" ") for design in designs)
    if others and all(variant == first[2] for _, _, variant in others):
        return " ".join(filter(None, ("/".join([first[0], *(name for name, _, _ in others)]), first[2])))
    return ", ".join(designs)
