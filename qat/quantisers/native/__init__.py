"""Kernels in C for quantisation on the CPU, compiled at first use: a faster way to what qat computes with torch."""
