"""The command lines of qat, apart from the commands so that help and bad options are answered without torch."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from qat.settings import AUGMENTATIONS, DATA, IMAGE_STATS_HELP, PRESET_NAMES, add_arguments
from siliquant.commandline import (
    Parser,
    add_batch_size,
    add_checkpoint,
    add_format,
    add_out_file,
    add_out_folder,
    add_samples,
)
from siliquant.inputs import integer

__all__ = ["analyse", "evaluate", "export", "read_workers", "softlabels", "trace", "train"]


def train() -> Parser:
    """Of qat.train."""
    made = Parser(
        prog="python -m qat.train",
        description="Trains a low-bit (or full-precision) transformer and keeps everything of it in one folder.",
        epilog="In several processes: torchrun --nproc-per-node 4 -m qat.train ...; docs/training.md is the manual.\n\n"
        "example:\n"
        "  python -m qat.train --bits 2 --start runs/fp --teacher runs/fp --obr 0.01 --out runs/w2a2",
        rare=True,
    )
    made.add_argument("--config", type=Path, metavar="FILE", help="YAML or TOML with the same names; flags win")
    made.add_argument("--resume", action="store_true", help="go on with the run in --out")
    made.add_argument("--dry-run", action="store_true", help="print what would be trained and end")
    made.add_argument("--list-models", action="store_true", help="print the networks and end")
    add_arguments(made)
    made.suggestions["model"] = PRESET_NAMES
    return made


def evaluate() -> Parser:
    """Of qat.evaluate."""
    made = Parser(
        prog="python -m qat.evaluate",
        description="Accuracy of a run on its test split, or what is published of a GLUE task, with a 95 % confidence "
        "interval.",
        epilog="example:\n  python -m qat.evaluate --checkpoint runs/vit-mnist-w2a2",
    )
    add_checkpoint(made, required=True)
    add_batch_size(made, 256)
    add_skip(made)
    add_machine(made)
    add_format(made, "text", "json")
    return made


def analyse() -> Parser:
    """Of qat.analyse."""
    made = Parser(
        prog="python -m qat.analyse",
        description="Why a network is hard to quantise. Each class of operands, and each GEMM, is quantised alone, and "
        "left out where all else is quantised: loss and accuracy over the same samples, with intervals. Outliers of "
        "weights and activations stand beside those of a ConvNet that is trained on the same images; oscillating "
        "weights are those of the runs given.",
        epilog="""\
Without --data, the validation split of what a run was trained on is measured. DIR gets analysis.json, figures, and
sensitivity.json and .csv for siliquant policy --sensitivity. The same command goes on after an interruption; what was
measured is in DIR/measurements. docs/analysis.md says what the numbers mean.

A run to try it on: siliquant train --data digits@validation --bits 32 --epochs 6 --lr 2e-3 --warmup 1 --out runs/digits

