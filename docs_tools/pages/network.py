"""GEMMs of the networks, mixed precision, cycles and memories."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import hwmodel
from docs_tools.markdown import spread, table
from hwmodel.inference import dram_pj_per_bit, packaged_sram
from hwmodel.latency import main as latency
from hwmodel.workload import (
    Assignment,
    Mixture,
    PrecisionClass,
    Role,
    Workload,
    assign,
    load_workload,
    parts_of,
    standard_mixture,
    workload_names,
)
from rtl.array import Codes, plan_passes
from rtl.mac import UniformSpec
from siliquant.inputs import listing

__all__ = ["OWNS", "texts"]

OWNS = ("workloads", "ends", "policy", "latency", "decoders", "memories")
PUBLISHED_GMACS = {
    "deit-tiny": 1.3, "deit-small": 4.6, "deit-base": 17.6, "swin-tiny": 4.5, "swin-small": 8.7, "sret-tiny": 1.1,
}  # fmt: skip
"""Touvron et al. (ICML 2021), Liu et al. (ICCV 2021), Shen et al. (ECCV 2022)."""
FIRST = (*PUBLISHED_GMACS, "bert-base-128", "bert-base-384")
OPTIONS = (
    "--bits 2",
    "--bits 3",
    "--bits 4",
    "--bits 8",
    "--bits 4 --overlap double",
    "--bits 4 --no-requantise",
    "--bits 4 --scales head-reduced",
    "--bits 4 --architecture systolic",
    "--bits 4 --drains 1",
    "--bits 4 --depth 2048",
    "--mean 3 --design subword --units 6",
    "--mean 3 --design bitfusion --units 3",
    "--mean 3 --design bitserial --units 48",
    "--mean 3 --design loom --units 160",
)
DECODERS = ("smollm2-135m-prefill-1024", "smollm2-135m-decode-1024")
SHOWN: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "cycles": lambda record: f"{record['cycles']:,}",
    "utilisation": lambda record: f"{record['utilisation']:.1%}",
    "loads": lambda record: f"{record['load_share']:.1%}",
    "SRAM uJ": lambda record: f"{record['sram_uj']:,.2f}",
    "off chip kB": lambda record: f"{record['off_chip_bytes'] / 1e3:,.0f}",
}


def texts() -> dict[str, str]:
    """By place."""
    tiny = load_workload("deit-tiny")
    return {
        "workloads": _workloads(),
        **_ends(tiny),
        "policy": _policy(tiny),
        "policy.shares": _shares(assign(tiny, 4, (2, 4, 8)).mixture()),
        "policy.standard": _shares(standard_mixture(4)),
        **_latency(),
        **_decoders(),
        **_memories(),
    }


def _workloads() -> str:
    names = [*FIRST, *sorted(set(workload_names()) - set(FIRST))]
    lines = []
    for name in names:
        found = load_workload(name)
        ends = found.macs_by_class()[PrecisionClass.ENDS]
        published = PUBLISHED_GMACS.get(name)
        lines.append(
            (name, str(len(found.gemms)), f"{found.macs:,}", f"{ends:,}", "" if published is None else f"{published:g}")
        )
    return table(("model", "GEMMs", "MACs", "of them first and last layers", "published, G"), lines)


def _ends(tiny: Workload) -> dict[str, str]:
    """What the first and last layers take."""
    sret = load_workload("sret-tiny")
    share = tiny.macs_by_class()[PrecisionClass.ENDS] / tiny.macs
    wide = Codes(8, True)
    passes = [len(plan_passes(UniformSpec(weight_bits=bits, activation_bits=bits), wide, wide)) for bits in (4, 3, 2)]
    return {
        "ends.share": f"{100 * share:.1f} %",
        "ends.passes": f"{passes[0]} passes at 4 x 4 bits, {passes[1]} at 3 x 3 and {passes[2]} at 2 x 2",
        "ends.sret-stem": f"{sret.macs_by_role()[Role.STEM] / 1e6:.1f}",
        "ends.sret": f"{sret.macs_by_class()[PrecisionClass.ENDS] / 1e6:.1f}",
    }


def _policy(tiny: Workload) -> str:
    means = (3, 4)
    found = [assign(tiny, mean, (2, 4, 8)) for mean in means]
    rows: dict[tuple[str, ...], list[str]] = {}
    for role in tiny.macs_by_role():
        if role.module.value != "other":
            rows.setdefault(tuple(_widths(each, role) for each in found), []).append(role.value)
    lines = [(", ".join(roles), *cells) for cells, roles in rows.items()]
    return table((f"GEMMs of {tiny.name}", *(f"mean {mean}" for mean in means)), lines, left=3)


def _shares(mixture: Mixture) -> str:
    """Shares of MACs by width, in words."""
    (first, share), *others = mixture.shares
    texts = [f"{float(100 * share):.0f} % at {first} bits"]
    return listing([*texts, *(f"{float(100 * part):.0f} % at {bits}" for bits, part in others)])


def _widths(one: Assignment, role: Role) -> str:
    """The widths of the GEMMs of a role, in words."""
    gemms = [gemm for gemm in one.workload.gemms if gemm.role is role]
    widths = [one.of(gemm) for gemm in gemms]
    if len(set(widths)) == 1:
        return f"{widths[0]} bits"
    parts = [f"{widths.count(bits)} at {bits} bits" for bits in sorted(set(widths), key=parts_of)]
    return f"of {len(widths)}: {listing(parts)}"


def _latency() -> dict[str, str]:
    lines = []
    cycles: dict[str, Mapping[str, int]] = {}
    for options in OPTIONS:
        by_role = _roles(options)
        cycles[options] = {role: cells["cycles"] for role, cells in by_role.items()}
        lines.append((f"`{options}`", *(show(by_role["all"]) for show in SHOWN.values())))
    two = cycles["--bits 2"]
    ends = sum(two[name] for name in ("patch_embedding", "classifier"))
    return {
        "latency": table(("options", *SHOWN), lines),
        "latency-drains": _drains(),
        "latency.ends": f"{ends:,}",
        "latency.two-bits": f"{two['all']:,}",
    }


def _decoders() -> dict[str, str]:
    """The phases of a decoder, uniform ones; and what its last layer, of 8 bits, takes of a decoded token."""
    lines, shares = [], []
    for name in DECODERS:
        for bits in (4, 8):
            options = f"--model {name} --bits {bits}"
            by_role = _roles(options)
            lines.append((f"`{options}`", *(show(by_role["all"]) for show in SHOWN.values())))
            if name == DECODERS[-1]:
                shares.append(f"{by_role['lm_head']['cycles'] / by_role['all']['cycles']:.0%} at {bits}")
    return {"decoders": table(("options", *SHOWN), lines), "decoders.head": f"{listing(shares)} bits"}


def _drains() -> str:
    """Utilisation by role with more and more drains."""
    found = {number: _roles(f"--bits 4 --drains {number}") for number in (1, 2, 4, 8)}
    lines = [
        (role.replace("_", " "), *(f"{found[number][role]['utilisation']:.1%}" for number in found))
        for role in found[1]
    ]  # fmt: skip
    return table(("GEMMs", *("1 drain" if number == 1 else f"{number} drains" for number in found)), lines)


def _roles(options: str) -> dict[str, dict[str, Any]]:
    """What the command prints as JSON, by role."""
    with redirect_stdout(io.StringIO()) as said:
        latency([*options.split(), "--format", "json"])
    return {record["role"]: record for record in json.loads(said.getvalue())}


def _memories() -> dict[str, str]:
    words, bits = 512, 64
    about = {
        "lstp-lop": "`lstp-lop` (default): cells of low standby power, periphery of low operating power",
        "lop": "`lop`: low operating power",
        "hp": "`hp`: high performance",
    }
    lines = []
    for device, text in about.items():
        (one,) = (m for m in packaged_sram(device=device).macros if (m.words, m.bits) == (words, bits))
        lines.append(
            (
                text,
                f"{one.area_um2:,.0f}",
                f"{one.read_pj:.2f}",
                f"{one.write_pj:.2f}",
                f"{one.leakage_uw:,.1f}",
                f"{one.access_ns:.2f}",
            )
        )
    horowitz = json.loads((Path(hwmodel.__file__).parent / "data" / "sram" / "horowitz-2014.json").read_text())
    ratios = _against_caches(horowitz)
    dram = dram_pj_per_bit()
    return {
        "memories": table(
            ("table", f"{words} x {bits} bits: area um2", "read pJ", "write pJ", "leakage uW", "access ns"), lines
        ),
        "memories.caches": spread(ratios, ".2f"),
        "memories.cache-pj": listing([f"{pj:g}" for pj in list(horowitz["cache_pj"].values())[:2]]),
        "memories.dram-nj": " to ".join(f"{horowitz['dram_pj'][name] / 1e3:g}" for name in ("low", "high")),
        "memories.dram-bit": " to ".join(f"{value:.0f}" for value in dram),
    }


def _against_caches(horowitz: Mapping[str, Any]) -> list[float]:
    """Reading a word from memories of the size of two caches, of every kind of transistor, to those caches."""
    bits = horowitz["access_bits"]
    return [
        macro.read_pj / pj
        for device in ("hp", "lop", "lstp-lop")
        for size, pj in list(horowitz["cache_pj"].items())[:2]
        for macro in packaged_sram(device=device).macros
        if macro.bits == bits and macro.words * bits == 8 * int(size)
    ]
