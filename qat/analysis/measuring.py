"""Measures a network with some parts quantised: scales found on training samples, trained for a while or not."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from qat.data import worker_count
from qat.network import calibrate, quantize_model, weight_quantizers
from qat.settings import Options, Scheme
from qat.training import Evaluation, Processes, Training, calibration_inputs, evaluate, train

from .paired import Answers
from .parts import Part, Products, parts_of, products_of, separate_inputs, switch
from .store import Store
from .subject import Subject

__all__ = ["Bench", "Settings", "answers_of"]

Groups = Mapping[str, frozenset[int]]


@dataclass(frozen=True)
class Settings:
    """bits: widths, 2 to 8. epochs, lr: of the training before each measurement; 0: calibrated scales alone.
    batch_size: of what is measured. by_layer, by_head: whether single GEMMs and heads are measured too.
    """

    bits: tuple[int, ...] = (2, 3, 4)
    epochs: int = 0
    lr: float = 5e-4
    batch_size: int = 256
    seed: int = 0
    workers: int | None = None
    by_layer: bool = False
    by_head: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def options(self, subject: Subject) -> Options:
        """Of calibration and training."""
        return replace(
            subject.options, epochs=self.epochs, lr=self.lr, seed=self.seed, workers=self.workers, bits=min(self.bits)
        )


class Bench:
    """Networks with the parts of `subject` switched on and off; what is measured is kept in `store`.

    The first and last layers stay at full precision throughout. `plain`: the network with all of it at full precision,
    whose quantisers see what they would quantise.
    """

    def __init__(self, subject: Subject, settings: Settings, store: Store) -> None:
        self.subject, self.settings, self.store = subject, settings, store
        self.options = settings.options(subject)
        self._prepared: dict[tuple[int, bool], PreTrainedModel] = {}
        self.products: Products = products_of(subject.model, subject.tokens)
        planned = quantize_model(copy.deepcopy(subject.model), Scheme(), fit_weights=False)
        separate_inputs(planned)
        switch(planned, {})
        self.plain = planned
        self.parts: list[Part] = parts_of(planned, self.products, by_layer=settings.by_layer, by_head=settings.by_head)

    @property
    def body(self) -> Groups:
        """All that is quantised at all."""
        return {name: groups for part in self.parts if part.kind == "class" for name, groups in part.groups.items()}

    def answers(self, bits: int, on: Groups, *, alone: bool) -> Answers:
        """Of the network with these groups at `bits` bits.

        alone: scales of activations are those of the network at full precision; else those of the network whose weights
        are all quantised.
        """
        settings = self.settings
        question: dict[str, Any] = {
            "what": "answers", "on": {name: sorted(groups) for name, groups in sorted(on.items())},
            "seed": settings.seed, "epochs": settings.epochs,
        }  # fmt: skip
        if on:
            question |= {"bits": bits, "alone": alone, "calibration": self.options.calibration_batches}
        if settings.epochs:
            question |= {"lr": settings.lr, "batch_size": self.options.batch_size}
        found = self.store.get(question, lambda: _plain(self._measured(bits, on, alone)))
        correct = found["correct"]
        return Answers(
            np.array(found["losses"], np.float64), None if correct is None else np.array(list(correct)) == "1"
        )

    def prepared(self, bits: int, alone: bool) -> PreTrainedModel:
        """The network with scales for all its parts; those of another width are forgotten."""
        key = bits, alone
        if key not in self._prepared:
            self._prepared = {kept: model for kept, model in self._prepared.items() if kept[0] == bits}
            model = quantize_model(copy.deepcopy(self.subject.model), Scheme(bits, bits))
            cast(nn.Module, model).to(self.settings.device)
            for name, (_, quantizer) in weight_quantizers(model).items():
                as_floats = alone or self.products.by_name[name].ends
                quantizer.off = range(quantizer.groups) if as_floats else ()
            calibrate(model, calibration_inputs(self.options, self.subject.data, self.settings.device))
            separate_inputs(model)
            self._prepared[key] = model
        return self._prepared[key]

    def evaluated(self, model: nn.Module) -> Evaluation:
        """On the samples that are measured. InputError where an output is not finite."""
        settings, data = self.settings, self.subject.data
        workers = worker_count(data.test, settings.workers, settings.device)
        found = evaluate(model, data, batch_size=settings.batch_size, device=settings.device, workers=workers)
        found.check_finite()
        return found

    def _measured(self, bits: int, on: Groups, alone: bool) -> Evaluation:
        model = self.prepared(bits, alone)
        if self.settings.epochs:
            model = copy.deepcopy(model)
        switch(model, on)
        if self.settings.epochs:
            processes = Processes(0, 1, self.settings.device)
            train(Training(self.options, self.subject.data, model, processes), _nothing, _nothing)
        return self.evaluated(model)


def answers_of(found: Evaluation) -> Answers:
    """Losses of single samples, and which are right."""
    if found.regression:
        return Answers(((found.logits[:, 0].double() - found.labels.double()) ** 2).numpy(), None)
    losses = F.cross_entropy(found.logits.double(), found.labels, reduction="none")
    return Answers(losses.numpy(), (found.logits.argmax(-1) == found.labels).numpy())


def _plain(found: Evaluation) -> dict[str, Any]:
    answers = answers_of(found)
    correct = None if answers.correct is None else "".join("1" if right else "0" for right in answers.correct)
    return {"losses": answers.losses.tolist(), "correct": correct}


def _nothing(*_: Any) -> None:
    """What a training saves and reports: only its end is of use here."""
