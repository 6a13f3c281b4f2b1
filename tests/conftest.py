"""Settings for all tests."""

from hypothesis import settings

# A deadline per example would time the machine, not the code.
settings.register_profile("siliquant", deadline=None)
settings.load_profile("siliquant")
