"""The training loop.  Every draw is a function of (seed, epoch, step), so that a resumed run is the same run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from qat.data import Data, SoftLabelStore, TextSplit, Views, batches, epoch_indices, worker_count
from qat.files import first_line
from qat.network import (
    BinRegulariser,
    ConfidenceGuidedAnnealing,
    Freezer,
    OscillationTracker,
    attention_distillation,
    hidden_state_distillation,
    quantizers,
    query_key_products,
    regulariser_weight,
    soft_cross_entropy,
    weight_quantizers,
)
from qat.quantisers import RELATIVE_FLOOR, ElasticBinarizer, FourierSurrogate, Quantizer
from qat.settings import Options
from siliquant.files import save_atomically
from siliquant.inputs import InputError, short

from .accuracy import evaluate, inputs_of
from .averaging import Average
from .distributed import Processes
from .mixing import mix_weight, mixed, mixed_cross_entropy, shown_labels
from .readings import Readings
from .softlabels import replay

__all__ = ["Training", "calibration_inputs", "steps_per_epoch", "train"]


@dataclass(eq=False)
class Training:
    """All that a training changes, and what it needs besides.

    `model` is the bare model; `teacher` and `store` are the sources of soft labels, at most one of them.
    """

    options: Options
    data: Data
    model: PreTrainedModel
    processes: Processes
    teacher: PreTrainedModel | None = None
    store: SoftLabelStore | None = None
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=lambda: {"loss": 0.0, "correct": 0.0, "samples": 0.0})
    history: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        options = self.options
        self.readings = Readings(self.processes.device)
        groups = _parameter_groups(self.model, options)
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=options.lr, fused=True)
        self.average = None if options.ema is None else Average(self.model, options.ema)
        self.relatives = [q.relative for q in quantizers(self.model).values()]
        self.weights = weight_quantizers(self.model)
        self.regulariser = BinRegulariser(self.weights.values(), options.obr_max_bits)
        self.tracker = OscillationTracker(self.weights) if self.weights else None
        self.freezer = None
        if options.freeze is not None and self.weights:
            self.freezer = Freezer(self.weights, threshold=options.freeze)
        self.products = query_key_products(self.model)
        self._annealing = None
        if options.cga:
            inner = weight_quantizers(self.model, of_blocks=True)
            self._annealing = ConfidenceGuidedAnnealing(inner, boundary_range=options.cga_range)
        if options.surrogate == "fourier":
            _set_surrogate(self.model, options)

    def annealing(self, step: int) -> ConfidenceGuidedAnnealing | None:
        """What holds weights in that step of this epoch; None before the epochs of annealing."""
        done = self.epoch + step / self.steps_per_epoch
        return self._annealing if done >= self.options.epochs - self.options.cga else None

    @property
    def steps_per_epoch(self) -> int:
        """As :func:`steps_per_epoch`."""
        return steps_per_epoch(self.data, self.options)

    @property
    def evaluated(self) -> PreTrainedModel:
        """The model, or its average where one is kept: what is judged and saved."""
        return self.model if self.average is None else self.average.model

    @property
    def workers(self) -> int:
        """Processes that load images for this one."""
        return worker_count(self.data.train, self.options.workers, self.processes.device, self.processes.beside)

    def save(self, path: Path) -> None:
        """Everything that `load` needs, in one file that torch.load reads with weights_only.

        ValueError where a loss or gradient of a step before was not finite: nothing is saved then.
        """
        self.readings.settle()
        state: dict[str, Any] = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "tracker": self.tracker.state_dict() if self.tracker else None,
            "freezer": self.freezer.state_dict() if self.freezer else None,
            **({"average": self.average.state_dict()} if self.average else {}),
            "epoch": self.epoch,
            "step": self.step,
            "sums": self.sums,
            "history": self.history,
        }
        save_atomically(path, lambda stream: torch.save(state, stream))

    def load(self, state: Mapping[str, Any], path: Path) -> None:
        """Goes on with the state that `save` wrote to `path`.  ValueError when it is of another run."""
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.tracker:
                self.tracker.load_state_dict(state["tracker"])
            if self.freezer:
                self.freezer.load_state_dict(state["freezer"])
            if self.average:
                self.average.load_state_dict(state["average"])
            self.epoch, self.step = state["epoch"], state["step"]
            self.sums, self.history = state["sums"], state["history"]
            self._check_progress()
        except MemoryError:
            raise
        except Exception as error:  # an optimizer's state has no check of its own
            raise InputError(f"{path} must be a checkpoint of this run: {first_line(error)}") from None

    def _check_progress(self) -> None:
        """Raises InputError for what no run of these options can have come to."""
        sums: Any = self.sums
        history: Any = self.history
        for name, most in (("epoch", self.options.epochs), ("step", self.steps_per_epoch)):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= most:
                raise InputError(f"{name} must be an integer from 0 to {most}, not {short(value)}")
        if not isinstance(sums, dict) or not all(
            type(sums.get(name)) in (int, float) for name in ("loss", "correct", "samples")
        ):
            raise InputError("sums must be numbers by name")
        if not isinstance(history, list) or not all(
            isinstance(record, dict) and {"epoch", "test_score", "test_low", "test_high"} <= set(record)
            for record in history
        ):
            raise InputError("history must be a list of records, one an epoch")

    def finish_epoch(self, seconds: float, samples: int) -> dict[str, Any]:
        """Evaluates and sums up; the same record in every process.  ValueError when the loss is not finite."""
        processes, options = self.processes, self.options
        self.readings.settle()
        result = evaluate(
            self.evaluated,
            self.data,
            batch_size=max(options.batch_size, 64),
            device=processes.device,
            workers=self.workers,
            rank=processes.rank,
            world=processes.world,
        )
        result = processes.gathered(result)
        try:
            result.check_finite()
        except InputError as error:
            raise InputError(
                f"{error.sentence}, after epoch {self.epoch + 1}; the last checkpoint is kept: try a lower lr or clip"
            ) from None
        sums = processes.summed(self.sums)
        low, high = result.interval()
        annealing = self.annealing(self.steps_per_epoch - 1)  # in the last step
        return {
            "epoch": min(self.epoch + 1, options.epochs),
            "loss": sums["loss"] / sums["samples"] if sums["samples"] else None,
            "train_accuracy": sums["correct"] / sums["samples"] if sums["samples"] else None,
            "test_loss": result.loss,
            "test_score": result.score,
            "test_low": low,
            "test_high": high,
            **{f"test_{name}": score.value for name, score in list(result.scores.items())[1:]},
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "oscillation": self.tracker.share() if self.tracker else None,
            "frozen": self.freezer.share() if self.freezer else None,
            "held": annealing.share() if annealing else None,
            "seconds": seconds,
            "samples_per_second": samples / max(seconds, 1e-9),
            "oscillation_by_module": self.tracker.shares() if self.tracker else None,
        }


def steps_per_epoch(data: Data, options: Options) -> int:
    """Whole batches in an epoch; at least one. InputError where the epochs of annealing have no step."""
    steps = max(len(data.train.labels) // options.batch_size, 1)
    if options.cga and options.cga * steps < 1:
        raise InputError(f"cga must be 0, or at least one step, which is {1 / steps:g} epochs, not {options.cga:g}")
    return steps


def train(
    training: Training, save: Callable[[Training], None], report: Callable[[Training, float], None]
) -> list[dict[str, Any]]:
    """Trains to the end of the last epoch and returns the history, one record an epoch.

    `save` is called after each epoch and every `checkpoint_minutes`, on rank 0; `report` after each step, with
    the samples per second of this process.
    ValueError when a loss or the gradient is not finite, on CUDA some steps later: nothing is saved then.
    """
    options, processes = training.options, training.processes
    device = processes.device
    cast(nn.Module, training.model).to(device)
    network: nn.Module = training.model
    if processes.world > 1:
        network = DistributedDataParallel(training.model, broadcast_buffers=True)
    saved = time.monotonic()
    while training.epoch < options.epochs:
        began, fresh = time.monotonic(), 0
        training.model.train()
        for indices, fetched, probabilities in _epoch(training):
            _take_step(training, network, indices, fetched, probabilities)
            training.step += 1
            fresh += options.batch_size
            if processes.rank == 0:
                report(training, fresh / (time.monotonic() - began))
                if time.monotonic() - saved >= 60 * options.checkpoint_minutes:
                    save(training)
                    saved = time.monotonic()
        training.history.append(training.finish_epoch(time.monotonic() - began, fresh))
        training.epoch, training.step = training.epoch + 1, 0
        training.sums = dict.fromkeys(training.sums, 0.0)
        if processes.rank == 0:
            save(training)
            saved = time.monotonic()
    return training.history


def calibration_inputs(options: Options, data: Data, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """The first batches of training samples, as the model sees them in training; the same in every process."""
    order = epoch_indices(len(data.train.labels), options.seed, 0)
    size = options.batch_size
    parts = [order[i * size : (i + 1) * size] for i in range(options.calibration_batches)]
    plan = [(part, _augmented(data, options.seed, 0, part)) for part in parts if len(part)]
    for fetched in batches(data.train, plan, 0):
        yield inputs_of(fetched, device)


def _parameter_groups(model: nn.Module, options: Options) -> list[dict[str, Any]]:
    """Matrices, other parameters, and those of quantisers; `factor` multiplies the learning rate."""
    owners = [m for m in model.modules() if isinstance(m, Quantizer)]
    owned = {id(p) for m in owners for p in m.parameters(recurse=False)}
    trained = [p for p in model.parameters() if p.requires_grad]
    rest = [p for p in trained if id(p) not in owned]
    scales: list[dict[str, Any]] = []
    if options.scale_steps == "absolute":
        # AdamW's step does not depend on the size of a gradient: of scale / start it is this much larger.
        for quantizer in owners:
            factor = options.scale_lr / float(quantizer.start.mean())
            scales.append({"params": [p for p in (quantizer.relative,) if p.requires_grad], "factor": factor})
            owned.discard(id(quantizer.relative))
    scales.append({"params": [p for p in trained if id(p) in owned], "factor": options.scale_lr})
    return [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        *({**group, "weight_decay": 0.0} for group in scales),
    ]


def _set_surrogate(model: nn.Module, options: Options) -> None:
    """Weights of one bit keep the straight-through estimator: what becomes of them is a sign."""
    surrogate = FourierSurrogate(options.surrogate_amplitude, options.surrogate_order)
    for quantizer in quantizers(model).values():
        if quantizer.of_weight and not isinstance(quantizer, ElasticBinarizer):
            quantizer.surrogate = surrogate


def _augmented(data: Data, seed: int, epoch: int, indices: NDArray[np.int64]) -> Views | None:
    if data.augmentation is None or isinstance(data.train, TextSplit):
        return None
    return data.augmentation.sample(seed, epoch, indices, 0, data.train.sizes(indices))


def _epoch(training: Training) -> Iterator[tuple[NDArray[np.int64], Any, Tensor | None]]:
    """Indices, fetched samples and, from a store, soft labels of this process's share of each step that is left."""
    options, data, store = training.options, training.data, training.store
    mine = slice(training.processes.rank, None, training.processes.world)
    steps: list[tuple[NDArray[np.int64], NDArray[np.int64] | None]]
    if store is not None:
        steps = list(replay(store, options.seed, training.epoch, options.batch_size, options.crops_per_image))
    else:
        order = epoch_indices(len(data.train.labels), options.seed, training.epoch)
        steps = [(order[i : i + options.batch_size], None) for i in range(0, len(order), options.batch_size)]
    steps = steps[training.step : training.steps_per_epoch]
    shares = [(indices[mine], None if crops is None else crops[mine]) for indices, crops in steps]

    def plan() -> Iterator[tuple[NDArray[np.int64], Views | None]]:
        for indices, crops in shares:
            if store is not None and crops is not None:
                yield indices, store.views(indices, crops)
            else:
                yield indices, _augmented(data, options.seed, training.epoch, indices)

    pinned = training.processes.device.type == "cuda"
    found = batches(data.train, plan(), training.workers, pinned=pinned)
    for (indices, crops), fetched in zip(shares, found, strict=True):
        soft = None
        if store is not None and crops is not None:
            soft = torch.as_tensor(store.probabilities(indices, crops))
        yield indices, fetched, soft


