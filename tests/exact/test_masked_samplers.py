"""Further samplers of masked diffusion against each other and closed forms: cached, first-hitting, threshold,
remasking."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.token_diffusion.masked import LogLinear, TokenSchedule
from baselines.token_diffusion.masked_samplers import ancestral, dense_rank, first_hitting, opening_steps, threshold
from baselines.token_diffusion.remasking import Loop, Rule, most_remasking, opening_share, remask
from cosmos.runtime.rng import CounterRNG

sys.path.insert(0, str(Path(__file__).parent))
from all_logits import read_of

V, L = 3, 3
MASK = V
WORDS = torch.tensor(list(itertools.product(range(V), repeat=L)))  # [27, 3]
EXACT = LogLinear(eps=0.0)


@pytest.fixture(scope="module")
def joint() -> Tensor:
    """A joint distribution over all texts in which no two positions are independent, float64 [27]."""
    logits = torch.randn(len(WORDS), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return (1.5 * logits).softmax(0)


class Counted:
    """The exact conditionals of a joint as a network that counts its calls and keeps what it saw."""

    def __init__(self, joint: Tensor) -> None:
        self.seen = list[Tensor]()
        sequences = torch.tensor(list(itertools.product(range(V + 1), repeat=L)))  # [64, L]: all there are
        agrees = ((sequences[:, None] == WORDS) | (sequences[:, None] == MASK)).all(-1)  # [64, 27]
        onehot = torch.nn.functional.one_hot(WORDS, V).double()  # [27, L, V]
        logits = torch.einsum("bn,nlv->blv", agrees * joint, onehot).log()
        logits = torch.where((sequences == MASK)[..., None], logits, torch.zeros_like(logits))
        self.logits = torch.cat([logits, torch.full_like(logits[..., :1], 50.0)], -1)

    def __call__(self, sequence: Tensor) -> Tensor:
        self.seen.append(sequence)
        return self.logits[sequence @ torch.tensor([(V + 1) ** 2, V + 1, 1])]


def masks(count: int) -> Tensor:
    return torch.full((count, L), MASK)


def frequencies(texts: Tensor) -> Tensor:
    return torch.bincount(texts @ torch.tensor([V * V, V, 1]), minlength=len(WORDS)).double()


def chi_square(observed: Tensor, expected: Tensor) -> float:
    """Pearson's statistic as standard deviations from its mean."""
    freedom = len(observed) - 1
    return (float(((observed - expected) ** 2 / expected).sum()) - freedom) / math.sqrt(2 * freedom)


def test_the_cache_changes_no_text_and_saves_calls(joint: Tensor) -> None:
    for steps in (1, 2, 3, 7, 200):
        plain, cached = Counted(joint), Counted(joint)
        given = {"steps": steps, "schedule": LogLinear(), "mask_id": MASK}
        first = ancestral(read_of(plain), masks(60), seeds=CounterRNG(torch.arange(60)), **given)
        second = ancestral(read_of(cached), masks(60), seeds=CounterRNG(torch.arange(60)), cached=True, **given)
        assert torch.equal(first, second)
        assert len(plain.seen) == steps and len(cached.seen) == min(steps, L)


def test_the_cache_never_calls_a_row_twice_with_the_same_sequence(joint: Tensor) -> None:
    predict = Counted(joint)
    ancestral(
        read_of(predict),
        masks(40),
        steps=500,
        schedule=LogLinear(),
        mask_id=MASK,
        seeds=CounterRNG(torch.arange(40)),
        cached=True,
    )
    for before, after in itertools.pairwise(predict.seen):
        done = (after != MASK).all(1)
        assert bool(((before != after).any(1) | done).all())


def test_opening_steps_have_the_schedules_distribution() -> None:
    steps, u = 5, ((torch.arange(100_000).double() + 0.5) / 100_000)
    counts = torch.bincount(opening_steps(u, steps, LogLinear()), minlength=steps)
    assert counts.tolist() == [20_000] * steps
    assert opening_steps(torch.tensor([1e-12, 1 - 1e-12], dtype=torch.float64), steps, LogLinear()).tolist() == [4, 0]


def test_dense_rank_counts_smaller_values() -> None:
    assert dense_rank(torch.tensor([[7, 2, 7, 3, 2], [0, 0, 0, 0, 0]])).tolist() == [[2, 0, 2, 1, 0], [0] * 5]


