"""The command lines of sim, apart from the commands so that help and bad options are answered without torch."""

from __future__ import annotations

from pathlib import Path

from rtl.array import Architecture
from rtl.mac import UniformSpec
from rtl.options import DesignParser, add_architecture, add_array, add_depth, add_drains, add_groups
from siliquant.commandline import Parser, add_checkpoint, add_jobs, add_out_file, add_out_folder, add_samples

__all__ = ["agree", "equivalence", "fuzz", "mutate", "prove", "record"]


def equivalence() -> DesignParser:
    """Of sim.equivalence; the parameters of the design are options too."""
    made = DesignParser(
        prog="sim.equivalence",
        description="Proves by simulation that a generated array computes every GEMM of a trained network exactly as "
        "PyTorch does: accumulators, requantised codes and logits, bit for bit. Exit code 1 at the first mismatch.",
        epilog="""\
The parameters of another design: --design NAME --help. docs/simulation.md says what is compared.

examples:
  python -m sim.equivalence --checkpoint runs/vit-mnist-w4a4 --samples 20
  python -m sim.equivalence --checkpoint integer/minilm-w1a1 --design xnor --array 8x8
  python -m sim.equivalence --random deit-tiny --bits 4 --architecture systolic --array 32x32""",
        default=UniformSpec.design,
    )
    subject = made.add_mutually_exclusive_group(required=True)
    add_checkpoint(subject, integers=True)
    subject.add_argument(
        "--random",
        metavar="NAME",
        help="a network, by name or by a folder with a config.json, with random weights, on random inputs",
    )
    made.add_argument("--bits", type=int, default=4, metavar="B", help="bits of weights and activations, of --random")
    add_samples(made, 1)
    add_array(made, "16x16")
    add_architecture(made, Architecture.BROADCAST.value)
    add_depth(made, 2048)
    add_drains(made)
    made.add_argument("--no-requantise", action="store_true", help="no requantisers at the end of the columns")
    add_groups(made)
    add_jobs(made)
    add_out_file(made, "records of all GEMMs, JSON (default: none)")
    return made


def record() -> Parser:
    """Of sim.record."""
    made = Parser(
        prog="sim.record",
        description="Records operand codes of the matrix products of a trained network, as one element of an array "
        "sees them: of each kind of product a few layers, of each of them some rows and columns.",
        epilog="""\
Recordings in hwmodel/data/streams are operand streams by the name of the network (docs/synthesis.md).

examples:
  python -m sim.record --checkpoint runs/vit-mnist-w4a4 --out build/vit-mnist-w4a4.npz
  python -m sim.record --checkpoint integer/minilm-w1a1 --samples 16 --out build/minilm-w1a1.npz""",
    )
    add_checkpoint(made, integers=True, required=True)
    add_out_file(made, "the recording, .npz", required=True)
    add_samples(made, 8)
    return made


def prove() -> DesignParser:
    """Of sim.prove; the parameters of a design are options too."""
    made = DesignParser(
        prog="sim.prove",
        description="Proves that the Verilog of MACs shows the sum of all products, for all operands, precisions, "
        "resets and pauses. Without --design: every kind and form of every design, in several sizes, and requantisers. "
        "With --array: the controllers of an array of the design, for all settings. Exit code 1 where something is not "
        "proved.",
        epilog="""\
The parameters of a design: --design NAME --help. docs/verification.md says what is shown, how, and what is assumed.
A proof is kept until the design or its code changes.

examples:
  python -m sim.prove --design uniform --weight-bits 8 --activation-bits 8 --lanes 64
  python -m sim.prove --design bitfusion --units 16 --pipeline-stages 2
  python -m sim.prove --design uniform --lanes 16 --verilog build/uniform_w4_a4_l16.v
  python -m sim.prove --design uniform --lanes 16 --array 16x16
  python -m sim.prove --out proofs.json""",
    )
    add_array(made, None)
    add_architecture(made, None)
    add_drains(made)
    made.add_argument(
        "--verilog",
        metavar="FILE",
        type=Path,
        help="prove this file, which has the module of --design, or that of its --array, and all that it instantiates",
    )
    made.add_argument("--fresh", action="store_true", help="do again what is known already")
    add_jobs(made)
    add_out_file(made, "every proof, JSON (default: none)")
    return made


