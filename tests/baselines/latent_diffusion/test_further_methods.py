"""Several methods of distillation in one training: their rounds, whose students generate, and how each of them does."""

from __future__ import annotations

import dataclasses
import itertools
import math
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from baselines.contract import Budget, TrainingResult, UserError
from baselines.latent_diffusion import distillation
from baselines.latent_diffusion.distillation import FOLDER, DistilledSampling, distil
from benchmarks.planning.plan import make as make_plan
from benchmarks.planning.run_config import gather
from cosmos.diffusion.moment_matching import MatchedPair, MomentMatchingObjective
from cosmos.io import safetensors
from cosmos.recipes import DistillationConfig
from cosmos.training import pricing
from cosmos.training.config import TrainingConfig
from cosmos.training.loop import TrainingStage

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import BUDGET, FEW_LATENT_STEPS, REQUESTS, ROUNDS, STUDENTS, count_calls, fit, make

FURTHER_ROUNDS = tuple(name.replace("distilled", "distilled-progressive") for name in ROUNDS)
BOTH = dataclasses.replace(STUDENTS, method="moments", further_methods=("progressive", "moments"))  # one named twice
ONE = DistilledSampling(4)
OTHER = dataclasses.replace(ONE, method="progressive")
Weights = Mapping[str, Tensor]


class Begun(NamedTuple):
    """A round, and copies of the weights of its networks and of its teacher when it began."""

    stage: TrainingStage
    config: TrainingConfig
    budget: Budget
    networks: Sequence[Weights]  # the student's, then the auxiliary network's if there is one
    teacher: Weights


class Several(NamedTuple):
    """A system whose denoiser was distilled by two methods, loaded, and what its distillation was given."""

    system: Any
    folder: Path
    fitted: TrainingResult
    begun: Sequence[Begun]
    given: Sequence[Any]  # to `distil`

    def student(self, name: str) -> Weights:
        return safetensors.load(self.folder / FOLDER / f"{name}.safetensors")

    def original(self) -> Weights:
        """The denoiser's own weights."""
        self.system.generate(REQUESTS[:1], FEW_LATENT_STEPS)
        return copied(self.system.model.denoiser)


def copied(network: nn.Module) -> Weights:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def watch(patch: pytest.MonkeyPatch, training: bool = True) -> list[Begun]:
    """What rounds begin with from here on; they may train nothing."""
    begun, real = list[Begun](), distillation.train

    def watched(stage: TrainingStage, config: TrainingConfig, budget: Budget, run: Any) -> TrainingResult:
        network = stage.network
        networks = (network.student, network.auxiliary) if isinstance(network, MatchedPair) else (network,)
        begun.append(Begun(stage, config, budget, [*map(copied, networks)], copied(stage.frozen[-1])))
        return real(stage, config, budget, run) if training else TrainingResult(0, 0.0, 0.0, None, {})

    patch.setattr(distillation, "train", watched)
    return begun


