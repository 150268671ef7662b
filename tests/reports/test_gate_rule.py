import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from efficient360.core.measurement import BYTE, ONE, Better, Metric
from efficient360.errors import SettingsError
from efficient360.reports.gate.rule import Kind, Limit, Quantity, limit_of, parse_rule
from gate_runs import CONFIDENCE, LATENCY, MACS, NLL, TOP1, TRANSFER

BYTES = Metric("weight_bytes", BYTE, Better.LOWER, "", low=0)
PARAMETERS = Metric("parameters", ONE, Better.LOWER, "", low=0)
METRICS = {m.name: m for m in (TOP1, NLL, MACS, LATENCY, TRANSFER, CONFIDENCE, BYTES, PARAMETERS)}


def limit(text: str, kind: Kind = Kind.FAIL_IF) -> Limit:
    rule = parse_rule(kind, text)
    return limit_of(rule, METRICS[rule.metric])


@pytest.mark.parametrize(
    ("text", "quantity", "amount"),
    [
        ("top1 < -0.5pt", Quantity.CHANGE, -0.005),
        ("top1 < −0.5 pp", Quantity.CHANGE, -0.005),
        ("top1 < -0.005", Quantity.CHANGE, -0.005),
        ("top1 < -1%rel", Quantity.RELATIVE, -0.01),
        ("top1 < -0", Quantity.CHANGE, 0.0),
        ("top1 < 90%", Quantity.VALUE, 0.9),
        ("top1 < 0.9", Quantity.VALUE, 0.9),
        ("latency_p50 > +10%", Quantity.RELATIVE, 0.1),
        ("latency_p50 > +2ms", Quantity.CHANGE, 0.002),
        ("latency_p50>20ms", Quantity.VALUE, 0.02),
        ("latency_p50 > 20 µs", Quantity.VALUE, 2e-5),
        ("nll > +5%", Quantity.RELATIVE, 0.05),
        ("nll >= 0.5nat", Quantity.VALUE, 0.5),
        ("macs > 1.3GMAC", Quantity.VALUE, 1.3e9),
        ("weight_bytes > 20MiB", Quantity.VALUE, 20 * 2**20),
        ("weight_bytes > +1MB", Quantity.CHANGE, 1e6),
        ("parameters > 5.7M", Quantity.VALUE, 5.7e6),
    ],
)
def test_limits_are_read_in_the_metrics_unit(text: str, quantity: Quantity, amount: float) -> None:
    found = limit(text)
    assert found.quantity is quantity
    assert found.amount == pytest.approx(amount)


def test_a_requirement_is_about_the_value_whatever_its_sign() -> None:
    assert limit("backward_transfer >= -0.05", Kind.REQUIRE) == Limit(Quantity.VALUE, -0.05)
    assert limit("backward_transfer < -0.05") == Limit(Quantity.CHANGE, -0.05)


@pytest.mark.parametrize(
    ("kind", "text", "hint"),
    [
        (Kind.FAIL_IF, "top1 < -0.5%", "-0.5pt"),
        (Kind.FAIL_IF, "top1 > -0.5pt", "write 'top1 < -0.5pt'"),
        (Kind.FAIL_IF, "top1 > +0.5pt", "write 'top1 < -0.5pt'"),
        (Kind.FAIL_IF, "latency_p50 <= +10%", "write 'latency_p50 >= +10%'"),
        (Kind.FAIL_IF, "latency_p50 < -10%", "write 'latency_p50 > +10%'"),
        (Kind.FAIL_IF, "latency_p50 > 10%", "did you mean 'latency_p50 > +10%'"),
        (Kind.REQUIRE, "latency_p50 <= 10%", "write 20ms"),
        (Kind.REQUIRE, "top1 <= 20ms", "write 20% or 0.2"),
        (Kind.FAIL_IF, "latency_p50 > 20", "20ms"),
        (Kind.FAIL_IF, "latency_p50 > 20mS", "20ms"),
        (Kind.FAIL_IF, "latency_p50 > +2pt", "+10%"),
        (Kind.FAIL_IF, "latency_p50 > 10m", "20ms"),
        (Kind.FAIL_IF, "top1 < 0", "-0.5pt"),
        (Kind.FAIL_IF, "top1 < 90", "90%"),
        (Kind.REQUIRE, "top1 >= -0.5pt", "fail-if"),
        (Kind.REQUIRE, "top1 >= 0%", "fail-if"),
        (Kind.REQUIRE, "top1 <= 90%", "write 'top1 >= 90%'"),
        (Kind.REQUIRE, "top1 >= 120%", "fail-if"),
    ],
)
def test_what_decides_nothing_or_the_wrong_way_is_refused(kind: Kind, text: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        limit(text, kind)
    assert refused.value.code == "bad-rule"
    assert hint in refused.value.hint


def test_a_descriptive_metric_takes_either_direction() -> None:
    assert limit("confidence < 50%").quantity is Quantity.VALUE
    assert limit("confidence > 99%").quantity is Quantity.VALUE


@pytest.mark.parametrize("text", ["", "top1", "top1 <", "top1 < x", "top1 = 3", "top1 != 3", "< 3", "top1 < 1e999", "top1[epsilon] < 3%", "top1[a=b < 3%"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_rule(Kind.FAIL_IF, text)
    assert refused.value.code == "bad-rule"


def test_conditions_and_evaluators_are_read() -> None:
    rule = parse_rule(Kind.REQUIRE, 'adversarial/robust_accuracy[epsilon=4/255, attack="a, b"] >= 20%')
    assert (rule.evaluator, rule.metric, dict(rule.conditions)) == ("adversarial", "robust_accuracy", {"epsilon": "4/255", "attack": "a, b"})
    assert parse_rule(Kind.REQUIRE, "accuracy.top1 >= 20%").evaluator == "accuracy"
    assert parse_rule(Kind.REQUIRE, "robust_accuracy[*] >= 20%").every
    assert parse_rule(Kind.REQUIRE, "axes.privacy >= 0.5").evaluator == "axes"


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_rule_or_one_refusal(text: str) -> None:
    refused = ""
    try:
        rule = parse_rule(Kind.FAIL_IF, text)
    except SettingsError as error:
        refused = error.code
    assert refused == "bad-rule" if refused else rule.metric


@given(st.floats(-1, 1), st.booleans(), st.booleans())
def test_fail_if_and_require_with_opposite_signs_say_the_same(distance: float, below: bool, inclusive: bool) -> None:
    signs = {(True, False): ("<", ">="), (True, True): ("<=", ">"), (False, False): (">", "<="), (False, True): (">=", "<")}
    forbidden, wanted = signs[below, inclusive]
    rules = parse_rule(Kind.FAIL_IF, f"confidence {forbidden} 0.5"), parse_rule(Kind.REQUIRE, f"confidence {wanted} 0.5")
    assert rules[0].breaks(distance, 1.0) == rules[1].breaks(distance, 1.0)
    assert rules[0].worse_below == rules[1].worse_below
