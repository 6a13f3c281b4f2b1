"""The training loop, the folder of a run, and accuracy.

Read ``runs`` (what a folder holds), ``trainer``, ``accuracy``, ``rundata``, ``classes``,
``softlabels`` (stored and replayed), ``distributed``.
"""

from __future__ import annotations

from .accuracy import Evaluation, evaluate, inputs_of, split_batches
from .classes import check_recorded, classes_of, compare_classes
from .distributed import Processes, device_named, processes
from .metrics import METRICS
from .rundata import check_inputs, look_of, normalised, open_run_data, stated_look
from .runs import (
    RunRecord,
    check_origin,
    load_run,
    load_start,
    load_state,
    load_teacher,
    model_config,
    names_of_skipped,
    network_of,
    read_record,
    read_state,
    save_record,
)
from .softlabels import make_store, replay, weights_sha256
from .trainer import Training, calibration_inputs, steps_per_epoch, train

__all__ = [
    "METRICS",
    "Evaluation",
    "Processes",
    "RunRecord",
    "Training",
    "calibration_inputs",
    "check_inputs",
    "check_origin",
    "check_recorded",
    "classes_of",
    "compare_classes",
    "device_named",
    "evaluate",
    "inputs_of",
    "load_run",
    "load_start",
    "load_state",
    "load_teacher",
    "look_of",
    "make_store",
    "model_config",
    "names_of_skipped",
    "network_of",
    "normalised",
    "open_run_data",
    "processes",
    "read_record",
    "read_state",
    "replay",
    "save_record",
    "split_batches",
    "stated_look",
    "steps_per_epoch",
    "train",
    "weights_sha256",
]
