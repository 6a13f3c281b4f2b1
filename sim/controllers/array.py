"""The controllers of an array, from its Verilog."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rtl.array import ArraySpec
from sim.proofs import ProofError, check_ports
from sim.simulators import (
    Source,
    check_loops,
    check_no_parameters,
    check_reset_port,
    generated_verilog,
    line_of,
)

from .feed import FEED_STEPS, prove_feed
from .pair import PAIR_STEPS, prove_pair
from .settings import SETTINGS_STEPS, prove_settings
from .store import STORE_STEPS, prove_store
from .structure import prove_same
from .terms import Terms
from .transition import Transition, read_modules, transition_of

__all__ = ["ARRAY_STEPS", "CONTROLLERS", "ArrayProof", "Claim", "controller_fault", "prove_array", "prove_controller"]


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

ARRAY_STEPS: Mapping[str, tuple[str, ...]] = {
    **{name: claim.steps for name, claim in CONTROLLERS.items()},
    "both controllers": PAIR_STEPS,
}
"""What is shown of an array, in words: of each of these modules, and of the models of the first two together."""


def prove_array(spec: ArraySpec, source: Source | None = None) -> ArrayProof:
    """Proves that in the Verilog of an array the controller of operands walks its loop, the controller of results
    stores every sum once, and the check of settings refuses what is wrong and nothing else: for all settings, at full
    width, and for ever; and of the first two together that a run goes on as long as operands or sums are on their way.
    Of a file in its place it proves, too, that all but these three controllers, from the module of the array down, is
    the netlist that is generated for the spec.

    Raises ProofError with the step that does not hold, InputError where the file does not have the module with its
    ports, ToolError where Yosys cannot read the Verilog.
    """
    start = time.perf_counter()
    own = generated_verilog([spec])
    wanted = read_modules(own, spec.name)
    found, places = wanted, {name: name for name in wanted if _controller_of(name)}
    if source is not None:
        found = _of_file(spec, source)
        places = prove_same(found, wanted, spec.name, lambda name: bool(_controller_of(name)))
        # Gates that nothing reads are in no netlist; instances are those of the generated array, and so are their pins.
        check_loops(source.text, spec.name, flat=False)
    registers = sum(_proved(spec, controller, found, places) for controller in CONTROLLERS)
    prove_pair(spec, Terms())
    claims = sum(map(len, ARRAY_STEPS.values()))
    digest = hashlib.sha256(own.encode()).hexdigest() if source is None else source.sha256
    seconds = round(time.perf_counter() - start, 3)
    return ArrayProof(spec.name, spec.architecture.value, claims, registers, digest, seconds)


def prove_controller(spec: ArraySpec, controller: str, source: Source) -> int:
    """What is claimed of one of :data:`CONTROLLERS`, which the array of a file has an instance of, whatever else it
    has; returns the bits of its registers.
    """
    found = _of_file(spec, source)
    return _proved(spec, controller, found, {name: name for name in found if _controller_of(name) == controller})


def _of_file(spec: ArraySpec, source: Source) -> dict[str, Any]:
    """The modules of the array in a file, as Yosys reads them."""
    top, *_ = source.below(spec.name)
    check_reset_port(top)
    check_no_parameters(top)
    modules = read_modules(source.text, spec.name)
    ports = {port.name: (port.width, port.is_input) for port in spec.ports}
    check_ports(modules[spec.name], top, ports | {"clk": (1, True), "rst": (1, True)})
    return modules


def _controller_of(module: str) -> str | None:
    """Which of :data:`CONTROLLERS` a generated module is."""
    return next((each for each in CONTROLLERS if module.endswith(f"_{each}")), None)


def _proved(spec: ArraySpec, controller: str, modules: Mapping[str, Any], places: Mapping[str, str]) -> int:
    """Proves the one module that has the place of a controller; returns the bits of its registers."""
    mine = [place for name, place in places.items() if _controller_of(name) == controller]
    if len(mine) != 1:
        raise ProofError(f"{spec.name} must have one module in the place of its {controller}, not {len(mine)}")
    terms = Terms()
    transition = transition_of(mine[0], modules[mine[0]], terms)
    try:
        CONTROLLERS[controller].prove(spec, terms, transition)
    except ProofError as error:
        raise ProofError(f"{mine[0]}{line_of(modules[mine[0]])}: {error}") from error
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
