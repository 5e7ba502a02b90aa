"""The autoencoder: shapes, counts, losses, and that a text depends on nothing but itself."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from cosmos.config import LADDER, PRESETS, AutoencoderConfig
from cosmos.io.errors import UserError
from cosmos.models import token_head
from cosmos.models.autoencoder import (
    Autoencoder,
    LatentNormaliser,
    autoencoder_loss,
    token_accuracy,
)
from cosmos.runtime.flops import measure_flops
from cosmos.runtime.rng import CounterRNG

# Text, latent and model width all differ, and no length is a round number.
CONFIG = AutoencoderConfig(
    text_width=10, latent_width=6, width=16, latents=3, layers=2, heads=2, max_tokens=13, vocabulary=29
)


def model(config: AutoencoderConfig = CONFIG, seed: int = 0) -> Autoencoder:
    """With every parameter random, so that no gate or gain is neutral."""
    generator = torch.Generator().manual_seed(seed)
    result = Autoencoder(config, torch.randn(config.text_width, generator=generator))
    for parameter in result.parameters():
        nn.init.normal_(parameter, std=0.4, generator=generator)
    return result.eval()


def texts(count: int = 5, length: int = 11, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """States, tokens and mask, no two rows of one length."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(length) < (length - torch.arange(count))[:, None]
    tokens = torch.randint(CONFIG.vocabulary, (count, length), generator=generator)
    return torch.randn(count, length, CONFIG.text_width, generator=generator), tokens, mask


def test_widths_and_lengths_are_independent():
    states, _, mask = texts()
    result = model()(states, mask)
    assert result.latents.shape == (5, 3, 6)
    assert result.hidden.shape == (5, 11, 10)
    assert result.logits.shape == (5, 11, 29)
    assert model().decompress(result.latents).shape == (5, 13, 29)


def test_equal_widths_need_no_projection():
    config = dataclasses.replace(CONFIG, text_width=16, latent_width=16)
    projections = [name for name, _ in model(config).named_parameters() if "from_" in name or "to_latent" in name]
    assert projections == []
    assert [name for name, _ in model().named_parameters() if "from_" in name] == [
        "compressor.from_text.weight", "decompressor.from_text.weight", "decompressor.from_latent.weight",
    ]  # fmt: skip


def test_parameter_counts_at_base():
    with torch.device("meta"):
        base = Autoencoder(PRESETS["base"].autoencoder)
    assert sum(parameter.numel() for parameter in base.compressor.parameters()) == 99_287_040
    assert sum(parameter.numel() for parameter in base.decompressor.parameters()) == 126_266_162


def test_a_text_does_not_depend_on_its_batch_or_padding():
    states, _, mask = texts()
    many = model()(states, mask)
    one = model()(states[3:4, :8], mask[3:4, :8])  # row 3 has 8 tokens
    assert torch.allclose(one.latents[0], many.latents[3], atol=1e-5)
    assert torch.allclose(one.logits[0], many.logits[3, :8], atol=1e-5)


def test_what_is_not_visible_has_no_effect():
    states, _, mask = texts()
    visible = mask.clone()
    visible[:, 2] = False
    changed = states.masked_fill(~visible[..., None], 1e4)
    assert torch.equal(model().compress(states, visible), model().compress(changed, visible))
    assert not torch.allclose(model().compress(states, mask), model().compress(states, visible), atol=1e-3)


