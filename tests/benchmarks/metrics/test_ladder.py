"""The oracle of `world` is at the ceiling, and worse texts are ranked below it by every score that claims to see why.

What a score is blind to is as much a fact as what it sees: `SEES` holds both, for every score, and both are tested.
`pytest -s` prints the tables; `-m slow` adds the scores by packaged models. What is on no ladder has its reason here.
"""

from __future__ import annotations

import importlib.util
import random

import pytest

from benchmarks import metrics
from benchmarks.data import world
from benchmarks.evaluators import locate_model

TEXTS = 120
KINDS = ("words", "shuffled", "truncated", "repeated")
SEES = {
    "exact_j": KINDS,
    "exact_facts": ("words", "shuffled", "truncated"),
    "exact_facts_kept": ("words", "shuffled", "truncated"),
    "exact_language": KINDS,
    "exact_rudeness": (),
    "sta": (),
    "fl": KINDS,
    "sta_profanity": (),
    "bleu": KINDS,
    "chrf": KINDS,
    "rouge_1": ("words", "truncated", "repeated"),
    "rouge_2": KINDS,
    "rouge_l": KINDS,
    "rouge_lsum": KINDS,
    "rouge_1_unstemmed": ("words", "truncated", "repeated"),
    "rouge_2_unstemmed": KINDS,
    "rouge_l_unstemmed": KINDS,
    "rouge_lsum_unstemmed": KINDS,
    "meteor_stems": KINDS,
    "repetition": ("repeated",),
    "length": ("truncated", "repeated"),
}
OF_OTHER_TASKS = {
    "story": (world.stories, {"exact_linked": ("words", "shuffled", "truncated"), "exact_language": KINDS}),
    "question": (world.questions, {"exact_answerable": KINDS, "exact_facts": KINDS, "exact_language": KINDS}),
    "summary": (world.summaries, {"exact_salient": KINDS, "exact_facts": KINDS, "exact_language": KINDS}),
}
SLOW_SEES = {
    "sim": ("words", "truncated"),
    "j": KINDS,
    "j_profanity": ("words", "truncated"),
    "meteor": KINDS,
    "bertscore": KINDS,
    "perplexity": ("words", "shuffled"),
    "mauve": ("words", "shuffled", "truncated", "repeated"),
}
UNCLAIMED = {("sim", "shuffled"), ("sim", "repeated"), ("perplexity", "truncated"), ("perplexity", "repeated")}
UNCLAIMED |= {("j_profanity", "shuffled"), ("j_profanity", "repeated")}  # as sim
UNCLAIMED |= {("repetition", "shuffled"), ("repetition", "truncated")}  # 0 in the oracle, so no share of it is small

NO_LADDER = {  # metric -> why, or the test of what it sees instead
    **dict.fromkeys(
        ("unigram_entropy", "diversity", "distinct_1", "distinct_2", "distinct_3", "distinct_4"),
        "which way is better is not known: test_repeating_and_dullness_are_seen",
    ),
    **dict.fromkeys(
        ("memorisation", "longest_run", "training_copies"),
        "what is spoilt is copied less: test_what_was_learnt_by_heart_is_seen",
    ),
    **dict.fromkeys(
        ("memorisation_human", "longest_run_human", "training_copies_human", "mauve_human"),
        "it judges human texts, whatever the system wrote",
    ),
    **dict.fromkeys(
        ("nll", "nll_perplexity", "nll_entropy"), "it judges the system, not its texts: test_likelihood.py"
    ),
    "exact_novel": "it needs training texts: test_a_story_known_by_heart_or_told_again_is_none",
    "bleu_copy": "it judges the sources, whatever the system wrote",
    **dict.fromkeys(
        ("fl_links", "fl_lm", "j_offline"), "people's sources: test_the_reference_beats_all_that_is_no_answer"
    ),
    "copy_rate": "nothing here is a copy of a source: test_a_copy_keeps_the_meaning_and_the_rudeness",
    "detoxify": "its checkpoint is in no package: test_detoxify_is_that_of_detoxify",
}


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


def climb(names, task="detox", draw=world.detox):
    """Score -> rung -> value; and the table is printed."""
    documents = draw("test", TEXTS)
    oracle = [document.target for document in documents]
    rungs = {
        "oracle": oracle,
        **{f"words {share:.0%}": spoil(oracle, "words", share) for share in (0.01, 0.05, 0.2)},
        **{kind: spoil(oracle, kind) for kind in KINDS[1:]},
    }
    values = {name: {} for name in names}
    for rung, texts in rungs.items():
        for found in metrics.score(metrics.MetricInput(task, "world", documents, texts), names):
            assert found.reason is None, found.reason
            values[found.metric][rung] = found.value
    print(f"\n{task:20}" + "".join(f"{rung:>11}" for rung in rungs))
    for name in names:
        print(f"{name:20}" + "".join(f"{values[name][rung]:11.4f}" for rung in rungs))
    return values


def check(sees, values):
    for name, seen in sees.items():
        rungs = values[name]
        sign = -1 if metrics.find(name).direction == "lower" or name == "repetition" else 1  # which grows when seen
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


@pytest.mark.slow
def test_what_needs_no_model_ranks_the_ladder():
    needed = {"meteor_stems": "nltk", "sta_profanity": "profanity_check"}
    names = [name for name in SEES if importlib.util.find_spec(needed.get(name, "sacrebleu"))]
    values = climb(names)
    for name in ("exact_j", "exact_facts", "exact_language", "rouge_1", "rouge_2", "rouge_l", "rouge_lsum"):
        assert values[name]["oracle"] == 1.0
    assert values["bleu"]["oracle"] == pytest.approx(100)
    assert values["chrf"]["oracle"] == pytest.approx(100)
    check({name: SEES[name] for name in names}, values)


@pytest.mark.parametrize("task", OF_OTHER_TASKS)
def test_what_is_exact_ranks_the_ladder_of_its_task(task):
    draw, sees = OF_OTHER_TASKS[task]
    values = climb(list(sees), task, draw)
    assert all(rungs["oracle"] == 1.0 for rungs in values.values())
    check(sees, values)


def test_every_score_says_what_it_sees():
    claimed = {*SEES, *SLOW_SEES, *(name for _, sees in OF_OTHER_TASKS.values() for name in sees)}
    ours = {name for name in metrics.names() if not name.startswith("legacy_")}  # which are there for other papers
    assert claimed | set(NO_LADDER) == ours
    assert claimed & set(NO_LADDER) == set()


@pytest.mark.slow
def test_packaged_models_rank_the_ladder(users_caches):
    if locate_model("smollm2") is None:
        pytest.skip("smollm2 is not here: python -m benchmarks fetch smollm2")
    sees = {name: kinds for name, kinds in SLOW_SEES.items() if name != "meteor" or locate_model("wordnet")}
    check(sees, climb(list(sees)))