def test_first_hitting_draws_the_joint_as_ancestral_sampling_does_in_the_limit(joint: Tensor) -> None:
    count = 10_000
    hit = frequencies(
        first_hitting(
            read_of(Counted(joint)), masks(count), steps=L, mask_id=MASK, seeds=CounterRNG(torch.arange(count))
        )
    )
    assert abs(chi_square(hit, count * joint)) < 4
    fine = frequencies(
        ancestral(
            read_of(Counted(joint)),
            masks(count),
            steps=10_000,
            schedule=LogLinear(),
            mask_id=MASK,
            seeds=CounterRNG(count + torch.arange(count)),
            cached=True,
        )
    )
    both = hit + fine
    statistic = float(((hit - fine) ** 2 / both).sum())  # of two samples of equal size
    assert abs(statistic - (len(WORDS) - 1)) < 4 * math.sqrt(2 * (len(WORDS) - 1))


def test_first_hitting_opens_an_even_share_per_call() -> None:
    for length, steps in ((7, 3), (5, 5), (4, 9), (6, 1)):
        seen: list[int] = []

        def predict(sequence: Tensor, seen: list[int] = seen) -> Tensor:
            seen.append(int((sequence[0] == 2).sum()))
            return torch.zeros(*sequence.shape, 3)

        out = first_hitting(
            read_of(predict), torch.full((2, length), 2), steps=steps, mask_id=2, seeds=CounterRNG(torch.arange(2))
        )
        calls = min(steps, length)
        assert seen == [length - length * call // calls for call in range(calls)]
        assert bool((out < 2).all())


def test_what_is_given_stays_in_every_sampler(joint: Tensor) -> None:
    start = masks(50)
    start[:, 1] = 2
    seeds = CounterRNG(torch.arange(50))
    for texts in (
        ancestral(read_of(Counted(joint)), start, steps=9, schedule=EXACT, mask_id=MASK, seeds=seeds, cached=True),
        first_hitting(read_of(Counted(joint)), start, steps=L, mask_id=MASK, seeds=seeds),
        remask(read_of(Counted(joint)), start, steps=9, schedule=EXACT, mask_id=MASK, seeds=seeds, rule="rescale"),
        threshold(read_of(Counted(joint)), start, steps=L, mask_id=MASK, threshold=0.5),
    ):
        assert bool((texts[:, 1] == 2).all()) and bool((texts < MASK).all())


def test_the_error_of_ancestral_steps_falls_and_one_token_per_call_has_none(joint: Tensor) -> None:
    count = 20_000
    error = {}
    for steps in (1, 2, 8):
        seeds = CounterRNG(torch.arange(count))
        texts = ancestral(
            read_of(Counted(joint)), masks(count), steps=steps, schedule=EXACT, mask_id=MASK, seeds=seeds, cached=True
        )
        error[steps] = float((frequencies(texts) / count - joint).abs().sum() / 2)
    assert error[1] > error[2] > error[8]
    hit = first_hitting(
        read_of(Counted(joint)), masks(count), steps=L, mask_id=MASK, seeds=CounterRNG(count + torch.arange(count))
    )
    assert float((frequencies(hit) / count - joint).abs().sum() / 2) < error[8]
    assert abs(chi_square(frequencies(hit), count * joint)) < 4


def test_a_threshold_opens_sure_positions_at_once_and_one_at_least() -> None:
    seen: list[Tensor] = []
    sure = torch.tensor([0.2, 3.0, 1.0, 2.9, 0.1])

    def predict(sequence: Tensor) -> Tensor:
        seen.append(sequence)
        return torch.stack([torch.zeros(5), sure, torch.full((5,), 9.0)], -1)[None].expand(len(sequence), 5, 3)

    end = threshold(read_of(predict), torch.full((1, 5), 2), steps=5, mask_id=2, threshold=0.9)
    assert [row[0].tolist() for row in seen] == [
        [2, 2, 2, 2, 2],
        [2, 1, 2, 1, 2],  # both above 0.9
        [2, 1, 1, 1, 2],  # none above: the surest alone
        [1, 1, 1, 1, 2],
    ]
    assert end.tolist() == [[1, 1, 1, 1, 1]]
    seen.clear()
    threshold(read_of(predict), torch.full((1, 5), 2), steps=2, mask_id=2, threshold=0.9)
    assert len(seen) == 2  # never more calls than steps, and nothing left masked
    seen.clear()
    assert threshold(read_of(predict), torch.full((1, 5), 2), steps=5, mask_id=2, threshold=0.5).tolist() == [[1] * 5]
    assert len(seen) == 1


@pytest.mark.parametrize("schedule", [LogLinear(), Loop(), Loop(on=0.7, off=0.2, held=0.6)])
def test_remasking_keeps_the_share_of_open_tokens(schedule: TokenSchedule) -> None:
    """q(x_s | x_0) follows from q(x_t | x_0) for any sigma that leaves a distribution."""
    grid = torch.linspace(0.999, 0.0, 40, dtype=torch.float64)
    for t, s in itertools.pairwise(grid):
        alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
        most = most_remasking(alpha_t, alpha_s)
        for part in (0.0, 0.3, 1.0):
            sigma = part * most
            share = opening_share(alpha_t, alpha_s, sigma)
            assert -1e-12 <= float(share) <= 1 + 1e-12
            assert float(alpha_t * (1 - sigma) + (1 - alpha_t) * share) == pytest.approx(float(alpha_s), abs=1e-12)
        beyond = opening_share(alpha_t, alpha_s, most + 0.01)
        assert float(most) == 1.0 or float(beyond) > 1.0


WORD = torch.tensor([[0.7, 0.2, 0.1, 0.0], [0.1, 0.1, 0.8, 0.0]], dtype=torch.float64)  # [positions, V + 1]


def remasked(rule: Rule, schedule: TokenSchedule, count: int, steps: int) -> list[Tensor]:
    """What every call saw of texts of two independent positions, and the texts at the end."""
    seen: list[Tensor] = []

    def predict(sequence: Tensor) -> Tensor:
        seen.append(sequence)
        return WORD.log().expand(len(sequence), 2, 4)

    start, seeds = torch.full((count, 2), 3), CounterRNG(torch.arange(count))
    texts = remask(read_of(predict), start, steps=steps, schedule=schedule, mask_id=3, seeds=seeds, rule=rule, eta=0.4)
    assert bool((texts < 3).all()) and len(seen) == steps
    return [*seen, texts]


def has_the_marginals(sequence: Tensor, alpha: float) -> None:
    """The share of open tokens is alpha, and open tokens have their own frequencies."""
    count, opened = len(sequence), sequence != 3
    spread = 5 * math.sqrt(count * max(alpha * (1 - alpha), 1e-9)) + 1e-6
    for position in range(2):
        assert abs(int(opened[:, position].sum()) - count * alpha) <= spread
        have = torch.bincount(sequence[:, position][opened[:, position]], minlength=3)[:3].double()
        if (total := float(have.sum())) > 500:
            expected = total * WORD[position, :3]
            assert float(((have - expected) ** 2 / expected).sum()) < 23  # 1 in 100,000


@pytest.mark.parametrize("rule", ["cap", "rescale", "loop"])
def test_remasking_keeps_the_marginals_while_it_runs(rule: Rule) -> None:
    schedule: TokenSchedule = Loop() if rule == "loop" else EXACT
    steps = 10
    sequences = remasked(rule, schedule, 8_000, steps)
    for step, sequence in enumerate(sequences):
        has_the_marginals(sequence, float(schedule.alpha(torch.tensor(1 - step / steps, dtype=torch.float64))))
    taken = [bool(((before != 3) & (after == 3)).any()) for before, after in itertools.pairwise(sequences)]
    assert any(taken), "some open token was masked again"


def test_confidence_remasking_takes_back_one_share_of_each_text() -> None:
    """Under "conf" sigma depends on the text, so the marginals are those of q after the first step alone. What is exact
    at every step: of each text with an open token `most_remasking` of one is masked again on average, and masked ones
    open as in ancestral sampling. By what is masked again the share of open tokens falls short of alpha.
    """
    count, steps = 10_000, 10
    sequences = remasked("conf", EXACT, count, steps)
    has_the_marginals(sequences[1], 1 / steps)
    short = 0
    for step, (before, after) in enumerate(itertools.pairwise(sequences)):
        alpha_t, alpha_s = (EXACT.alpha(torch.tensor(1 - k / steps, dtype=torch.float64)) for k in (step, step + 1))
        masked = before == 3
        some = int((~masked).any(1).sum())
        most = float(most_remasking(alpha_t, alpha_s))
        assert abs(int((~masked & (after == 3)).sum()) - some * most) <= 5 * math.sqrt(some * most)
        opens, hidden = float(opening_share(alpha_t, alpha_s, torch.zeros(()))), int(masked.sum())
        spread = 5 * math.sqrt(hidden * opens * (1 - opens)) + 1e-6
        assert abs(int((masked & (after != 3)).sum()) - hidden * opens) <= spread
        short += int((after != 3).sum()) < 2 * count * float(alpha_s) - 5 * math.sqrt(count)
    assert short == steps - 2, "all but the first and the last"


def test_confidence_remasking_takes_back_the_least_certain() -> None:
    """Two positions, one drawn at probability 0.99 and one at about 0.5: the second is masked again more often."""
    word = torch.tensor([[0.99, 0.01, 0.0], [0.5, 0.5, 0.0]], dtype=torch.float64)
    taken, last = torch.zeros(2), torch.zeros(0)

    def predict(sequence: Tensor) -> Tensor:
        nonlocal last
        if len(last):
            both = (last != 2).all(1)
            taken.add_(((last != 2) & (sequence == 2))[both].sum(0))
        last = sequence
        return word.log().expand(len(sequence), 2, 3)

    count = 5_000
    remask(
        read_of(predict),
        torch.full((count, 2), 2),
        steps=30,
        schedule=EXACT,
        mask_id=2,
        seeds=CounterRNG(torch.arange(count)),
        rule="conf",
    )
    expected = 1 / (1 + math.exp(-(0.99 - 0.5)))  # of those masked again, the share of the uncertain position
    assert float(taken[1] / taken.sum()) == pytest.approx(expected, abs=0.03)


def test_no_remasking_is_ancestral_sampling(joint: Tensor) -> None:
    count = 10_000
    texts = remask(
        read_of(Counted(joint)),
        masks(count),
        steps=4,
        schedule=EXACT,
        mask_id=MASK,
        seeds=CounterRNG(torch.arange(count)),
        rule="cap",
        eta=0.0,
    )
    plain = ancestral(
        read_of(Counted(joint)),
        masks(count),
        steps=4,
        schedule=EXACT,
        mask_id=MASK,
        seeds=CounterRNG(count + torch.arange(count)),
    )
    first, second = frequencies(texts), frequencies(plain)
    statistic = float(((first - second) ** 2 / (first + second)).sum())
    assert abs(statistic - 26) < 4 * math.sqrt(52)


def test_many_steps_with_remasking_draw_the_joint(joint: Tensor) -> None:
    count, steps = 3_000, 100
    texts = remask(
        read_of(Counted(joint)),
        masks(count),
        steps=steps,
        schedule=EXACT,
        mask_id=MASK,
        seeds=CounterRNG(torch.arange(count)),
        rule="cap",
        eta=1 / steps,
    )
    assert abs(chi_square(frequencies(texts), count * joint)) < 4


@pytest.mark.parametrize(
    "sampler",
    [
        lambda p, c, s: ancestral(
            read_of(p), c, steps=5, schedule=EXACT, mask_id=MASK, seeds=s, cached=True, top_p=0.8
        ),
        lambda p, c, s: first_hitting(read_of(p), c, steps=2, mask_id=MASK, seeds=s),
        lambda p, c, s: remask(read_of(p), c, steps=6, schedule=EXACT, mask_id=MASK, seeds=s, rule="conf"),
        lambda p, c, s: remask(read_of(p), c, steps=6, schedule=Loop(), mask_id=MASK, seeds=s, rule="loop", eta=0.1),
        lambda p, c, s: threshold(read_of(p), c, steps=3, mask_id=MASK, threshold=0.4),
    ],
)
def test_a_row_does_not_depend_on_the_others(sampler: Callable[..., Tensor], joint: Tensor) -> None:
    together = sampler(Counted(joint), masks(12), CounterRNG(torch.arange(12)))
    for row in range(12):
        assert torch.equal(sampler(Counted(joint), masks(1), CounterRNG(torch.tensor([row]))), together[row : row + 1])
