"""Names of the modules that generated designs share: full adder, memory, elements, grids, requantisers."""

from __future__ import annotations

import hashlib
import re

from siliquant.inputs import InputError, identifier

__all__ = [
    "FULL_ADDER_NAME",
    "HELPER_PREFIX",
    "MEMORY_NAME",
    "MOST_NAME",
    "MOST_PREFIX",
    "check_prefix",
    "guarded",
    "helper",
    "short",
    "styled",
    "with_prefix",
]

HELPER_PREFIX = "siliquant_"
"""What the name of every module begins with that is made for another one."""

MOST_NAME = 40
"""Characters of a module's name, which tools show in columns and files have as theirs."""

MOST_PREFIX = 64
"""Characters of the longest prefix."""

FULL_ADDER_NAME = f"{HELPER_PREFIX}full_adder"
MEMORY_NAME = f"{HELPER_PREFIX}memory_1r1w"


def helper(name: str) -> str:
    """The name of a module that other modules instantiate.

    >>> helper("full_adder")
    'siliquant_full_adder'
    """
    return short(f"{HELPER_PREFIX}{name}")


def short(name: str, most: int = MOST_NAME) -> str:
    """A name of at most ``most`` characters: a longer one ends with digits that follow from all of it.

    >>> short("uniform_w4_a4_l16"), short("broadcast_16x16_uniform_w4_a4_l16_a2048_w2048_r2048_b32")
    ('uniform_w4_a4_l16', 'broadcast_16x16_uniform_w4_a4_l_b29f6513')
    """
    if len(name) <= most:
        return name
    return f"{name[: most - 9].rstrip('_')}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def styled(name: str, tag: str) -> str:
    """The name of a helper whose registers are reset in another style than usual: ``tag`` says which. The full adder
    and the memory have no reset.

    >>> styled("siliquant_grid", "async_low"), styled("siliquant_grid", ""), styled(MEMORY_NAME, "async_low")
    ('siliquant_grid_async_low', 'siliquant_grid', 'siliquant_memory_1r1w')
    """
    return name if not tag or name in (FULL_ADDER_NAME, MEMORY_NAME) else short(f"{name}_{tag}")


def check_prefix(prefix: str) -> str:
    """The prefix. Raises InputError for one of more than MOST_PREFIX characters, and where names that begin with it are
    no Verilog identifiers.
    """
    if len(prefix) > MOST_PREFIX:
        raise InputError(f"prefix must have at most {MOST_PREFIX} characters, not {len(prefix)}")
    return identifier(prefix, "prefix")


def with_prefix(text: str, prefix: str) -> str:
    """A text, Verilog or a manifest, with another prefix in the names of helpers."""
    return text if prefix == HELPER_PREFIX else re.sub(rf"\b{HELPER_PREFIX}(?=\w)", prefix, text)


def guarded(name: str, module: str) -> str:
    """The text of a module that may be read more than once, in one file or in several.

    >>> print(guarded("m", "module m;\\nendmodule\\n"), end="")
    `ifndef m_defined
    `define m_defined
    module m;
    endmodule
    `endif
    """
    return f"`ifndef {name}_defined\n`define {name}_defined\n{module}`endif\n"
