"""Whose training steps are timed on random rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines import registry
from baselines.contract import Limits, SupportsRandomTraining, UserError, unknown
from benchmarks.planning.overrides import override


@dataclass(frozen=True)
class StepLine:
    """Whose steps are measured.

    Attributes:
        name: of the line.
        system: by name. preset: of its recipe.
        stage: "autoencoder" or "diffusion" of Cosmos; nothing for a system that is trained in one stage.
        length: positions of the longest text, with those before its first and after its last word.
        batch: rows of a step; None: as many as the recipe says.
    """

    name: str
    system: str
    preset: str
    stage: str
    length: int
    batch: int | None = None

    @property
    def ragged(self) -> bool:
        """Whether batches are padded."""
        return self.stage == "autoencoder" or self.system == "gpt2"


STORY = 92
LINES = (
    StepLine("autoencoder-16", "cosmos-16", "small", "autoencoder", STORY),
    StepLine("denoiser-16", "cosmos-16", "small", "diffusion", STORY, batch=512),
    StepLine("denoiser-92", "cosmos-full", "small", "diffusion", STORY, batch=512),
    StepLine("gpt2", "gpt2", "small", "", STORY),
    StepLine("mdlm", "mdlm", "small", "", STORY),
    StepLine("autoencoder-128-base", "cosmos-full", "base", "autoencoder", 128),
    StepLine("denoiser-128-base", "cosmos-full", "base", "diffusion", 128),
)
OTHERS = tuple(StepLine(name, name, "small", "", STORY) for name in ("sedd", "duo", "diffuseq"))


def lines_named(names: tuple[str, ...]) -> tuple[StepLine, ...]:
    """The lines of these names, each once, or all of them.

    Raises:
        UserError: there is no such line.
    """
    known = {line.name: line for line in (*LINES, *OTHERS)}
    for name in names:
        if name not in known:
            raise unknown("line of training steps", name, known)
    return tuple(known[name] for name in dict.fromkeys(names)) or tuple(known.values())


def system_of(line: StepLine, recipe_changes: Mapping[str, Any]) -> SupportsRandomTraining:
    """The system that is trained.

    Args:
        recipe_changes: fields of the preset's recipe by dotted keys.
    """
    kind: Any = registry.find(line.system)
    if line.preset not in kind.presets:
        raise UserError(f"The system '{line.system}' has no preset {line.preset}.")
    training = f"{line.stage}_training" if line.stage else "training"
    own = {} if line.batch is None else {f"{training}.batch_size": line.batch}
    recipe = override(kind.presets[line.preset], {**own, **recipe_changes}, line.system)
    system = kind(recipe, Limits(0, line.length))
    assert isinstance(system, SupportsRandomTraining), line.system
    return system
