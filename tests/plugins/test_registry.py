import subprocess
import sys
from pathlib import Path

import pytest

from efficient360.dimensions.dimension import Dimension
from efficient360.errors import PluginError, SettingsError
from efficient360.plugins import registry
from efficient360.plugins.dimension_file import dimensions_in

NAMES = [
    "performance",
    "memory",
    "computation",
    "latency",
    "robustness",
    "fairness",
    "inclusiveness",
    "privacy",
    "transparency",
    "spectral",
    "continual",
    "probabilistic",
    "approximation",
]


def test_the_first_evaluators_are_found_by_their_files() -> None:
    known = registry.evaluators()
    assert {"accuracy", "parameters", "macs", "memory", "calibration"} <= set(known)
    for entry in known.values():
        assert entry.summary, f"{entry.name} has no docstring"
        assert entry.load().name == entry.name


def test_the_thirteen_dimensions_in_radar_order() -> None:
    assert [d.name for d in registry.dimensions()] == NAMES


def test_anchors_name_evaluators_and_metrics_that_exist() -> None:
    known = registry.evaluators()
    for dimension in registry.dimensions():
        for anchor in dimension.anchors:
            assert anchor.metric in {m.name for m in registry.evaluator_class(anchor.evaluator, known).metrics}
            assert anchor.source


@pytest.mark.parametrize(
    "arguments", [["--help"], *(["list", what] for what in ("evaluators", "dimensions", "datasets", "checkpoints", "protocols"))], ids=" ".join
)
def test_listings_import_no_torch(arguments: list[str]) -> None:
    code = f"import sys; from efficient360.cli.parser import run_command\ntry: run_command({arguments!r})\nexcept SystemExit: pass\n"
    code += "assert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_plugin_file_is_read_without_being_run(plugin) -> None:
    path = plugin(extra="raise SystemExit('ran')")
    entry = registry.evaluators([path])["brightness"]
    assert (entry.summary, entry.origin) == ("How bright the images are.", str(path))


def test_a_plugin_file_loads(plugin) -> None:
    assert registry.evaluators([plugin()])["brightness"].load().name == "brightness"


def test_a_plugin_file_brings_a_dimension(tmp_path: Path) -> None:
    path = tmp_path / "axis.py"
    path.write_text("from efficient360.dimensions.dimension import Dimension\nMINE = Dimension('mine', 'Mine', 'Is it mine?', 99)\n")
    assert registry.dimensions([path])[-1] == Dimension("mine", "Mine", "Is it mine?", 99)


class _Point:
    def __init__(self, name: str, value: object) -> None:
        self.name, self.value, self.dist, self._loaded = name, f"package:{name}", None, value

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def test_an_entry_point_adds_an_evaluator_and_a_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine:
        name = "mine"

    axis = Dimension("mine", "Mine", "Is it mine?", 99)
    points = {"efficient360.evaluators": [_Point("mine", Mine)], "efficient360.dimensions": [_Point("mine", axis)]}
    monkeypatch.setattr(registry, "entry_points", lambda group: points[group])
    assert registry.evaluators()["mine"].load() is Mine
    assert registry.dimensions()[-1] is axis


def test_a_broken_entry_point_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: [_Point("mine", ImportError("no module x"))])
    with pytest.raises(PluginError, match="the entry point package:mine can't be imported: ImportError: no module x"):
        registry.evaluators()["mine"].load()


def test_duplicate_names_name_both(plugin) -> None:
    path = plugin(name="accuracy")
    with pytest.raises(PluginError, match=rf"two evaluators are called 'accuracy': built in and .*{path.name}"):
        registry.evaluators([path])


def test_duplicate_dimensions_name_both(tmp_path: Path) -> None:
    path = tmp_path / "axis.py"
    path.write_text("from efficient360.dimensions.dimension import Dimension\nMINE = Dimension('memory', 'Mine', 'Is it mine?', 99)\n")
    with pytest.raises(PluginError, match=r"two dimensions are called 'memory': built in and .*axis.py"):
        registry.dimensions([path])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "can't be read: No such file"),
        ("x = " + "-" * 100_000 + "1", "is no Python"),
        ("raise SystemExit", "can't be imported: SystemExit"),
        ("def f(:", "is no Python"),
        ("import nowhere_at_all\n", "can't be imported: ModuleNotFoundError"),
    ],
)
def test_broken_plugins_are_explained(tmp_path: Path, plugin, text: str | None, words: str) -> None:
    path = tmp_path / "missing.py" if text is None else plugin(extra=text)
    with pytest.raises(PluginError, match=words):
        registry.evaluators([path])["brightness"].load()


@pytest.mark.parametrize("name", ["\\x1b[31m", "../../x", "two words", "\\ud800"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(f'class X(Evaluator):\n    name = "{name}"\n')
    with pytest.raises(PluginError, match="which is no identifier"):
        registry.evaluators([path])


def test_a_sibling_that_is_not_on_the_path_is_explained(tmp_path: Path, plugin) -> None:
    (tmp_path / "helpers_beside_it.py").write_text("")
    path = plugin(extra="import helpers_beside_it")
    with pytest.raises(PluginError) as caught:
        registry.evaluators([path])["brightness"].load()
    assert "PYTHONPATH" in caught.value.hint


AXIS = "from efficient360.dimensions.dimension import Dimension\n{before}\nMINE = Dimension('mine', 'Mine', 'Is it mine?', 99)\n"


@pytest.mark.parametrize(
    ("before", "code"),
    [
        ("import sys; sys.exit(0)", "broken-plugin"),
        ("import os; os._exit(0)", "broken-plugin"),
        ("1 / 0", "broken-plugin"),
        ("YOURS = Dimension(b'', 1, [], None)", "no-dimension"),
    ],
)
def test_a_file_of_dimensions_that_misbehaves_is_named(tmp_path: Path, before: str, code: str) -> None:
    path = tmp_path / "axis.py"
    path.write_text(AXIS.format(before=before))
    with pytest.raises(PluginError) as caught:
        registry.dimensions([path])
    assert caught.value.code == code


def test_what_a_file_of_dimensions_prints_and_patches_stays_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "axis.py"
    path.write_text(AXIS.format(before="import json, os; json.loads = None; print('noise'); os.environ.clear()"))
    assert registry.dimensions([path])[-1].name == "mine"
    assert capfd.readouterr().out == ""


def test_a_file_of_dimensions_that_hangs_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "axis.py"
    path.write_text(AXIS.format(before="while True: pass"))
    with pytest.raises(PluginError) as caught:
        dimensions_in(path, seconds=0.0)
    assert caught.value.code == "plugin-hung"


def test_unknown_evaluator_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="there is no evaluator called 'acuracy'") as caught:
        registry.evaluator_class("acuracy", registry.evaluators())
    assert "accuracy" in caught.value.hint


def test_installed_entry_points_equal_the_standard_librarys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    assert registry.entry_points("efficient360.nobody") == []
    info = tmp_path / "thing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: thing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[efficient360.evaluators]\nmine = thing:Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (point,) = registry.entry_points("efficient360.evaluators")
    assert (point.name, point.value, point.dist.name) == ("mine", "thing:Mine", "thing")
    assert registry.entry_points("console_scripts") == list(metadata.entry_points(group="console_scripts"))
