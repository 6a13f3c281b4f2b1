"""Whole networks on a simulated array: Verilator, driven from C++, with NumPy arrays in and out."""
