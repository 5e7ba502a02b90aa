"""The audit, and the verdict of a run, catch each way in which a system seems faster than it is, and let the honest one
pass; the table of both is that of docs/timing.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cheats
import pytest
from cheats import FakeClock, Honest, Setting

from baselines.contract import Request
from benchmarks.records import store
from benchmarks.records.schema import Json, TimingRecord
from benchmarks.records.validity import calls_in, throughput
from benchmarks.running import generation
from benchmarks.running.auditing.checks import Audited, Bounds, of_system
from benchmarks.timing.audit import recorded
from benchmarks.timing.audit.checked import Checked, exit_code
from benchmarks.timing.audit.generated import Asked
from benchmarks.timing.audit.idle import Bystanders, Idle
from benchmarks.timing.protocol import Protocol
from benchmarks.timing.verdict import Rules

DOCS = Path(__file__).parents[3] / "docs" / "timing.md"
SIZE, LARGE = 8, 32
REQUESTS = tuple(Request(f"test-{n}", f"source {n}", 7919 * n + 5, 16) for n in range(8 * SIZE))
GAIN = 1.1  # times as many texts a second as the honest system, below which nothing was gained

SYSTEMS: dict[str, Callable[[], Honest]] = {
    "honest": Honest,
    "honest, in two steps": cheats.FewSteps,
    "honest, with noise of numpy": cheats.NoiseOfNumpy,
    "honest, with calls that depend on the text": cheats.StopsByItself,
    "honest, with two networks and candidates": cheats.ChoosesAmongSome,
    "keeps texts by request": cheats.CachesRequests,
    "a thread works ahead": lambda: cheats.WorksAhead(REQUESTS),
    "works when asked for its networks": lambda: cheats.WorksWhenAskedForNetworks(REQUESTS),
    "makes texts when they are looked at": cheats.Lazy,
    "calls `forward`": cheats.CallsForward,
    "shows a decoy network": cheats.ShowsDecoy,
    "shows a decoy, and a thread works": cheats.ThreadDecoy,
    "has weights of numpy besides": cheats.HiddenWeightsOfNumpy,
    "cuts texts short while it is timed": cheats.CutsWhenTimed,
    "claims the tokens of texts it cut": cheats.ClaimsWholeTexts,
    "makes less when asked for one text": cheats.QuickAlone,
    "makes less for seeds that are not scored": lambda: cheats.LessForStandIns(REQUESTS),
    "makes less in larger batches": lambda: cheats.QuickLarge(SIZE),
    "makes a part while it is loaded": lambda: cheats.Head(REQUESTS),
    "stands still in one of eight batches": cheats.Stalls,
}


def words(texts: list[str]) -> list[int]:
    return [len(text.split()) + 1 for text in texts]


@dataclass(frozen=True)
class Seen:
    """What was seen of a system: findings, the verdict of its run, and its texts per second in batches."""

    findings: list[Checked]
    verdict: Json
    timings: tuple[TimingRecord, ...]

    @property
    def found(self) -> list[str]:
        return list(dict.fromkeys(finding.check for finding in self.findings if finding.outcome == "found"))

    @property
    def texts_per_second(self) -> float:
        """By the calls that the throughput rests on."""
        still = {(call["kind"], call["index"]) for call in self.verdict["stalled"]}
        calls = [t for t in calls_in(self.timings, SIZE, throughput(SIZE)) if (t.kind, t.index) not in still]
        seconds = sum(t.seconds for t in calls)
        return sum(len(t.ids) for t in calls) / seconds if seconds else float("inf")


def look(build: Callable[[], Honest], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """Run a system as the harness does, then load it again and audit it."""
    monkeypatch.setattr(generation, "Clock", FakeClock)
    monkeypatch.setattr(cheats.Time, "now", 100.0)
    folder.mkdir()
    conditions = generation.Conditions(
        "cpu", SIZE, (LARGE,), Protocol(), Rules(load=2.0)
    )  # whoever else is at work here
    system = build()
    verdict = generation.generate(
        system,  # type: ignore[arg-type]
        Setting(),
        REQUESTS,
        folder,
        conditions,
        progress=lambda share: None,
        say=print,
    )
    system.close()
    samples, timings = store.read_samples(folder), store.read_timings(folder)
    header: Any = SimpleNamespace(networks={"network": None}, batch_size=SIZE)
    before = Bystanders()
    again = build()
    asked = Asked(REQUESTS[:SIZE], [sample.text for sample in samples[:SIZE]], exact=True)
    audited = Audited(again, Setting(), asked, "cpu", LARGE, "off", words, before)  # type: ignore[arg-type]
    findings = [
        *recorded.timed_texts(samples, timings, exact=True),
        recorded.timed_lengths(samples, timings),
        recorded.timed_work(header, timings),
        *of_system(audited, Bounds(texts=SIZE), FakeClock(), lambda device: Idle(0.0)),
    ]
    again.close()
    return Seen(findings, verdict, timings)


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Seen]:
    return lambda name: look(SYSTEMS[name], tmp_path / "cell", monkeypatch)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name.startswith("honest")])
def test_honest_systems_pass(seen: Callable[[str], Seen], name: str) -> None:
    honest = seen(name)
    assert honest.found == []
    assert exit_code(honest.findings) == 0
    assert honest.verdict["valid"], honest.verdict["reasons"]
    assert honest.verdict["stalled"] == []


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("keeps texts by request", {"repeats", "repeated work"}),
        ("a thread works ahead", {"outside the clock", "known requests"}),
        ("works when asked for its networks", {"networks asked", "known requests"}),
        ("makes texts when they are looked at", {"plain answers"}),
        ("calls `forward`", {"direct calls"}),
        ("shows a decoy network", {"network calls"}),
        ("shows a decoy, and a thread works", {"network calls"}),
        ("has weights of numpy besides", {"network calls"}),
        ("makes less for seeds that are not scored", {"timed work", "equal work"}),
        ("makes less in larger batches", {"timed work", "largest batch"}),
        ("makes a part while it is loaded", {"timed work", "equal work"}),
        ("cuts texts short while it is timed", {"untimed texts"}),
        ("claims the tokens of texts it cut", {"lengths"}),
        ("makes less when asked for one text", {"batch sizes"}),
    ],
)
def test_the_audit_names_what_it_found(seen: Callable[[str], Seen], name: str, checks: set[str]) -> None:
    found = seen(name)
    assert checks <= set(found.found), [str(finding) for finding in found.findings]
    assert exit_code(found.findings) == 1


def row(name: str, seen: Seen, honest: Seen) -> str:
    """A line of the table."""
    gained = seen.texts_per_second / honest.texts_per_second
    if seen.verdict["stalled"]:
        said = "counts nothing of it"
    elif not seen.verdict["valid"]:
        said = "does not believe it"
    else:
        said = "believes it" + ("" if gained > GAIN else ", and nothing was gained")
    if name.startswith("honest"):
        said = "believes it"
    return f"| {name} | {', '.join(seen.found) or 'finds nothing'} | {said} |"


def test_the_table_of_the_docs_is_what_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = {}
    for place, (name, build) in enumerate(SYSTEMS.items()):
        every[name] = look(build, tmp_path / str(place), monkeypatch)
    rows = [row(name, seen, every["honest"]) for name, seen in every.items()]
    print("\n".join(rows))
    written = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert [line for line in written if line.split(" | ")[0].removeprefix("| ") in SYSTEMS] == rows
    for name, seen in every.items():
        assert name.startswith("honest") or seen.found or seen.verdict["stalled"] or not seen.verdict["valid"], name
