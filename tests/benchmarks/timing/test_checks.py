"""What each check says: shares, bounds, and when it cannot tell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from baselines.contract import Request, Sample
from benchmarks.records import seals
from benchmarks.records.schema import SampleRecord, TimingRecord
from benchmarks.running.auditing.checks import MOST_SECONDS, in_a_run
from benchmarks.timing.audit import generated, recorded
from benchmarks.timing.audit.checked import Checked, differing, exit_code
from benchmarks.timing.audit.generated import Asked, Took
from cosmos.io.counting import agreeing, counted

REQUESTS = [Request(f"test-{n}", "source", n, 16) for n in range(20)]


def words(texts: list[str]) -> list[int]:
    return [len(text.split()) + 1 for text in texts]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["holds", "does not apply"], 0),
        (["holds", "cannot tell"], 2),
        (["cannot tell", "found", "holds"], 1),
        ([], 2),
    ],
)
def test_exit_codes(outcomes: Sequence[Any], code: int) -> None:
    assert exit_code(Checked("check", outcome, "said") for outcome in outcomes) == code


@pytest.mark.parametrize(
    ("unequal", "exact", "outcome"),
    [(0, True, "holds"), (1, True, "found"), (1, False, "holds"), (3, False, "holds"), (4, False, "found")],
)
def test_one_text_that_differs_is_enough_where_rounding_is_the_same(unequal: int, exact: bool, outcome: str) -> None:
    pairs = [("a", "b" if n < unequal else "a") for n in range(4)]
    said = differing("check", "here", pairs, exact=exact)
    assert said.outcome == outcome
    assert said.figures["share"] == unequal / 4
    assert f"{unequal} of 4 texts {'differs' if unequal == 1 else 'differ'} ({unequal / 4:.0%}) here" in str(said)


def test_nothing_to_compare_cannot_be_told() -> None:
    assert differing("check", "here", [], exact=True).outcome == "cannot tell"


GOOD = Sample("id", "four words are here", 4, True)
ODD = {
    "claim more tokens than were asked for": GOOD._replace(tokens=17),
    "claim more tokens than their texts have": GOOD._replace(tokens=12),
    "are cut, though far from the limit": GOOD._replace(finished=False),
    "claim an end that was not written": GOOD._replace(sequence=(5, 6, 7, 8)),
}


@pytest.mark.parametrize("said", ODD)
def test_odd_lengths_are_named(said: str) -> None:
    found = generated.lengths([ODD[said]] * 3 + [GOOD] * 17, REQUESTS, words)
    assert found.outcome == "found"
    assert found.said == f"3 of 20 {said}"
    assert generated.lengths([ODD[said]] + [GOOD] * 19, REQUESTS, words).outcome == "holds"


def test_texts_that_end_at_the_limit_may_be_cut_and_ends_may_be_written() -> None:
    whole = Sample("id", " ".join(["word"] * 15), 15, False)
    ended = GOOD._replace(sequence=(5, 6, 7, 8, 2))
    blank = Sample("id", "", 0, True)
    assert generated.lengths([whole, ended, blank], REQUESTS[:3], words).outcome == "holds"


class Wordy(str):
    """A text that is worked out when it is looked at."""


@pytest.mark.parametrize(
    ("sample", "named"),
    [(GOOD._replace(text=Wordy("late")), "Sample.text"), (GOOD._replace(tokens=True), "Sample.tokens")],
)
def test_answers_that_are_not_plain_are_named(sample: Sample, named: str) -> None:
    assert generated.plain_answers([GOOD]).outcome == "holds"
    found = generated.plain_answers([GOOD, sample])
    assert found.outcome == "found"
    assert named in found.said


@dataclass(frozen=True)
class Captured:
    capture: str = "graph"


class Rounds:
    """Texts depend on the capture, for one seed in four."""

    def generate(self, requests: Sequence[Request], setting: Any) -> list[Sample]:
        return [Sample(r.id, setting.capture if r.seed % 4 == 0 else "text", 1, True) for r in requests]


@pytest.mark.parametrize(
    ("setting", "capture", "outcome", "share"),
    [
        (Captured(), "off", "holds", 0.25),
        (Captured("off"), "off", "does not apply", None),
        (Captured("off"), "compile", "holds", 0.25),
        (None, "off", "does not apply", None),
    ],
)
def test_the_share_that_compiling_changes_is_told(
    setting: Any, capture: str, outcome: str, share: float | None
) -> None:
    system: Any = Rounds()
    texts = [] if setting is None else [s.text for s in system.generate(REQUESTS, setting)]
    found = generated.compiled_and_eager(system, setting, Asked(REQUESTS, texts, True), texts, capture)
    assert found.outcome == outcome
    assert found.figures.get("share") == share


def test_a_share_is_believed_only_where_the_wall_and_the_cpu_agree() -> None:
    slow = [Took(1.0, 0.8)] * 3
    assert generated.share_of([Took(0.1, 0.08)] * 3, slow) == pytest.approx(0.1)
    assert generated.share_of([Took(0.1, 0.8)] * 3, slow) == pytest.approx(1.0)
    assert generated.share_of([Took(1.0, 0.08)] * 3, slow) == pytest.approx(1.0)
    assert generated.share_of([Took(0.1, 0.0)], [Took(1.0, 0.0)]) == pytest.approx(0.1)
    assert generated.share_of([Took(0.1, 0.1)], [Took(0.0, 0.0)]) == 1.0


SAMPLES = [SampleRecord(f"test-{n}", f"one two three four {n}", 5, True, n, {"network": 3}) for n in range(24)]


def call(kind: Literal["batch", "latency", "sweep", "warmup"], first: int, count: int, **more: Any) -> TimingRecord:
    made = SAMPLES[first : first + count]
    texts = seals.texts_sha256([sample.text for sample in made])
    plain = TimingRecord(kind, first, tuple(s.id for s in made), 1.0, {"network": 3}, texts=texts)
    return replace(plain, kept={"words": 5 * count}, **more)


def outcomes(found: Sequence[Checked]) -> dict[str, str]:
    return {checked.check: checked.outcome for checked in found}


def test_timed_texts_are_held_against_scored_ones() -> None:
    calls = [call("batch", 0, 12), call("batch", 12, 12), *(call("latency", n, 1) for n in range(4))]
    assert set(outcomes(recorded.timed_texts(SAMPLES, calls, exact=True)).values()) == {"holds"}
    other = replace(calls[1], texts=calls[0].texts)
    assert outcomes(recorded.timed_texts(SAMPLES, [calls[0], other], exact=True)) == {"timed texts": "found"}
    alone = [*calls[:2], replace(calls[2], texts=calls[0].texts), calls[3]]
    for exact, outcome in ((True, "found"), (False, "holds")):
        found = recorded.timed_texts(SAMPLES, alone, exact=exact)
        assert outcomes(found) == {"timed texts": "holds", "single texts": outcome}
        assert found[1].figures["share"] == 0.5


def test_records_before_hashes_of_texts_have_seals_or_cannot_tell() -> None:
    old = [replace(call("batch", 0, 24), texts="", kept={})]
    assert outcomes(recorded.timed_texts(SAMPLES, old, exact=True)) == {"timed texts": "cannot tell"}
    sealed = [replace(old[0], seal=seals.timing_seal(old[0], SAMPLES))]
    assert outcomes(recorded.timed_texts(SAMPLES, sealed, exact=True)) == {"timed texts": "holds"}


def test_texts_that_are_only_timed_are_as_long() -> None:
    assert recorded.timed_lengths(SAMPLES, [call("sweep", 0, 24)]).outcome == "holds"
    assert recorded.timed_lengths(SAMPLES, [call("sweep", 0, 12)]).outcome == "does not apply"
    short = replace(call("sweep", 0, 24), kept={"words": 60})
    found = recorded.timed_lengths(SAMPLES, [short])
    assert found.outcome == "found"
    assert "2.5 words" in found.said


def test_the_part_of_every_run_is_bounded() -> None:
    """A system whose texts take long is not looked at, and one without networks has nothing to look at."""

    class Asked:
        asked = 0

        def generate(self, requests: Any, setting: Any) -> list[Sample]:
            self.asked += 1
            return []

    system: Any = Asked()
    assert in_a_run(system, None, {}, REQUESTS[:1], [0.1]) == ()
    assert in_a_run(system, None, {"network": object()}, REQUESTS[:1], [MOST_SECONDS]) == ()
    assert in_a_run(system, None, {"network": object()}, REQUESTS[:1], []) == ()
    assert system.asked == 0


def test_counts_of_one_are_said_in_the_singular() -> None:
    sample = GOOD
    said = [
        str(differing("check", "here", [("a", "b")], exact=True)),
        str(generated.plain_answers([sample])),
        str(generated.lengths([sample], REQUESTS[:1], words)),
        *map(str, recorded.timed_texts([SampleRecord("a", "one", 1, True, 0, {})], [call("batch", 0, 1)], exact=True)),
        str(recorded.timed_lengths([], [])),
    ]
    assert said[:3] == [
        "found: check: 1 of 1 text differs (100%) here",
        "holds: plain answers: 1 sample is a plain value",
        "holds: lengths: 1 text has the tokens and the end it claims",
    ]
    assert not [text for text in said if re.search(r"\b1 (?:[a-z]+ )?(?:texts|calls|samples|batches)\b", text)]
    assert (
        str(differing("check", "here", [("a", "b"), ("a", "a")], exact=True))
        == "found: check: 1 of 2 texts differs (50%) here"
    )


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 processes were"), (1, "1 process was"), (1200, "1,200 processes were")]
)
def test_nouns_and_verbs_go_with_their_count(count: int, said: str) -> None:
    assert f"{counted(count, 'process', 'processes')} {agreeing(count, 'was', 'were')}" == said
