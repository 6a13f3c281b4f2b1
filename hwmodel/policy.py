"""Mixed precision at a mean bit-width, and which GEMM runs at which width: ``python -m hwmodel.policy``.

At one mean, weights and activations of a GEMM have the same width. At two, as in --mean 4/8, each has its own, and
products of two activations have that of activations. With --by-head each head of query, key, value, scores and context
has a width of its own. The first and last layers stay at 8 bits, as in the paper, so they are left out of the mean
unless it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwmodel.workload import (
    Assignment,
    Gemm,
    Pair,
    assign,
    assign_by_head,
    assignment_text,
    default_sensitivity,
    load_workload,
    mean_text,
    parts_of,
    read_sensitivity,
)
from siliquant.commandline import Parser, add_out_file, console, print_table, run
from siliquant.files import write_atomically

from .options import add_mix, add_network, read_mix

PROG = "hwmodel.policy"
EPILOG = """\
examples:
  python -m hwmodel.policy --model deit-tiny --mean 3 --mix-widths 2,4,8
  python -m hwmodel.policy --model deit-tiny --mean 4/8
  python -m hwmodel.policy --model deit-tiny --mean 3 --out build/deit-tiny-3.json
  python -m hwmodel.policy --model mine.json --mean 3 --sensitivity analysis/sensitivity.json --by-head"""


def parser() -> Parser:
    """The options."""
    made = Parser(prog=PROG, description=__doc__, epilog=EPILOG)
    add_network(made, "deit-tiny")
    add_mix(made, "4")
    made.add_argument("--by-head", action="store_true",
                      help="single heads of attention, each with a width; needs a sensitivity of heads")  # fmt: skip
    made.add_argument("--count-ends", action="store_true", help="count first and last layers in the mean")
    add_out_file(made, "the widths, which --policy of train and latency reads")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = parser()
    options = made.parse_args(arguments)
    made.only_with("--sensitivity", options.sensitivity is not None, "--by-head")
    mean, widths, activation_widths = read_mix(options)
    table = default_sensitivity() if options.sensitivity is None else read_sensitivity(options.sensitivity)
    found = (assign_by_head if options.by_head else assign)(
        load_workload(options.model), mean, widths, activation_widths=activation_widths, sensitivity=table,
        count_ends=options.count_ends,
    )  # fmt: skip
    if options.out is not None:
        write_atomically(options.out, assignment_text(found, table.source))
    _print(found)


def _print(found: Assignment) -> None:
    widths = sorted(set(found.by_name.values()), key=parts_of)
    split, lines = isinstance(found.mean_bits, Pair), []
    for role in found.workload.macs_by_role():
        gemms = [gemm for gemm in found.workload.gemms if gemm.role is role]
        counts = [sum(found.of(gemm) == bits for gemm in gemms) for bits in widths]
        lines.append([role.value, *(str(count) if count else "" for count in counts), _mean(found, gemms)])
    out, headers = console(), ("GEMMs", *(f"{bits} bits" for bits in widths), "mean bits")
    out.print(f"mean of {mean_text(found.mean_bits)} bits; widths by the body's MACs: {found.mixture().in_percent()}")
    if split:
        out.print("a/b: weights of a bits, activations of b; products of two activations: both as activations")
    out.print()
    heads = any(gemm.head is not None for gemm in found.workload.gemms)
    what = "GEMMs, and heads that differ," if heads else "GEMMs"
    print_table(out, f"{found.workload.name}: {what} by width", headers, lines)


def _mean(found: Assignment, gemms: Sequence[Gemm]) -> str:
    """Of GEMMs weighted by MACs, of weights and of activations where these differ."""
    total = sum(gemm.macs for gemm in gemms)
    both = [sum(gemm.macs * parts_of(found.of(gemm))[operand] for gemm in gemms) / total for operand in (0, 1)]
    return "/".join(f"{mean:.2f}" for mean in dict.fromkeys(both))


if __name__ == "__main__":
    run(PROG, main)
