from collections.abc import Iterator
from pathlib import Path

import pytest
from answered import Known, context_of, found

from efficient360 import conformance
from efficient360.core.measurement import Conditions, Failure, Interval, Measurement, Outcome, Status
from efficient360.deployment.devices import latency_metrics
from efficient360.errors import DeviceError, SettingsError
from efficient360.evaluators.device_reach import DeviceReach
from efficient360.evaluators.latency import Latency
from efficient360.execution.plan import configure

PROFILES = ("limited:1core-512mb", "limited:1core-1gb", "limited:1core-2gb")


def taken(device: str, low: float, value: float, high: float) -> Measurement:
    given: Conditions = {"runtime": "onnxruntime", "precision": "fp32", "device": device, "batch": 1}
    return Measurement(latency_metrics.BEST, value, 30, Interval(low, high, "bootstrap"), given)


def killed(code: str, message: str = "it ended") -> list[Outcome]:
    return [
        Failure(Status.FAILED, "no-latency", "none", "", latency_metrics.BEST),
        Failure(Status.FAILED, code, message, "", latency_metrics.P50, {"runtime": "torch"}),
    ]


def reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, on: dict, **settings) -> list[Outcome]:
    """What it says when the latency evaluator yields these outcomes on each profile, or raises."""

    def evaluate(self: Latency, model: object, context: object) -> Iterator[Outcome]:
        if isinstance(on[self.device], Exception):
            raise on[self.device]
        yield from on[self.device]

    monkeypatch.setattr("efficient360.evaluators.device_reach.Latency.__post_init__", lambda self: None)
    monkeypatch.setattr(Latency, "evaluate", evaluate)
    return list(DeviceReach(profiles=tuple(on), **settings).evaluate(Known(3), context_of(None, tmp_path)))


def test_share_of_profiles_within_the_budget_with_the_latencies_own_uncertainty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    times = ((0.2, 0.3, 0.4), (0.09, 0.098, 0.12), (0.01, 0.02, 0.03))
    on = {profile: [taken(profile, *ends)] for profile, ends in zip(PROFILES, times, strict=True)}
    outcomes = reach(monkeypatch, tmp_path, on)
    share = found(outcomes, "device_reach")
    assert (share.value, share.n, share.conditions) == (2 / 3, 3, {"budget": "100 ms"})
    assert (share.interval.low, share.interval.high) == (1 / 3, 2 / 3)
    assert [o.conditions["device"] for o in outcomes if o.metric == latency_metrics.BEST] == list(PROFILES)
    assert [row[:2] for row in share.extra[0].rows] == [(PROFILES[0], "no"), (PROFILES[1], "yes"), (PROFILES[2], "yes")]
    assert found(reach(monkeypatch, tmp_path, on, budget=0.5), "device_reach").value == 1


def test_a_profile_with_too_little_memory_or_speed_is_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fast = [taken("x", 0.01, 0.02, 0.03)]
    on = {PROFILES[0]: killed("worker-killed", "it needs more than the 512 MiB"), PROFILES[1]: killed("worker-hung"), PROFILES[2]: fast}
    outcomes = reach(monkeypatch, tmp_path, on)
    assert found(outcomes, "device_reach").value == 1 / 3
    assert found(outcomes, "best_latency", device=PROFILES[0]).code == "worker-killed"
    assert found(outcomes, "device_reach").extra[0].rows[0][-1] == "it needs more than the 512 MiB"


@pytest.mark.parametrize("why", [DeviceError("no-cgroup", "control groups are not writable"), SettingsError("profile-too-large", "more cores than here")])
def test_without_one_of_the_profiles_there_is_no_share(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: Exception) -> None:
    outcomes = reach(monkeypatch, tmp_path, {PROFILES[0]: why, PROFILES[1]: [taken(PROFILES[1], 0.01, 0.02, 0.03)]})
    missing = found(outcomes, "device_reach")
    assert (missing.status, missing.code) == (Status.UNSUPPORTED, "profiles-missing")
    assert PROFILES[0] in missing.message
    assert PROFILES[1] not in missing.message
    assert found(outcomes, "best_latency", device=PROFILES[0]).message == str(why)


def test_answers_that_disagree_are_not_out_of_reach_but_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert found(reach(monkeypatch, tmp_path, {PROFILES[0]: killed("parity")}), "device_reach").code == "profiles-missing"
    assert found(reach(monkeypatch, tmp_path, {PROFILES[0]: []}), "best_latency").code == "no-latency"


@pytest.mark.parametrize(
    ("wrong", "code", "message"),
    [
        ({"profiles": []}, "bad-setting", "profiles of device_reach"),
        ({"profiles": ["local", "local"]}, "bad-setting", "profiles of device_reach"),
        ({"profiles": ["limited:huge"]}, "bad-profile", "huge"),
        ({"budget": 0.0}, "bad-setting", "budget of device_reach is 0"),
        ({"runs": 1}, "bad-setting", "runs of device_reach"),
        ({"seconds": -1.0}, "bad-setting", "seconds of device_reach"),
        ({"runtimes": ["abacus"]}, "unknown-runtime", "abacus"),
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict, code: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        configure(DeviceReach, wrong)
    assert caught.value.code == code


@pytest.mark.slow
@pytest.mark.exhaustive
def test_it_keeps_the_contract_on_this_machine() -> None:
    conformance.check(DeviceReach(profiles=("local",), runtimes=("torch",), runs=6, seconds=0.1))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_tiny_model_reaches_this_machine(tmp_path: Path) -> None:
    on = conformance.subject()
    context = context_of(None, tmp_path)
    # A minute, so that no load on the machine decides.
    outcomes = list(DeviceReach(profiles=("local",), budget=60.0, runtimes=("torch",), runs=6, seconds=0.1).evaluate(on.model, context))
    assert found(outcomes, "device_reach").value == 1
    assert found(outcomes, "best_latency").value > 0
