"""What low-bit transformer hardware costs: synthesis, timing, power, and the comparison of MAC designs."""

__version__ = "0.1.0"
