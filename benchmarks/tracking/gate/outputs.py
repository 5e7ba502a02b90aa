"""A gate's result for those who read it: lines for a terminal, JUnit XML, annotations and a page for GitHub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from baselines.contract import UserError
from benchmarks.records.files import StoreError
from benchmarks.tracking.gate.verdict import GateResult, in_order
from cosmos.io.files import make_folder, write_bytes
from cosmos.io.terminal import printable

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
_SUITE = "cosmos-bench gate"
_LEVELS = {"regression": "error", "cannot judge": "warning"}


def terminal(result: GateResult) -> str:
    """What did not pass, each with the command that shows it; then what passed, each with its size, its margin and the
    loss that is ruled out; the result last."""
    lines = []
    for finding in in_order(result.findings):
        lines.append(f"{finding.outcome}: {finding.sentence}")
        lines += [f"    {finding.command}"] if finding.command and finding.outcome != "pass" else []
    lines += [f"note: {note}" for note in result.notes]
    return "\n".join([*lines, result.headline])


def junit(result: GateResult) -> bytes:
    """JUnit XML: a test case for each finding, a failure for a regression, an error for what cannot be judged."""
    counts = {
        "tests": len(result.findings),
        "failures": len(result.of("regression")),
        "errors": len(result.of("cannot judge")),
        "skipped": 0,
    }
    attributes = {name: str(count) for name, count in counts.items()}
    root = ElementTree.Element("testsuites", {"name": _SUITE, **attributes, "time": "0"})
    suite = ElementTree.SubElement(root, "testsuite", {"name": _SUITE, **attributes, "time": "0"})
    for finding in result.findings:
        name = {"classname": _xml(finding.entry or "run"), "name": _xml(finding.quantity), "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", name)
        if finding.outcome != "pass":
            tag = "failure" if finding.outcome == "regression" else "error"
            fault = ElementTree.SubElement(
                case, tag, {"type": finding.outcome.replace(" ", "_"), "message": _xml(finding.sentence)}
            )
            fault.text = _xml("\n".join(filter(None, [finding.sentence, finding.command])))
        else:
            ElementTree.SubElement(case, "system-out").text = _xml(finding.sentence)
    ElementTree.SubElement(suite, "system-out").text = _xml("\n".join([*result.notes, result.headline]))
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def write_junit(result: GateResult, path: Path) -> None:
    """Raises `UserError` where the file cannot be written."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name a file with --junit.")
    make_folder(path.parent, StoreError)
    write_bytes(path, junit(result), StoreError)


def github_lines(result: GateResult) -> Iterator[str]:
    """GitHub's workflow commands: an error for a regression, a warning for what cannot be judged."""
    for finding in in_order(result.findings):
        if finding.outcome != "pass":
            text = finding.sentence + (f"\n{finding.command}" if finding.command else "")
            yield f"::{_LEVELS[finding.outcome]} title={_property(f'gate: {finding.title}')}::{_data(text)}"
    for note in result.notes:
        yield f"::notice title=gate::{_data(note)}"


def markdown(result: GateResult) -> str:
    """A page: the result, and a table of all that was judged, what did not pass first."""
    lines = [f"## {_cell(result.headline)}", "", "| outcome | entry | quantity | baseline to now, change | why |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for finding in in_order(result.findings):
        cells = (finding.outcome, finding.entry, finding.quantity, finding.size, finding.why)
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    commands = dict.fromkeys(f.command for f in in_order(result.findings) if f.command and f.outcome != "pass")
    if commands:
        lines += ["", "What shows it:", "", *(f"    {printable(command)}" for command in commands)]
    lines += ["", *(f"- {_cell(note)}" for note in result.notes)] if result.notes else []
    return "\n".join(lines) + "\n"


def add_summary(result: GateResult) -> None:
    """Add the page to the summary of a GitHub job, where there is one.

    Raises:
        UserError: the file that GitHub names cannot be written.
    """
    name = os.environ.get(SUMMARY_VARIABLE)
    if not name:
        return
    try:
        with open(name, "a", encoding="utf-8") as summary:
            summary.write(markdown(result))
    except OSError as error:
        raise UserError(f"Cannot write the summary {name} that {SUMMARY_VARIABLE} names ({error.strerror}).") from error


def _xml(text: str) -> str:
    """What XML 1.0 can hold: no control characters, and no half of a surrogate pair."""
    return "".join(
        c for c in printable(text) if c in "\n\t" or " " <= c <= "\ud7ff" or (c >= "\ue000" and c not in "\ufffe\uffff")
    )


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    return " ".join(printable(text).split()).replace("|", "\\|")
