"""The commands that take long, each as a real job of seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["JOBS", "NETWORK", "Job"]

SMALL = ("--design", "uniform", "--weight-bits", "2", "--activation-bits", "2", "--lanes", "1")
TRAINING = ("--bits", "4", "--epochs", "12", "--limit", "64", "--batch-size", "16", "--threads", "1")
NETWORK = {
    "architectures": ["ViTForImageClassification"], "model_type": "vit", "image_size": 8, "patch_size": 4,
    "num_channels": 1, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24,
    "hidden_act": "gelu", "layer_norm_eps": 1e-12, "qkv_bias": True, "initializer_range": 0.2,
}  # fmt: skip
"""A vision transformer of one layer, as config.json has it."""


@dataclass(frozen=True)
class Job:
    """A command with options; OUT in them stands for its output folder, INPUTS for the folder of what it reads.

    main: "module:function" that is called with the words as the command line. resume: added where a run is begun.
    printed: what it prints is a result, too. warm: folders of the cache that are filled before it starts. tools:
    programs that it needs where its cache is empty.
    """

    name: str
    words: tuple[str, ...]
    main: str = "siliquant.main:main"
    resume: str | None = None
    printed: bool = False
    warm: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()

    def line(self, out: Path, inputs: Path) -> list[str]:
        """Its words; those that go on with a run where there is one in ``out``."""
        words = [word.replace("OUT", str(out)).replace("INPUTS", str(inputs)) for word in self.words]
        if self.resume is not None and (out / "run.json").exists():
            return [words[0], self.resume, "--out", str(out)]
        return words


BUILD = ("g++", "make")
FLOW = ("sta", "iverilog", "vvp")
JOBS = (
    Job("gen", ("gen", *SMALL, "--array", "2x2", "--out", "OUT"), printed=True),
    Job("synth", ("synth", *SMALL, "--effort", "quick", "--jobs", "2", "--out", "OUT"), tools=FLOW),
    Job("calibrate", ("calibrate", "--effort", "quick", "--jobs", "2", "--out", "OUT"), "tests.faults.small:calibrate",
        tools=FLOW),
    Job("gates", ("gates", "--recipes", "1", "--out", "OUT/gates.json"), "tests.faults.small:gates", tools=FLOW),
    Job("validate", ("validate", "--library", "sky130hd"), printed=True),
    Job("prove", ("prove", "--jobs", "2", "--out", "OUT/proofs.json"), "tests.faults.small:prove"),
    Job("mutate", ("mutate", "--count", "6", "--least", "50", "--jobs", "2", "--out", "OUT/mutants.json"),
        "tests.faults.small:mutate", tools=BUILD),
    Job("agree", ("agree", "--jobs", "2", "--out", "OUT/agreements.json"), "tests.faults.small:agree",
        tools=(*BUILD, "iverilog", "vvp")),
    Job("fuzz", ("fuzz", "--cases", "6", "--jobs", "2", "--out", "OUT"),
        tools=(*BUILD, "iverilog", "vvp")),
    Job("train", ("train", "--model", "INPUTS/network", "--data", "digits", *TRAINING, "--checkpoint-minutes", "0",
                  "--out", "OUT"), resume="--resume"),
    Job("evaluate", ("evaluate", "--checkpoint", "INPUTS/run"), printed=True),
    Job("analyse", ("analyse", "--checkpoint", "INPUTS/run", "--bits", "4", "--convnet-epochs", "1", "--samples", "64",
                    "--out", "OUT")),
    Job("softlabels", ("softlabels", "--teacher", "INPUTS/run", "--data", "digits", "--crops", "2",
                       "--images-per-shard", "128", "--out", "OUT")),
    Job("export", ("export", "--checkpoint", "INPUTS/run", "--samples", "40", "--out", "OUT")),
    Job("verify", ("verify", "--checkpoint", "INPUTS/integers", "--array", "2x2", "--lanes", "4", "--depth", "256",
                   "--jobs", "2", "--out", "OUT/equivalence.json"), tools=BUILD),
    Job("compare", ("compare", "--bits", "4", "--designs", "subword", "--requant-bits", "none", "--out", "OUT"),
        printed=True),
    Job("report", ("report", "--bits", "4", "--model", "vit-mnist", "--out", "OUT"), warm=("features",)),
    Job("record", ("record", "OUT"), "tests.faults.small:record"),
    Job("demo", ("demo", "--epochs", "1", "--bit-epochs", "1", "--limit", "64", "--export-samples", "2", "--samples",
                 "1", "--array", "2x2", "--lanes", "2", "--threads", "1", "--out", "OUT"),
        warm=("features", "qat-kernels"), tools=(*BUILD, *FLOW)),
)  # fmt: skip
"""All, in the order in which they are tried."""


def write_network(folder: Path) -> None:
    """Writes the folder that describes the network of the jobs."""
    folder.mkdir(parents=True)
    labels = {str(number): f"LABEL_{number}" for number in range(10)}
    config = {**NETWORK, "id2label": labels, "label2id": {name: int(number) for number, name in labels.items()}}
    (folder / "config.json").write_text(json.dumps(config))
