"""Controllers of an array: one walks through the operands, one follows the results to their memory."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from .geometry import ArrayGeometry, address_width
from .run import PLANES_WIDTH, SIZE_WIDTH

__all__ = ["DrainController", "OperandController"]


class OperandController(Component):
    """Addresses of the operands of a run, one cycle each: for each column tile, each row tile, each step, each pair of
    planes. The last operands of a tile wait until the tile before has had the time to drain: ``drain_rows`` cycles
    where sums leave ``together``, else ``rows``.

    Sizes and ``activation_start`` must be those of the run from the cycle after ``launch`` on; the bases count in the
    cycle of ``launch``. ``stop`` ends the run.
    """

    def __init__(self, spec: ArrayGeometry) -> None:
        sizes = {name: In(SIZE_WIDTH) for name in ("steps", "row_tiles", "column_tiles")}
        planes = {name: In(PLANES_WIDTH) for name in ("weight_planes", "activation_planes")}
        super().__init__(
            {
                **sizes,
                **planes,
                "together": In(1),
                "launch": In(1),
                "stop": In(1),
                "hold": In(1),
                "weight_base": In(address_width(spec.weight_depth)),
                "activation_base": In(address_width(spec.activation_depth)),
                "activation_start": In(address_width(spec.activation_depth)),
                "control_base": In(address_width(spec.control_depth)),
                "issue": Out(1),
                "clear": Out(1),
                "last": Out(1),
                "read_weights": Out(address_width(spec.weight_depth)),
                "read_activations": Out(address_width(spec.activation_depth)),
                "read_control": Out(address_width(spec.control_depth)),
            }
        )
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        spec = self._spec
        m = Module()
        running = Signal()
        step, row, column = (
            Signal(SIZE_WIDTH, name=name, reset_less=True) for name in ("step", "row_tile", "column_tile")
        )
        weight_plane, activation_plane = (
            Signal(PLANES_WIDTH, name=name, reset_less=True) for name in ("weight_plane", "activation_plane")
        )
        cycle = Signal(address_width(spec.control_cycles), reset_less=True)
        weight_step, weight_tile = (
            Signal(address_width(spec.weight_depth), name=name, reset_less=True)
            for name in ("weight_step", "weight_tile")
        )
        activation_step, control_step = (
            Signal(address_width(depth), name=name, reset_less=True)
            for name, depth in (("activation_step", spec.activation_depth), ("control_step", spec.control_depth))
        )
        since = Signal(range(spec.rows + 1), reset_less=True)  # cycles since the last operands of a tile
        waits = since < Mux(self.together, spec.drain_rows, spec.rows)

        last_activation_plane, last_plane, last_step, last_row, last_column = (
            Signal(name=f"last_{name}") for name in ("activation_plane", "plane", "step", "row", "column")
        )
        last_cycle = self.last
        next_weight = Signal(len(weight_step), name="next_weight")
        m.d.comb += [
            last_activation_plane.eq(activation_plane == self.activation_planes - 1),
            last_plane.eq(last_activation_plane & (weight_plane == self.weight_planes - 1)),
            last_step.eq(step == self.steps - 1),
            last_row.eq(row == self.row_tiles - 1),
            last_column.eq(column == self.column_tiles - 1),
            next_weight.eq(weight_step + self.weight_planes),
            self.issue.eq(running & ~self.hold & ~(last_cycle & waits)),
            self.clear.eq((step == 0) & (cycle == 0)),
            self.last.eq(last_step & last_plane),
            self.read_weights.eq(weight_step + weight_plane),
            self.read_activations.eq(activation_step + activation_plane),
            self.read_control.eq(control_step + cycle + Mux(last_step, spec.control_cycles, 0)),
        ]
        with m.If(self.issue & last_cycle):
            m.d.sync += since.eq(1)
        with m.Elif(since != spec.rows):
            m.d.sync += since.eq(since + 1)
        with m.If(self.launch):
            m.d.sync += [running.eq(1), since.eq(spec.rows)]
            m.d.sync += [s.eq(0) for s in (step, row, column, weight_plane, activation_plane, cycle)]
            m.d.sync += [
                weight_step.eq(self.weight_base), weight_tile.eq(self.weight_base),
                activation_step.eq(self.activation_base), control_step.eq(self.control_base),
            ]  # fmt: skip
        with m.Elif(self.stop):
            m.d.sync += running.eq(0)
        with m.Elif(self.issue):
            m.d.sync += [
                activation_plane.eq(Mux(last_activation_plane, 0, activation_plane + 1)),
                cycle.eq(Mux(last_plane, 0, cycle + 1)),
            ]
            with m.If(last_activation_plane):
                m.d.sync += weight_plane.eq(Mux(last_plane, 0, weight_plane + 1))
            with m.If(last_plane):
                m.d.sync += [
                    step.eq(Mux(last_step, 0, step + 1)),
                    activation_step.eq(
                        Mux(last_step & last_row, self.activation_start, activation_step + self.activation_planes)
                    ),
                    weight_step.eq(Mux(last_step & ~last_row, weight_tile, next_weight)),
                ]
            with m.If(last_cycle):
                m.d.sync += row.eq(Mux(last_row, 0, row + 1))
                with m.If(last_row):
                    m.d.sync += [column.eq(column + 1), weight_tile.eq(next_weight)]
                    with m.If(last_column):
                        m.d.sync += running.eq(0)
        return m


class DrainController(Component):
    """Where the results of a tile go from each pulse of ``tile`` on, the last row first.

    ``together``: a sum of every drain in each of ``drain_rows`` cycles, to one word. Else a sum of the last row in each
    of ``rows`` cycles: those that the first drain would take in one word after the other, then those of the next drain.
    ``drain`` is whose place in the word it is, ``short`` is 1 where the last drain has no sum for the word, and
    ``complete`` says how many words are then complete.

    Sizes and ``together`` must be those of the run from the cycle after ``launch`` on; ``result_base`` counts in the
    cycle of ``launch``. ``stop`` ends the run.
    """

    def __init__(self, spec: ArrayGeometry) -> None:
        super().__init__(
            {
                "row_tiles": In(SIZE_WIDTH),
                "column_tiles": In(SIZE_WIDTH),
                "together": In(1),
                "launch": In(1),
                "stop": In(1),
                "result_base": In(address_width(spec.result_depth)),
                "tile": In(1),
                "active": Out(1),
                "address": Out(address_width(spec.result_depth)),
                "next_address": Out(address_width(spec.result_depth)),
                "column": Out(SIZE_WIDTH),
                "drain": Out(range(spec.drains)),
                "short": Out(1),
                "complete": Out(range(spec.drain_rows - _last_rows(spec) + 2)),
                "finished": Out(1),
            }
        )
        self._spec = spec

    def elaborate(self, platform: object) -> Module:
        spec = self._spec
        chain, last_drain = spec.drain_rows, spec.drains - 1
        rest = _last_rows(spec)
        m = Module()
        left = Signal(range(spec.rows))
        address = Signal(address_width(spec.result_depth), name="word", reset_less=True)
        row, column = (Signal(SIZE_WIDTH, name=name, reset_less=True) for name in ("row_tile", "column_tile"))
        place = Signal(range(chain), name="place", reset_less=True)
        drain = Signal(range(spec.drains), name="whose", reset_less=True)
        ahead = Signal(len(self.complete), name="ahead")  # words to the next tile's, or one
        following = Signal(len(address), name="following")
        draining, last_word, last_row, end = (
            Signal(name=name) for name in ("draining", "last_word", "last_row", "end_of_drain")
        )
        words = Signal(range(spec.rows + 1), name="words_of_tile")
        m.d.comb += [
            draining.eq(left != 0),
            words.eq(Mux(self.together, chain, spec.rows)),
            last_word.eq(Mux(self.tile, words == 1, left == 1)),
            last_row.eq(row == self.row_tiles - 1),
            end.eq(place == chain - 1),
            ahead.eq(Mux(last_word & ~self.together, chain - rest + 1, 1)),
            following.eq(Mux(end & ~last_word, address - (chain - 1), address + ahead)),
            self.active.eq(self.tile | draining),
            self.address.eq(address),
            self.next_address.eq(Mux(self.active, following, address)),
            self.column.eq(column),
            self.drain.eq(drain),
            self.short.eq(place >= rest),
            self.complete.eq(Mux(self.together | (drain == last_drain), ahead, 0)),
            self.finished.eq(self.active & last_word & last_row & (column == self.column_tiles - 1)),
        ]
        with m.If(self.stop):
            m.d.sync += left.eq(0)
        with m.Elif(self.tile):
            m.d.sync += left.eq(words - 1)
        with m.Elif(draining):
            m.d.sync += left.eq(left - 1)
        with m.If(self.launch):
            m.d.sync += [address.eq(self.result_base), row.eq(0), column.eq(0), place.eq(0), drain.eq(0)]
        with m.Elif(self.active):
            m.d.sync += [address.eq(following), place.eq(Mux(end | last_word, 0, place + 1))]
            m.d.sync += drain.eq(Mux(last_word, 0, drain + end))
            with m.If(last_word):
                m.d.sync += row.eq(Mux(last_row, 0, row + 1))
                with m.If(last_row):
                    m.d.sync += column.eq(column + 1)
        return m


def _last_rows(spec: ArrayGeometry) -> int:
    """Rows of the last drain, which may have fewer than the others."""
    return spec.rows - (spec.drains - 1) * spec.drain_rows
