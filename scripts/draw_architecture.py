#!/usr/bin/env python3
"""Draws docs/architecture.svg: the rooms of the package floor by floor, and which room imports which.

Rooms and floors are those of docs/architecture.yaml; the arrows are read from the import statements of efficient360/.

    python scripts/draw_architecture.py           writes the picture, prints how many rooms, floors and arrows there are
    python scripts/draw_architecture.py --check   writes nothing, exits 1 if the picture is out of date
"""

import ast
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import product
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "efficient360"
ROOMS = ROOT / "docs" / "architecture.yaml"
PICTURE = ROOT / "docs" / "architecture.svg"

WIDTH = 1200
MARGIN = 20
PADDING = 12
GAP = 10
BOX_HEIGHT = 46
FLOOR_GAP = 28
ROW_GAP = 28

Arrows = Mapping[tuple[str, str], int]
"""Importing room and imported room, with the number of imports between them."""


def read_floors(file: Path = ROOMS) -> list[dict[str, str]]:
    """Rooms and their purposes, floor by floor from the ground up."""
    floors: list[dict[str, str]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return floors


def room_of(module: str) -> str:
    """The room of a module; each method is a room of its own."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2]) if parts[0] == "methods" else parts[0]


def module_name(file: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(file: Path, modules: set[str]) -> set[str]:
    """The package's own modules that a file imports anywhere in it."""
    targets = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "efficient360":
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                targets.add(submodule if submodule in modules else str(node.module))
        elif isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names if alias.name.startswith("efficient360.")}
    return targets


@cache
def read_arrows() -> tuple[list[str], Arrows]:
    """Every room that has files, and the imports between rooms."""
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if file.name != "__init__.py"]
    modules = {module_name(file) for file in PACKAGE.rglob("*.py")}
    arrows: Counter[tuple[str, str]] = Counter()
    for file in files:
        source = room_of(module_name(file))
        for target in imported_modules(file, modules):
            if room_of(target) != source:
                arrows[source, room_of(target)] += 1
    return sorted({room_of(module_name(file)) for file in files}), arrows


def essential(arrows: Arrows) -> set[tuple[str, str]]:
    """The arrows that no longer way implies (the transitive reduction of the graph, which has no cycles)."""
    below: dict[str, set[str]] = {}
    for source, target in arrows:
        below.setdefault(source, set()).add(target)

    def reaches(start: str, end: str) -> bool:
        return any(room == end or reaches(room, end) for room in below.get(start, ()))

    return {(source, target) for source, target in arrows if not any(reaches(room, target) for room in below[source] - {target})}


@dataclass(frozen=True)
class Box:
    """A room on the picture."""

    room: str
    purpose: str
    x: float
    y: float
    width: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True)
class Layout:
    """Where the boxes stand, and the bands behind each floor as (y, height)."""

    boxes: dict[str, Box]
    bands: list[tuple[float, float]]
    height: float


def rows_of(floor: Mapping[str, str], methods: Sequence[str]) -> list[list[tuple[str, str]]]:
    """A floor as rows of (room, purpose): the methods have a row of their own."""
    others = [(name, purpose) for name, purpose in floor.items() if name != "methods"]
    return [[(name, "") for name in methods], others] if "methods" in floor else [others]


def lay_out(floors: Sequence[Mapping[str, str]], rooms: Sequence[str], arrows: Arrows) -> Layout:
    """Boxes from the top floor down, each row ordered so that arrows are short."""
    listed = {room for floor in floors for room in floor}
    methods = [room for room in rooms if room.startswith("methods.") and room not in listed]
    placed = [rows_of(floor, methods) for floor in reversed(floors)]
    weights = essential(arrows)
    for _ in range(8):
        placed = reorder(placed, weights)
    boxes: dict[str, Box] = {}
    bands = []
    y = float(MARGIN)
    for rows in placed:
        top = y
        y += PADDING
        for row in rows:
            inner = WIDTH - 2 * (MARGIN + PADDING)
            width = (inner - GAP * (len(row) - 1)) / len(row)
            for index, (room, purpose) in enumerate(row):
                boxes[room] = Box(room, purpose, MARGIN + PADDING + index * (width + GAP), y, width)
            y += BOX_HEIGHT + ROW_GAP
        y += PADDING - ROW_GAP
        bands.append((top, y - top))
        y += FLOOR_GAP
    return Layout(boxes, bands, y - FLOOR_GAP + MARGIN)


