"""Networks by name or from a file: the list of GEMMs that qat.trace writes, JSON, or a table of them, CSV."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path

from siliquant.inputs import (
    InputError,
    InputTypeError,
    at,
    belongs,
    csv_lines,
    integer,
    member,
    parse_json,
    read_text,
    short,
)

from .workload import MOST, Gemm, PrecisionClass, Role, Workload

__all__ = ["is_packaged", "load_workload", "read_workload", "workload_names"]

PACKAGED = Path(__file__).resolve().parents[1] / "data" / "workloads"
FORMAT = "siliquant-workload 1"
_MOST_BYTES = 16 << 20
_SIZES = ("m", "k", "n", "count")
_ENDS = frozenset({Role.PATCH_EMBEDDING, Role.STEM, Role.POOLER, Role.CLASSIFIER, Role.LM_HEAD})
_FLAGS = ("ends", "activation_signed", "static", "bias", "feeds_gemm")
_COLUMNS = ("name", *_SIZES, "role", "layer", "heads", *_FLAGS)
_ROLES: Mapping[str, Role] = {role.value: role for role in Role}
# What qat.trace finds in its networks: products of two activations, codes without a sign, sums that become codes.
_OF_ACTIVATIONS = frozenset({Role.SCORES, Role.CONTEXT})
_UNSIGNED = frozenset({Role.CONTEXT, Role.FC2, Role.PROJECTION_FC2})
_FEEDING = frozenset({Role.QUERY, Role.KEY, Role.VALUE, Role.CONTEXT})


def workload_names(folder: Path = PACKAGED) -> tuple[str, ...]:
    """Names of the workloads that come with the package."""
    return tuple(sorted(path.stem for path in folder.glob("*.json")))


def load_workload(name: str) -> Workload:
    """The packaged workload of that name, or the one in the file of that path (:func:`read_workload`).

    Raises ValueError for what is neither, which lists the names, and as read_workload.

    >>> tiny = load_workload("deit-tiny")
    >>> f"{tiny.macs:,} MACs in {len(tiny.gemms)} GEMMs"
    '1,253,683,200 MACs in 98 GEMMs'
    >>> scores = next(gemm for gemm in tiny.gemms if gemm.role is Role.SCORES)
    >>> scores.m, scores.k, scores.n, scores.count  # three heads
    (197, 64, 197, 3)
    """
    if name in workload_names():
        return _packaged(name)
    path = Path(name)
    if path.suffix not in (".json", ".csv"):
        names = ", ".join(workload_names())
        advice = ": trace it with qat.trace" if "\0" not in name and path.is_dir() else ""
        raise InputError(f"model must be one of {names}, or a file of GEMMs (.json or .csv), not {short(name)}{advice}")
    return read_workload(path)


@lru_cache(maxsize=32)
def _packaged(name: str) -> Workload:
    return read_workload(PACKAGED / f"{name}.json")


def is_packaged(workload: Workload) -> bool:
    """Whether it is a network of the package, GEMM by GEMM, and not one of that name."""
    return workload.name in workload_names() and workload.gemms == _packaged(workload.name).gemms


def read_workload(path: Path) -> Workload:
    """The workload in a file of qat.trace, or in a CSV file, which is named after the file.

    Columns of a CSV file: m, k, n and count, one row a GEMM, in order of execution. name (left out: ``gemm1`` and so
    on): one that comes again is another call with the same weights. role (left out, or empty): the last part of the
    name where that is a role, as in ``layers.0.query``, else ``unknown``, for which no sensitivity is known. layer
    (empty: outside of blocks) and heads (empty: 1) are integers. ends, static, activation_signed, bias and feeds_gemm
    are true or false, and empty what they are in transformers: ends of embeddings, stem, pooler and heads, static
    but for scores and context, signed but for context and fc2, a bias with every weight, and queries, keys, values and
    context feed another GEMM.

    Raises ValueError, with the file, the line or GEMM, and what it must be, where it is not one.
    """
    if path.suffix == ".csv":
        with belongs(path, "a table of GEMMs"):
            found = Workload(name=path.stem, gemms=_table(read_text(path, _MOST_BYTES)), provenance={"file": path.name})
            _check_body(found)
        return found
    with belongs(path, "a workload of qat.trace"):
        data = parse_json(read_text(path, _MOST_BYTES))
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise InputError(f"its format must be {FORMAT!r}")
        gemms = []
        for number, entry in enumerate(member(data, "gemms", list), 1):
            with at(f"GEMM {number}"):
                gemms.append(_gemm(entry))
        found = Workload(
            name=member(data, "name", str),
            gemms=tuple(gemms),
            provenance={key: value for key, value in data.items() if key != "gemms"},
        )
        if found.macs != member(data, "macs", int):
            raise InputError(f"macs must be the sum over its GEMMs, {found.macs}, not {short(data['macs'])}")
        _check_body(found)
    return found


def _check_body(found: Workload) -> None:
    """Mean widths are of what lies between the first and last layers."""
    if all(gemm.precision_class is PrecisionClass.ENDS for gemm in found.gemms):
        raise InputError("at least one of its GEMMs must lie between the first and last layers, with ends false")


def _gemm(entry: object) -> Gemm:
    if not isinstance(entry, dict):
        raise InputTypeError(f"a GEMM must be an object, not {short(entry)}")
    values = dict(entry)
    values["role"] = _role(values.get("role"))
    ends = member(values, "ends", bool)
    del values["ends"]
    values["precision_class"] = PrecisionClass.ENDS if ends else PrecisionClass.BODY
    known = {field.name for field in fields(Gemm)} - {"head"}  # a file lists whole GEMMs
    if set(values) != known:
        differing = ", ".join(sorted(set(values) ^ known))
        raise InputError(f"a GEMM must have the fields of qat.trace, and differs in {differing}")
    return Gemm(**values)


def _role(value: object) -> Role:
    if not isinstance(value, str) or value not in _ROLES:
        raise InputError(f"role must be one of {', '.join(_ROLES)}, not {short(value)}")
    return _ROLES[value]


def _table(text: str) -> tuple[Gemm, ...]:
    gemms: list[Gemm] = []
    calls: dict[str, int] = {}
    for number, (line, cells) in enumerate(csv_lines(text, _SIZES), 1):
        if unknown := set(cells) - set(_COLUMNS):
            raise InputError(f"its columns must be of {', '.join(_COLUMNS)}, not {short(min(unknown))}")
        name = cells.get("name", f"gemm{number}")
        with at(f"line {line}"):
            gemms.append(_row(name, cells, calls.get(name, 0)))
        calls[name] = gemms[-1].call + 1
    return tuple(gemms)


def _row(name: str, cells: Mapping[str, str], call: int) -> Gemm:
    last, layer = name.rpartition(".")[2], cells.get("layer")
    role = _role(cells.get("role") or (last if last in _ROLES else Role.UNKNOWN.value))
    static = _flag(cells, "static", role not in _OF_ACTIVATIONS)
    return Gemm(
        name=name,
        role=role,
        layer=integer("layer", layer, 0, MOST) if layer else None,
        call=call,
        heads=integer("heads", cells.get("heads") or "1", 1, MOST),
        precision_class=PrecisionClass.ENDS if _flag(cells, "ends", role in _ENDS) else PrecisionClass.BODY,
        activation_signed=_flag(cells, "activation_signed", role not in _UNSIGNED),
        static=static,
        bias=_flag(cells, "bias", static),
        feeds_gemm=_flag(cells, "feeds_gemm", role in _FEEDING),
        **{size: integer(size, cells[size], 1, MOST) for size in _SIZES},
    )


def _flag(cells: Mapping[str, str], column: str, otherwise: bool) -> bool:
    text = cells.get(column, "")
    if text not in ("", "true", "false"):
        raise InputError(f"{column} must be true or false, not {short(text)}")
    return text == "true" if text else otherwise
