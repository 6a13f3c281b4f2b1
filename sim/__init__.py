"""Simulation: every design against its golden model, to the bit."""
