import pytest

from efficient360.core.findings import Finding, findings_from_json, findings_to_json


def test_findings_survive_json() -> None:
    findings = (Finding("a-code", "What was found.", "What to do."),)
    assert findings_from_json(findings_to_json(findings)) == findings


@pytest.mark.parametrize(
    "data", [None, 1, "text", [1], [{}], [{"code": "a", "message": "b", "advice": 1}], [{"code": "a", "message": "b", "advice": "c", "d": "e"}]]
)
def test_what_are_no_findings_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match="finding"):
        findings_from_json(data)
