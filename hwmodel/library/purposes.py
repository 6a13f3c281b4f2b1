"""What sets a cell apart from plain logic: a purpose that its Liberty group states beside a function.

A pad, a level shifter or a cell that holds its state without power has the function of a buffer or a flip-flop, but it
is no drive strength of one: it needs other supplies, a place of its own, or somebody who decided that it belongs there.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwmodel.liberty import Group

__all__ = ["purpose", "states"]

_CELL_FLAGS = (
    *("dont_touch", "use_for_size_only", "map_only", "pad_cell", "auxiliary_pad_cell", "always_on"),
    *("is_level_shifter", "is_differential_level_shifter", "is_isolation_cell", "is_clock_isolation_cell"),
    *("is_clock_cell", "is_macro_cell", "is_memory_cell", "is_pll_cell", "is_analog", "is_filler_cell", "is_tap_cell"),
    *("is_decap_cell", "is_diode_cell", "is_antenna_cell", "is_pad", "physical_only", "interface_timing"),
    *("bus_hold_cell", "is_retention_cell", "is_power_switch", "has_builtin_pad"),
)
_CELL_TEXTS = (
    *(
        "pad_type",
        "level_shifter_type",
        "retention_cell",
        "power_gating_cell",
        "switch_cell_type",
        "antenna_diode_type",
    ),
    *("timing_model_type", "clock_gating_integrated_cell"),
)
_CELL_GROUPS = (
    *("retention_condition", "generated_clock", "lut", "mode_definition", "dc_current", "model_index"),
    *("clock_condition", "clear_condition", "preset_condition"),
)
_PIN_FLAGS = (
    *("is_pad", "is_analog", "always_on", "isolation_cell_data_pin", "isolation_cell_enable_pin"),
    *("level_shifter_data_pin", "level_shifter_enable_pin", "switch_pin", "clock_gate_clock_pin"),
    *("clock_gate_enable_pin", "clock_gate_obs_pin", "clock_gate_out_pin", "clock_gate_test_pin"),
)
_PIN_TEXTS = (
    *("retention_pin", "power_gating_pin", "switch_function", "save_action", "restore_action", "complementary_pin"),
    *("drive_current", "hysteresis", "slew_control", "pulling_resistance", "pulling_current", "driver_type"),
)
_SUPPLIES_OF_ITS_OWN = ("backup_power", "backup_ground", "internal_power", "internal_ground")
_NO = ("false", "f", "0", "no")


def states(group: Group, flag: str) -> bool:
    """Whether a group has an attribute that is true or false, and says anything but false.

    InputError where it says both.
    """
    return bool(group.stated(flag)) and group.text(flag).strip().lower() not in _NO


def purpose(cell: Group, pins: Sequence[tuple[str, Group]]) -> str:
    """Why a cell is no plain logic, as what it states; empty where it says nothing of the kind.

    Cells without inputs tie a net to a constant, whatever drives it. A cell whose pins are of several supplies shifts
    levels. InputError as :meth:`Group.stated`.
    """
    found = next((name for name in _CELL_FLAGS if states(cell, name)), "")
    found = found or next((name for name in _CELL_TEXTS if cell.text(name)), "")
    found = found or next((inner.kind for inner in cell.groups if inner.kind in _CELL_GROUPS), "")
    if found or not any(pin.text("direction") == "input" for _, pin in pins):
        return found and f"it states {found}"
    for name, pin in pins:
        found = next((flag for flag in _PIN_FLAGS if states(pin, flag)), "")
        found = found or next((text for text in _PIN_TEXTS if pin.text(text)), "")
        if found:
            return f"its pin {name} states {found}"
    supplies = [{pin.name for pin in cell.group_iter("pg_pin") if pin.text("pg_type") == "primary_power"}]
    supplies += [{pin.text(name) for _, pin in pins} - {""} for name in ("related_power_pin", "related_ground_pin")]
    supplies += [{pin.text(f"{side}_signal_level") for side in ("input", "output") for _, pin in pins} - {""}]
    if any(len(names) > 1 for names in supplies):
        return "its pins have more than one supply"
    other = next((pin for pin in cell.group_iter("pg_pin") if pin.text("pg_type") in _SUPPLIES_OF_ITS_OWN), None)
    return "" if other is None else f"it has a supply of the type {other.text('pg_type')}"
