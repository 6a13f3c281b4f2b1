"""Memories from macros, tables of macros and what makes them, and the tables against what others published."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwmodel import cacti
from hwmodel.inference.memories import (
    PACKAGED,
    Macro,
    SramTable,
    dram_pj_per_bit,
    packaged_sram,
    read_sram,
)


def macro(words: int, bits: int, area_um2: float = 1.0, read_pj: float = 1.0) -> Macro:
    return Macro(
        words=words, bits=bits, area_um2=area_um2, read_pj=read_pj, write_pj=2 * read_pj, leakage_uw=0.5,
        access_ns=1.5, cycle_ns=1.25,
    )  # fmt: skip


TABLE = SramTable("t", 45, "made up", (macro(64, 32, 10, 1), macro(64, 64, 18, 3), macro(512, 32, 60, 2)))


def test_a_memory_is_whole_macros_side_by_side() -> None:
    found = TABLE.memory(60, 70)
    # 3 x 10 um2 x 3 pJ beats 2 x 18 um2 x 6 pJ and 3 x 60 um2 x 6 pJ.
    assert (found.macro, found.across, found.deep) == (TABLE.macros[0], 3, 1)
    assert (found.area_um2, found.read_pj, found.write_pj, found.leakage_uw) == (30, 3, 6, 1.5)
    assert found.minimum_period_ns == 1.5


def test_a_deep_memory_has_banks_of_which_one_is_accessed() -> None:
    found = TABLE.memory(200, 32)
    assert (found.macro.words, found.across, found.deep) == (64, 1, 4)
    assert (found.area_um2, found.read_pj, found.leakage_uw) == (40, 1, 2)
    # Five banks of 64 words would be too many.
    assert TABLE.memory(257, 32).macro.words == 512
    assert (TABLE.memory(256, 1).macro.words, TABLE.memory(1, 1).deep) == (64, 1)
    # Where even the deepest macro needs more than four, it takes as many as it needs.
    assert (TABLE.memory(512 * 6, 32).macro.words, TABLE.memory(512 * 6, 32).deep) == (512, 6)


@pytest.mark.parametrize("device", ["hp", "lop", "lstp-lop"])
def test_packaged_tables(device: str) -> None:
    table = packaged_sram(45, device)
    data = json.loads((PACKAGED / f"cacti7-45nm-{device}.json").read_text())
    assert (table.name, table.node_nm) == (f"cacti7-45nm-{device}", 45)
    assert {(m.words, m.bits) for m in table.macros} == {(w, b) for w in cacti.WORDS for b in cacti.WORD_BITS}
    assert data["transistors"] == dict(zip(("cells", "periphery"), cacti.DEVICES[device], strict=True))
    text = cacti.configuration(cacti.WORDS[0], cacti.WORD_BITS[0], 45, device)
    assert data["configuration_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    for each in table.macros:
        # More than the bare cell with one port at 45 nm (0.35 um2), less than six of them.
        assert 0.6 < each.area_um2 / each.words / each.bits < 2.1
        assert each.read_pj / each.bits < 0.5
        if device != "lop":
            assert max(each.access_ns, each.cycle_ns) < 2  # all run at 500 MHz


def test_memories_take_less_than_published_caches_of_their_size() -> None:
    """Horowitz has caches, with tags and several ways; a memory takes less, docs/network.md says how much less."""
    published = json.loads((PACKAGED / "horowitz-2014.json").read_text())["cache_pj"]
    ratios = []
    for device in ("hp", "lop", "lstp-lop"):
        for size in (8192, 32768):
            read_pj = next(m for m in packaged_sram(45, device).macros if m.words * m.bits == size * 8 and m.bits == 64)
            ratios.append(read_pj.read_pj / published[str(size)])
    assert (round(min(ratios), 2), round(max(ratios), 2)) == (0.26, 0.75)
    assert dram_pj_per_bit() == (20.3125, 40.625)


REFUSALS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: packaged_sram(130), ValueError,
     ("node_nm must be 45, for which there is a table of memories, not 130; they are not scaled "
      "(python -m hwmodel.cacti makes tables of other nodes)")),
    (lambda: packaged_sram(45, "fast"), ValueError, "device must be one of hp, lop, lstp-lop, not 'fast'"),
    (lambda: TABLE.memory(0, 8), ValueError, "words must be an integer of at least 1, not 0"),
    (lambda: TABLE.memory(8, 2.0), TypeError, "bits must be an integer of at least 1, not 2.0"),  # type: ignore[arg-type]
    (lambda: macro(64, 32, -1.0), ValueError, "area_um2 must be a positive number, not -1.0"),
    (lambda: macro(0, 32), ValueError, "words must be an integer of at least 1, not 0"),
    (lambda: cacti.macro_of(1, 1, "a, b\n1, 2\n"), ValueError,
     "CACTI's results must have a column Area (mm2), and have a, b"),
    (lambda: cacti.main(["--cacti", "nowhere", "--out", "x"]), ValueError,
     "cacti must be a folder with the binary cacti in it, not nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSALS, ids=[text for *_, text in REFUSALS])
def test_refusals_say_what_must_be(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


ENTRY = {
    "words": 64, "bits": 32, "area_um2": 1.0, "read_pj": 1.0, "write_pj": 1.0, "leakage_uw": 1.0, "access_ns": 1.0,
    "cycle_ns": 1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([], "it must be an object"),
        ({"name": "n", "node_nm": 45, "source": "s"}, "it lacks macros"),
        ({"name": "n", "node_nm": 45, "source": "s", "macros": []}, "it must have macros, each size once"),
        ({"name": "n", "node_nm": 45, "source": "s", "macros": [ENTRY, ENTRY]}, "it must have macros, each size once"),
        ({"name": "n", "node_nm": "45", "source": "s", "macros": [ENTRY]},
         "node_nm must be an integer, not '45'"),
        ({"name": "n", "node_nm": 45, "source": "s", "macros": [{**ENTRY, "read_pj": "1"}]},
         "read_pj must be a positive number, not '1'"),
    ],
)  # fmt: skip
def test_tables_that_are_none(data: object, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError) as caught:
        read_sram(path)
    assert str(caught.value) == f"{path} must be a table of hwmodel.cacti: {reason}"


def test_a_table_has_at_most_one_mib(tmp_path: Path) -> None:
    text = (PACKAGED / "cacti7-45nm-hp.json").read_text()
    path = tmp_path / "table.json"
    path.write_text(text + " " * (2**20 - len(text.encode())))
    assert read_sram(path).macros == packaged_sram(45, "hp").macros
    path.write_text(path.read_text() + " ")
    with pytest.raises(OSError) as caught:
        read_sram(path)
    assert str(caught.value) == f"{path} must have at most 1048576 bytes, not 1048577"


# CACTI itself is not installed; a script that answers like it stands in.

FAKE = """#!/bin/sh
size=$(sed -n 's/^-size (bytes) //p' "$2")
[ "$size" = 256 ] && [ -e fail ] && echo "no organization" && exit 1
echo "Area (mm2), Dynamic read energy (nJ), Dynamic write energy (nJ), Standby leakage per bank(mW), \\
Access time (ns), Random cycle time (ns), " > "$2.out"
echo "0.00$size, 0.001, 0.002, 0.003, 1.5, 1.25, " >> "$2.out"
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    folder = tmp_path / "cacti"
    (folder / "tech_params").mkdir(parents=True)
    (folder / "tech_params" / "45nm.dat").write_text("made up")
    binary = folder / "cacti"
    binary.write_text(FAKE)
    binary.chmod(0o755)
    return folder


def test_the_command_writes_a_table(fake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "table.json"
    cacti.main(["--cacti", str(fake), "--memories", "hp", "--origin", "made up", "--out", str(out)])
    assert capsys.readouterr().out.splitlines()[0] == "64 x 32: 2,560 um2, 1.00 pJ"
    table, data = read_sram(out), json.loads(out.read_text())
    assert len(table.macros) == len(cacti.WORDS) * len(cacti.WORD_BITS)
    first: Any = table.macros[0]
    assert (first.area_um2, first.read_pj, first.write_pj, first.leakage_uw) == (2560, 1, 2, 3)
    assert (first.access_ns, first.cycle_ns) == (1.5, 1.25)
    assert (data["origin"], data["node_nm"]) == ("made up", 45)
    assert data["command"] == "python -m hwmodel.cacti --memories hp --node-nm 45"


def test_a_failure_of_cacti_is_told(fake: Path, tmp_path: Path) -> None:
    (fake / "fail").touch()
    with pytest.raises(ValueError) as caught:
        cacti.main(["--cacti", str(fake), "--out", str(tmp_path / "table.json")])
    assert str(caught.value) == "CACTI must find a memory, but ended with 'no organization'"
    assert not (tmp_path / "table.json").exists()