Rows = list[list[list[tuple[str, str]]]]


def reorder(placed: Rows, arrows: set[tuple[str, str]]) -> Rows:
    """Each row ordered by the mean position of the rooms that its rooms are joined to."""
    position = {room: (index + 0.5) / len(row) for rows in placed for row in rows for index, (room, _) in enumerate(row)}

    def mean(room: str) -> float:
        near = [position[b] for a, b in arrows if a == room and b in position] + [position[a] for a, b in arrows if b == room and a in position]
        return sum(near) / len(near) if near else position[room]

    return [[sorted(row, key=lambda entry: (round(mean(entry[0]), 6), entry[0])) for row in rows] for rows in placed]


@dataclass(frozen=True)
class Line:
    """An arrow as drawn: down from the source at ``start``, and just above the target over to ``end`` where the two differ."""

    start: float
    end: float
    top: float
    bottom: float

    @property
    def path(self) -> str:
        if self.start == self.end:
            return f"M{self.start:.1f} {self.top:.1f}V{self.bottom:.1f}"
        turn = max(self.top, self.bottom - FLOOR_GAP - PADDING)
        middle = (turn + self.bottom) / 2
        return f"M{self.start:.1f} {self.top:.1f}V{turn:.1f}C{self.start:.1f} {middle:.1f} {self.end:.1f} {middle:.1f} {self.end:.1f} {self.bottom:.1f}"


