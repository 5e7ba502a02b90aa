"""The oracle of `world` is at the ceiling, and worse texts are ranked below it by every score that claims to see why.

What a score is blind to is as much a fact as what it sees: `SEES` holds both, for every score, and both are tested.
`pytest -s` prints the table; `-m slow` adds the scores by packaged models.
"""

from __future__ import annotations

import importlib.util
import random

import pytest

from benchmarks import metrics
from benchmarks.data import world
from benchmarks.evaluators import locate

TEXTS = 120
KINDS = ("words", "shuffled", "truncated", "repeated")
SEES = {
    "exact_j": KINDS,
    "exact_facts": ("words", "shuffled", "truncated"),
    "exact_language": KINDS,
    "bleu": KINDS,
    "chrf": KINDS,
    "rouge_1": ("words", "truncated", "repeated"),
    "rouge_2": KINDS,
    "rouge_l": KINDS,
    "rouge_lsum": KINDS,
    "meteor_stems": KINDS,
    "repetition": ("repeated",),
    "length": ("truncated", "repeated"),
}
SLOW_SEES = {
    "sim": ("words", "truncated"),
    "bertscore": KINDS,
    "perplexity": ("words", "shuffled"),
    "mauve": ("words", "shuffled", "truncated", "repeated"),
}
UNCLAIMED = {("sim", "shuffled"), ("sim", "repeated"), ("perplexity", "truncated"), ("perplexity", "repeated")}
UNCLAIMED |= {("repetition", "shuffled"), ("repetition", "truncated")}  # 0 in the oracle, so no share of it is small


def spoil(texts, kind, share=0.0):
    """Texts made worse, the same way each time; of words, more are replaced as the share grows, never fewer."""
    draw = random.Random(7)
    vocabulary = sorted({word for text in texts for word in text.split()})
    out = []
    for text in texts:
        words = text.split()
        if kind == "words":
            found = [(draw.random(), draw.choice(vocabulary)) for _ in words]
            words = [other if chance < share else word for word, (chance, other) in zip(words, found, strict=True)]
        elif kind == "shuffled":
            draw.shuffle(words)
        elif kind == "truncated":
            words = words[: (len(words) + 1) // 2]
        else:
            words = words * 2
        out.append(" ".join(words))
    return out


def climb(names, roles=None):
    """Score -> rung -> value; and the table is printed."""
    documents = world.detox("test", TEXTS)
    oracle = [document.target for document in documents]
    rungs = {
        "oracle": oracle,
        **{f"words {share:.0%}": spoil(oracle, "words", share) for share in (0.01, 0.05, 0.2)},
        **{kind: spoil(oracle, kind) for kind in KINDS[1:]},
    }
    values = {name: {} for name in names}
    for rung, texts in rungs.items():
        for found in metrics.score("detox", "world", documents, texts, names, evaluators=roles):
            assert found.reason is None, found.reason
            values[found.metric][rung] = found.value
    print("\n" + " " * 16 + "".join(f"{rung:>11}" for rung in rungs))
    for name in names:
        print(f"{name:16}" + "".join(f"{values[name][rung]:11.4f}" for rung in rungs))
    return values


def check(sees, values):
    for name, seen in sees.items():
        rungs = values[name]
        sign = -1 if metrics.find(name).direction == "lower" else 1
        if "words" in seen:
            ladder = [sign * rungs[rung] for rung in ("oracle", "words 1%", "words 5%", "words 20%")]
            assert ladder == sorted(ladder, reverse=True), (name, ladder)
            assert len(set(ladder)) == 4, (name, ladder)
        for kind in KINDS[1:]:
            worse = sign * (rungs["oracle"] - rungs[kind])
            if name == "length":
                assert (abs(worse) > 1) == (kind in seen), kind
            elif kind in seen:
                assert worse > 0.02 * abs(rungs["oracle"]), (name, kind)
            elif (name, kind) not in UNCLAIMED:
                assert abs(worse) < 0.02 * abs(rungs["oracle"]) + 1e-9, (name, kind)


def test_what_needs_no_model_ranks_the_ladder():
    names = [name for name in SEES if name != "meteor_stems" or importlib.util.find_spec("nltk")]
    values = climb(names)
    for name in ("exact_j", "exact_facts", "exact_language", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum"):
        assert values[name]["oracle"] == 1.0
    assert values["bleu"]["oracle"] == pytest.approx(100)
    assert values["chrf"]["oracle"] == pytest.approx(100)
    check({name: SEES[name] for name in names}, values)


@pytest.mark.slow
def test_packaged_models_rank_the_ladder(users_caches):
    if locate("smollm2") is None:
        pytest.skip("smollm2 is not here: python -m benchmarks fetch smollm2")
    check(SLOW_SEES, climb(list(SLOW_SEES)))
