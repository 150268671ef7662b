"""What is stored beside a value: what must agree before it is set beside another."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from efficient360.core.measurement import Measurement
from efficient360.deployment.devices import latency_metrics
from efficient360.evaluators.accuracy import TOP1, Accuracy
from efficient360.evaluators.adversarial import Adversarial
from efficient360.evaluators.latency import Latency
from efficient360.evaluators.parameters import PARAMETERS, Parameters
from efficient360.execution import runner
from efficient360.execution.comparable import measured_with
from efficient360.execution.events import Finished
from efficient360.execution.session import InMemory, Session, open_session
from efficient360.methods.adversarial.attack_curve import MEDIAN, ROBUST
from efficient360.storage.outcomes import Store


@pytest.fixture
def session(make_plan) -> Iterator[Session]:
    plan = make_plan()
    with ExitStack() as stack:
        yield open_session(plan, Store(plan.out), lambda _: None, stack, InMemory())


def test_the_strength_of_attacks_is_told_and_what_only_draws_or_speeds_is_not(session: Session) -> None:
    settings = measured_with(session, Adversarial(steps=20), ROBUST)["settings"]
    assert settings == {"attacks": ["apgd-ce", "apgd-t", "fab-t", "square"], "separately": False, "steps": 20, "targets": 9, "queries": 5000}


def test_a_setting_may_matter_to_one_metric_alone(session: Session) -> None:
    assert measured_with(session, Adversarial(), MEDIAN)["settings"]["linf"] == [4, 8]
    assert "linf" not in measured_with(session, Adversarial(), ROBUST)["settings"]


@pytest.mark.parametrize(("size", "examples"), [(None, 60), (16, 16), (500, 60)])
def test_the_number_of_examples_is_that_taken(session: Session, size: int | None, examples: int) -> None:
    assert measured_with(session, Adversarial(examples=size), ROBUST)["examples"] == examples


def test_data_matter_to_those_who_look_at_them(session: Session) -> None:
    assert measured_with(session, Accuracy(), TOP1)["data"].startswith("digits test ")
    assert "data" not in measured_with(session, Parameters(), PARAMETERS)


def test_the_machine_matters_to_times_and_not_to_bytes(session: Session) -> None:
    assert session.environment["cpu"] in measured_with(session, Latency(), latency_metrics.P50)["machine"]
    assert "machine" not in measured_with(session, Latency(), latency_metrics.ARTEFACT_BYTES)


def test_every_stored_value_tells_it(make_plan) -> None:
    events: list[Any] = []
    plan = make_plan("calibration", "parameters")
    runner.run(plan, events.append)
    records = [record for event in events if isinstance(event, Finished) for record in event.records if isinstance(record.outcome, Measurement)]
    assert records
    assert all(record.measured_with["version"] and "settings" in record.measured_with for record in records)
    stored = [record for group in Store(plan.out).groups() for record in group if isinstance(record.outcome, Measurement)]
    assert [record.measured_with for record in stored] == [record.measured_with for record in records]
