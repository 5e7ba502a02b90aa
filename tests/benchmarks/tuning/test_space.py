"""The grid asks every system for the same: learning rate, batch and dropout of all that it trains."""

from __future__ import annotations

import pytest

from baselines import registry
from baselines.contract import Limits, UserError
from benchmarks.planning.ignored_keys import change_recipe
from benchmarks.tuning.space import Point, TrialGrid, changes

LIMITS = Limits(40, 40)
POINT = Point(5e-3, 24, 0.2)
TRAINED = [name for name in registry.names() if registry.find(name).trained]


@pytest.mark.parametrize("name", TRAINED)
def test_every_system_has_all_three_axes(name: str) -> None:
    system = registry.find(name)
    recipe = system.presets["nano"] if "nano" in system.presets else next(iter(system.presets.values()))
    keys = changes(name, system, recipe, LIMITS, POINT)
    assert {key.rpartition(".")[2] for key in keys} >= {"learning_rate", "batch_size", "dropout"}
    changed = change_recipe(name, system, recipe, keys, LIMITS)
    assert changes(name, system, changed, LIMITS, POINT) == keys


def test_all_trainings_of_a_recipe_are_set_and_what_refines_them_is_not() -> None:
    cosmos = changes("cosmos", registry.find("cosmos"), registry.find("cosmos").presets["nano"], LIMITS, POINT)
    assert cosmos == {
        "model.autoencoder.dropout": 0.2,
        "model.denoiser.dropout": 0.2,
        "autoencoder_training.learning_rate": 5e-3,
        "autoencoder_training.batch_size": 24,
        "diffusion_training.learning_rate": 5e-3,
        "diffusion_training.batch_size": 24,
    }
    duo = changes("duo", registry.find("duo"), registry.find("duo").presets["nano"], LIMITS, POINT)
    assert set(duo) == {"trunk.dropout", "training.learning_rate", "training.batch_size"}


def test_a_constant_rate_stays_constant() -> None:
    system = registry.find("tencdm")
    keys = changes("tencdm", system, system.presets["base"], LIMITS, POINT)
    assert keys["decoder_training.final_learning_rate"] == POINT.learning_rate


def test_a_grid_is_the_product_of_its_axes() -> None:
    grid = TrialGrid((1e-3, 2e-3), (8,), (0.0, 0.1))
    assert [point.name for point in grid.points] == [
        "lr0.001-batch8-dropout0", "lr0.001-batch8-dropout0.1", "lr0.002-batch8-dropout0", "lr0.002-batch8-dropout0.1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"learning_rates": ()}, {"learning_rates": (0.0,)}, {"batch_sizes": (0,)}, {"dropouts": (1.0,)},
              {"finalists": 0}, {"seeds": 0}, {"batch_sizes": tuple(range(1, 1000))}],
)  # fmt: skip
def test_a_grid_that_cannot_be_is_refused(wrong: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(UserError):
        TrialGrid(**wrong)