def steps(box: Box) -> list[float]:
    """Places along the edge of a box where an arrow may leave or end."""
    inset = min(14.0, box.width / 6)
    count = int((box.width - 2 * inset) // 4)
    return [box.middle + 4 * (i - count / 2) for i in range(count + 1)]


def route(source: Box, target: Box, boxes: Sequence[Box], drawn: Sequence[Line]) -> Line:
    """The line that passes behind the fewest boxes, keeps clear of the lines already drawn, and is short."""
    top, bottom = source.y + BOX_HEIGHT, target.y - 1.5
    between = [box for box in boxes if source.y < box.y < target.y]
    beside = [line for line in drawn if line.top < bottom and top < line.bottom]
    shared = [x for x in steps(source) if target.x + 10 <= x <= target.x + target.width - 10]
    wanted = min(source, target, key=lambda box: box.width).middle

    def start_cost(x: float) -> float:
        behind = sum(box.x - 3 < x < box.x + box.width + 3 for box in between)
        return 30 * behind + 40 * sum(abs(line.start - x) < 7 for line in beside) + 0.1 * abs(x - wanted)

    def end_cost(x: float) -> float:
        return 40.0 * sum(abs(line.end - x) < 7 for line in beside if line.bottom == bottom)

    if shared:
        x = min(shared, key=lambda x: (start_cost(x) + end_cost(x), x))
        return Line(x, x, top, bottom)
    starts, ends = {x: start_cost(x) for x in steps(source)[::2]}, {x: end_cost(x) for x in steps(target)[::2]}
    start, end = min(product(starts, ends), key=lambda pair: (starts[pair[0]] + ends[pair[1]] + 0.4 * abs(pair[0] - pair[1]), pair))
    return Line(start, end, top, bottom)


STYLE = """
svg { --paper: #ffffff; --band: #f4f6fb; --box: #ffffff; --edge: #c3cbe0; --ink: #1d2540; --soft: #5b6585; --line: #4a5fb8; --method: #eef1fb; }
@media (prefers-color-scheme: dark) {
  svg { --paper: #14161f; --band: #1b1e2b; --box: #252a3b; --edge: #424a66; --ink: #eef0f8; --soft: #a4acc8; --line: #8fa2f0; --method: #2a3048; }
}
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; text-anchor: middle; fill: var(--ink); }
.name { font-size: 15px; font-weight: 600; }
.method .name { font-size: 12px; font-weight: 500; }
.purpose { font-size: 11.5px; fill: var(--soft); }
.box { fill: var(--box); fill-opacity: .78; stroke: var(--edge); stroke-width: 1; }
.method .box { fill: var(--method); }
.arrow { fill: none; stroke: var(--line); stroke-width: 1.1; opacity: .75; marker-end: url(#head); }
.implied { stroke-width: .8; opacity: .16; marker-end: none; }
#head path { fill: var(--line); }
"""


def draw(floors: Sequence[Mapping[str, str]], rooms: Sequence[str], arrows: Arrows) -> str:
    """The picture as SVG. Where a browser shows it as a page, pointing at a room leaves only that room's arrows."""
    layout = lay_out(floors, rooms, arrows)
    strong = essential(arrows)
    name = {room: room.replace("_", "-").replace(".", "-").strip("-") for room in layout.boxes}
    hover = "".join(f"svg:has(#{n}:hover) .arrow:not(.{n}){{opacity:.04}}svg:has(#{n}:hover) .arrow.{n}{{opacity:1}}\n" for n in sorted(name.values()))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {layout.height:.0f}" role="img" aria-labelledby="title description">',
        '<title id="title">The architecture of Efficient360</title>',
        f'<desc id="description">{len(rooms)} rooms on {len(floors)} floors; every arrow points from a room down to one that it imports.</desc>',
        f"<style>{STYLE}{hover}</style>",
        '<defs><marker id="head" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L6 3L0 6z"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{layout.height:.0f}" fill="var(--paper)"/>',
    ]
    lines += [f'<rect x="{MARGIN}" y="{y:.1f}" width="{WIDTH - 2 * MARGIN}" height="{h:.1f}" rx="10" fill="var(--band)"/>' for y, h in layout.bands]
    drawn: list[Line] = []
    paths = []
    boxes = list(layout.boxes.values())
    for source, target in sorted(arrows, key=lambda pair: (pair not in strong, layout.boxes[pair[1]].y - layout.boxes[pair[0]].y, pair)):
        line = route(layout.boxes[source], layout.boxes[target], boxes, drawn if (source, target) in strong else [])
        kind = "" if (source, target) in strong else " implied"
        paths.append(f'<path class="arrow{kind} {name[source]} {name[target]}" d="{line.path}"/>')
        drawn.append(line)
    lines += reversed(paths)
    lines += [box_of(box, name[box.room]) for box in layout.boxes.values()]
    return "\n".join([*lines, "</svg>", ""])


def box_of(box: Box, identifier: str) -> str:
    """A room: its name, and below it what it is for."""
    kind = "room method" if box.room.startswith("methods.") else "room"
    shape = f'<rect class="box" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{BOX_HEIGHT}" rx="6"/>'
    title = box.room if box.purpose else box.room.removeprefix("methods.")
    words = [title] if box.purpose else title.split("_")
    if box.purpose:
        text = [("name", box.y + 20, title), ("purpose", box.y + 36, box.purpose)]
    elif len(words) == 1:
        text = [("name", box.y + 27, title)]
    else:
        text = [("name", box.y + 20 + 15 * i, word) for i, word in enumerate(words)]
    labels = "".join(f'<text class="{css}" x="{box.middle:.1f}" y="{y:.1f}">{escape(label)}</text>' for css, y, label in text)
    return f'<g class="{kind}" id="{identifier}">{shape}{labels}</g>'


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or with ``--check`` say whether it is current."""
    floors = read_floors()
    rooms, arrows = read_arrows()
    picture = draw(floors, rooms, arrows)
    if "--check" in arguments:
        return int(not PICTURE.is_file() or PICTURE.read_text(encoding="utf-8") != picture)
    PICTURE.write_text(picture, encoding="utf-8")
    drawn = f"{len(arrows)} arrows between rooms ({len(essential(arrows))} not implied by others)"
    print(f"{PICTURE.relative_to(ROOT)}: {len(rooms)} rooms on {len(floors)} floors, {drawn}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
