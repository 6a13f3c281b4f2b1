"""Notebook 2: a MAC in Verilog, read and simulated with Icarus."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reports.charts import BLUE, GREY, VERMILLION
from rtl.spec import MacSpec, Precision
from rtl.verilog import to_verilog

from .panels import panels

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Bench", "anatomy", "draw_choice", "draw_products", "draw_sums", "excerpts"]

_BENCH = """\
module bench;
  reg clk = 0, rst = 1, in_valid = 0;
  reg [{last}:0] words [0:{cycles} - 1];
  reg [{last}:0] word = 0;
  wire out_valid;
  wire [{top}:0] sum;
  integer cycle, file;
  {name} mac(.clk(clk), .rst(rst), .in_valid(in_valid), {connections},
             .out_valid(out_valid), .accumulator(sum));
  always #1 clk = !clk;
  always @(negedge clk) if (out_valid) $fdisplay(file, "%0d", $signed(sum));
  initial begin
    $readmemh("words.hex", words);
    file = $fopen("sums.txt", "w");
    @(negedge clk) rst = 0; in_valid = 1;
    for (cycle = 0; cycle < {cycles}; cycle = cycle + 1) begin
      word = words[cycle];
      @(negedge clk);
    end
    in_valid = 0;
    repeat ({latency} + 2) @(negedge clk);
    $finish(0);
  end
endmodule
"""
_EXCERPTS = {
    "a register for operands": r"^  reg .* weights_q;$",
    "one of the partial products": r"^  wire .*_row\d+ = .*weights_q.* & activations_q.*;$",
    "one of the full adders": r"^  siliquant_full_adder \w+ \([^;]*;$",
    "the adder at the end": r"^  wire .*sum_cpa = [^;]*;$",
    "the register of the sum, which is kept inverted": r"^  always @\(posedge clk\).*accumulator_q <=.*$",
}


def anatomy(verilog: str, name: str) -> pd.DataFrame:
    """Lines, modules, full adders and bits of registers of a uniform MAC of that name."""
    import pandas as pd

    body = verilog[verilog.index(f"module {name}") :]
    registers = re.findall(r"^  reg +(?:\[(\d+):0\] )?\w+;", body, re.MULTILINE)
    kinds = {
        "lines": len(verilog.splitlines()),
        "modules": len(re.findall(r"^module ", verilog, flags=re.MULTILINE)),
        "full adders of the tree": len(re.findall(r"^  siliquant_full_adder \w+ \(", verilog, flags=re.MULTILINE)),
        "bits of registers": sum(int(last or 0) + 1 for last in registers),
    }
    return pd.Series(kinds, name="count").to_frame()


def excerpts(verilog: str, name: str) -> str:
    """The ports of a uniform MAC, and a line of each kind that its body has."""
    body = verilog[verilog.index(f"module {name}") :]
    found = [body[: body.index("\n);") + 3]]
    for what, pattern in _EXCERPTS.items():
        found.append(f"\n  // {what}\n{max(re.findall(pattern, body, flags=re.MULTILINE), key=len)}")
    return "\n".join(found)


@dataclass(frozen=True)
class Bench:
    """A MAC in Icarus Verilog: words of operands from a file on its ports, every valid sum into another."""

    spec: MacSpec
    folder: Path

    def sums(
        self, weights: NDArray[np.int64], activations: NDArray[np.int64], precision: Precision
    ) -> NDArray[np.int64]:
        """The accumulator after every cycle of the dot products in the rows of both arrays: [sums, cycles].

        Raises CalledProcessError where Icarus fails.
        """
        packed = [self.spec.pack(w, a, precision) for w, a in zip(weights, activations, strict=True)]
        words = [0] * sum(len(each["clear"]) for each in packed)
        for name, place in self._places().items():
            values = [value for each in packed for value in each[name]]
            words = [word | value << place for word, value in zip(words, values, strict=True)]
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "words.hex").write_text("\n".join(f"{word:x}" for word in words))
        (self.folder / "bench.v").write_text(self.verilog(len(words)))
        (self.folder / "mac.v").write_text(to_verilog([self.spec]))
        for command in (["iverilog", "-g2012", "-o", "bench", "bench.v", "mac.v"], ["vvp", "bench"]):
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return np.array((self.folder / "sums.txt").read_text().split(), dtype=np.int64).reshape(len(packed), -1)

    def verilog(self, cycles: int) -> str:
        """The bench for so many cycles of operands."""
        places = self._places()
        ends = {port.name: places[port.name] + port.width - 1 for port in self.spec.ports if port.name in places}
        return _BENCH.format(
            last=max(ends.values()),
            cycles=cycles,
            top=self.spec.accumulator_width - 1,
            name=self.spec.name,
            latency=self.spec.latency,
            connections=", ".join(f".{name}(word[{ends[name]}:{places[name]}])" for name in places),
        )

    def _places(self) -> Mapping[str, int]:
        """Where each port's lowest bit is in a word."""
        places, place = {}, 0
        for port in self.spec.ports:
            if port.is_input and port.name != "in_valid":
                places[port.name] = place
                place += port.width
        return places


def draw_products(products: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
    """All products of two signed 4-bit codes from the gates, [weight, activation], and how many are as ``wanted``."""
    figure, (axes,) = panels(1, 4.8, 4)
    image = axes.imshow(products, origin="lower", extent=(-8.5, 7.5, -8.5, 7.5), cmap="RdBu", vmin=-64, vmax=64)
    figure.colorbar(image, label="product, from the gates")
    axes.set(xlabel="activation code", ylabel="weight code")
    axes.set_title(f"{(products == wanted).sum()} of {products.size} products are right")


def draw_sums(sums: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
    """Three accumulators as they grow, [sums, cycles], and the golden model's results as circles."""
    _, (axes,) = panels(1, 8, 3.5)
    cycles = range(1, sums.shape[1] + 1)
    for number, colour in enumerate((BLUE, VERMILLION, GREY)):
        axes.step(cycles, sums[number], where="post", color=colour)
        axes.plot(cycles[-1], wanted[number], "o", color=colour, markerfacecolor="none", markersize=9)
        axes.annotate(f"dot product {number}", (cycles[-1], wanted[number]), (10, 0), textcoords="offset points",
                      va="center", color=colour, annotation_clip=False)  # fmt: skip
    axes.set(xlabel="cycle of the dot product", ylabel="accumulator (circles: golden model)")
    equal = int((sums[:, -1] == wanted).sum())
    axes.set_title(f"{equal} of {len(wanted)} dot products leave the Verilog as the golden model has them")


def draw_choice(choice: pd.DataFrame) -> None:
    """Energy of a product on a MAC that can switch widths and on one that cannot; choice: by bits, in fJ."""
    _, (axes,) = panels(1, 6, 3.5)
    places = np.arange(len(choice))
    kinds = (
        ("uniform, fJ/product", -0.2, BLUE, "", "uniform MAC of that width"),
        ("subword, fJ/product", 0.2, VERMILLION, "//", "subword MAC at that width"),
    )
    for column, shift, colour, hatch, label in kinds:
        axes.bar(places + shift, choice[column], 0.4, color=colour, hatch=hatch, edgecolor="white", label=label)
    axes.set_xticks(places, [f"{bits} bits" for bits in choice.index])
    axes.set(xlabel="width of weights and activations", ylabel="energy, fJ/product")
    ratio = choice["subword, fJ/product"] / choice["uniform, fJ/product"]
    axes.set_title(f"Being able to choose costs {ratio.min():.1f} to {ratio.max():.1f} times the energy of a product")
    axes.legend(frameon=False)
