"""The picture of the rooms is what the imports say now, and the page speaks of every room."""

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_architecture", ROOT / "scripts" / "draw_architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_current(script: ModuleType) -> None:
    assert script.main(["--check"]) == 0, "docs/architecture.svg is out of date: make architecture"


def test_a_changed_import_or_purpose_makes_it_outdated(script: ModuleType) -> None:
    floors, (rooms, arrows) = script.read_floors(), script.read_arrows()
    now = script.draw(floors, rooms, arrows)
    assert script.draw(floors, rooms, {**arrows, ("core", "errors"): 99}) == now
    assert script.draw(floors, rooms, {**arrows, ("__main__", "errors"): 1}) != now
    assert script.draw([{"errors": "other words"}, *floors[1:]], rooms, arrows) != now


def test_every_room_is_a_box_and_every_arrow_a_line(script: ModuleType) -> None:
    rooms, arrows = script.read_arrows()
    tree = ElementTree.fromstring(script.PICTURE.read_text(encoding="utf-8"))
    boxes = [group for group in tree.iter(f"{SVG}g") if "room" in (group.get("class") or "").split()]
    lines = [path for path in tree.iter(f"{SVG}path") if "arrow" in (path.get("class") or "").split()]
    assert (len(boxes), len(lines)) == (len(rooms), len(arrows))
    assert len({box.get("id") for box in boxes}) == len(boxes)


def test_boxes_stand_apart_and_inside_the_picture(script: ModuleType) -> None:
    rooms, arrows = script.read_arrows()
    layout = script.lay_out(script.read_floors(), rooms, arrows)
    boxes = list(layout.boxes.values())
    for box in boxes:
        assert box.x >= 0
        assert box.x + box.width <= script.WIDTH
        assert box.y + script.BOX_HEIGHT <= layout.height
    for one in boxes:
        for other in boxes:
            if one != other and one.y == other.y:
                assert one.x + one.width < other.x or other.x + other.width < one.x


def test_arrows_point_down(script: ModuleType) -> None:
    rooms, arrows = script.read_arrows()
    boxes = script.lay_out(script.read_floors(), rooms, arrows).boxes
    assert [(a, b) for a, b in arrows if boxes[a].y + script.BOX_HEIGHT > boxes[b].y] == []


def test_arrows_that_a_longer_way_implies_are_told_apart(script: ModuleType) -> None:
    assert script.essential({("a", "b"): 1, ("b", "c"): 1, ("a", "c"): 5, ("a", "d"): 1}) == {("a", "b"), ("b", "c"), ("a", "d")}


def test_imports_are_read_as_python_reads_them(script: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text(
        "import os\nimport efficient360.core.batch\nfrom efficient360.core import outcome\ndef f():\n    from efficient360.errors import RunError\n"
    )
    known = {"efficient360.core.outcome", "efficient360.core.batch", "efficient360.errors"}
    assert script.imported_modules(file, known) == known
    assert [script.room_of(m) for m in ("efficient360.errors", "efficient360.core.batch", "efficient360.methods.privacy.lira")] == [
        "errors",
        "core",
        "methods.privacy",
    ]


def test_the_page_speaks_of_every_room_and_of_files_that_exist(script: ModuleType) -> None:
    import re

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms, _ = script.read_arrows()
    assert [room for room in rooms if f"`{room.replace('.', '/')}" not in page] == []
    named = re.findall(
        r"`((?:core|models|datasets|dimensions|evaluators|methods|deployment|storage|plugins|execution|benchmark|reports|leaderboard|cli|configs)/[\w/.]+)`",
        page,
    )
    assert len(named) > 25
    assert [path for path in named if not (ROOT / "efficient360" / path).exists()] == []
