"""A report as one HTML page that needs nothing from elsewhere: ``assembly`` collects, ``reportpage`` writes."""

from __future__ import annotations

from .assembly import Inputs, assemble, computed_rows
from .reportpage import report_html

__all__ = ["Inputs", "assemble", "computed_rows", "report_html"]
