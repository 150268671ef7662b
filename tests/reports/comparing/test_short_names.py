from efficient360.plugins.registry import dimensions
from efficient360.reports.comparing.words import SHORT


def test_every_summary_metric_has_a_name_for_the_narrow_column() -> None:
    metrics = {anchor.metric for dimension in dimensions() for anchor in dimension.anchors}
    assert metrics <= SHORT.keys()
    assert all(len(name) <= 12 for name in SHORT.values())
