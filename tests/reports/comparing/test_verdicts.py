"""A verdict never praises what is void, undecided or not measured, and turns round with the runs."""

from hypothesis import given
from hypothesis import strategies as st

from efficient360.core.measurement import ONE, Better, Metric
from efficient360.reports.comparing.evidence import Kind
from efficient360.reports.comparing.verdicts import SIGNIFICANCE, Verdict, axis_verdict, metric_verdict

TURNED = {Verdict.FIRST: Verdict.SECOND, Verdict.SECOND: Verdict.FIRST}
OPEN = (Verdict.UNDECIDED, Verdict.NOT_TESTED, Verdict.NOT_COMPARABLE, Verdict.EQUAL)
VALUES = st.floats(0, 1)
P_VALUES = st.none() | st.floats(0, 1)
TESTED = st.sampled_from([Kind.PAIRED, Kind.REPEATS, Kind.INTERVALS, Kind.NONE])
METRIC = Metric("metric", ONE, Better.HIGHER, "Made up.", low=0, high=1)


@given(TESTED, VALUES, VALUES, P_VALUES, st.sampled_from(Better))
def test_only_a_significant_difference_is_better(kind: Kind, a: float, b: float, p: float | None, better: Better) -> None:
    verdict = metric_verdict(kind, METRIC, a, b, p, better)
    if p is None or p >= SIGNIFICANCE or a == b:
        assert verdict in (Verdict.UNDECIDED, Verdict.NOT_TESTED)
    elif better is Better.NEITHER:
        assert verdict is Verdict.DIFFERENT
    else:
        assert verdict is (Verdict.SECOND if (b > a) == (better is Better.HIGHER) else Verdict.FIRST)
    if p is None:
        assert verdict is Verdict.NOT_TESTED
    if kind is Kind.INTERVALS:
        assert verdict is not Verdict.UNDECIDED  # intervals that overlap are no test


@given(st.sampled_from(Kind), VALUES, VALUES, P_VALUES, st.sampled_from(Better))
def test_a_verdict_turns_round_with_the_runs(kind: Kind, a: float, b: float, p: float | None, better: Better) -> None:
    here, there = metric_verdict(kind, METRIC, a, b, p, better), metric_verdict(kind, METRIC, b, a, p, better)
    assert there is TURNED.get(here, here)


@given(st.lists(st.sampled_from(Verdict), min_size=1, max_size=4))
def test_an_axis_is_better_only_where_a_metric_is_and_none_is_worse(verdicts: list[Verdict]) -> None:
    found = axis_verdict(verdicts)
    assert (found is Verdict.FIRST) == (Verdict.FIRST in verdicts and Verdict.SECOND not in verdicts and Verdict.MIXED not in verdicts)
    assert (found is Verdict.SECOND) == (Verdict.SECOND in verdicts and Verdict.FIRST not in verdicts and Verdict.MIXED not in verdicts)
    assert (found is Verdict.EQUAL) == (set(verdicts) == {Verdict.EQUAL})
    assert axis_verdict([TURNED.get(v, v) for v in verdicts]) is TURNED.get(found, found)
    if set(verdicts) <= set(OPEN):
        assert found in OPEN