example:
  python -m qat.analyse --checkpoint runs/digits --bits 2,4 --convnet-epochs 2 --out build/analysis""",
    )
    made.add_argument("--checkpoint", type=Path, metavar="DIR", required=True,
                      help="folder of a trained run, or of Hugging Face")  # fmt: skip
    made.add_argument("--data", metavar="NAME", help=f"data set: {', '.join(DATA)} "
                      "(default: the validation split of what the run was trained on)")  # fmt: skip
    made.add_argument("--bits", metavar="B,B", default="2,3,4", help="bits of weights and activations, each 2 to 8")
    made.add_argument("--epochs", metavar="N", default="0",
                      help="epochs of training, before each measurement; 0: calibrated scales only")  # fmt: skip
    made.add_argument("--lr", metavar="LR", default="5e-4", help="peak learning rate of AdamW; a cosine to 0")
    made.add_argument("--by-layer", action="store_true", help="measure the GEMMs of single layers, too")
    made.add_argument("--by-head", action="store_true", help="single heads of attention, measured too")
    made.add_argument("--convnet-epochs", metavar="N", default="8",
                      help="epochs of the ConvNet that images are compared with; 0: none")  # fmt: skip
    made.add_argument("--runs", type=Path, nargs="+", metavar="DIR", help="folders of quantised runs, whose "
                      "oscillating weights are compared with their scores (default: the checkpoint's)")  # fmt: skip
    add_samples(made, None, " that are measured, drawn by --seed (default: all)")
    made.add_argument("--tokenizer", type=Path, metavar="DIR",
                      help="Hugging Face folder with a tokenizer (default: MiniLM's)")  # fmt: skip
    made.add_argument("--seed", default="0", metavar="N", help="seed of all draws, 0 to 2^64 - 1")
    add_batch_size(made, 256)
    add_machine(made)
    add_out_folder(made, "the analysis", required=True)
    return made


def export() -> Parser:
    """Of qat.export."""
    made = Parser(
        prog="python -m qat.export",
        description="Writes the integers of a quantised run (see docs/integer-format.md) and checks them on its test "
        "split: logits and codes of the integer network against the fake-quantised one. Of a quantised network that "
        "save_pretrained wrote it checks them on random inputs. Exit code 1 when a prediction, a code or a logit "
        "differs.\n\nAs --format qonnx or onnx it writes a graph for other programs, "
        "network.onnx (see docs/exchange.md), and runs that file: its products are of floats, so that codes may differ "
        "where noise lies on a border of two. Exit code 1 when a prediction differs.",
        epilog="""\
examples:
  python -m qat.export --checkpoint runs/vit-mnist-w4a4 --out integer/vit-mnist-w4a4
  python -m qat.export --checkpoint runs/vit-mnist-w4a4 --format qonnx --out build/vit-mnist-w4a4""",
    )
    add_checkpoint(made, required=True)
    add_out_folder(made, "the two files of integers, or network.onnx", required=True)
    made.add_argument("--format", choices=("integers", "qonnx", "onnx"), default="integers", metavar="NAME",
                      help="what is written")  # fmt: skip
    add_samples(
        made, None, " that are checked, 0 to 2^32 - 1 (default: all; of a file of ONNX or without a run 16; 0: none)"
    )
    add_machine(made)
    return made


def softlabels() -> Parser:
    """Of qat.softlabels."""
    made = Parser(
        prog="qat.softlabels",
        description="Stores a teacher's soft labels of many crops of every training image. Multi-crop knowledge "
        'distillation (after Shen and Xing, "A Fast Knowledge Distillation Framework", 2022): the teacher runs once; '
        "training replays the stored views and labels.",
        epilog="""\
DIR is filled shard by shard. The same command goes on after an interruption; with more crops, only the new ones are
made. The manifest says what the labels are of; anything else about them needs another folder.

