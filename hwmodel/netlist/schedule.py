"""An order in which a netlist can be evaluated: its strongly connected components, drivers first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def components(dependencies: Mapping[int, Sequence[int]]) -> Iterator[list[int]]:
    """Strongly connected components of a graph, each after all those it depends on.

    ``dependencies[node]`` lists the nodes it reads; those that are no key are ignored.  Tarjan's
    algorithm (SIAM J. Comput. 1, 1972), without recursion.
    """
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in dependencies:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        path = [(root, iter(dependencies[root]))]
        while path:
            node, successors = path[-1]
            for successor in successors:
                if successor not in dependencies:
                    continue
                if successor not in index:
                    index[successor] = low[successor] = len(index)
                    stack.append(successor)
                    on_stack.add(successor)
                    path.append((successor, iter(dependencies[successor])))
                    break
                if successor in on_stack:
                    low[node] = min(low[node], index[successor])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    component = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    yield component
