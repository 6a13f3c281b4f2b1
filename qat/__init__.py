"""Training of low-bit transformers: quantisers, quantised models, losses, the training loop and the integer export.

The names of :mod:`qat.api` are loaded when they are first asked for, since they load torch.
"""

import sys
from importlib import import_module
from typing import Any

if sys.argv[:1] == ["-m"]:  # this package is the command: what lies in the current folder must not shadow the others
    import runpy
    from pathlib import Path

    runpy.run_path(str(Path(__file__).parents[1] / "siliquant" / "processes" / "shadows.py"))["pin"]()
    from siliquant.files import torch_folder

    torch_folder()  # before torch is loaded

__all__ = [
    "IntegerModel",
    "Override",
    "PerChannel",
    "PerHead",
    "PerTensor",
    "Quantizer",
    "Scheme",
    "calibrate",
    "export_integers",
    "load",
    "quantize_model",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'qat' has no attribute {name!r}")
    return getattr(import_module("qat.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
