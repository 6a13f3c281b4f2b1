"""Rectilinear Steiner trees: the length of wire that connects the pins of a net.

Up to three pins: exact. More: a minimum spanning tree (Prim), then for each node and edge the node is connected to the
nearest point of the edge's box and the longest edge of the cycle is taken out, as long as that shortens the tree
(Borah, Owens and Irwin, "An edge-based heuristic for Steiner routing", IEEE Trans. CAD 13(12), 1994). More than
MOST_STEINER pins (clock nets): the spanning tree as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["MOST_STEINER", "Point", "Tree", "steiner_tree"]

Point = tuple[int, int]
MOST_STEINER = 64
"""Pins of the largest net that gets Steiner points."""


@dataclass(frozen=True)
class Tree:
    """points: the pins in their order, then Steiner points. edges: pairs of their indices; lengths are Manhattan."""

    points: tuple[Point, ...]
    edges: tuple[tuple[int, int], ...]

    @property
    def length(self) -> int:
        """The sum over the edges, in the unit of the points."""
        return sum(_distance(self.points[a], self.points[b]) for a, b in self.edges)


def steiner_tree(pins: Sequence[Point]) -> Tree:
    """A short tree through all pins: at most MOST_STEINER of them, else a minimum spanning tree."""
    if len(pins) == 3:
        middle = sorted(x for x, _ in pins)[1], sorted(y for _, y in pins)[1]
        if middle not in pins:
            return Tree((*pins, middle), ((0, 3), (1, 3), (2, 3)))
    edges = _spanning(pins)
    if not 3 < len(pins) <= MOST_STEINER:
        return Tree(tuple(pins), tuple(edges))
    return _shorter(list(pins), edges)


def _distance(a: Point, b: Point) -> int:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _spanning(pins: Sequence[Point]) -> list[tuple[int, int]]:
    """The edges of a minimum spanning tree, by Prim."""
    places = np.asarray(pins, dtype=np.int64).reshape(-1, 2)
    nearest = np.zeros(len(pins), dtype=np.int64)
    away = np.abs(places - places[:1]).sum(axis=1)
    far = np.iinfo(np.int64).max
    away[:1] = far
    edges = []
    inside = np.zeros(len(pins), dtype=bool)
    inside[:1] = True
    for _ in range(len(pins) - 1):
        new = int(away.argmin())
        edges.append((int(nearest[new]), new))
        inside[new] = True
        distance = np.abs(places - places[new]).sum(axis=1)
        closer = (distance < away) & ~inside
        nearest[closer] = new
        away[closer] = distance[closer]
        away[new] = far
    return edges


def _shorter(points: list[Point], edges: list[tuple[int, int]]) -> Tree:
    """Takes the best exchange of an edge again and again."""
    pins = len(points)
    while True:
        best = _best_exchange(points, edges)
        if best is None:
            break
        node, (a, b), point, removed = best
        edges = [edge for edge in edges if edge not in (removed, (a, b))]
        new = len(points)
        points.append(point)
        edges += [(a, new), (new, b), (node, new)]
        edges = _without_stubs(points, edges, pins)
    used = sorted({node for edge in edges for node in edge} | set(range(pins)))
    number = {node: index for index, node in enumerate(used)}
    return Tree(tuple(points[node] for node in used), tuple((number[a], number[b]) for a, b in edges))


_Exchange = tuple[int, tuple[int, int], Point, tuple[int, int]]


def _best_exchange(points: Sequence[Point], edges: Sequence[tuple[int, int]]) -> _Exchange | None:
    """Node, edge to connect it to, where, and the edge to take out; the first of the largest gain, None where none."""
    around: dict[int, list[tuple[int, tuple[int, int], int]]] = {}
    for a, b in edges:
        length = _distance(points[a], points[b])
        around.setdefault(a, []).append((b, (a, b), length))
        around.setdefault(b, []).append((a, (a, b), length))
    best: _Exchange | None = None
    most = 0
    for node in sorted(around):
        x, y = points[node]
        longest: dict[int, tuple[int, tuple[int, int]]] = {node: (-1, (node, node))}
        stack = [node]
        while stack:  # in the order of a walk, each edge is met with the longest one between it and the node
            here = stack.pop()
            for there, edge, length in around[here]:
                if there in longest:
                    continue
                longest[there] = max(longest[here], (length, edge))
                stack.append(there)
                if here == node:
                    continue
                (ax, ay), (bx, by) = points[here], points[there]
                point = min(max(x, min(ax, bx)), max(ax, bx)), min(max(y, min(ay, by)), max(ay, by))
                gain = longest[here][0] - abs(x - point[0]) - abs(y - point[1])
                if gain > most:
                    most, best = gain, (node, edge, point, longest[here][1])
    return best


def _without_stubs(points: Sequence[Point], edges: list[tuple[int, int]], pins: int) -> list[tuple[int, int]]:
    """Without Steiner points that end nowhere or only lengthen one edge."""
    while True:
        around: dict[int, list[int]] = {}
        for a, b in edges:
            around.setdefault(a, []).append(b)
            around.setdefault(b, []).append(a)
        loose = next((node for node, others in sorted(around.items()) if node >= pins and len(others) < 3), None)
        if loose is None:
            return edges
        others = around[loose]
        edges = [edge for edge in edges if loose not in edge]
        if len(others) == 2:
            edges.append((others[0], others[1]))
