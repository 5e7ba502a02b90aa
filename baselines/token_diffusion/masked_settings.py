"""How masked diffusion may generate: its settings, and the sampler that each of them names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from baselines.common.sampling import check_top_p
from baselines.contract import UserError, unknown
from baselines.token_diffusion.masked import TokenSchedule
from baselines.token_diffusion.masked_samplers import Predict, ancestral, confidence, first_hitting, threshold
from baselines.token_diffusion.remasking import Loop, Rule, remask
from cosmos.config import check_steps
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG

Sampler = Literal["ancestral", "cached", "first_hitting", "confidence"]


@dataclass(frozen=True)
class Unmasking(Capturable):
    """Positions open once. `steps` network calls, but no more than there are positions, except by "ancestral"; "cached"
    is ancestral sampling without the calls that would repeat one, and gives the same texts.

    Tokens are drawn from the nucleus of mass `top_p`; by "confidence" they are the most probable ones anyway.
    """

    sampler: Sampler
    steps: int
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.sampler not in get_args(Sampler):
            raise unknown("sampler", self.sampler, get_args(Sampler))
        check_steps(self.steps)
        check_top_p(self.top_p)

    def ignored_keys(self) -> dict[str, str]:
        """See `baselines.contract.DeclaresIgnoredKeys`."""
        if self.sampler != "confidence":
            return {}
        return {"top_p": "by confidence the most probable tokens are taken; set another {}sampler, such as cached"}


@dataclass(frozen=True)
class ThresholdUnmasking(Capturable):
    """By confidence, and at once wherever the most probable token has at least the probability `threshold`; stops when
    nothing is masked, after at most `steps` calls, and no more than there are positions."""

    steps: int
    threshold: float = 0.9

    def __post_init__(self) -> None:
        check_steps(self.steps)
        if not 0 < self.threshold <= 1:
            raise UserError(f"A threshold must lie in (0, 1], not {self.threshold:g}.")


@dataclass(frozen=True)
class Remasking(Capturable):
    """ReMDM: opened tokens may be masked again; `rule` and `eta` as in `baselines.token_diffusion.remasking.remask`.
    One call a step."""

    rule: Rule
    steps: int
    eta: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise unknown("rule", self.rule, get_args(Rule))
        check_steps(self.steps)
        if not 0 <= self.eta <= 1:
            raise UserError(f"eta must lie in [0, 1], not {self.eta:g}.")
        check_top_p(self.top_p)

    def ignored_keys(self) -> dict[str, str]:
        """See `baselines.contract.DeclaresIgnoredKeys`."""
        return {"eta": "the rule conf has none; set another {}rule, such as cap"} if self.rule == "conf" else {}


MaskedSetting = Unmasking | ThresholdUnmasking | Remasking


def unmask(
    setting: MaskedSetting,
    predict: Predict,
    sequence: Tensor,
    *,
    schedule: TokenSchedule,
    mask_id: int,
    seeds: CounterRNG,
) -> Tensor:
    """Open a masked sequence, int64 [B, L], as the setting says."""
    steps = setting.steps
    if isinstance(setting, ThresholdUnmasking):
        return threshold(
            predict, sequence, steps=steps, mask_id=mask_id, threshold=setting.threshold, compiled=setting.compiled
        )
    if isinstance(setting, Remasking):
        return remask(
            predict,
            sequence,
            steps=steps,
            schedule=Loop() if setting.rule == "loop" else schedule,
            mask_id=mask_id,
            seeds=seeds,
            rule=setting.rule,
            eta=setting.eta,
            top_p=setting.top_p,
        )
    if setting.sampler == "confidence":
        return confidence(predict, sequence, steps=steps, mask_id=mask_id, compiled=setting.compiled)
    if setting.sampler == "first_hitting":
        return first_hitting(predict, sequence, steps=steps, mask_id=mask_id, seeds=seeds, top_p=setting.top_p)
    return ancestral(
        predict,
        sequence,
        steps=steps,
        schedule=schedule,
        mask_id=mask_id,
        seeds=seeds,
        top_p=setting.top_p,
        cached=setting.sampler == "cached",
    )
