"""Readers keep their bounds, whatever the file is, and every refusal names file and place."""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliquant.inputs.errors import InputError
from siliquant.inputs.reading import (
    MOST_LEVELS,
    belongs,
    csv_records,
    json_object,
    member,
    parse_json,
    read_bytes,
    read_json,
    read_text,
    unpack,
)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a é.json"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_bytes(path, 6) == b"\xef\xbb\xbf[1]"
    assert read_text(path) == "[1]"
    assert read_json(path) == [1]
    link = tmp_path / "link"
    link.symlink_to(path)
    assert read_json(link) == [1]


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        assert refused(lambda: read_bytes(Path("socket"))).startswith("socket: ")
    assert refused(lambda: read_bytes(pipe)) == f"{pipe} must be a regular file, and is a pipe, socket or device"
    assert refused(lambda: read_bytes(tmp_path)) == f"{tmp_path} must be a regular file, and is a folder"
    assert refused(lambda: read_bytes(Path("/dev/zero"))).startswith("/dev/zero must be a regular file")
    assert refused(lambda: read_bytes(tmp_path / "none")) == f"{tmp_path / 'none'}: there is no such file"
    assert refused(lambda: read_bytes(Path("a\0b"))) == "'a\\x00b': a file name must hold no null character"
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refused(lambda: read_bytes(loop)) == f"{loop}: Too many levels of symbolic links"
    assert refused(lambda: read_bytes(tmp_path / ("x" * 300))).endswith("File name too long")
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")


def test_size_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "big"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    assert refused(lambda: read_bytes(path, 100)) == f"{path} must have at most 100 bytes, not {1 << 40}"


def test_text_is_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "latin"
    path.write_bytes(b"a\nb\xff")
    assert refused(lambda: read_text(path)) == f"{path}, line 2: must be text in UTF-8"


PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, lzma.compress]


@pytest.mark.parametrize("pack", PACKERS)
def test_packed_files_are_unpacked_up_to_a_bound(pack: Callable[[bytes], bytes]) -> None:
    file, content = Path("x.gz"), bytes(range(256)) * 100
    assert unpack(content, 1, file) == content  # it is not packed
    assert unpack(pack(content), len(content), file) == content
    assert unpack(pack(content) + pack(b"more") + bytes(512), len(content) + 4, file) == content + b"more"
    assert (
        refused(lambda: unpack(pack(content), len(content) - 1, file))
        == f"x.gz must unpack to at most {len(content) - 1} bytes"
    )
    bomb = pack(bytes(1 << 26))
    assert refused(lambda: unpack(bomb, 1 << 20, file)) == "x.gz must unpack to at most 1048576 bytes"


@pytest.mark.parametrize("pack", PACKERS)
def test_damaged_packed_files_are_refused(pack: Callable[[bytes], bytes]) -> None:
    content = pack(os.urandom(3000))
    for damaged in (content[:-1], content[:-12], content[:40], content[:2] + bytes(50), content + content[:30]):
        if damaged[:2] == content[:2] and damaged[:6] != b"\xfd7" + bytes(4):
            assert refused(lambda damaged=damaged: unpack(damaged, 1 << 20, Path("x"))).startswith(
                "x: is not whole as "
            )  # type: ignore[misc]


BAD_JSON = [
    ("", "f, line 1: it is no JSON: Expecting value"),
    ("[1,\n2", "f, line 2: it is no JSON: Expecting ',' delimiter"),
    ("[NaN]", "f: it must hold finite numbers, not NaN"),
    ("-Infinity", "f: it must hold finite numbers, not -Infinity"),
    ("1e999", "f: it must hold finite numbers, not 1e999"),
    ("9" * 5000, "f: it must hold numbers of at most 300 digits"),
    ('{"a": 1, "a": 2}', "f: it must hold each key once, and holds 'a' twice"),
    ("[" * 100_000, "f: it must be nested at most 64 levels deep, not 100000"),
    ('{"a":' * 70 + "1" + "}" * 70, "f: it must be nested at most 64 levels deep, not 70"),
]


@pytest.mark.parametrize(("text", "said"), BAD_JSON, ids=range(len(BAD_JSON)))
def test_json_that_is_refused(text: str, said: str) -> None:
    assert refused(lambda: parse_json(text, "f")) == said


def test_brackets_in_strings_are_no_levels() -> None:
    assert parse_json('["' + "[" * 1000 + '\\"[{"]') == ["[" * 1000 + '"[{']
    assert parse_json("[" * MOST_LEVELS + "]" * MOST_LEVELS)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(ANY)
def test_all_other_json_is_what_json_says(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


@given(st.text(alphabet='[]{}",:0123456789.eE+-truefalsnl \n\\u', max_size=40))
def test_any_text_is_json_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        found = parse_json(text)
        assert json.loads(text) == found


def test_members_have_a_kind() -> None:
    data = {"a": 1, "b": True, "c": "x", "d": 10**400}
    assert (member(data, "a", int), member(data, "a", float), member(data, "b", bool)) == (1, 1.0, True)
    assert refused(lambda: member(data, "e", int)) == "it lacks e"
    assert refused(lambda: member(data, "b", int)) == "b must be an integer, not True"
    assert refused(lambda: member(data, "c", list)) == "c must be a list, not 'x'"
    assert refused(lambda: member(data, "d", float)).startswith("d must be a number, not 1000")
    with pytest.raises(TypeError):
        member(data, "c", int)
    assert refused(lambda: json_object("[]")) == "it must be an object"


def test_an_error_inside_a_reader_names_the_file() -> None:
    with (
        pytest.raises(InputError, match=r"^a\.json must be a table: it lacks rows$") as caught,
        belongs("a.json", "a table"),
    ):
        member({}, "rows", list)
    assert caught.value.file == "a.json"
    with pytest.raises(InputError, match=r"^b: it is no JSON") as caught, belongs("a.json", "a table"):
        raise InputError("it is no JSON", file="b")


BAD_CSV = [
    ("", "it is empty"),
    ("a,b\n1\n", "line 2: it must have 2 cells, not 1"),
    ("a,b\n1,2\n\n1,2,3\n", "line 4: it must have 2 cells, not 3"),
    ("a,a\n", "its columns must have different names"),
    ("b\n", "its columns must include a"),
    ('a\n"x"y\n', "line 2: it is no CSV: ',' expected after '\"'"),
    ('a\n"x\n', "line 2: it is no CSV: unexpected end of data"),
    (f"a\n{'x' * 200_000}\n", "line 2: it is no CSV: field larger than field limit (131072)"),
]


@pytest.mark.parametrize(("text", "said"), BAD_CSV, ids=range(len(BAD_CSV)))
def test_csv_that_is_refused(text: str, said: str) -> None:
    assert (
        re.sub(r"'[,\"]' expected after '[,\"]'", "',' expected after '\"'", refused(lambda: csv_records(text, ("a",))))
        == said
    )


def test_csv_is_read_by_its_columns() -> None:
    assert csv_records('a,b\r\n"1\n2",\r\n\r\n,3\r\n', ("b",)) == [{"a": "1\n2", "b": ""}, {"a": "", "b": "3"}]
