"""A check as JUnit XML, which CI systems show as tests: a rule that fails is a failed test, one that nothing decides is a skipped one."""

from typing import Final
from xml.etree import ElementTree

from efficient360.core.text import one_line
from efficient360.reports.gate import words
from efficient360.reports.gate.results import Check, RuleResult, State

SUITE: Final = "efficient360 check"


def junit(result: Check) -> str:
    """One test suite with a test case for each rule and value, in the rules' order."""
    skipped = [r for r in result.results if r.state is not State.PASSED and not r.fails]
    numbers = {"tests": len(result.results), "failures": len(result.failures), "errors": 0, "skipped": len(skipped)}
    counts = {name: str(number) for name, number in numbers.items()}
    root = ElementTree.Element("testsuites", {"name": SUITE, **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": one_line(f"{SUITE}: {words.against(result)}"), **counts})
    for r in result.results:
        _case(suite, r)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, r: RuleResult) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", {"classname": one_line(f"{r.evaluator}.{r.rule.metric}"), "name": one_line(f"{r.rule.title} ({words.subject(r)})")}
    )
    told = one_line(words.sentence(r))
    if r.fails:
        why = f"\n{one_line(r.rule.why)}" if r.rule.why else ""
        ElementTree.SubElement(case, "failure", {"type": r.state.value, "message": told}).text = told + why
    elif r.state is State.PASSED:
        ElementTree.SubElement(case, "system-out").text = told
    else:
        ElementTree.SubElement(case, "skipped", {"message": f"{r.state}: {told}"})