def _take_step(
    training: Training, network: nn.Module, indices: NDArray[np.int64], fetched: Any, probabilities: Tensor | None
) -> None:
    options, device = training.options, training.processes.device
    progress = (training.epoch + training.step / training.steps_per_epoch) / options.epochs
    _set_learning_rate(training, progress)
    # Dropout, drop path and the like: the same at this step whatever came before.
    seeds = np.random.SeedSequence([options.seed, training.epoch, training.step, training.processes.rank])
    torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0] >> 1))
    labels = _moved(torch.from_numpy(np.asarray(training.data.train.labels)[indices]), device)
    if probabilities is not None:
        probabilities = _moved(probabilities, device)
    weight = mix_weight(options.mixup, options.seed, training.epoch, training.step)
    annealing = training.annealing(training.step)
    for product in training.products:
        product.held_beyond = options.cga_range if annealing else None
    with torch.autocast(device.type, torch.bfloat16, enabled=options.amp and device.type == "cuda"):
        loss, logits = _loss(
            training, network, _mixed_inputs(inputs_of(fetched, device), weight), labels, probabilities, weight
        )
    if options.obr and training.weights:
        strength = regulariser_weight(options.obr, progress)
        if strength:
            loss = loss + strength * training.regulariser()
    readings = training.readings
    readings.take(loss, _finite("loss", training))
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if annealing is not None:
        annealing.hold()
    norm = nn.utils.clip_grad_norm_(training.model.parameters(), options.clip or math.inf)
    readings.take(norm, _finite("norm of the gradient", training))
    training.optimizer.step()
    if annealing is not None:
        annealing.put_back()
    with torch.no_grad():
        for relative in training.relatives:  # a scale at its floor can come back with the next step
            relative.clamp_(min=RELATIVE_FLOOR)
    if training.tracker is not None:
        training.tracker.update()
        if training.freezer is not None:
            training.freezer.update(training.tracker.frequency)
    if training.average is not None:
        training.average.update(training.model)
    readings.take(loss, _added(training.sums, "loss", len(indices)))
    training.sums["samples"] += len(indices)
    if not labels.is_floating_point():
        correct = (logits.argmax(-1) == shown_labels(labels, weight)).sum()
        readings.take(correct, _added(training.sums, "correct", 1))
    readings.end_step()


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """On the device; CUDA copies from pinned memory while this process goes on."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _mixed_inputs(inputs: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    if weight == 1:
        return inputs
    return {**inputs, "pixel_values": mixed(inputs["pixel_values"], weight)}


def _added(sums: dict[str, float], name: str, samples: int) -> Callable[[float], None]:
    def add(value: float) -> None:
        sums[name] += value * samples

    return add


def _finite(what: str, training: Training) -> Callable[[float], None]:
    """Raises InputError, with the step of now, for a number that is not finite."""
    when = _when(training)

    def check(value: float) -> None:
        if not math.isfinite(value):
            raise InputError(
                f"the {what} must stay finite, but is {value} {when}; "
                "the last checkpoint is kept: try a lower lr or clip"
            )

    return check


def _teacher_finite(training: Training) -> Callable[[float], None]:
    when = _when(training)

    def check(finite: float) -> None:
        if not finite:
            raise InputError(f"the outputs of the teacher must be finite numbers, but are not {when}")

    return check


def _when(training: Training) -> str:
    return f"at epoch {training.epoch + 1}, step {training.step + 1}"


def _loss(
    training: Training,
    network: nn.Module,
    inputs: dict[str, Tensor],
    labels: Tensor,
    probabilities: Tensor | None,
    weight: float,
) -> tuple[Tensor, Tensor]:
    """Loss and logits; `weight` is that of MixUp."""
    teacher = training.teacher
    layers = training.options.distill == "layers"
    outputs = network(**inputs, output_hidden_states=True, output_attentions=True) if layers else network(**inputs)
    logits: Tensor = outputs.logits
    if probabilities is not None:
        return soft_cross_entropy(logits, probabilities), logits
    if teacher is None:
        if labels.is_floating_point():
            return F.mse_loss(logits.float()[:, 0], labels), logits
        return mixed_cross_entropy(logits.float(), labels, weight, training.options.label_smoothing), logits
    with torch.no_grad():
        theirs = teacher(**inputs, output_hidden_states=layers, output_attentions=layers)
    training.readings.take(theirs.logits.isfinite().all(), _teacher_finite(training))
    if labels.is_floating_point():
        loss = F.mse_loss(logits.float(), theirs.logits.float())
    else:
        loss = soft_cross_entropy(logits, theirs.logits.float().softmax(-1))
    if layers:
        mask = inputs.get("attention_mask")
        if mask is None:
            mask = torch.ones(outputs.hidden_states[-1].shape[:2], device=logits.device)
        loss = loss + hidden_state_distillation(outputs.hidden_states, theirs.hidden_states, mask)
        loss = loss + attention_distillation(outputs.attentions, theirs.attentions, mask)
    return loss, logits


def _set_learning_rate(training: Training, progress: float) -> None:
    options = training.options
    warm = options.warmup / options.epochs
    if progress < warm:
        share = (progress + 1 / (training.steps_per_epoch * options.epochs)) / warm
    else:
        share = 0.5 * (1 + math.cos(math.pi * (progress - warm) / (1 - warm)))
    for group in training.optimizer.param_groups:
        group["lr"] = options.lr * min(share, 1.0) * group.get("factor", 1.0)
