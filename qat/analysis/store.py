"""Measurements that are kept as they are made: one file each, found again by all that decides it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from siliquant.files import code_sha256, write_atomically
from siliquant.inputs import InputError, json_object, member, read_text

__all__ = ["Store", "code_version"]

_MOST_BYTES = 256 << 20
_PACKAGE = Path(__file__).resolve().parents[1]


def code_version() -> str:
    """A hash over the code of qat, and the versions of what computes for it."""
    files = sorted(_PACKAGE.rglob("*.py"))
    return code_sha256(files, *(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy", "scipy")))


@dataclass(frozen=True)
class Store:
    """folder: of the files. subject: what all measurements share, as JSON has it: model, data, code. say: takes a
    sentence for the user.
    """

    folder: Path
    subject: Mapping[str, Any]
    say: Callable[[str], None] = lambda _: None

    def get(self, question: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The answer that is kept for the question, else that of `measure`, which is kept; both are plain data."""
        path, name = self.beside(question, "json"), self._name(question)
        found = self._kept(path, name)
        if found is None:
            # Through JSON, so that a run that is resumed has the same numbers as one that is not.
            text = json.dumps(dict(measure()), allow_nan=False)
            head = {"key": name, "sha256": _sha256(text), "question": dict(question)}
            write_atomically(path, f'{json.dumps(head)[:-1]}, "answer": {text}}}\n')
            found = json.loads(text)
        return found

    def beside(self, question: Mapping[str, Any], suffix: str) -> Path:
        """The file of the question with that suffix: of its answer, or of what is on the way to it."""
        return self.folder / f"{self._name(question)[:32]}.{suffix}"

    def _name(self, question: Mapping[str, Any]) -> str:
        return _sha256(json.dumps({"subject": dict(self.subject), "question": dict(question)}, sort_keys=True))

    def _kept(self, path: Path, name: str) -> dict[str, Any] | None:
        if not path.exists():
            return None
        try:
            content = json_object(read_text(path, _MOST_BYTES), path)
            answer = member(content, "answer", dict)
            if content.get("key") != name or content.get("sha256") != _sha256(json.dumps(answer)):
                raise InputError("it must be what was written")
        except InputError:
            self.say(f"{path} is measured again: it is not what was written")
            return None
        return answer


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