def mutate() -> DesignParser:
    """Of sim.mutate; the parameters of a design are options too."""
    made = DesignParser(
        prog="sim.mutate",
        description="Makes mutants of the Verilog of MACs, requantisers and arrays, one gate or wire wrong in each, "
        "and plays the sequences of the tests on every one up to the first difference. Solvers say of those that live "
        "whether they can be seen at all. Exit code 1 where a module scores less than --least.",
        epilog="""\
The parameters of a design: --design NAME --help. docs/verification.md says what the score means, and why what is left
is left. A result is kept until the module, the sequences or a tool changes.

examples:
  python -m sim.mutate
  python -m sim.mutate --design subword --units 2 --count 400
  python -m sim.mutate --design xnor --lanes 4 --array 3x2 --architecture systolic
  python -m sim.mutate --out mutants.json""",
    )
    add_array(made, None)
    add_architecture(made, None)
    add_drains(made)
    made.add_argument("--count", metavar="N", default="200", help="mutants of each module, 1 to 1000 (default 200)")
    made.add_argument("--seed", metavar="N", default="1", help="seed of all draws, 0 to 2^64 - 1")
    made.add_argument("--least", metavar="P", default="99", help="per cent to be killed of those seen (default 99)")
    made.add_argument("--fresh", action="store_true", help="do again what is known already")
    add_jobs(made)
    add_out_file(made, "every score, JSON (default: none)")
    return made


def agree() -> DesignParser:
    """Of sim.agree; the parameters of a design are options too."""
    made = DesignParser(
        prog="sim.agree",
        description="Runs the Verilog of modules in Icarus Verilog, which begins with unknown values, and in "
        "Verilator, which begins with random ones, on the same inputs, and compares every output in every cycle. Exit "
        "code 1 where any differs, 2 where a tool fails, after all other modules.",
        epilog="""\
Without --design: small modules of every kind of MAC, of every requantisation unit, and arrays of both architectures
with and without requantisers. docs/simulation.md says what is compared.

examples:
  python -m sim.agree
  python -m sim.agree --design loom --units 3""",
    )
    made.add_argument("--fresh", action="store_true", help="do again what is known already")
    add_jobs(made)
    add_out_file(made, "every module, JSON (default: none)")
    return made


def fuzz() -> Parser:
    """Of sim.fuzz."""
    made = Parser(
        prog="sim.fuzz",
        description="Draws MACs, requantisers, arrays and small networks with random parameters, operands, pauses, "
        "resets, odd starts, and junk on ports that are not valid, and compares every cycle with the golden model. All "
        "MACs run as their graph of gates, and all MACs, requantisers and arrays as Verilog in Icarus. One in 6 MACs "
        "and requantisers and one in 24 arrays, if small enough, also run as netlists of two-input gates, and one in "
        "24 of each in Verilator. Networks are compared with PyTorch, from their export to an array in Verilator. Exit "
        "code 1 where anything differs.",
        epilog="""\
A case that fails is made as small as it still fails, and written to one file, which --replay runs on all simulators.
The same seed draws the same cases. A run that was stopped goes on where it was: minutes count what ran before. Cases
that still run when the time is over are stopped, which takes up to 10 seconds, and begun anew when the run goes on.
--cases stops after exactly so many, so that the same seed has the same result, whatever --jobs is.

examples:
  python -m sim.fuzz --minutes 10
  python -m sim.fuzz --minutes 480 --seed 7 --out build/fuzz-7
  python -m sim.fuzz --cases 200 --seed 3 --out build/fuzz-3
  python -m sim.fuzz --minutes 5 --only array,network --out build/fuzz-arrays
  python -m sim.fuzz --replay build/fuzz/subword-1a2b3c4d.json""",
    )
    limit = made.add_mutually_exclusive_group()
    limit.add_argument("--minutes", metavar="N", default="1", help="how long, in minutes (default 1)")
    limit.add_argument("--cases", metavar="N", help="how many cases, in place of minutes")
    made.add_argument("--seed", metavar="N", default="1", help="seed of all draws, 0 to 2^64 - 1")
    made.add_argument("--only", metavar="KINDS", help="of mac,requantiser,array,network, split by commas (default all)")
    made.add_argument("--replay", metavar="FILE", type=Path, help="run one case again, and nothing else")
    made.add_argument("--fresh", action="store_true", help="do again what is known already")
    add_jobs(made)
    add_out_folder(made, "cases that fail, and how far the run is", "build/fuzz")
    return made