examples:
  python -m qat.softlabels --teacher runs/fp --data mnist5k --crops 8 --out labels/mnist5k
  python -m qat.softlabels --teacher deit/ --data imagefolder:imagenet --crops 200 --out labels/in
  python -m qat.softlabels --from-fkd released/ --data imagefolder:imagenet --out labels/fkd""",
    )
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument("--teacher", type=Path, metavar="PATH", help="teacher: a run, a folder or a file of weights")
    source.add_argument("--from-fkd", type=Path, metavar="DIR", help="take the labels of an FKD release instead")
    made.add_argument("--data", required=True, metavar="NAME", help=f"data set: {', '.join(filter(has_images, DATA))}")
    add_out_folder(made, "the soft labels", required=True)
    made.add_argument("--crops", metavar="M", help="crops of each image, 1 to 99999 (with --from-fkd: all)")
    made.add_argument("--top-k", default="5", metavar="K", help="probabilities kept of each crop, 1 to 4096")
    made.add_argument(
        "--scale", metavar="LOW,HIGH", help="areas of random crops, in 0 to 1 (default: the data's own augmentation)"
    )
    made.add_argument("--seed", default="0", metavar="N", help="seed of all draws, 0 to 2^64 - 1")
    made.add_argument(
        "--model",
        metavar="NAME",
        help="network, of a teacher that is bare weights: a name or a folder with a config.json",
    )
    made.add_argument("--image-size", metavar="N", help="pixels a side of images, 1 to 4096 (default: the network's)")
    add_batch_size(made, 256)
    made.add_argument(
        "--augment", choices=AUGMENTATIONS, metavar="NAME",
        help="how training images are seen (default: crops of folders, shifts of others)",
    )  # fmt: skip
    made.add_argument("--image-stats", metavar="STATS", help=f"{IMAGE_STATS_HELP} (default: as the teacher says)")
    made.add_argument("--limit", metavar="N", help="train on so many samples only, 1 to 4294967295")
    made.add_argument("--images-per-shard", default="1024", metavar="N", help="images of one file, 1 to 2^30")
    add_skip(made)
    add_machine(made)
    made.suggestions["model"] = PRESET_NAMES
    return made


def add_machine(parser: Parser) -> None:
    """``--workers N``, as text or None, and ``--device NAME``."""
    parser.add_argument(
        "--workers", metavar="N",
        help="processes that load images, 0 to 64 (default: the cores that are left, at most 8)",
    )  # fmt: skip
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", metavar="NAME",
                        help="where PyTorch computes")  # fmt: skip


def read_workers(options: Namespace) -> int | None:
    """What ``--workers`` says, 0 to 64; None where it is not given. Raises ValueError."""
    return None if options.workers is None else integer("workers", options.workers, 0, 64)


def add_skip(parser: Parser) -> None:
    """``--skip-unreadable N``, as text."""
    parser.add_argument(
        "--skip-unreadable", default="0", metavar="N",
        help="leave out up to so many images that cannot be read, 0 to 1000000; every image is decoded to see",
    )  # fmt: skip


def has_images(data: str) -> bool:
    """Whether a data set is of images, by its name."""
    return data != "mr" and not data.startswith("glue:")


def trace() -> Parser:
    """Of qat.trace."""
    made = Parser(
        prog="qat.trace",
        description="The matrix products of one inference of a network, by shape. The network, with random weights, "
        "runs once with integers, and every product that its layers ask for is written down. So the list has what "
        "really runs: each window, each head, each repeated application of a block.\n\nOf a QONNX file, as Brevitas "
        "writes it, the products of two quantised operands are listed, and --policy-out has their widths.",
        epilog="""\
A folder of Hugging Face needs its config.json only; --model of compare, latency, policy and report takes the file.

examples:
  python -m qat.trace --model deit-tiny --out deit-tiny.json
  python -m qat.trace --model mine/ --out mine.json
  python -m qat.trace --model llama-small --tokens 128 --phase decode --out decode.json
  python -m qat.trace --model mine.onnx --out mine.json --policy-out widths.json""",
    )
    made.add_argument(
        "--model", required=True, metavar="NAME", help="network: a name, a folder with a config.json, or a QONNX file; "
        f"the names are {', '.join(PRESET_NAMES)}"
    )  # fmt: skip
    made.add_argument("--tokens", metavar="N", help="length of a text (default: 128, or the network's most)")
    made.add_argument(
        "--labels", metavar="N", help="classes, 1 to 65536 (default: a folder's own; else 1000 for images, 2 for texts)"
    )
    made.add_argument(
        "--phase", choices=("prefill", "decode"), metavar="NAME",
        help="of a decoder: all N tokens at once (prefill, the default), or the last of them with a cache of the others"
    )  # fmt: skip
    made.suggestions["model"] = PRESET_NAMES
    add_out_file(made, "the list of GEMMs, JSON", required=True)
    made.add_argument(
        "--policy-out", type=Path, metavar="FILE", help="write the bits of every GEMM of a QONNX file, for --policy"
    )
    return made
