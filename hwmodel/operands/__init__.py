"""What the ports of a design see, cycle by cycle, while its power is measured or estimated.

In: a spec and a plan of its operand stream. Out: port words and the sums or codes that must come out. Read ``streams``
(which codes), ``recorded`` and ``markov`` (codes of trained networks, or with given statistics), ``stimulus`` (MACs),
``arraystimulus``, ``requantstimulus``, ``idle`` (what comes behind the last operands).
"""

from __future__ import annotations

from .arraystimulus import check_drained, make_core_stimulus
from .idle import idle_after
from .requantstimulus import HEADS, PRODUCTS, RequantPlan, check_outputs, requant_stimulus
from .stimulus import (
    LEAST_UTILISATION,
    Mismatch,
    StreamPlan,
    check_sums,
    make_stimulus,
    operand_sums,
    precisions_to_check,
    stimulus_bits,
    stimulus_cycles,
)
from .streams import LSQ_GAUSSIAN, STREAM_NAMES, UNIFORM, Stream

__all__ = [
    "HEADS",
    "LEAST_UTILISATION",
    "LSQ_GAUSSIAN",
    "PRODUCTS",
    "STREAM_NAMES",
    "UNIFORM",
    "Mismatch",
    "RequantPlan",
    "Stream",
    "StreamPlan",
    "check_drained",
    "check_outputs",
    "check_sums",
    "idle_after",
    "make_core_stimulus",
    "make_stimulus",
    "operand_sums",
    "precisions_to_check",
    "requant_stimulus",
    "stimulus_bits",
    "stimulus_cycles",
]
