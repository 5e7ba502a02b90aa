"""What the oracle draws from: the frequencies of the world's own draws against its own probabilities."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from baselines.contract import UserError
from benchmarks.data import world
from benchmarks.data.built_in import World, WorldOptions

LOG_PROBABILITY = {
    "detox": world.log_prob_target,
    "question": world.log_prob_question,
    "summary": world.log_prob_summary,
}
DRAWS = 3000


@pytest.mark.parametrize("task", list(LOG_PROBABILITY))
def test_draws_given_a_source_have_the_probabilities_of_the_grammar(task: str) -> None:
    """Pearson's chi-square over all targets of a source, for some sources with several."""
    source_world = World(WorldOptions(seed=3))
    law, told = source_world.law(task), 0
    for document in source_world.load(task, "test", 30):
        assert document.source is not None
        seen = Counter(law(document.source, seed) for seed in range(DRAWS if told < 3 else 3))
        chances = {target: math.exp(LOG_PROBABILITY[task](target, document.source)) for target in seen}
        assert min(chances.values()) > 0
        if len(seen) < 2 or told == 3:
            continue
        told += 1
        assert math.fsum(chances.values()) == pytest.approx(1.0, abs=0.01)
        statistic = sum((seen[target] - DRAWS * p) ** 2 / (DRAWS * p) for target, p in chances.items())
        freedom = len(chances) - 1
        assert (statistic - freedom) / math.sqrt(2 * freedom) < 5
    assert told == 3


def test_stories_are_drawn_from_the_whole_language() -> None:
    """The mean loss of the language on what is drawn is its entropy, which no other distribution's draws have."""
    law = World(WorldOptions()).law("story")
    losses = [-world.log_prob_story(law(None, seed)) for seed in range(400)]
    mean = math.fsum(losses) / len(losses)
    error = math.sqrt(math.fsum((loss - mean) ** 2 for loss in losses)) / len(losses)
    assert abs(mean - world.story_entropy()) < 4 * error


def test_a_draw_depends_on_its_source_and_seed_alone() -> None:
    law = World(WorldOptions(seed=1)).law("story")
    assert [law(None, seed) for seed in range(5)] == [World(WorldOptions()).law("story")(None, n) for n in range(5)]
    assert len({law(None, seed) for seed in range(20)}) > 15


def test_what_is_no_source_of_the_language_has_no_law() -> None:
    with pytest.raises(UserError, match="no rude sentence of the world"):
        World(WorldOptions()).law("detox")("colourless green ideas sleep furiously.", 0)
