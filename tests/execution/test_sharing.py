"""Evaluators that ask for the same examples share one pass, and other data sets enter the key."""

from pathlib import Path

import pytest

from efficient360.core.measurement import Measurement
from efficient360.errors import DatasetError
from efficient360.execution import runner
from efficient360.execution.events import Event, Finished
from efficient360.execution.plan import Plan

PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar, final

from efficient360.evaluator import *


@final
@dataclass(frozen=True)
class {name}(Evaluator):
    """Counts examples of three sorts."""

    name: ClassVar = "{name_}"
    version: ClassVar = 1
    metrics: ClassVar = (Metric("seen", ONE, Better.NEITHER, "How many."), Metric("width", ONE, Better.NEITHER, "Of the features."))
    needs: ClassVar = frozenset({{Need.EXAMPLES, Need.TRAINING_SPLIT}})
    beside: str = "digits"

    def others(self):
        return (self.beside,) if self.beside else ()

    def evaluate(self, model, context):
        asked = {{"clean": context.examples, "training": context.training.subset(30, context.seed)}}
        asked |= {{name: other.test().subset(20, context.seed) for name, other in context.others.items()}}
        for sort, examples in asked.items():
            batches = list(context.predicted(examples).batches(8))
            assert all((model(b.images) - b.clean_logits).abs().max() < 1e-5 for b in batches)
            yield Measurement(self.metrics[0], float(sum(len(b) for b in batches)), conditions={{"sort": sort}})
            yield Measurement(self.metrics[1], float(batches[0].clean_features.shape[1]), conditions={{"sort": sort}})
'''


def written(tmp_path: Path, name: str) -> Path:
    path = tmp_path / f"{name}.py"
    path.write_text(PLUGIN.format(name=name.capitalize(), name_=name))
    return path


def run(plan: Plan) -> list[Event]:
    events: list[Event] = []
    runner.run(plan, events.append)
    return events


def test_two_evaluators_share_every_pass(make_plan, tmp_path: Path) -> None:
    plan = make_plan("first", "second", plugins=(written(tmp_path, "first"), written(tmp_path, "second")))
    events = run(plan)
    for done in (e for e in events if isinstance(e, Finished)):
        found = {(r.metric.name, r.outcome.conditions["sort"]): r.outcome for r in done.records}
        assert all(isinstance(o, Measurement) for o in found.values())
        assert {key: o.value for key, o in found.items() if key[0] == "seen"} == {("seen", "clean"): 60, ("seen", "training"): 30, ("seen", "digits"): 20}
        assert {o.value for key, o in found.items() if key[0] == "width"} == {32}
    assert len(list((plan.out / "work").glob("predictions-*"))) == 3


def test_another_data_set_in_the_settings_is_another_key(make_plan, tmp_path: Path) -> None:
    from efficient360.execution.plan import Step

    plugins = (written(tmp_path, "first"),)
    run(make_plan("first", plugins=plugins))
    again = run(make_plan("first", plugins=plugins))
    assert again[-1].cached
    assert not run(make_plan(plugins=plugins, steps=(Step("first", {"beside": ""}),)))[-1].cached
    with pytest.raises(DatasetError, match="there is no data set called 'nowhere'"):
        run(make_plan(plugins=plugins, steps=(Step("first", {"beside": "nowhere"}),)))
