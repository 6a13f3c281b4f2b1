"""The recipes synthesis tries: the same list, in the same order, for every design."""

from __future__ import annotations

from dataclasses import dataclass

from siliquant.inputs import InputError

FLOW_VERSION = 3  # raise it when the flow gives other netlists than before: rows of older flows are then not reused

ADDER_FORMS = ("cell", "hybrid", "logic")
CARRY_FORMS = ("chain", "ripple", "brent-kung", "sklansky", "kogge-stone", "han-carlson")
SCRIPTS = ("area", "flow", "keep", "timed", "even", "speed", "fast", "map", "lut")
EFFORTS = ("quick", "normal", "high")


@dataclass(frozen=True)
class Recipe:
    """One way through synthesis.

    adders: the compressor tree's full adders become library cells ("cell"), gates ABC may rework ("logic"), or cells
    but for those on the longest paths ("hybrid", see hwmodel.synthesis.hybrid).
    carry: the structure of carry-propagate adders.  script: ABC's script, see below.
    target: the delay ABC aims for, as a fraction of the clock period, of the round's period on a hybrid path; None: as
    fast as it can, or as small as it can, by the script.
    ABC sees full-adder cells as cuts: but for hybrid paths signals leave them at time 0, so a smaller target is not
    "faster than the clock" but a guess of what the tree takes.
    """

    adders: str
    carry: str
    script: str
    target: float | None = None

    def __post_init__(self) -> None:
        for value, allowed, field in (
            (self.adders, ADDER_FORMS, "adders"),
            (self.carry, CARRY_FORMS, "carry"),
            (self.script, SCRIPTS, "script"),
        ):
            if value not in allowed:
                raise InputError(f"{field} must be one of {', '.join(allowed)}, not {value!r}")
        if self.target is not None and not self.target > 0:
            raise InputError(f"target must be a positive fraction of the clock period, not {self.target}")

    @property
    def name(self) -> str:
        """A name that is also a file name: cell-chain-area, logic-sklansky-map-0.5."""
        return "-".join([self.adders, self.carry, self.script, *([f"{self.target:g}"] if self.target else [])])


_TREE, _MIXED, _GATES = "cell", "hybrid", "logic"
_QUICK = (
    Recipe(_TREE, "chain", "area"),
    Recipe(_TREE, "sklansky", "fast"),
    Recipe(_GATES, "sklansky", "fast"),
)
_NORMAL = (
    Recipe(_TREE, "chain", "area"),
    Recipe(_TREE, "chain", "flow"),
    Recipe(_TREE, "ripple", "area"),
    Recipe(_TREE, "brent-kung", "keep"),
    Recipe(_TREE, "brent-kung", "even", 0.5),
    Recipe(_TREE, "sklansky", "speed", 0.5),
    Recipe(_TREE, "sklansky", "fast"),
    Recipe(_MIXED, "brent-kung", "timed", 1.0),
    Recipe(_GATES, "ripple", "area"),
    Recipe(_GATES, "ripple", "flow"),
    Recipe(_GATES, "brent-kung", "keep"),
    Recipe(_GATES, "sklansky", "timed", 0.7),
    Recipe(_GATES, "sklansky", "even", 0.75),
    Recipe(_GATES, "sklansky", "fast"),
)
_HIGH = (
    *_NORMAL,
    Recipe(_TREE, "brent-kung", "flow"),
    Recipe(_TREE, "sklansky", "keep"),
    Recipe(_TREE, "sklansky", "even", 0.5),
    Recipe(_TREE, "brent-kung", "speed", 0.5),
    Recipe(_TREE, "brent-kung", "lut", 0.5),
    Recipe(_GATES, "brent-kung", "even", 0.5),
    Recipe(_GATES, "brent-kung", "speed", 0.5),
    Recipe(_GATES, "sklansky", "map", 0.25),
    *(Recipe(_TREE, carry, script) for carry in ("kogge-stone", "han-carlson") for script in SCRIPTS),
    *(Recipe(_GATES, carry, script, 0.25) for carry in ("sklansky", "kogge-stone") for script in ("map", "lut")),
)
_RECIPES = {"quick": _QUICK, "normal": _NORMAL, "high": tuple(dict.fromkeys(_HIGH))}


def recipes(effort: str, has_adder_cell: bool) -> tuple[Recipe, ...]:
    """The recipes of one effort; those for full-adder cells only where the library has such a cell."""
    if effort not in EFFORTS:
        raise InputError(f"effort must be one of {', '.join(EFFORTS)}, not {effort!r}")
    return tuple(recipe for recipe in _RECIPES[effort] if has_adder_cell or recipe.adders == _GATES)


