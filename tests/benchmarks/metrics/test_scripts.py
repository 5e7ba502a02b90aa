"""Texts in any script: a perfect answer scores what it does in English, and the signature says how words were cut."""

from __future__ import annotations

import pytest

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.metrics.core.scripts import ANY_SCRIPT, share_ascii, share_unspaced, words_of_any_script

SENTENCES = {
    "English": "the cook lost the cup twice",
    "Chinese": "厨师弄丢了杯子200",
    "Japanese": "料理人はカップをなくした",
    "Thai": "พ่อครัวทำถ้วยหาย",
    "Russian": "повар потерял чашку два раза",
    "Greek": "ο μάγειρας έχασε το φλιτζάνι",
    "Hindi": "रसोइये ने प्याला खो दिया",
    "Arabic": "الطباخ فقد الكوب مرتين",
}
UNSPACED = ("Chinese", "Japanese", "Thai")
NAMES = ["bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum", "rouge_l_unstemmed"]


def scores(texts, references):
    documents = [Document(str(i), "source", r, (r,)) for i, r in enumerate(references)]
    return {s.metric: s for s in metrics.score(metrics.MetricInput("detox", "local", documents, texts), NAMES)}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_perfect_answer_is_perfect_in_any_script(language):
    references = [SENTENCES[language]] * 2
    for name, score in scores(references, references).items():
        assert score.value == pytest.approx(100.0 if name in ("bleu", "chrf") else 1.0), (name, score.reason)
    worse = scores([SENTENCES[language][: len(SENTENCES[language]) // 2]] * 2, references)
    assert all(0 < worse[name].value < 1 for name in NAMES if name.startswith("rouge_1"))


@pytest.mark.parametrize("language", SENTENCES)
def test_the_signature_says_how_words_were_cut(language):
    found = scores([SENTENCES[language]], [SENTENCES[language]])
    assert f"tok:{'char' if language in UNSPACED else '13a'}" in found["bleu"].signature.options["sacrebleu"]
    assert ("tokens" in found["rouge_l"].signature.options) == (language != "English")
    assert found["rouge_l"].signature.options["stemmer"] == (language == "English")


@pytest.mark.parametrize("language", SENTENCES)
def test_words_are_counted_in_any_script(language):
    """METEOR of perfect answers, of half an answer and of none in common; and how varied texts are, which where every
    sentence is one word would be nothing at all."""
    sentence = SENTENCES[language]
    half, names = sentence[: len(sentence) // 2], ["meteor_stems", "diversity", "unigram_entropy", "memorisation"]
    references = [sentence] * 3 + [sentence[::-1]] * 17
    documents = [Document(str(i), "source", r, (r,)) for i, r in enumerate(references)]
    texts = [sentence, half, "qqq", *[sentence[::-1]] * 17]
    batch = metrics.MetricInput("detox", "local", documents, texts, training=[sentence, half])
    found = {s.metric: s for s in metrics.score(batch, names)}
    meteor = found["meteor_stems"].values
    assert meteor[0] > 0.98
    assert 0 < meteor[1] < 0.8 and meteor[2] == 0
    assert found["unigram_entropy"].values[0] > 1
    assert 0 < found["diversity"].value < 0.5
    assert 0 < found["memorisation"].value < 0.7
    for score in found.values():
        assert (score.signature.options["tokens"] == ANY_SCRIPT) == (language in UNSPACED)


def test_what_no_answer_could_score_is_null_with_its_reason():
    """Three words have no run of four, so that a perfect answer has a BLEU of 0; a mark alone has no word at all."""
    found = scores(["so it is", "!"], ["so it is", "!"])
    assert found["bleu"].reason == "too few: no reference has 4 words, and BLEU counts runs of so many"
    assert found["rouge_l"].values == (1.0, None)


def test_shares_and_words():
    assert share_unspaced(["日本 abc"]) == pytest.approx(0.4)
    assert (share_ascii(["é a"]), share_ascii(["123"])) == (0.5, 1.0)
    assert words_of_any_script("Кот, 日本 no1!") == ["кот", "日", "本", "no1"]
    assert words_of_any_script("खो दिया") == ["खो", "दिया"]