def test_latents_see_each_other():
    states, _, mask = texts()
    network = model()
    before = network.compress(states, mask)
    network.compressor.queries.data[0] += torch.randn(16, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(network.compress(states, mask)[:, 1:], before[:, 1:], atol=1e-4)


def test_a_text_without_visible_tokens_still_has_finite_latents():
    states, _, mask = texts()
    assert torch.isfinite(model().compress(states, torch.zeros_like(mask))).all()


def test_raw_latents_have_the_rms_of_the_gain():
    fresh = Autoencoder(CONFIG)
    states, _, mask = texts()
    assert torch.allclose(fresh.compress(states, mask).square().mean(-1).sqrt(), torch.ones(5, 3), atol=1e-3)


def test_loss_is_cross_entropy_plus_mse_over_tokens_that_are_not_pads():
    states, tokens, mask = texts()
    network = model()
    total, weight = autoencoder_loss(network, states, tokens, mask, LADDER["mse"], None)
    result = network(states, mask)
    expected = 0.0
    for b, i in mask.nonzero().tolist():
        expected += (
            -result.logits[b, i].log_softmax(-1)[tokens[b, i]] + (result.hidden[b, i] - states[b, i]).square().mean()
        )
    assert weight == mask.sum()
    assert torch.allclose(total, expected, rtol=1e-5)
    only, _ = autoencoder_loss(network, states, tokens, mask, LADDER["ce"], None)
    assert only < total


def test_loss_under_corruption_is_that_of_the_corrupted_pass_with_the_clean_target():
    states, tokens, mask = texts()
    clean, _ = autoencoder_loss(model(), states, tokens, mask, LADDER["latent"], None)
    first, _ = autoencoder_loss(model(), states, tokens, mask, LADDER["latent"], CounterRNG(torch.arange(5)))
    again, _ = autoencoder_loss(model(), states, tokens, mask, LADDER["latent"], CounterRNG(torch.arange(5)))
    assert first == again and first != clean


def test_zeroed_latents_are_not_rescaled():
    states, _, mask = texts()
    network = model()
    keep = torch.rand(5, 3, 6, generator=torch.Generator().manual_seed(0)) > 0.4
    result = network(states, mask, keep)
    assert torch.equal(result.latents, network.compress(states, mask))  # what is returned is whole
    assert torch.equal(result.logits, network.decompress(result.latents * keep)[:, :11])


def test_dropout_is_drawn_for_each_position_in_training():
    network = model().train()
    latents = torch.zeros(2, 3, 6)
    for layer in network.decompressor.layers:
        layer.attention.out.weight.data.zero_()  # positions can then differ by position table and dropout alone
        layer.feed_forward[4].weight.data.zero_()
    network.decompressor.positions.weight.data.zero_()
    hidden = network.decompressor.hidden(latents)
    assert len(torch.unique(hidden.flatten(0, 1), dim=0)) == 2 * 13


def test_what_enters_the_layers_is_mapped_once_up_to_its_dropout():
    """With the values, the dropout and the gradients of a map of every position."""
    decompressor = model().double().decompressor.train()

    def each_position() -> torch.Tensor:
        start = decompressor.from_text(decompressor.mask_embedding).expand(3, 7, -1)
        return decompressor.embedding_gate(decompressor.embedding_feed_forward(start)) + decompressor.positions(7)

    found = []
    parts = (decompressor.from_text, decompressor.embedding_feed_forward, decompressor.positions)
    parameters = [value for part in parts for value in part.parameters()]
    for start in (lambda: decompressor.start(3, 7), each_position):
        torch.manual_seed(5)
        value = start()
        found.append([value, *torch.autograd.grad(value.square().sum(), parameters)])
    assert len(torch.unique(found[0][0].flatten(0, 1), dim=0)) == 3 * 7
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 1 << 22])
def test_tokens_are_the_most_probable_of_the_positions_asked_for(chunk: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(token_head.CHUNK_LOGITS, "cpu", chunk)
    decompressor, latents = model().decompressor, torch.randn(40, 3, 6, generator=torch.Generator().manual_seed(3))
    logits = decompressor.logits(latents)
    assert logits.shape == (40, 13, 29)
    assert torch.equal(decompressor(latents), logits[:, 1:].argmax(-1))
    assert torch.equal(decompressor(latents, 6, 20), logits[:, 1:6, :20].argmax(-1))
    assert torch.equal(decompressor(latents, 99, 29), logits[:, 1:].argmax(-1))  # no more than there are


def test_it_learns_to_reconstruct():
    torch.manual_seed(0)
    states, tokens, mask = texts(count=2, length=5)
    network = Autoencoder(dataclasses.replace(CONFIG, dropout=0.0))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(60):
        total, weight = autoencoder_loss(network, states, tokens, mask, LADDER["mse"], None)
        optimiser.zero_grad()
        (total / weight).backward()
        optimiser.step()
    assert token_accuracy(network.eval()(states, mask).logits, tokens, mask) == 1


def test_accuracy_counts_tokens_and_no_pads():
    logits = torch.eye(4)[torch.tensor([[0, 1, 2, 3]])]
    tokens, mask = torch.tensor([[0, 1, 3, 0]]), torch.tensor([[True, True, True, False]])
    assert token_accuracy(logits, tokens, mask) == pytest.approx(2 / 3)


def test_normaliser_in_chunks_is_that_of_the_whole():
    latents = torch.randn(101, 3, 6, generator=torch.Generator().manual_seed(0)) * 3 + 7
    latents[:, 0, 0] = 5.0  # a dead dimension
    normaliser = LatentNormaliser(3, 6)
    normaliser.fit(latents.split(17))
    assert torch.allclose(normaliser.mean, latents.mean(0), atol=1e-5)
    alive = torch.ones(3, 6, dtype=torch.bool)
    alive[0, 0] = False
    assert torch.allclose(normaliser.std[alive], latents.std(0, correction=0)[alive], atol=1e-5)
    assert normaliser.std[0, 0] == pytest.approx(0.01)
    assert torch.allclose(normaliser.restore(normaliser.standardise(latents)), latents, atol=1e-5)
    assert set(normaliser.state_dict()) == {"mean", "std"}


def decompressor_flops(config: AutoencoderConfig) -> float:
    """FLOPs of one decompressor call for one text in evaluation mode (a multiply and an add are two).

    At `base` (N = 16, 128 positions): 28.6 GFLOP a text, of which the token head is 5.7; 14.6 TFLOP at batch 512, 15 ms
    at the 989 TFLOP/s of an H100 in bfloat16. Weights are 126 M, 0.25 GB in bfloat16: 0.08 ms at 3.35 TB/s, the least
    at batch 1. The logits of a batch of 512 are 3.8 GB in bfloat16: written once and read once, 2.3 ms.
    """
    width, length, latents = config.width, config.max_tokens, config.latents
    layer = _layer_flops(config, length, latents)
    ends = length * config.text_width * config.vocabulary + 2 * config.feed_forward * width**2
    if config.text_width != width:
        ends += (length + 1) * width * config.text_width
    if config.latent_width != width:
        ends += latents * width * config.latent_width
    return config.layers * layer + 2.0 * ends


def compressor_flops(config: AutoencoderConfig, length: int) -> float:
    """FLOPs of one compressor call for one text of `length` positions."""
    ends = 0
    if config.text_width != config.width:
        ends += length * config.width * config.text_width
    if config.latent_width != config.width:
        ends += config.latents * config.width * config.latent_width
    return config.layers * _layer_flops(config, config.latents, length) + 2.0 * ends


def _layer_flops(config: AutoencoderConfig, stream: int, memory: int) -> float:
    """One layer: own and memory's matrices, the joint attention, the feed-forward."""
    matrices = stream * (4 + 2 * config.feed_forward) * config.width**2 + memory * 2 * config.width**2
    return 2.0 * (matrices + 2 * stream * (stream + memory) * config.width)


def test_flops_of_the_formula_are_those_counted():
    for config in (CONFIG, dataclasses.replace(CONFIG, text_width=16, latent_width=16)):
        network = model(config)
        latents = torch.zeros(1, config.latents, config.latent_width)
        assert measure_flops(lambda n=network, z=latents: n.decompress(z)) == decompressor_flops(config)
        states, visible = torch.zeros(1, 11, config.text_width), torch.ones(1, 11, dtype=torch.bool)
        assert measure_flops(lambda n=network, s=states, v=visible: n.compress(s, v)) == compressor_flops(config, 11)


def test_more_latents_than_positions_are_refused():
    with pytest.raises(UserError, match="fewer latents or a larger max_tokens"):
        Autoencoder(dataclasses.replace(CONFIG, latents=14))


def test_heads_must_divide_the_width():
    with pytest.raises(UserError, match="3 heads do not split"):
        dataclasses.replace(CONFIG, heads=3)
