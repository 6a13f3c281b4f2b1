"""The controllers of an array, from its Verilog."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtl.array import ArraySpec
from sim.proofs import ProofError
from sim.simulators import generated_verilog

from .feed import FEED_STEPS, prove_feed
from .settings import SETTINGS_STEPS, prove_settings
from .store import STORE_STEPS, prove_store
from .terms import Terms
from .transition import Transition, read_module, transition_of

__all__ = ["CONTROLLERS", "ArrayProof", "Claim", "controller_fault", "prove_array", "prove_controller"]


@dataclass(frozen=True)
class ArrayProof:
    """What was shown of the controllers of an array. design: its architecture. claims: that were proved. registers:
    bits of registers in the controllers. verilog_sha256: of the text of the array.
    """

    name: str
    design: str
    claims: int
    registers: int
    verilog_sha256: str
    seconds: float


@dataclass(frozen=True)
class Claim:
    """prove: raises ProofError where a module is not as its model. steps: what is shown, in words."""

    prove: Callable[[ArraySpec, Terms, Transition], None]
    steps: tuple[str, ...]


CONTROLLERS: Mapping[str, Claim] = {
    "operand_controller": Claim(prove_feed, FEED_STEPS),
    "drain_controller": Claim(prove_store, STORE_STEPS),
    "settings_check": Claim(prove_settings, SETTINGS_STEPS),
}
"""What is proved of each module that has the control of an array, by the end of its name."""


def prove_array(spec: ArraySpec, verilog: str | None = None) -> ArrayProof:
    """Proves that in the Verilog of an array, or ``verilog`` in its place, the controller of operands walks its loop,
    the controller of results stores every sum once, and the check of settings refuses what is wrong and nothing else:
    for all settings, at full width, and for ever.

    Raises ProofError with the step that does not hold, ToolError where Yosys cannot read the Verilog.
    """
    start = time.perf_counter()
    if verilog is None:
        verilog = generated_verilog([spec], spec.parameters)
    registers = sum(prove_controller(spec, controller, verilog) for controller in CONTROLLERS)
    claims = sum(len(each.steps) for each in CONTROLLERS.values())
    digest, seconds = hashlib.sha256(verilog.encode()).hexdigest(), round(time.perf_counter() - start, 3)
    return ArrayProof(spec.name, spec.architecture.value, claims, registers, digest, seconds)


def prove_controller(spec: ArraySpec, controller: str, verilog: str) -> int:
    """The same of one of :data:`CONTROLLERS`; returns the bits of its registers."""
    terms = Terms()
    name, text = _module(verilog, controller)
    transition = read_module(text, name, terms)
    CONTROLLERS[controller].prove(spec, terms, transition)
    return sum({word.term: word.width for word in transition.registers.values()}.values())


def controller_fault(spec: ArraySpec, controller: str, module: Mapping[str, Any], nameless: str = "") -> str:
    """What keeps a module, as Yosys writes it in JSON, from being proved to be a controller; empty: it is one.

    nameless: of the register that has no name. Raises ProofError for a module that cannot be read.
    """
    terms = Terms()
    transition = transition_of(controller, module, terms, nameless)
    try:
        CONTROLLERS[controller].prove(spec, terms, transition)
    except ProofError as error:
        return str(error)
    return ""


def _module(verilog: str, suffix: str) -> tuple[str, str]:
    """The name and the text of the module whose name ends so."""
    found = list(re.finditer(rf"^module (\w+_{suffix}) \(.*?^endmodule\n", verilog, re.MULTILINE | re.DOTALL))
    if len(found) != 1:
        raise ProofError(f"the Verilog must have one module whose name ends with _{suffix}, not {len(found)}")
    return found[0][1], found[0][0]
