"""Figures: one kind a file, each drawn for a wide and for a narrow page, and written as SVG, PNG and PDF."""
