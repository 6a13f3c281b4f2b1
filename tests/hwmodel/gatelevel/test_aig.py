"""And-inverter graphs against the expressions they are made of, and their files against a reader written for this."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.gatelevel.aig import FALSE, TRUE, Aig
from hwmodel.liberty.functions import And, Constant, Expression, Not, Or, Variable, Xor
from siliquant.inputs import InputTypeError

NAMES = ("a", "b", "c")
ROWS = list(product((0, 1), repeat=3))
EXPRESSIONS = st.recursive(
    st.sampled_from([*map(Variable, NAMES), Constant(False), Constant(True)]),
    lambda inner: st.builds(Not, inner) | st.builds(And, inner, inner) | st.builds(Or, inner, inner)
    | st.builds(Xor, inner, inner),
    max_leaves=20,
)  # fmt: skip


def column(place: int) -> int:
    return sum(row[place] << number for number, row in enumerate(ROWS))


@given(st.lists(EXPRESSIONS, min_size=1, max_size=4))
def test_a_graph_and_its_file_are_the_functions_it_was_made_of(functions: list[Expression]) -> None:
    graph, ones = Aig(), (1 << len(ROWS)) - 1
    inputs = {name: graph.input() for name in NAMES}
    found = [graph.of_expression(function, inputs) for function in functions]
    values = graph.values({literal: column(place) for place, literal in enumerate(inputs.values())}, ones)
    columns = {name: column(place) for place, name in enumerate(NAMES)}
    for function, literal in zip(functions, found, strict=True):
        assert values[literal >> 1] ^ (ones if literal & 1 else 0) == function.evaluate(columns, ones)
    read = read_aiger(graph.aiger(list(inputs.values()), found))
    for number, row in enumerate(ROWS):
        wanted = [function.evaluate(dict(zip(NAMES, row, strict=True)), 1) for function in functions]
        assert read(row) == wanted, number


def read_aiger(data: bytes):  # type: ignore[no-untyped-def]
    """A function from inputs to outputs, by the description of the format."""
    head, _, rest = data.partition(b"\n")
    kind, *numbers = head.split()
    last, inputs, latches, outputs, ands = map(int, numbers)
    assert kind == b"aig"
    assert (latches, last) == (0, inputs + ands)
    *ends, body = rest.split(b"\n", outputs)
    left, gates = list(body), []
    for place in range(ands):
        deltas = []
        for _ in range(2):
            value = shift = 0
            while True:
                byte = left.pop(0)
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            deltas.append(value)
        top = 2 * (inputs + 1 + place)
        gates.append((top - deltas[0], top - deltas[0] - deltas[1]))
        assert top > gates[-1][0] >= gates[-1][1] >= 0
    assert not left

    def run(row: tuple[int, ...]) -> list[int]:
        nodes = [0, *row]
        for a, b in gates:
            nodes.append((nodes[a >> 1] ^ a & 1) & (nodes[b >> 1] ^ b & 1))
        return [nodes[int(end) >> 1] ^ int(end) & 1 for end in ends]

    return run


def test_equal_parts_are_one_node_and_constants_vanish() -> None:
    graph = Aig()
    a, b = graph.input(), graph.input()
    assert graph.conjunction(a, b) == graph.conjunction(b, a)
    size = len(graph)
    assert graph.conjunction(a, TRUE) == a
    assert graph.conjunction(a, a ^ 1) == graph.conjunction(FALSE, b) == FALSE
    assert graph.conjunction(a, a) == graph.disjunction(a, a) == a
    assert len(graph) == size


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(InputTypeError, match=r"function must be an expression of hwmodel.liberty, not str"):
        Aig().of_expression("a & b", {})  # type: ignore[arg-type]
