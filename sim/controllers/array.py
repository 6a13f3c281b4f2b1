"""The controllers of an array, from its Verilog."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass

from rtl.array import ArraySpec
from sim.proofs import ProofError
from sim.simulators import generated_verilog

from .feed import FEED_STEPS, prove_feed
from .settings import SETTINGS_STEPS, prove_settings
from .store import STORE_STEPS, prove_store
from .terms import Terms
from .transition import read_module

__all__ = ["ControllerProof", "prove_controllers"]


@dataclass(frozen=True)
class ControllerProof:
    """What was shown of one controller. steps: of the argument. registers: bits. verilog_sha256: of the array."""

    array: str
    controller: str
    steps: tuple[str, ...]
    registers: int
    verilog_sha256: str
    seconds: float


def prove_controllers(spec: ArraySpec, verilog: str | None = None) -> tuple[ControllerProof, ...]:
    """Proves that in the Verilog of an array, or ``verilog`` in its place, the controller of operands walks its loop
    and the controller of results stores every sum once: for all legal settings, at full width, and for ever.

    Raises ProofError with the step that does not hold, ToolError where Yosys cannot read the Verilog.
    """
    if verilog is None:
        verilog = generated_verilog([spec], spec.parameters)
    digest = hashlib.sha256(verilog.encode()).hexdigest()
    found = []
    for controller, prove, steps in (
        ("operand_controller", prove_feed, FEED_STEPS),
        ("drain_controller", prove_store, STORE_STEPS),
        ("settings_check", prove_settings, SETTINGS_STEPS),
    ):
        start, terms = time.perf_counter(), Terms()
        name, text = _module(verilog, controller)
        transition = read_module(text, name, terms)
        prove(spec, terms, transition)
        registers = {word.term: word.width for word in transition.registers.values()}
        seconds = round(time.perf_counter() - start, 3)
        found.append(ControllerProof(spec.name, controller, steps, sum(registers.values()), digest, seconds))
    return tuple(found)


def _module(verilog: str, suffix: str) -> tuple[str, str]:
    """The name and the text of the module whose name ends so."""
    found = list(re.finditer(rf"^module (\w+_{suffix}) \(.*?^endmodule\n", verilog, re.MULTILINE | re.DOTALL))
    if len(found) != 1:
        raise ProofError(f"the Verilog must have one module whose name ends with _{suffix}, not {len(found)}")
    return found[0][1], found[0][0]
