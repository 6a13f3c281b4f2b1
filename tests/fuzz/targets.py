"""Every reader of files with small good inputs: what is fuzzed is a copy of one of them with one file damaged."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import samples

__all__ = ["Target", "targets"]

Files = Mapping[str, bytes]
"""Contents by path relative to the input's folder."""


@dataclass(frozen=True)
class Target:
    """A reader. seeds: inputs that it takes. read: called with the folder of the files and the damaged file."""

    name: str
    seeds: Callable[[], list[Files]]
    read: Callable[[Path, Path], Any]


def targets() -> list[Target]:
    """All readers whose packages are installed."""
    found = [*_hwmodel(), *_reports()]
    if importlib.util.find_spec("torch") is not None:
        found += _qat()
    return found


def _hwmodel() -> Iterator[Target]:
    from hwmodel.inference.memories import read_sram
    from hwmodel.liberty.files import LibertyFiles
    from hwmodel.liberty.tree import parse_liberty
    from hwmodel.library.digest import digest_liberty
    from hwmodel.measurement.row import SynthesisRow
    from hwmodel.measurement.table import read_calibration, spec_of
    from hwmodel.model.file import read_model
    from hwmodel.operands.recorded import read_recording
    from hwmodel.placement.lef import read_lef
    from hwmodel.workload import read_workload
    from hwmodel.workload.mixture import parse_mixture
    from hwmodel.workload.sensitivity import read_sensitivity
    from siliquant.inputs.policies import policy_widths
    from siliquant.inputs.reading import read_text

    def liberty(_: Path, file: Path) -> None:
        facts, slim = digest_liberty(LibertyFiles((file,)).library())
        assert {cell.name for cell in parse_liberty(slim).group_iter("cell")} == set(facts.areas)

    yield Target("sensitivity", samples.sensitivities, lambda _, file: read_sensitivity(file))
    yield Target("policy", samples.policies, lambda _, file: policy_widths(file))
    yield Target("workload", samples.workloads, lambda _, file: read_workload(file))
    yield Target("workload table", samples.workload_tables, lambda _, file: read_workload(file))
    yield Target("cost model", samples.cost_models, lambda _, file: read_model(file))
    yield Target("memories", samples.memories, lambda _, file: read_sram(file))
    yield Target("calibration", samples.calibrations, lambda folder, _: read_calibration(folder / "freepdk45.csv"))
    yield Target("recording", samples.recordings, lambda _, file: read_recording(file))
    yield Target("row", samples.rows, lambda _, file: SynthesisRow.from_json(read_text(file)))
    yield Target("Liberty", samples.liberties, liberty)
    yield Target("LEF", samples.lefs, lambda _, file: read_lef(file))
    yield Target("parameters", samples.parameters, lambda _, file: spec_of("subword", read_text(file)))
    yield Target("mixture", samples.mixtures, lambda _, file: parse_mixture(read_text(file)))


def _reports() -> Iterator[Target]:
    from reports.inputs.accuracies import read_accuracies
    from reports.inputs.comparison import read_rows
    from reports.inputs.equivalence import read_equivalence
    from reports.inputs.oscillation import read_oscillation
    from reports.inputs.training import read_study
    from reports.runs import read_run

    yield Target("accuracies", samples.accuracies, lambda _, file: read_accuracies(file))
    yield Target("comparison", samples.comparisons, lambda _, file: read_rows(file))
    yield Target("equivalence", samples.equivalences, lambda _, file: read_equivalence(file))
    yield Target("training runs", samples.studies, lambda _, file: read_study(file))
    yield Target("oscillation", samples.oscillations, lambda _, file: read_oscillation(file))
    yield Target("run, summary", samples.runs, lambda folder, _: read_run(folder))


def _qat() -> Iterator[Target]:
    from qat.data.datasets import open_data
    from qat.data.fkd import read_fkd
    from qat.data.softlabels import SoftLabelStore
    from qat.integers.integer import IntegerModel
    from qat.models.checkpoints import load_pretrained
    from qat.settings.options import merge, read_config, typed
    from qat.training.runs import load_run

    def images(folder: Path, _: Path) -> None:
        data = open_data(f"imagefolder:{folder}", image_size=8)
        for split in (data.train, data.test):
            split.fetch(np.arange(len(split.labels)))

    yield Target("configuration", samples.configurations, lambda _, file: merge(typed(read_config(file))))
    yield Target("sentences", samples.sentences, lambda folder, _: open_data(f"glue:sst2:{folder}"))
    yield Target("images", samples.images, images)
    yield Target("checkpoint", samples.checkpoints, lambda _, file: load_pretrained(file, config=samples.tiny_config()))
    yield Target("model folder", samples.model_folders, lambda folder, _: load_pretrained(folder))
    yield Target("integers", samples.integers, lambda folder, _: IntegerModel.load(folder))
    yield Target("run", samples.trained_runs, lambda folder, _: load_run(folder))
    yield Target("soft labels", samples.soft_labels, lambda folder, _: SoftLabelStore.open(folder))
    yield Target("FKD labels", samples.fkd_labels, lambda _, file: read_fkd(file, 10))
