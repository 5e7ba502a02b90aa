"""Batches of joint training: their lengths, their streams, and states that are computed in the loop."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cosmos.config import DiffusionConfig, Place, ScheduleConfig
from cosmos.data.encoding import EncodedCorpus, Encoding
from cosmos.joint import JointDataset, JointModel, fit_statistics, joint_stage, streams_again, train_jointly
from cosmos.joint_recipes import JOINT_RECIPES, JointConfig
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser
from cosmos.models.standardiser import Standardiser
from cosmos.recipes import RECIPES
from cosmos.runtime.rng import CounterRNG, initialised
from cosmos.text.encoder import TextEncoder
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.buckets import RaggedDataset
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingRun

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import AUTOENCODER, DENOISER, PAIRS, SOURCES, TARGETS, TRAINING, tiny_encoder


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[Place, EncodedCorpus]:
    """The same texts with states that are stored, and with states that are computed in the loop."""
    folder = tmp_path_factory.mktemp("joint")
    encoder = TextEncoder(str(tiny_encoder(folder / "encoder")), "cpu")
    vocabulary = Vocabulary.of([*TARGETS, *SOURCES], str(encoder.folder))
    run = TrainingRun(folder, 3, "cpu")
    places: tuple[Place, ...] = ("stored", "loop")
    return {p: Encoding(encoder, vocabulary, AUTOENCODER.max_tokens, 16, run, p).corpus(*PAIRS) for p in places}


@pytest.mark.parametrize("place", ["stored", "loop"])
def test_rows_are_padded_to_the_length_that_is_asked_for(place: Place, corpora: dict[Place, EncodedCorpus]) -> None:
    corpus = corpora[place]
    data = JointDataset(corpus.train)
    assert isinstance(data, RaggedDataset)
    assert torch.equal(data.lengths, corpus.train.targets.lengths) and data.longest == AUTOENCODER.max_tokens
    shapes = set()
    for index in torch.arange(8).split(2):
        rows, plain = data.batch(index, 12), data.batch(index)
        shapes.add(tuple((name, *value.shape) for name, value in rows.items()))
        for name, value in plain.items():
            width = value.shape[1]
            assert torch.equal(rows[name][:, :width], value)
            if "mask" in name:
                assert not rows[name][:, width:].any()
    assert len(shapes) == 1


def test_streams_that_are_drawn_again_stay_what_they_were() -> None:
    seeds = CounterRNG(torch.arange(6), compiled=False, fused=True)
    seeds.uniform()
    again, part = streams_again(seeds.rows(slice(None)), 2), streams_again(seeds.part(2, 5), 2)
    assert again.fused and part.fused
    assert (len(again), part.places.tolist(), part.batch_rows) == (12, [2, 3, 4, 8, 9, 10], 12)
    assert float(again.of_batch()) == float(part.of_batch())  # one number for the whole batch
    own, whole = part.uniform(3), again.uniform(3)
    assert torch.equal(own, torch.cat((whole[2:5], whole[8:11])))


def test_states_in_the_loop_have_the_losses_of_stored_ones(corpora: dict[Place, EncodedCorpus], tmp_path: Path) -> None:
    losses = []
    standardiser = Standardiser.of(corpora["stored"].train.targets.states.statistics())
    sizes, denoiser = replace(AUTOENCODER, vocabulary=64), replace(DENOISER, source_width=AUTOENCODER.text_width)
    for place, corpus in corpora.items():
        network = initialised(lambda: JointModel(Autoencoder(sizes), Denoiser(denoiser), JointConfig()), 0)
        fit_statistics(network, standardiser, corpus)
        stage = joint_stage(network, standardiser, corpus, DiffusionConfig(ScheduleConfig(d=3.0)))
        assert stage.frozen == corpus.frozen and len(stage.frozen) == (place == "loop")
        run = TrainingRun(tmp_path / place, 3, "cpu")
        losses.append(train_jointly(stage, TRAINING, Budget(6, "steps"), run).validation_loss)
    assert "states_ids" in JointDataset(corpora["loop"].train).batch(torch.arange(2))
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)


def test_states_are_computed_where_those_of_two_stages_are() -> None:
    assert {name: recipe.states for name, recipe in JOINT_RECIPES.items()} == {
        name: recipe.states for name, recipe in RECIPES.items()
    }
