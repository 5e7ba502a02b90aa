"""The network that token diffusions share: what it sees of the source, the positions and the time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines.common.transformer import TrunkConfig
from baselines.token_diffusion.masked_settings import Unmasking
from baselines.token_diffusion.system import TokenDenoiser
from cosmos.text.vocabulary import PAD

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import REQUESTS, Trained


def test_a_sequence_model_sees_the_source_and_no_padding() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = TokenDenoiser(TrunkConfig(16, 2, 2, 32), vocabulary=12, length=3, source=20, source_layers=1)

    def logits(source: Tensor) -> Tensor:
        return model(torch.tensor([[4, 9, 4]]), model.encode(source))

    source = torch.tensor([[6, 7, 8, 3]])
    assert (logits(source) - logits(torch.nn.functional.pad(source, (0, 5), value=PAD))).abs().max() < 1e-5
    other = source.clone()
    other[0, 0] = 9
    assert (logits(source) - logits(other)).abs().max() > 1e-3
    assert (logits(source) - logits(source.flip(1))).abs().max() > 1e-3


def test_an_unconditional_sequence_model_tells_masked_positions_apart() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = TokenDenoiser(TrunkConfig(16, 2, 2, 32), vocabulary=12, length=3, source=0, source_layers=1)
    assert model.encode(torch.full((1, 1), 3)) is None
    logits = model(torch.full((1, 3), 4), None)
    assert (logits[:, 0] - logits[:, 1]).abs().max() > 1e-3


def test_time_and_mixtures_reach_the_network() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TokenDenoiser(TrunkConfig(16, 2, 2, 32, time_width=8), 12, length=5, source=4, source_layers=1)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.4)
        sequence = torch.randint(0, 12, (6, 5))
    source = model.encode(torch.full((6, 4), 7))
    early, late = (model(sequence, source, torch.full((6,), t)) for t in (0.1, 0.9))
    assert (early - late).abs().max() > 1e-2
    mixed = model(nn.functional.one_hot(sequence, 12).float(), source, torch.full((6,), 0.1))
    assert (early - mixed).abs().max() < 1e-5


def test_the_source_is_encoded_once_per_text(trained: Callable[[str], Trained]) -> None:
    system, _ = trained("mdlm")
    assert list(system.networks()) == ["mdlm", "source_encoder"]
    calls: list[object] = []
    hook = system.networks()["source_encoder"].register_forward_hook(lambda *_: calls.append(None))
    system.generate(REQUESTS, Unmasking("ancestral", 5))
    hook.remove()
    assert len(calls) == 1
