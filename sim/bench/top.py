"""The simulated top module: many MAC units side by side, each with one word in and one word out.

A simulator hands over a port in a time that hardly depends on its width, so each unit's inputs are one wide port
and its outputs another. A unit takes its input words either from Python, one a cycle (``drive_N``), or from a
file (``streaming`` high), which runs at the speed of the simulator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtl.logic import Port, placed
from rtl.spec import MacSpec
from siliquant.inputs import InputError

__all__ = ["TOP", "Layout", "bench_verilog", "response_file", "stimulus_file"]

TOP = "bench"
"""Name of the simulated top module."""

_STREAM = """\
module stream_{index}(
    input clk, input streaming, input [{out}:0] response, output reg [{into}:0] word, output reg done);
  integer source, target, read;
  reg [{into}:0] next;
  initial begin
    source = 0;
    done = 0;
    word = 1;  // rst
  end
  always @(posedge clk) begin
    if (!streaming) begin
      if (source != 0) begin
        $fclose(source);
        $fclose(target);
      end
      source = 0;
      word <= 1;
      done <= 0;
    end else if (!done) begin
      if (source == 0) begin
        source = $fopen("{stimulus}", "r");
        target = $fopen("{response}", "w");
      end
      $fwrite(target, "%b\\n", response);
      read = $fscanf(source, "%h", next);
      if (read == 1) word <= next;
      else done <= 1;
    end
  end
endmodule
"""


def stimulus_file(index: int) -> str:
    """Name of the file that unit ``index`` reads its input words from, hexadecimal, one a line."""
    return f"stimulus_{index}.hex"


def response_file(index: int) -> str:
    """Name of the file that unit ``index`` writes its output words to, binary, one a line."""
    return f"response_{index}.bin"


class HasPorts(Protocol):
    """A unit: a MAC or an array."""

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every port but clk and rst."""
        ...


@dataclass(frozen=True)
class Layout:
    """Where the ports of one unit lie in its two words.

    Input word: rst in bit 0, then every input port in the order of ``spec.ports``. Output word: the output ports, in
    the same order (out_valid of a MAC in bit 0).
    """

    inputs: tuple[tuple[str, int, int], ...]
    outputs: tuple[tuple[str, int, int], ...]

    @classmethod
    def of(cls, spec: HasPorts) -> Layout:
        """The layout for the ports of ``spec``."""
        inputs = [("rst", 1), *((port.name, port.width) for port in spec.ports if port.is_input)]
        outputs = [(port.name, port.width) for port in spec.ports if not port.is_input]
        return cls(placed(inputs), placed(outputs))

    @property
    def input_width(self) -> int:
        """Bits of the input word."""
        return _width(self.inputs)

    @property
    def output_width(self) -> int:
        """Bits of the output word."""
        return _width(self.outputs)

    def word(self, values: Mapping[str, int]) -> int:
        """The input word with the given port words; ports that are not named are 0."""
        word = 0
        for name, low, width in self.inputs:
            value = values.get(name, 0)
            if value < 0 or value >> width:
                raise InputError(f"{name} must be a word of {width} bits, not {value}")
            word |= value << low
        unknown = values.keys() - {name for name, _, _ in self.inputs}
        if unknown:
            raise InputError(f"{min(unknown)} is no input port")
        return word

    def output(self, name: str, word: int) -> int:
        """The word of one output port in an output word."""
        for port, low, width in self.outputs:
            if port == name:
                return (word >> low) & ((1 << width) - 1)
        raise InputError(f"{name} is no output port")


def _width(ports: tuple[tuple[str, int, int], ...]) -> int:
    _, low, width = ports[-1]
    return low + width


def bench_verilog(specs: Sequence[MacSpec]) -> str:
    """Verilog of the top module with one unit a spec, to be put behind the modules of those specs."""
    ports, body, streams = ["input clk", "input streaming", "output done"], [], []
    for index, spec in enumerate(specs):
        layout = Layout.of(spec)
        into, out = layout.input_width - 1, layout.output_width - 1
        streams.append(
            _STREAM.format(
                index=index, into=into, out=out, stimulus=stimulus_file(index), response=response_file(index)
            )
        )
        ports += [f"input [{into}:0] drive_{index}", f"output [{out}:0] response_{index}"]
        pins = [
            *(f".{name}(word_{index}[{low} +: {width}])" for name, low, width in layout.inputs),
            *(f".{name}(response_{index}[{low} +: {width}])" for name, low, width in layout.outputs),
        ]
        body += [
            f"  wire [{into}:0] streamed_{index};",
            f"  wire [{into}:0] word_{index} = streaming ? streamed_{index} : drive_{index};",
            f"  wire done_{index};",
            f"  stream_{index} stream_{index}(.clk(clk), .streaming(streaming), .response(response_{index}),",
            f"      .word(streamed_{index}), .done(done_{index}));",
            f"  {spec.name} unit_{index}(.clk(clk), {', '.join(pins)});",
        ]
    done = " && ".join(f"done_{index}" for index in range(len(specs)))
    header, lines = ",\n    ".join(ports), "\n".join(body)
    return "".join(streams) + f"\nmodule {TOP}(\n    {header});\n{lines}\n  assign done = {done};\nendmodule\n"
