"""The names of registers that the documentation gives are those of the Verilog that is proved."""

import re
from pathlib import Path

from rtl.mac import SubwordSpec, UniformSpec, XnorSpec
from rtl.verilog import to_verilog

TEXT = (Path(__file__).parents[3] / "docs" / "verification.md").read_text()
SPECS = (
    UniformSpec(weight_bits=4, activation_bits=4, lanes=2),
    SubwordSpec(units=1, pipeline_stages=1),
    XnorSpec(lanes=3, pipeline_stages=2),
)


def registers(verilog: str, module: str) -> set[str]:
    text = verilog[verilog.index(f"module {module} (") :]
    return set(re.findall(r"^ *reg +(?:\[\d+:0\] *)?(\w+);", text[: text.index("endmodule")], re.MULTILINE))


def test_every_register_of_a_mac_is_in_the_table_of_registers_and_no_other_is() -> None:
    table = re.search(r"\| register \| takes \|\n.*\n((?:\| .*\n)+)", TEXT)
    assert table is not None
    rows = re.findall(r"^\| `(\S+)` \|", table[1], re.MULTILINE)
    assert rows == ["valid_q<k>", "<port>_q", "<name>_p<k+1>", "accumulator_q"]
    seen = set()
    for spec in SPECS:
        ports = [port.name for port in spec.ports if port.is_input and port.name != "in_valid"]
        steps = range(spec.pipeline_stages + 2)
        kinds = {
            rows[0]: {f"valid_q{k}" for k in steps},
            rows[1]: {f"{port}_q" for port in ports},
            rows[3]: {"accumulator_q"},
        }
        found = registers(to_verilog([spec]), spec.name)
        for kind, names in kinds.items():
            assert names & found, kind
        crossing = found - set().union(*kinds.values())
        assert all(re.fullmatch(rf"\w+_p({'|'.join(str(k + 1) for k in steps[:-1])})", name) for name in crossing)
        seen |= crossing
    assert seen


def test_the_registers_that_are_named_as_examples_are_there() -> None:
    named = re.search(r"registers, which have names: `(\w+)` bit 3, or `(\w+)`, what crosses of `(\w+)` from", TEXT)
    assert named is not None
    assert set(named.groups()[:2]) <= registers(to_verilog([SPECS[1]]), SPECS[1].name)
    assert named[2] == f"{named[3]}_p1"
