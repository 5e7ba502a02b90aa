"""How latents are drawn: by a solver on a grid of the setting or one of the checkpoint, or by a student."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from baselines.contract import UserError
from baselines.latent_diffusion.distillation import DistilledSampling, distilled_settings
from cosmos.config import RELEASE_END_NOISE, SamplerSetting, SolverName
from cosmos.runtime.capture import Capturable


@dataclass(frozen=True)
class LatentSamplingSetting(SamplerSetting, Capturable):
    """How to generate: the sampler, and whether its loop is captured."""

    self_conditioned: bool = field(default=True, kw_only=True)  # whether the denoiser is given its earlier estimates

    def ignored_keys(self) -> dict[str, str]:
        reasons = super().ignored_keys()
        if not self.self_conditioned:
            reasons["self_guidance"] = "there is no earlier estimate; set {}self_conditioned=true"
        if self.steps == 1 and not self.final_x0:
            reasons["self_conditioned"] = "one call of the network has no earlier estimate; set {}steps above 1"
        return reasons


STEPS_TO_NOTHING: tuple[SolverName, ...] = ("dpmpp_2m", "dpmpp_2m_sde", "ddim", "ddpm")  # no noise is left after them


@dataclass(frozen=True)
class OptimisedSampling(LatentSamplingSetting):
    """As many calls as `steps`, where the checkpoint's own time grid makes them; the last prediction is returned."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver not in STEPS_TO_NOTHING:
            known = ", ".join(STEPS_TO_NOTHING)
            raise UserError(f"On a grid that ends without noise {self.solver} has no last step; use one of {known}.")

    def ignored_keys(self) -> dict[str, str]:
        why = "the checkpoint's own time grid says where calls are made"
        return super().ignored_keys() | dict.fromkeys(("grid", "end_noise", "final_x0"), why)


Setting = LatentSamplingSetting | DistilledSampling


def few_calls(end_noise: float = RELEASE_END_NOISE) -> dict[str, Setting]:
    """Settings of few calls by their names, for every system."""
    log_snr: Any = {"steps": 20, "grid": "log_snr", "end_noise": end_noise, "final_x0": True}
    return {
        "dpmpp_2m_sde-20": LatentSamplingSetting("dpmpp_2m_sde", **log_snr),
        "no_estimate-20": LatentSamplingSetting("dpmpp_2m", **log_snr, self_conditioned=False),
        "optimised-8": OptimisedSampling("dpmpp_2m", steps=8),
        "optimised_sde-8": OptimisedSampling("dpmpp_2m_sde", steps=8),
        **distilled_settings(),
    }
