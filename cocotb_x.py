
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly

@cocotb.test()
async def counts(top):
    cocotb.start_soon(Clock(top.clk, 2, unit="step", impl="gpi").start())
    await ClockCycles(top.clk, 5)
    await ReadOnly()
    assert top.count.value == 5
