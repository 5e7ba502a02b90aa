"""What the floors say, and that it depends on nothing but the request."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest

from baselines.contract import Budget, Corpus, Document, Limits, NoSetting, Request, System, UserError
from baselines.reference import disliked, trivial
from baselines.reference.oracle import OracleSystem
from baselines.reference.trivial import (
    CopySystem,
    DeleteSystem,
    Floor,
    LeadSystem,
    NullSystem,
    ReferenceSystem,
    RetrievalSystem,
    UnigramSystem,
    first_sentence,
)

LIMITS = Limits(source_tokens=20, target_tokens=20)
PAIRS = [
    ("Anna bought the red lamp .", "Anna has a lamp ."),
    ("Ben sold the blue chair .", "Ben sold a chair ."),
    ("chair the blue sold . Ben", "the same bag of words"),
    ("the the the the", "only an article"),
]
CORPUS = Corpus([Document(str(i), s, t, (t,)) for i, (s, t) in enumerate(PAIRS)], [])


def fitted(floor: Floor, folder: Path) -> Floor:
    floor.fit(CORPUS, Budget(1, "steps"), folder, seed=1, device="cpu")
    floor.check(folder)
    floor.load(folder, device="cpu", dtype="float32")
    return floor


def ask(floor: Floor, *sources: str | None, max_tokens: int = 20) -> list[str]:
    requests = [Request(str(i), source, 100 + i, max_tokens) for i, source in enumerate(sources)]
    return [sample.text for sample in floor.generate(requests, NoSetting())]


KINDS = [
    CopySystem,
    DeleteSystem,
    LeadSystem,
    UnigramSystem,
    RetrievalSystem,
    ReferenceSystem,
    OracleSystem,
    NullSystem,
]


@pytest.mark.parametrize("kind", KINDS)
def test_floors_are_systems(kind: type[Floor], tmp_path: Path) -> None:
    floor = fitted(kind(NoSetting(), LIMITS), tmp_path)
    assert isinstance(floor, System)
    assert not floor.trained and floor.networks() == {} and list(floor.presets) == ["any"]
    first = floor.fit(CORPUS, Budget(1, "steps"), tmp_path, seed=1, device="cpu")
    assert first == floor.fit(CORPUS, Budget(1, "steps"), tmp_path, seed=1, device="cpu")
    assert (first.steps, first.flops) == (0, 0.0)


def test_copy_returns_the_source_and_obeys_the_limit(tmp_path: Path) -> None:
    floor = fitted(CopySystem(NoSetting(), LIMITS), tmp_path)
    assert ask(floor, "a  b c .") == ["a  b c ."]
    (sample,) = floor.generate([Request("x", "a b c .", 1, 3)], NoSetting())
    assert (sample.text, sample.tokens, sample.finished) == ("a b c", 3, False)


RUDE = Corpus(
    [
        Document("0", "you idiot, wash the damn bowl.", "wash the bowl.", ("wash the bowl.", "please wash it.")),
        Document("1", "That idiot broke a damn lamp!", "she broke a lamp!", ("she broke a lamp!",)),
        Document("2", "the bowl, you clown", "the bowl", ("the bowl", "the bowl, you")),
        Document("3", "damn good", "damn good", ("damn good", "good")),
    ],
    [],
)


@pytest.mark.parametrize("judge", [None, "a judge 1.0"])
def test_delete_drops_what_rewrites_drop_and_what_a_judge_dislikes(
    judge: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'idiot' is gone in both of its texts, 'damn' stays in one of three; 'clown' is seen once, and judged."""
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(disliked, "judge", lambda: judge)
    monkeypatch.setattr(disliked, "disliked", lambda words: asked.append(words) or ("clown",))
    floor = DeleteSystem(NoSetting(), LIMITS)
    result = floor.fit(RUDE, Budget(1, "steps"), tmp_path, seed=1, device="cpu")
    assert result.notes == {"judge": judge, "words_dropped": 2 if judge else 1}
    floor.load(tmp_path, device="cpu", dtype="float32")
    assert ask(floor, "an IDIOT, a damn clown!", "idiot") == ["an a damn clown!" if judge is None else "an a damn", ""]
    assert asked == ([] if judge is None else [tuple(sorted(set(asked[0])))])


def test_a_judge_that_does_not_work_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disliked, "_ASK", "raise SystemExit('no model')")
    monkeypatch.setattr(disliked, "judge", lambda: "a judge 1.0")
    with pytest.raises(UserError, match=r"a judge 1.0 is installed and does not work \(no model\)"):
        disliked.disliked(("another",))
    assert disliked.disliked(()) == ()


