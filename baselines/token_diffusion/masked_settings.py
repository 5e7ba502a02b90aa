"""How masked diffusion may generate: its settings, and the sampler that each of them names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from baselines.common.sampling import check_top_p
from baselines.contract import UserError, unknown
from baselines.token_diffusion.masked import TokenSchedule
from baselines.token_diffusion.masked_samplers import Read, ancestral, confidence, first_hitting, threshold
from baselines.token_diffusion.remasking import Loop, Rule, remask
from cosmos.config import check_steps
from cosmos.runtime.capture import Capturable
from cosmos.runtime.rng import CounterRNG

Sampler = Literal["ancestral", "cached", "first_hitting", "confidence"]


@dataclass(frozen=True)
class Unmasking(Capturable):
    """Positions open once. `steps` network calls, but no more than there are positions, except by "ancestral"; "cached"
    is ancestral sampling without the calls that would repeat one, and gives the same texts.
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
        why = "by confidence the most probable tokens are taken; set another {}sampler, such as cached"
        return {"top_p": why} if self.sampler == "confidence" else {}

    @property
    def one_text(self) -> bool:
        return self.sampler == "confidence"

    @property
    def own_calls(self) -> bool:
        return self.sampler != "confidence"


@dataclass(frozen=True)
class ThresholdUnmasking(Capturable):
    """See `baselines.token_diffusion.masked_samplers.threshold`."""

    steps: int
    threshold: float = 0.9

    def __post_init__(self) -> None:
        check_steps(self.steps)
        if not 0 < self.threshold <= 1:
            raise UserError(f"A threshold must lie in (0, 1], not {self.threshold:g}.")

    @property
    def one_text(self) -> bool:
        return True


@dataclass(frozen=True)
class Remasking(Capturable):
    """ReMDM: opened tokens may be masked again; see `baselines.token_diffusion.remasking.remask`. One call a step."""

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
        return {"eta": "the rule conf has none; set another {}rule, such as cap"} if self.rule == "conf" else {}

    @property
    def own_calls(self) -> bool:
        return True


MaskedSetting = Unmasking | ThresholdUnmasking | Remasking


def unmask(
    setting: MaskedSetting,
    read: Read,
    sequence: Tensor,
    schedule: TokenSchedule,
    mask_id: int,
    seeds: CounterRNG,
    everywhere: bool = False,
) -> Tensor:
    """Open a masked sequence, int64 [B, L], as the setting says; a mask may be left unless all positions are read
    `everywhere` (`baselines.token_diffusion.masked_samplers`)."""
    shared: dict[str, Any] = {"read": read, "sequence": sequence, "steps": setting.steps, "mask_id": mask_id}
    if isinstance(setting, ThresholdUnmasking):
        return threshold(**shared, threshold=setting.threshold, compiled=setting.compiled)
    if isinstance(setting, Unmasking) and setting.sampler == "confidence":
        return confidence(**shared, compiled=setting.compiled)
    shared |= {"seeds": seeds, "top_p": setting.top_p}
    if isinstance(setting, Remasking):
        path = Loop() if setting.rule == "loop" else schedule
        return remask(**shared, schedule=path, rule=setting.rule, eta=setting.eta, everywhere=everywhere)
    if setting.sampler == "first_hitting":
        return first_hitting(**shared)
    cached = setting.sampler == "cached"
    return ancestral(**shared, schedule=schedule, cached=cached, everywhere=everywhere)
