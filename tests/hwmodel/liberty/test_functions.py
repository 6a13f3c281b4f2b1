"""hwmodel.liberty.functions: the syntax of Liberty expressions and their evaluation on waveforms."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodel.liberty.functions import And, Constant, Expression, Not, Or, Variable, Xor, parse_function, portable
from tests.hwmodel.mapping import LIBRARIES, library

A, B, C = Variable("A"), Variable("B"), Variable("C")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A", A),
        ("!A", Not(A)),
        ("A'", Not(A)),
        ("!A'", Not(Not(A))),
        ("(A B)'", Not(And(A, B))),
        ("A B", And(A, B)),
        ("A !B", And(A, Not(B))),
        ("A (B)", And(A, B)),
        ("A*B+C", Or(And(A, B), C)),
        ("A|B&C", Or(A, And(B, C))),
        ("A & B ^ C", And(A, Xor(B, C))),
        ("!A^B", Xor(Not(A), B)),
        (" 1 ", Constant(True)),
        ("A 0", And(A, Constant(False))),
    ],
)
def test_precedence(text: str, expected: Expression) -> None:
    """Inversion, then exclusive or, then and, then or."""
    assert parse_function(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a Liberty expression must not be empty"),
        ("A &", "the Liberty expression 'A &' must be a Boolean expression; the end is misplaced"),
        ("(A", "the Liberty expression '(A' must be a Boolean expression; the end is misplaced"),
        ("A)", "the Liberty expression 'A)' must be a Boolean expression; ')' is misplaced"),
        ("'A", 'the Liberty expression "\'A" must be a Boolean expression; "\'" is misplaced'),
        ("A; B", "the Liberty expression 'A; B' must not contain ';'"),
        ("A == 1", "the Liberty expression 'A == 1' must not contain '='"),
    ],
)
def test_errors(text: str, message: str) -> None:
    """What is wrong, quoted."""
    with pytest.raises(ValueError) as caught:
        parse_function(text)
    assert str(caught.value) == message


_texts = st.recursive(
    st.sampled_from(["A", "B", "C", "D", "0", "1"]),
    lambda inner: st.one_of(
        inner.map("!({})".format),
        inner.map("({})'".format),
        st.tuples(inner, st.sampled_from([" & ", "*", " ", "|", " + ", "^"]), inner).map("({0[0]}{0[1]}{0[2]})".format),
    ),
    max_leaves=12,
)


def _value(text: str, values: dict[str, bool]) -> bool:
    """The value of a fully bracketed text of the strategy above, found by rewriting it step by step."""
    for name, value in values.items():
        text = text.replace(name, str(int(value)))
    text = text.replace(" & ", "&").replace(" + ", "|").replace("*", "&").replace(" ", "&")
    while text not in ("0", "1"):
        before = text
        for a, b in product("01", repeat=2):
            for sign, result in (("&", a == b == "1"), ("|", "1" in (a, b)), ("^", a != b)):
                text = text.replace(f"({a}{sign}{b})", str(int(result)))
        for a, inverse in ("01", "10"):
            text = text.replace(f"!({a})", inverse).replace(f"({a})'", inverse)
        assert text != before
    return text == "1"


@settings(max_examples=100, deadline=None)
@given(_texts)
def test_evaluation(text: str) -> None:
    """All sixteen inputs in one pass agree with a rewriting of the text; bind agrees with evaluate."""
    expression = parse_function(text)
    rows = [dict(zip("ABCD", row, strict=True)) for row in product((False, True), repeat=4)]
    waves = {name: sum(row[name] << time for time, row in enumerate(rows)) for name in "ABCD"}
    expected = sum(_value(text, row) << time for time, row in enumerate(rows))
    assert expression.evaluate(waves, 0xFFFF) == expected
    bound = expression.bind({name: index for index, name in enumerate("ABCD", start=2)})
    assert bound([0, 0xFFFF, *waves.values()]) == expected
    assert expression.names <= set("ABCD")


@pytest.mark.parametrize("name", LIBRARIES)
def test_library_functions(name: str) -> None:
    """Every function in the libraries can be read; a few are known."""
    functions = {
        (cell.name, pin.name): parse_function(pin.text("function"))
        for cell in library(name).group_iter("cell")
        for pin in cell.group_iter("pin")
        if pin.text("function")
    }
    adder = {
        "freepdk45": ("FA_X1", "S", 1),
        "sky130hd": ("sky130_fd_sc_hd__fa_1", "SUM", 1),
        "asap7": ("FAx1_ASAP7_75t_R", "SN", 0),
        "ihp-sg13g2": ("sg13g2_xor2_1", "X", 1),
    }[name]
    function = functions[adder[0], adder[1]]
    pins = sorted(function.names)
    for row in product((0, 1), repeat=len(pins)):
        assert function.evaluate(dict(zip(pins, row, strict=True)), 1) == (sum(row) % 2 == adder[2])


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("A ^ B & C", "((A ^ B) & C)"),
        ("A & B ^ C", "(A & (B ^ C))"),
        ("A B ^ C", "(A & (B ^ C))"),
        ("!A ^ B C | D", "(((!(A) ^ B) & C) | D)"),
        ("!A + !B ^ 0", "(!(A) | !(B))"),
        ("A ^ 1", "!(A)"),
        ("A & 1 | 0", "A"),
        ("A | 1", "1"),
        ("0 & A", "0"),
        ("!(A ^ B & C) D", "(!(((A ^ B) & C)) & D)"),
    ],
)
def test_what_tools_read_in_two_ways_is_written_anew(text: str, written: str) -> None:
    assert portable(text) == written
    names = sorted(parse_function(text).names)
    columns = {name: sum((row >> place & 1) << row for row in range(16)) for place, name in enumerate(names)}
    assert parse_function(written).evaluate(columns, 0xFFFF) == parse_function(text).evaluate(columns, 0xFFFF)
    assert portable(written) == written


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "0",
        "1",
        "!(A ^ B)",
        "(A ^ B) & C",
        "(A ^ B) ^ C",
        "A ^ B | C",
        "A' B + C",
        "(A B)'",
        "!(A) & B",
        "A (B ^ C)",
    ],
)
def test_what_every_tool_reads_alike_stays_as_it_is(text: str) -> None:
    assert portable(text) == text
