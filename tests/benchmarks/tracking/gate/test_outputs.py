"""A gate's result in its forms: lines, JUnit XML, annotations, a page."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from baselines.contract import UserError
from benchmarks.tracking.gate import outputs
from benchmarks.tracking.gate.verdict import GateFinding, GateResult

WORSE = GateFinding(
    "cosmos dpmpp_2m-20",
    ("1a2b",),
    "quality",
    "exact_j",
    "regression",
    "it is worse, and not within the margin",
    baseline=0.482,
    now=0.402,
    change=-0.08,
    low=-0.11,
    high=-0.05,
    margin=-0.02,
    command="python -m benchmarks compare runs/a runs/b",
)
UNKNOWN = GateFinding("gpt2 | 100 %", (), "speed", "latency", "cannot judge", "a\nb, <c> & “d” \x1b[31m \udc80 \x00")
NEAR = GateFinding(
    "gpt2", (), "quality", "bleu", "pass", "a loss of 1.1 or more is ruled out", 20.0, 19.8, -0.2, -1.2, 0.8, -2.0
)
GOOD = GateFinding("gpt2", (), "calls", "calls", "pass", "counted", 8.0, 8.0, 0.0, margin=0.08)
RESULT = GateResult("runs/a", "runs/b", (GOOD, UNKNOWN, WORSE), ("the training set changed",))


def result(*findings: GateFinding) -> GateResult:
    return GateResult("runs/a", "runs/b", findings)


def test_a_regression_weighs_more_than_what_cannot_be_judged_and_that_more_than_a_pass() -> None:
    assert result(GOOD).exit_code == 0
    assert result(GOOD, UNKNOWN).exit_code == 2
    assert result(GOOD, UNKNOWN, WORSE).exit_code == 1
    assert result().exit_code == 2, "where nothing was compared, nothing is known"


def test_the_terminal_has_the_worst_first_with_size_interval_and_command_and_the_result_last() -> None:
    lines = outputs.terminal(RESULT).splitlines()
    assert lines[:2] == [
        "regression: exact_j of cosmos dpmpp_2m-20: 0.482 -> 0.402, -0.08 [-0.11, -0.05], -0.02 is allowed: it is "
        "worse, and not within the margin",
        "    python -m benchmarks compare runs/a runs/b",
    ]
    assert lines[-3:] == [
        "pass: calls of gpt2: 8 -> 8, +0, +0.08 is allowed: counted",
        "note: the training set changed",
        "gate: regression (1 worse, 1 cannot be judged, 1 passed): runs/b against runs/a",
    ]


def test_what_passed_says_its_margin_and_the_loss_that_is_ruled_out() -> None:
    assert outputs.terminal(result(NEAR)).splitlines()[0] == (
        "pass: bleu of gpt2: 20 -> 19.8, -0.2 [-1.2, +0.8], -2 is allowed: a loss of 1.1 or more is ruled out"
    )


def test_junit_has_a_case_for_each_finding_and_can_be_read() -> None:
    root = ElementTree.fromstring(outputs.junit(RESULT))
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    counts = {"tests": "3", "failures": "1", "errors": "1", "skipped": "0"}
    assert {name: suite.attrib[name] for name in counts} == counts
    cases = suite.findall("testcase")
    assert [(case.attrib["classname"], case.attrib["name"]) for case in cases] == [
        ("gpt2", "calls"),
        ("gpt2 | 100 %", "latency"),
        ("cosmos dpmpp_2m-20", "exact_j"),
    ]
    failure = cases[2].find("failure")
    assert failure is not None and failure.attrib["type"] == "regression"
    assert failure.text is not None and failure.text.endswith("python -m benchmarks compare runs/a runs/b")
    error = cases[1].find("error")
    assert error is not None and "<c> & “d”" in error.attrib["message"]
    assert cases[0].find("failure") is None and cases[0].find("error") is None


def test_junit_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "made" / "gâte.xml"
    outputs.write_junit(RESULT, path)
    assert path.read_bytes() == outputs.junit(RESULT)
    with pytest.raises(UserError, match=r"is a folder; name a file with --junit\.$"):
        outputs.write_junit(RESULT, tmp_path)


def test_annotations_are_one_line_each_with_what_would_end_them_escaped() -> None:
    lines = list(outputs.github_lines(RESULT))
    assert [line.partition(" ")[0] for line in lines] == ["::error", "::warning", "::notice"]
    assert lines[0].startswith("::error title=gate%3A exact_j of cosmos dpmpp_2m-20::exact_j of cosmos")
    assert lines[0].endswith("%0Apython -m benchmarks compare runs/a runs/b")
    assert "title=gate%3A latency of gpt2 | 100 %25::" in lines[1] and "a%0Ab, <c>" in lines[1]
    assert not any("\n" in line or "\x1b" in line for line in lines)


def test_the_page_is_added_to_the_summary_of_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv(outputs.SUMMARY_VARIABLE, str(summary))
    outputs.add_summary(RESULT)
    text = summary.read_text()
    assert text.startswith("before\n## gate: regression (1 worse, 1 cannot be judged, 1 passed)")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows] == ["| outcome", "| ---", "| regression", "| cannot judge", "| pass"]
    assert "gpt2 \\| 100 %" in rows[3]
    monkeypatch.setenv(outputs.SUMMARY_VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"^Cannot write the summary .* that GITHUB_STEP_SUMMARY names"):
        outputs.add_summary(RESULT)
    monkeypatch.delenv(outputs.SUMMARY_VARIABLE)
    outputs.add_summary(RESULT)