AREA_SCRIPTS = ("area", "flow", "keep")
SIZED = "-sized"
"""At the end of a recipe in a row: its netlist has larger cells than the recipe gave it."""
SCREENED, UNSCREENED = "-screened", "-unscreened"
"""At the end of a recipe in a row. SCREENED: the clock was given up before everything was tried. UNSCREENED: the search
went on where a screened one would have given up. A row with neither is what both ways of searching find.
"""


def rounds(effort: str, has_adder_cell: bool) -> tuple[tuple[Recipe, ...], ...]:
    """The recipes in rounds: the next round is tried only when the last ones do not meet the clock as they are.

    Full-adder cells first, where the library has one, then gates alone, which are much larger. Of each, first the
    recipes that look at area alone, then those that trade area for speed, hybrid paths among them.
    """
    every = recipes(effort, has_adder_cell)
    found = (
        tuple(r for r in every if (r.adders == _GATES) is gates and (r.script in AREA_SCRIPTS) is for_area)
        for gates in (False, True)
        for for_area in (True, False)
    )
    return tuple(group for group in found if group)


def path_start(recipe: Recipe) -> Recipe:
    """The recipe whose netlist a hybrid path starts from."""
    return Recipe(_TREE, recipe.carry, "keep")


def recipe_named(name: str) -> Recipe | None:
    """The recipe that alone gives a row's netlist again, such as cell-chain-area of cell-chain-area-sized.

    None when no list has it, or when more than the list was or was not searched: SCREENED, UNSCREENED.
    """
    plain = name.removesuffix(SIZED)
    return next((recipe for recipe in _RECIPES["high"] if recipe.name == plain), None)


def search_of(name: str) -> str:
    """How a row's recipe text was searched for: SCREENED, UNSCREENED or nothing."""
    return next((end for end in (UNSCREENED, SCREENED) if name.endswith(end)), "")


def looks_at_area_alone(name: str) -> bool:
    """Whether a row's recipe text is of a recipe that trades no area for speed, and no cell was sized up."""
    recipe = recipe_named(name)
    return recipe is not None and recipe.script in AREA_SCRIPTS and not name.endswith(SIZED)


_CARRY_MAPS = {
    "chain": "-map adder_chain.v",
    "ripple": "-map ripple.v",
    "brent-kung": "",
    "sklansky": "-map +/choices/sklansky.v",
    "kogge-stone": "-map +/choices/kogge-stone.v",
    "han-carlson": "-map +/choices/han-carlson.v",
}
# area, flow: restructure and cover for area, by two coverers.  keep: cover for area, adder structures kept.
# timed: cover for delay where arrival times ask for it, adder structures kept.
# even, speed, fast: cover for delay, each faster and larger than the one before.
# map, lut: restructure, cover for delay, and let ABC buffer and size. This flow buffers (hwmodel.yosys.fanout) and
# sizes (hwmodel.synthesis.sizing) the netlists of all of them afterwards, and sees whole paths.
_ABC_SCRIPTS = {
    "area": "strash;ifraig;scorr;dc2;dch -f;amap",
    "flow": "strash;&get -n;&fraig -x;&put;scorr;dc2;dch -f;&get -n;&nf;&put",
    "keep": "strash;dch;amap",
    "timed": "strash;dch;map {D}",
    "even": "strash;ifraig;scorr;dch -f;map {D}",
    "speed": "strash;ifraig;scorr;dch -f;map -B 0.9 {D}",
    "fast": "strash;ifraig;scorr;dch;map -B 0.9 {D}",
    "map": "strash;ifraig;scorr;dc2;dch -f;map -B 0.9 {D};topo;buffer -c;topo;upsize {D};dnsize {D}",
    "lut": "strash;ifraig;scorr;dch -f;if -g -K 6;st;dch;map -B 0.9 {D};topo;buffer -c;topo;upsize {D};dnsize {D}",
}


def carry_commands(recipe: Recipe) -> list[str]:
    """The Yosys commands that map everything coarse to gates, carry-propagate adders as the recipe says."""
    return [f"techmap {_CARRY_MAPS[recipe.carry]} -map +/techmap.v"]


def abc_commands(recipe: Recipe, period_ns: float) -> list[str]:
    """The commands of ABC that cover a design's gates."""
    target = "" if recipe.target is None else f"-D {max(1, round(1000 * period_ns * recipe.target))}"
    return [command.replace("{D}", target) for command in _ABC_SCRIPTS[recipe.script].split(";")]
