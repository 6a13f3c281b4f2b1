"""The tensors of an integer model as they were read: each is looked at before it is used, and every one is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from qat.network import check_state
from siliquant.inputs import InputError, InputTypeError, printable

__all__ = ["StoredTensors"]


class StoredTensors:
    """Tensors by key, of `file`. Every error is an InputError that names both and says what the tensor must be."""

    def __init__(self, tensors: Mapping[str, Tensor], file: str) -> None:
        self._tensors = tensors
        self._file = file
        self._unused = set(tensors)

    def floats(self, key: str, shape: tuple[int, ...], *, positive: bool = False) -> Tensor:
        """A float32 tensor of finite numbers in that shape. KeyError where there is none."""
        found = self._of(key, torch.float32)
        kind = "positive finite numbers" if positive else "finite numbers"
        if found.shape != shape:
            raise InputError(f"{self._place(key)} must have shape {list(shape)}, not {list(found.shape)}")
        bad = found[~found.isfinite()] if not positive else found[~(found.isfinite() & (found > 0))]
        if bad.numel():
            raise InputError(f"{self._place(key)} must be {found.numel()} {kind}, but one is {float(bad[0])}")
        return found

    def packed(self, key: str) -> Tensor:
        """A uint8 tensor of one axis. KeyError where there is none."""
        found = self._of(key, torch.uint8)
        if found.ndim != 1:
            raise InputError(f"{self._place(key)} must have one axis, not shape {list(found.shape)}")
        return found

    def plain(self, network: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
        """Those under "float.", which must be `names` of the network's state, each as `check_state` wants it."""
        wanted = set(names)
        state = {key.removeprefix("float."): key for key in self._tensors if key.startswith("float.")}
        for kind, other in (("lacks", wanted - set(state)), ("must not have", set(state) - wanted)):
            if other:
                listed = ", ".join(printable(f"float.{name}")[:80] for name in sorted(other)[:5])
                raise InputError(f"{self._file} {kind} {listed}")
        found = {name: self._tensors[key] for name, key in state.items()}
        check_state(network, found, f"{self._file}, float.")
        self._unused -= set(state.values())
        return found

    def check_all_used(self) -> None:
        """InputError for a tensor that nothing in the description names."""
        if self._unused:
            listed = ", ".join(printable(key)[:80] for key in sorted(self._unused)[:5])
            raise InputError(f"{self._file} must not have {listed}")

    def _of(self, key: str, dtype: torch.dtype) -> Tensor:
        found = self._tensors[key]
        if found.dtype is not dtype:
            raise InputTypeError(f"{self._place(key)} must be of {dtype}, not {found.dtype}")
        self._unused.discard(key)
        return found

    def _place(self, key: str) -> str:
        return f"{self._file}, {key}"
