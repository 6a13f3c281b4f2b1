"""Data sets: labelled images and sentences, their views, and a teacher's soft labels.

In: a data set's name or folder. Out: a :class:`Data` with reproducible batches. Read ``datasets``, ``images``,
``folders``, ``look`` (resizing and normalisation), ``imagestats`` (measured), ``views``, ``augment``
(changes of pixels), ``text``, ``readable``,
``loading`` (batches), ``softlabels`` and ``fkd``.
"""

from __future__ import annotations

from .datasets import Data, augmented, epoch_indices, open_data, with_look
from .fkd import import_fkd
from .images import FolderImages, ImageSplit
from .imagestats import MOST_MEASURED, look_of_images, measured, measured_stats
from .loading import batches, worker_count
from .look import IMAGENET, Look, has_look, look_of_record, read_look
from .readable import MOST_SKIPPED, checked, without
from .softlabels import MOST_CROPS, MOST_TOP_K, Settings, Shard, SoftLabelStore, fill_store, records, stored_views
from .text import TextSplit
from .views import REPLAY_STREAM, Policy, RandomResizedCrop, Views, uniforms

__all__ = [
    "IMAGENET",
    "MOST_CROPS",
    "MOST_MEASURED",
    "MOST_SKIPPED",
    "MOST_TOP_K",
    "REPLAY_STREAM",
    "Data",
    "FolderImages",
    "ImageSplit",
    "Look",
    "Policy",
    "RandomResizedCrop",
    "Settings",
    "Shard",
    "SoftLabelStore",
    "TextSplit",
    "Views",
    "augmented",
    "batches",
    "checked",
    "epoch_indices",
    "fill_store",
    "has_look",
    "import_fkd",
    "look_of_images",
    "look_of_record",
    "measured",
    "measured_stats",
    "open_data",
    "read_look",
    "records",
    "stored_views",
    "uniforms",
    "with_look",
    "without",
    "worker_count",
]