def test_unigram_draws_words_and_lengths_of_the_targets(tmp_path: Path) -> None:
    floor = fitted(UnigramSystem(NoSetting(), LIMITS), tmp_path)
    count = 4000
    texts = ask(floor, *["ignored"] * count)
    words = Counter(word for text in texts for word in text.split())
    truth = Counter(word for _, target in PAIRS for word in target.split())
    assert set(words) == set(truth)
    total, of = sum(words.values()), sum(truth.values())
    for word, n in truth.items():
        p = n / of
        assert abs(words[word] / total - p) < 4.5 * math.sqrt(p * (1 - p) / total)
    lengths = Counter(len(text.split()) for text in texts)
    assert set(lengths) == {3, 5}
    assert abs(lengths[3] / count - 0.25) < 4.5 * math.sqrt(0.25 * 0.75 / count)
    alone = floor.generate([Request("7", None, 107, 20)], NoSetting())[0]
    assert alone.text == texts[7]


def test_retrieval_finds_the_nearest_source(tmp_path: Path) -> None:
    floor = fitted(RetrievalSystem(NoSetting(), LIMITS), tmp_path)
    assert isinstance(floor, RetrievalSystem)
    assert ask(floor, "anna found the RED lamp .") == ["Anna has a lamp ."]
    assert floor.index.nearest("Ben sold the blue chair .") == 1, "the lower index of two equal bags of words"
    assert floor.index.nearest("blue . the chair sold ben") == 1
    assert floor.index.nearest("nothing known at all here") == 0
    assert floor.index.nearest("the") == 3, "the cosine looks at the direction, not the length"


def test_retrieval_weighs_as_its_formula_says(tmp_path: Path) -> None:
    floor = fitted(RetrievalSystem(NoSetting(), LIMITS), tmp_path)
    assert isinstance(floor, RetrievalSystem)
    assert floor.index.idf["the"] == 1.0
    assert floor.index.idf["anna"] == pytest.approx(1 + math.log(5 / 2))
    bag = {"anna": 1, "bought": 1, "the": 1, "red": 1, "lamp": 1, ".": 1}
    norm = math.sqrt(sum((n * floor.index.idf[word]) ** 2 for word, n in bag.items()))
    places, weights = floor.index.postings("anna")
    assert places.tolist() == [0]
    assert float(weights[0]) == pytest.approx(floor.index.idf["anna"] / norm)


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("The dam broke. Two men left.", "The dam broke."),
        ("the dam broke , they said ! two men left .", "the dam broke , they said !"),
        ('"Stop!" he said. Then he left.', '"Stop!"'),
        ("Dr. Ames of the U.S. army paid 3.50 in all. He left.", "Dr. Ames of the U.S. army paid 3.50 in all."),
        ("It was May 5. Then June came.", "It was May 5."),
        ("What now?! Nothing.", "What now?!"),
        ("  no mark at all", "no mark at all"),
        ("", ""),
    ],
)
def test_the_lead_is_the_first_sentence(text: str, lead: str, tmp_path: Path) -> None:
    assert first_sentence(text) == lead
    assert ask(fitted(LeadSystem(NoSetting(), LIMITS), tmp_path), text) == [lead]


def test_null_says_nothing(tmp_path: Path) -> None:
    floor = fitted(NullSystem(NoSetting(), Limits(0, 20)), tmp_path)
    (sample,) = floor.generate([Request("x", None, 1, 3)], NoSetting())
    assert (sample.text, sample.tokens, sample.finished) == ("", 0, True)


def test_the_oracle_draws_from_the_law_it_is_given(tmp_path: Path) -> None:
    floor = fitted(OracleSystem(NoSetting(), LIMITS), tmp_path)
    assert isinstance(floor, OracleSystem)
    floor.law(lambda source, seed: f"{source} {seed}")
    assert ask(floor, "a", None) == ["a 100", "None 101"]


def test_reference_gives_the_documents_own_target(tmp_path: Path) -> None:
    floor = fitted(ReferenceSystem(NoSetting(), LIMITS), tmp_path)
    assert isinstance(floor, ReferenceSystem)
    floor.answers({"0": "the answer", "1": "another one"})
    assert ask(floor, "a", "b", max_tokens=1) == ["the answer", "another one"]


def test_bad_use_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs a source"):
        CopySystem(NoSetting(), Limits(0, 20))
    UnigramSystem(NoSetting(), Limits(0, 20))
    with pytest.raises(UserError, match=r"floor\.json"):
        CopySystem(NoSetting(), LIMITS).check(tmp_path)
    fitted(CopySystem(NoSetting(), LIMITS), tmp_path)
    with pytest.raises(UserError, match="not written by the system 'unigram'"):
        UnigramSystem(NoSetting(), LIMITS).check(tmp_path)
    (tmp_path / "floor.json").write_text('{"learnt": ')
    with pytest.raises(UserError, match="is damaged"):
        CopySystem(NoSetting(), LIMITS).load(tmp_path, device="cpu", dtype="float32")


def test_what_a_floor_learns_is_spelt_as_json_in_pieces(monkeypatch):
    monkeypatch.setattr(trivial, "_AT_ONCE", 3)
    nested = {"b": [["é", 1], ["\ud83d\ude00", 2]] * 4, "a": {}, "c": {"d": [], "a": None}, "e": 1.5, "f": ["x"] * 3}
    assert "".join(trivial._spelt(nested)) == json.dumps(nested, sort_keys=True)
    assert "".join(trivial._spelt({})) == "{}"
