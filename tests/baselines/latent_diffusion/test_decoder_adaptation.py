"""The third stage behind the contract, of all that diffuse latents: off it changes nothing, on the decoder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from baselines.contract import Budget, UserError
from benchmarks.planning.plan import make as make_plan
from benchmarks.planning.run_config import gather
from cosmos.adaptation import ADAPTED
from cosmos.io import safetensors

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import ADAPTATION_SHARE, BUDGET, REQUESTS, SYSTEMS, TWO_STAGES, few, fit, make

ADAPTED_ALONE = {**TWO_STAGES, "adaptation_share": ADAPTATION_SHARE}
LATENT = ("cosmos", "tencdm", "ld4lg")


def weights(folder: Path) -> dict[str, bytes]:
    """All weights and vocabularies by their place."""
    kinds = (".safetensors", "vocabulary.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.name.endswith(kinds)}


@pytest.mark.parametrize("name", few(LATENT))
def test_it_leaves_the_first_two_stages_as_they_are(name: str, encoder_folder: Path, tmp_path: Path) -> None:
    two = Budget(BUDGET.amount * (1 - ADAPTATION_SHARE), "steps")
    without = fit(make(name, encoder_folder, **TWO_STAGES), tmp_path / "two", two)
    system = make(name, encoder_folder, **ADAPTED_ALONE)
    adapted = fit(system, tmp_path / "three")
    assert SYSTEMS[name].stages[-1] == "adaptation"
    ours, theirs = weights(tmp_path / "three"), weights(tmp_path / "two")
    [extra] = ours.keys() - theirs.keys()
    assert Path(extra).name == ADAPTED
    assert {place: ours[place] for place in theirs} == theirs
    # What it cost is told, and is part of the whole.
    assert "adaptation" not in without.notes
    noted = adapted.notes["adaptation"]
    assert (adapted.steps, without.steps, noted["steps"]) == (40, 32, 8)
    assert adapted.flops == pytest.approx(without.flops + noted["flops"], rel=1e-9) and noted["flops"] > 0
    # Generation reads by the adapted one.
    system.load(tmp_path / "three", device="cpu", dtype="float32")
    first = make(name, encoder_folder, **TWO_STAGES)
    first.load(tmp_path / "two", device="cpu", dtype="float32")
    stored = safetensors.load(tmp_path / "three" / extra)
    used, before = system.decoder().state_dict(), first.decoder().state_dict()
    assert all(torch.equal(used[key], value) for key, value in stored.items())
    assert any(not torch.equal(used[key], before[key]) for key in stored)
    assert len(system.generate(REQUESTS[:2], SYSTEMS[name].settings[0])) == 2
    # It is a part of the checkpoint, which is not whole without it.
    (tmp_path / "three" / extra).write_bytes(b"")
    with pytest.raises(UserError, match=r"adapted\.safetensors is not a safetensors file"):
        make(name, encoder_folder, **ADAPTED_ALONE).check(tmp_path / "three")
    with pytest.raises(UserError, match="has another recipe than asked for"):
        make(name, encoder_folder, **TWO_STAGES).check(tmp_path / "three")


@pytest.mark.parametrize("name", LATENT)
def test_its_keys_have_no_effect_without_a_share(name: str) -> None:
    def plan(*words: str) -> None:
        make_plan(gather({"task": "detox", "system": [name]}, words), "cpu")

    said = (
        rf"{name}\.recipe\.adaptation\.noise has no effect: no decoder is adapted; set {name}\.recipe\.adaptation_share"
    )
    with pytest.raises(UserError, match=said):
        plan(f"{name}.recipe.adaptation.noise=3")
    plan(f"{name}.recipe.adaptation.noise=3", f"{name}.recipe.adaptation_share=0.1")
    with pytest.raises(UserError, match="adaptation_share must lie between 0 and 1, not at 1"):
        plan(f"{name}.recipe.adaptation_share=1")
