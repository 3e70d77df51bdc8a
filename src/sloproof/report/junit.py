"""The run as JUnit XML, for the systems that read nothing else."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from sloproof.report.record import FindingRecord, RunRecord, ScenarioRecord, SloRecord
from sloproof.report.slo_wording import budget_text, events_text, ratio_text
from sloproof.report.wording import plain

_SUITE = "sloproof"
_SLO_SUITE = "sloproof.slo"
_FAILURES = frozenset({"fail", "inconclusive", "blocked"})


def junit(record: RunRecord) -> bytes:
    """Return one test case a scenario, and one an SLO in a suite of their own.

    A verdict other than pass is a failure, save `error`, which is an error.
    """
    verdicts = [scenario.verdict for scenario in record.scenarios]
    suite = ET.Element(
        "testsuite",
        {
            "name": _SUITE,
            "tests": str(len(verdicts) + len(record.problems)),
            "failures": str(sum(verdict in _FAILURES for verdict in verdicts)),
            "errors": str(verdicts.count("error") + len(record.problems)),
            "skipped": str(verdicts.count("skipped")),
            "time": f"{record.duration_seconds:.3f}",
            "timestamp": record.started,
        },
    )
    for scenario in record.scenarios:
        suite.append(_case(scenario))
    for problem in record.problems:
        case = ET.SubElement(suite, "testcase", {"classname": _SUITE, "name": "run", "time": "0"})
        ET.SubElement(case, "error", {"message": plain(problem)})
    root = ET.Element("testsuites")
    if record.scenarios or record.problems or not record.slos:
        root.append(suite)
    if record.slos:
        root.append(_slo_suite(record))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _slo_suite(record: RunRecord) -> ET.Element:
    verdicts = [slo.verdict for slo in record.slos]
    suite = ET.Element(
        "testsuite",
        {
            "name": _SLO_SUITE,
            "tests": str(len(verdicts)),
            "failures": str(sum(verdict in _FAILURES for verdict in verdicts)),
            "errors": str(sum(verdict != "pass" and verdict not in _FAILURES for verdict in verdicts)),
            "skipped": "0",
            "time": "0.000",
            "timestamp": record.started,
        },
    )
    for slo in record.slos:
        suite.append(_slo_case(slo))
    return suite


def _slo_case(slo: SloRecord) -> ET.Element:
    file, _, line = slo.place.rpartition(":")
    case = ET.Element(
        "testcase",
        {
            "classname": f"{_SLO_SUITE}.{plain(slo.service)}",
            "name": plain(_slo_name(slo)),
            "file": plain(file or slo.place),
            "line": line if line.isdecimal() else "0",
            "time": "0.000",
        },
    )
    if slo.verdict != "pass":
        kind = "failure" if slo.verdict in _FAILURES else "error"
        element = ET.SubElement(case, kind, {"message": plain(slo.reason), "type": plain(slo.verdict)})
        rows = [
            f"{slo.verdict.upper()} {slo.id}: {slo.reason}",
            f"  SLI {ratio_text(slo.sli)}, objective {ratio_text(slo.target)}",
            f"  budget left {budget_text(slo.remaining)}, {events_text(slo.bad)} bad of {events_text(slo.events)}",
            f"  {ratio_text(slo.coverage)} covered, judged at {slo.at}",
            f"  document: {slo.place}",
            *(f"  {query.source}: {query.text}" for query in slo.queries[:5]),
        ]
        element.text = plain("\n".join(rows))
    return case


def _slo_name(slo: SloRecord) -> str:
    """Return a name that no other SLO of the run has: scenarios judge the same one each over its own load."""
    name = f"{slo.name} (drill)" if slo.drill else slo.name
    return f"{name} in {slo.scenario}" if slo.scenario else name


def _case(scenario: ScenarioRecord) -> ET.Element:
    case = ET.Element(
        "testcase",
        {
            "classname": scenario.feature_file.removesuffix(".feature").replace("/", "."),
            "name": plain(scenario.name),
            "file": scenario.feature_file,
            "line": str(scenario.line),
            "time": f"{scenario.duration_seconds:.3f}",
        },
    )
    if scenario.verdict == "skipped":
        ET.SubElement(case, "skipped", {"message": plain(scenario.reason)})
    elif scenario.verdict != "pass":
        bad = [found for step in scenario.steps for found in step.findings if found.verdict != "pass"]
        errors = [step.error for step in scenario.steps if step.error]
        kind = "error" if scenario.verdict == "error" else "failure"
        message = bad[0].claim if bad else scenario.reason or (errors[0].splitlines()[0] if errors else "")
        element = ET.SubElement(case, kind, {"message": plain(message), "type": scenario.verdict})
        element.text = plain("\n\n".join([*map(_text, bad), *([] if bad else errors)]))
    return case


def _text(finding: FindingRecord) -> str:
    rows = [
        f"{finding.verdict.upper()} [{finding.check}] {finding.claim}",
        f"  expected: {finding.expected}",
        f"  measured: {finding.measured}",
    ]
    rows += [f"  {query.source}: {query.text}" for query in finding.queries]
    rows += [f"  hint: {finding.hint}"] if finding.hint else []
    return "\n".join(rows)