@pytest.fixture(scope="module")
def several(encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Several:
    system, folder, given = make("cosmos", encoder_folder, distillation=BOTH), tmp_path_factory.mktemp("several"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pricing, "MOST", pricing.FEWEST)
        patch.setattr(distillation, "distil", lambda *arguments: given.extend(arguments) or distil(*arguments))
        begun = watch(patch)
        fitted = fit(system, folder)
    system.load(folder, device="cpu", dtype="float32")
    return Several(system, folder, fitted, begun, given)


def distilled_again(several: Several, config: DistillationConfig, budget: Budget, workdir: Path) -> Mapping[str, Any]:
    """Students of the same denoiser by another configuration, and what each round cost, together."""
    *of_denoiser, _, _, run = several.given
    students, results = distil(*of_denoiser, config, budget, dataclasses.replace(run, workdir=workdir))
    return {**students, **results}


def test_each_method_has_rounds_and_students_of_its_own(several: Several) -> None:
    names = (*ROUNDS, *FURTHER_ROUNDS)
    assert tuple(begun.stage.name for begun in several.begun) == names
    assert {name for name in several.fitted.notes if "distilled" in name} == set(names)
    assert {path.name for path in (several.folder / FOLDER).iterdir()} == {
        f"{name.removeprefix('distilled-')}.safetensors" for name in names
    }
    part = STUDENTS.share * BUDGET.amount / len(names)
    assert [(b.budget.amount, b.budget.unit) for b in several.begun] == [(pytest.approx(part), "steps")] * len(names)
    assert [several.fitted.notes[name]["steps"] for name in names] == [part] * len(names)
    assert len({begun.stage.seed(1) for begun in several.begun}) == len(names)  # none draws what another does


def test_all_methods_begin_with_the_denoiser_and_only_one_goes_on_to_teach_by_its_students(several: Several) -> None:
    original, rounds = several.original(), [*several.begun]
    for begun in (rounds[0], rounds[3]):
        assert all(same(network, original) for network in begun.networks)
    assert [len(begun.networks) for begun in rounds] == [2, 2, 2, 1, 1, 1]
    teachers = (*[original] * 4, several.student("progressive-4"), several.student("progressive-2"))
    assert [same(begun.teacher, teacher) for begun, teacher in zip(rounds, teachers, strict=True)] == [True] * 6
    for before, name in ((0, "4"), (1, "2"), (3, "progressive-4"), (4, "progressive-2")):
        assert same(rounds[before + 1].networks[0], several.student(name))
    for first, second in ((0, 1), (1, 2)):  # the auxiliary network goes on with what it has learnt, too
        assert not same(rounds[first].networks[1], rounds[second].networks[1])
    students = [several.student(name.removeprefix("distilled-")) for name in (*ROUNDS, *FURTHER_ROUNDS)]
    assert not any(same(one, other) for i, one in enumerate(students) for other in (original, *students[:i]))


def test_students_of_the_first_method_are_the_same_without_further_ones(several: Several, tmp_path: Path) -> None:
    """With as many steps for each: half of the budget for half of the rounds."""
    half = Budget(STUDENTS.share * BUDGET.amount / 2, "steps")
    alone = distilled_again(several, dataclasses.replace(BOTH, further_methods=()), half, tmp_path)
    assert set(alone) == {"4", "2", "1", *ROUNDS}
    for calls in STUDENTS.calls:
        assert same(alone[str(calls)], several.student(str(calls)))


@pytest.mark.parametrize(
    ("method", "further"), [("consistency", ("moments", "progressive")), ("moments", ("consistency",))]
)
def test_only_where_moments_are_matched_is_the_rate_another_and_no_student_kept_by_validation(
    method: Any, further: Any, several: Several, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = watch(monkeypatch, training=False)
    training = dataclasses.replace(STUDENTS.training, learning_rate=4e-3, final_learning_rate=1e-3, keep="best")
    config = DistillationConfig(0.3, method, (2, 1), 8, training=training, further_methods=further, moments_rate=2.5)
    distilled_again(several, config, Budget(12, "steps"), tmp_path)
    faster = dataclasses.replace(training, learning_rate=1e-2, final_learning_rate=2.5e-3, keep="last")
    methods = [name for name in (method, *further) for _ in config.calls]
    assert [b.config for b in begun] == [faster if name == "moments" else training for name in methods]
    assert [isinstance(b.stage.network, MatchedPair) for b in begun] == [name == "moments" for name in methods]


def test_what_is_validated_where_moments_are_matched_is_the_mismatch(
    several: Several, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = [several.fitted.notes[name]["validation_loss"] for name in (*ROUNDS, *FURTHER_ROUNDS)]
    assert all(math.isfinite(loss) and loss >= 0 for loss in losses)

    def known(objective: Any, pair: MatchedPair, latents: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
        return latents.new_tensor(2.5 * len(latents)), latents.new_tensor(float(len(latents)))

    monkeypatch.setattr(MomentMatchingObjective, "mismatch", known)
    again = distilled_again(several, BOTH, Budget(12, "steps"), tmp_path)
    assert [again[name].validation_loss for name in ROUNDS] == [2.5] * 3
    assert [again[name].validation_loss for name in FURTHER_ROUNDS] == losses[3:]
    assert same(again["1"], several.student("1"))  # it decides no weights


def test_a_setting_puts_in_the_student_of_its_method_and_none_means_the_first(several: Several) -> None:
    original = several.original()
    for method, name in (("progressive", "progressive-{}"), (None, "{}"), ("moments", "{}")):
        for calls in (4, 1):
            setting = dataclasses.replace(OTHER, steps=calls, method=method)
            assert count_calls(several.system, setting) == calls
            assert same(copied(several.system.model.denoiser), several.student(name.format(calls)))
    assert same(several.original(), original)


def states(several: Several, setting: DistilledSampling, seeds: Tensor) -> Tensor:
    """What a denoiser is called with that always says that all clean latents are zero: [calls, B, N, C]."""
    seen, system = list[Tensor](), several.system
    hooks = (
        system.model.denoiser.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone())),
        system.model.denoiser.register_forward_hook(lambda _, inputs, output: torch.zeros_like(output)),
    )
    try:
        with torch.inference_mode():
            source = system._source((str(request.source) for request in REQUESTS[: len(seeds)]), static=False)
            system.latents(setting, seeds, *source)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack(seen)


@pytest.mark.parametrize("setting", [ONE, dataclasses.replace(ONE, method="moments"), OTHER], ids=str)
def test_a_student_draws_noise_in_each_step_where_moments_were_matched_and_else_at_the_start(
    setting: DistilledSampling, several: Several
) -> None:
    seeds, noisy = torch.arange(6), setting.method != "progressive"
    found = states(several, setting, seeds)
    assert len(found) == 4
    if not noisy:  # a DDIM step to zero makes the state smaller, and that is all
        for state in found[1:]:
            ratio = float(state.norm() / found[0].norm())
            assert 0 < ratio < 1 and torch.allclose(state, ratio * found[0], atol=1e-6)
    else:
        flat = found.flatten(1)
        for before, after in itertools.pairwise(flat):
            part = (before @ after) / before.square().sum()
            assert float((after - part * before).norm() / after.norm()) > 0.5
    # All noise has that deviation: half of it in every step, exactly, and more of one seed than of another.
    colder = states(several, dataclasses.replace(setting, temperature=0.5), seeds)
    assert torch.equal(colder, 0.5 * found)
    assert torch.equal(states(several, setting, seeds), found)
    assert torch.equal(states(several, setting, seeds[2:3])[:, 0], states(several, setting, seeds)[:, 2])
    other = states(several, setting, seeds + 100)
    assert all(not torch.equal(a, b) for a, b in zip(other, found, strict=True))


def test_texts_are_those_of_their_seeds_and_methods(several: Several) -> None:
    made = {}
    for setting in (ONE, dataclasses.replace(ONE, method="moments"), OTHER):
        made[setting.method] = several.system.generate(REQUESTS, setting)
        assert several.system.generate(REQUESTS, setting) == made[setting.method]
    assert made[None] == made["moments"]
    assert [s.sequence for s in made[None]] != [s.sequence for s in made["progressive"]]


def test_a_further_student_that_is_missing_is_refused(several: Several, encoder_folder: Path, tmp_path: Path) -> None:
    system, folder = make("cosmos", encoder_folder, distillation=BOTH), tmp_path / "copy"
    shutil.copytree(several.folder, folder)
    system.check(folder)
    (folder / FOLDER / "progressive-2.safetensors").unlink()
    with pytest.raises(UserError, match=r"Cannot read .*progressive-2\.safetensors"):
        system.check(folder)


class StoppedError(Exception):
    """A process that ends here."""


def test_a_training_stopped_in_rounds_of_any_method_ends_with_the_same_bytes(
    several: Several, encoder_folder: Path, tmp_path: Path
) -> None:
    def stopped(where: str) -> None:
        def progress(stage: str, share: float, loss: float | None) -> None:
            if stage == where and share >= 0.4:
                raise StoppedError

        fit(make("cosmos", encoder_folder, distillation=BOTH), tmp_path, progress=progress)

    for where in ("distilled-4", "distilled-2", "distilled-1", "distilled-progressive-4", "distilled-progressive-1"):
        with pytest.raises(StoppedError):
            stopped(where)
    fit(make("cosmos", encoder_folder, distillation=BOTH), tmp_path)
    for path in (several.folder / FOLDER).iterdir():
        assert path.read_bytes() == (tmp_path / FOLDER / path.name).read_bytes()
    assert not list(tmp_path.rglob("*.resume.safetensors"))


def test_a_method_that_was_not_distilled_is_refused(encoder_folder: Path) -> None:
    system = make("cosmos", encoder_folder, distillation=BOTH)
    for method in ("progressive", "moments", None):
        system.check_setting(dataclasses.replace(OTHER, method=method))
    said = r"Nothing was distilled by consistency, but by moments, progressive; set distillation\.further_methods"
    with pytest.raises(UserError, match=said):
        system.check_setting(DistilledSampling(2, method="consistency"))
    plain = make("cosmos", encoder_folder, distillation=dataclasses.replace(BOTH, share=0.0))
    with pytest.raises(UserError, match="Nothing was distilled; train with"):
        plain.check_setting(OTHER)


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"method of distillation.*moment'.*moments"):
        dataclasses.replace(ONE, method="moment")
    with pytest.raises(UserError, match=r"method of distillation.*progresive'.*progressive"):
        dataclasses.replace(BOTH, further_methods=("consistency", "progresive"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["settings.distilled-4.method=moments"], "of tencdm cannot be run. Nothing was distilled by moments"),
        (["settings.distilled-4.method=moment"], r"value of tencdm\.settings\.distilled-4\.method.*moment'.*moments"),
        (["recipe.distillation.further_methods=moment"], r"value of tencdm\.recipe.*further_methods.*moment'.*moments"),
        (["recipe.distillation.moments_rate=0"], "moments_rate must"),
    ],
)  # fmt: skip
def test_a_command_that_asks_for_what_is_not_there_is_refused_before_training(words: list[str], said: str) -> None:
    asked = {"task": "detox", "system": ["tencdm"], "setting": ["tencdm:distilled-4"]}
    share = "tencdm.recipe.distillation.share=0.2"
    with pytest.raises(UserError, match=said):
        make_plan(gather(asked, [share, *(f"tencdm.{word}" for word in words)]), "cpu")
    both = [share, "tencdm.recipe.distillation.further_methods=moments", "tencdm.settings.distilled-4.method=moments"]
    assert make_plan(gather(asked, both), "cpu").cells
