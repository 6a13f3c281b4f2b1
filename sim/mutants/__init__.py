"""Mutants of generated Verilog: one gate or wire is wrong in each. The tests must find every one that matters.

In: a spec. Out: how many of its mutants the sequences of the test suite kill, and a name and a reason for each that
lives. ``stimuli`` are those sequences, ``worker`` has Yosys make the mutants, ``running`` plays the one against the
other, ``deciding`` asks a solver about those that live, ``scoring`` is all of it.
"""

from __future__ import annotations

from .scoring import MutantScore, Survivor, score_mutants
from .standard import Subject, standard_modules, standard_subjects, subjects_of
from .stimuli import Stimulus, stimulus_of

__all__ = [
    "MutantScore",
    "Stimulus",
    "Subject",
    "Survivor",
    "score_mutants",
    "standard_modules",
    "standard_subjects",
    "stimulus_of",
    "subjects_of",
]
