"""Best is marked only where the tests bear it out."""

import numpy as np
import pytest

from benchmarks.records.schema import Signature
from reports.columns import EntryScore, ScoreColumn
from reports.panels import ELSEWHERE, SCRATCH
from reports.quantities import Quantity
from reports.significance import clear, compare_pairs, judge, mark_disjoint


class Entry:
    """All that a judgement looks at."""

    def __init__(self, key: str, elsewhere: bool = False) -> None:
        self.key, self.track = key, ELSEWHERE if elsewhere else SCRATCH


def column(values: dict[str, list[float] | None], direction: str = "higher", per_text: bool = True) -> ScoreColumn:
    scores = {}
    for key, each in values.items():
        if each is None:
            scores[key] = EntryScore(Quantity(None, reason="missing evaluator"), 0, (), {})
            continue
        mean, half = float(np.mean(each)), float(1.96 * np.std(each) / len(each) ** 0.5)
        texts = {f"t{n}": value for n, value in enumerate(each)} if per_text else {}
        scores[key] = EntryScore(Quantity(mean, mean - half, mean + half, len(each)), len(each), (mean,), texts)
    return ScoreColumn("m", "m", direction, Signature("m", "1", "e"), scores)


def marks(made: ScoreColumn) -> dict:
    return dict(judge(made, [Entry(key) for key in made.scores]).marks)


HARD = np.random.default_rng(0).normal(0, 1, 100)  # how hard each text is, the same for all


def system(skill: float, noise: float, seed: int) -> list[float]:
    return list(HARD + skill + np.random.default_rng(seed).normal(0, noise, 100))


def test_a_clear_best_is_bold_alone():
    assert marks(column({"a": system(1, 0.1, 1), "b": system(0, 0.1, 2), "c": system(0.5, 0.1, 3)})) == {"a": "best"}


def test_lower_is_better():
    made = {"a": system(1, 0.1, 1), "b": system(0, 0.1, 2), "c": system(0.5, 0.1, 3)}
    assert marks(column(made, "lower")) == {"b": "best"}


def test_pairing_finds_what_disjoint_intervals_cannot():
    """The spread over texts is large, the difference small but steady."""
    made = column({"a": system(0.1, 0.05, 1), "b": system(0, 0.05, 2)})
    a, b = made.scores["a"].quantity, made.scores["b"].quantity
    assert not clear(a, b, "higher")
    assert marks(made) == {"a": "best"}


def test_those_not_told_from_the_best_share_the_lighter_mark():
    made = column({"a": system(1, 0.5, 1), "b": system(1, 0.5, 2), "c": system(0, 0.5, 3)})
    assert marks(made) == {"a": "level", "b": "level"}


def test_no_direction_no_mark():
    assert marks(column({"a": system(1, 0.1, 1), "b": system(0, 0.1, 2)}, "none")) == {}


def test_alone_no_mark():
    assert marks(column({"a": system(1, 0.1, 1), "b": None})) == {}


def test_a_null_score_is_neither_best_nor_level():
    assert marks(column({"a": system(1, 0.1, 1), "b": system(0, 0.1, 2), "c": None})) == {"a": "best"}


def test_corpus_metrics_need_disjoint_intervals():
    far = {"a": system(9, 0.1, 1), "b": system(0, 0.1, 2)}
    near = {"a": system(0.1, 0.05, 1), "b": system(0, 0.05, 2)}
    assert marks(column(far, per_text=False)) == {"a": "best"}
    assert marks(column(near, per_text=False)) == {}


def test_tracks_are_marked_apart_and_tested_together():
    made = column({"a": system(1, 0.1, 1), "b": system(0, 0.1, 2), "c": system(2, 0.1, 3)})
    judged = judge(made, [Entry("a"), Entry("b"), Entry("c", elsewhere=True)])
    assert judged.marks == {"a": "best"}  # the better "c" is of another track, and alone in it
    assert judged.pair("c", "a").outcome == "better"
    judged = judge(made, [Entry("a"), Entry("b", elsewhere=True), Entry("c", elsewhere=True)])
    assert judged.marks == {"c": "best"}
    far = column({"a": system(9, 0.1, 1), "b": system(0, 0.1, 2), "c": system(20, 0.1, 3)}, per_text=False)
    assert judge(far, [Entry("a"), Entry("b"), Entry("c", elsewhere=True)]).marks == {"a": "best"}


def test_the_family_is_all_pairs_of_the_column():
    """A difference that one test alone would call significant is not, among many."""
    rng = np.random.default_rng(5)
    pair = {"a": [1.0] * 40 + [-1.0] * 20, "b": [0.0] * 60}  # p = 0.013 by the binomial test
    alone = compare_pairs(column(pair), [("a", "b")])[0]
    assert alone.p <= 0.05
    crowd = {f"x{n}": list(rng.normal(0, 1, 60)) for n in range(6)}
    judged = judge(column({**pair, **crowd}), [Entry(key) for key in (*pair, *crowd)])
    assert judged.pair("a", "b").p > alone.p
    assert judged.pair("a", "b").outcome == "cannot tell"


def test_pairs_are_seen_from_either_side():
    judged = judge(column({"a": system(1, 0.1, 1), "b": system(0, 0.1, 2)}), [Entry("a"), Entry("b")])
    there, back = judged.pair("a", "b"), judged.pair("b", "a")
    assert (there.outcome, back.outcome) == ("better", "worse")
    assert back.difference == -there.difference
    assert (back.low, back.high) == (-there.high, -there.low)
    assert judged.pair("a", "c") is None


def test_only_texts_that_both_have_are_compared():
    made = column({"a": system(1, 0.1, 1), "b": system(0, 0.1, 2)[:30]})
    assert judge(made, [Entry("a"), Entry("b")]).pairs[0].n == 30


@pytest.mark.parametrize(
    ("quantities", "expected"),
    [
        ({"a": Quantity(10, 9, 11), "b": Quantity(5, 4, 6)}, {"a": "best"}),
        ({"a": Quantity(10, 9, 11), "b": Quantity(9, 8, 10)}, {}),
        ({"a": Quantity(10), "b": Quantity(5, 4, 6)}, {}),
        ({"a": Quantity(None), "b": Quantity(5, 4, 6)}, {}),
    ],
)
def test_speed_marks(quantities, expected):
    assert mark_disjoint(quantities, "higher") == expected
