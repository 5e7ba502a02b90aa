"""Every trained system behind the contract: fit, resume, check, load, generate."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import registry
from baselines.autoregressive.gpt2 import Decoding, PlainGenerate
from baselines.contract import Budget, Corpus, Limits, System, UserError
from baselines.embedding_diffusion.diffuseq import EmbeddingSampling
from baselines.latent_diffusion.ld4lg import BeamSampling, CandidateSampling
from baselines.latent_diffusion.settings import LatentSamplingSetting
from baselines.token_diffusion.duo import Revising
from baselines.token_diffusion.mdlm import Unmasking
from baselines.token_diffusion.sedd import Scoring
from baselines.token_diffusion.system import TokenDiffusionSystem
from cosmos.runtime import compilation
from cosmos.text.vocabulary import SEP

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import (
    BUDGET,
    CORPUS,
    DISTILLATION,
    DOCUMENTS,
    FEW_LATENT_STEPS,
    REQUESTS,
    SEDD,
    SYSTEMS,
    Trained,
    all_named,
    brief,
    count_calls,
    few,
    fit,
    make,
)

Train = Callable[[str], Trained]
SETTINGS = [(name, setting) for name, tiny in SYSTEMS.items() for setting in tiny.settings]
NAMED = [(name, setting) for name, tiny in SYSTEMS.items() for setting in all_named(tiny.system)]
SOURCE_NETWORKS = {"source_encoder", "condition_encoder", "text_encoder"}
each = pytest.mark.parametrize("name", list(SYSTEMS))
each_few = pytest.mark.parametrize("name", few(name for name in SYSTEMS if name != "sedd_uniform"))
# For what does not depend on the transition.
each_system = pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "sedd_uniform"])


@each
def test_a_system_meets_the_contract(name: str, trained: Train) -> None:
    system, folder = trained(name)
    assert isinstance(system, System)
    assert registry.find(system.name) is type(system)
    assert "nano" in system.presets
    stored = json.loads((folder / "fit.json").read_text())["fitted"]
    assert stored["steps"] == BUDGET.amount
    assert stored["flops"] > 0
    assert stored["validation_loss"] > 0
    assert stored["notes"]["parameters"] == sum(value.numel() for value in system.model.parameters())
    names = [*system.settings, *getattr(system, "other_settings", {})]
    assert len(set(names)) == len(names)


@each_few
def test_training_learns(name: str, trained: Train, encoder_folder: Path, tmp_path: Path) -> None:
    stored = json.loads((trained(name).folder / "fit.json").read_text())["fitted"]
    short = fit(make(name, encoder_folder), tmp_path, Budget(4, "steps"))
    assert short.validation_loss is not None
    share = 0.9 if name == "ld4lg" else 0.8  # of a velocity, part is noise that no network can tell
    assert stored["validation_loss"] < share * short.validation_loss


@each
def test_a_finished_fit_returns_the_same_at_once(name: str, trained: Train, encoder_folder: Path) -> None:
    folder = trained(name).folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def never(stage: str, share: float, loss: float | None) -> None:
        raise AssertionError("nothing is trained again")

    first = fit(make(name, encoder_folder), folder, progress=never)
    assert first == fit(make(name, encoder_folder), folder, progress=never)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


class StoppedError(Exception):
    """A process that ends here."""


@each_few
def test_a_fit_that_was_stopped_ends_with_the_same_bytes(
    name: str, trained: Train, encoder_folder: Path, tmp_path: Path
) -> None:
    def stop_at(where: str, share: float) -> Callable[[str, float, float | None], None]:
        def progress(stage: str, now: float, loss: float | None) -> None:
            if stage == where and now >= share:
                raise StoppedError

        return progress

    stages = SYSTEMS[name].stages
    moments = [*((stage, 0.4) for stage in stages), (stages[-1], 1.0)]
    if name == "cosmos":  # as the others that encode
        moments.insert(0, ("encode", 0.1))
    for stage, share in moments:
        with pytest.raises(StoppedError):
            fit(make(name, encoder_folder), tmp_path, progress=stop_at(stage, share))
        with pytest.raises(UserError, match="no finished checkpoint"):
            make(name, encoder_folder).check(tmp_path)
    fitted = fit(make(name, encoder_folder), tmp_path)
    assert checkpoint(tmp_path) == checkpoint(trained(name).folder)
    stored = json.loads((trained(name).folder / "fit.json").read_text())["fitted"]
    assert without_seconds(dataclasses.asdict(fitted)) == without_seconds(stored)


def checkpoint(folder: Path) -> dict[str, bytes]:
    """All that generation reads; what a training took, and its own files, are apart."""
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        str(name): path.read_bytes()
        for name, path in paths.items()
        if name.parts[0] != "training" and name.name != "fit.json"
    }


def without_seconds(values: Any) -> Any:
    """As JSON, with nothing that was measured with a clock."""
    return json.loads(json.dumps(values), object_hook=lambda d: {k: v for k, v in d.items() if "seconds" not in k})


@each
def test_generating_leaves_global_randomness(name: str, trained: Train) -> None:
    """That training leaves it alone is seen where it is done."""
    before, system = torch.random.get_rng_state(), trained(name).system
    for setting in system.settings.values():
        system.generate(REQUESTS[:2], brief(setting))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("name", "setting"), list(dict.fromkeys([*SETTINGS, *NAMED])))
def test_a_text_does_not_depend_on_its_batch_mates(name: str, setting: Any, trained: Train) -> None:
    system, _ = trained(name)
    together = system.generate(REQUESTS, setting)
    assert [sample.id for sample in together] == [request.id for request in REQUESTS]
    for request, sample in zip(REQUESTS[::7], together[::7], strict=True):
        assert system.generate([request], setting) == [sample]
    shuffled = torch.randperm(len(REQUESTS), generator=torch.Generator().manual_seed(1)).tolist()
    assert system.generate([REQUESTS[i] for i in shuffled], setting) == [together[i] for i in shuffled]
    assert len({sample.text for sample in together}) > 1
    assert system.generate([], setting) == []


@each
def test_a_sample_says_which_tokens_the_network_wrote(name: str, trained: Train) -> None:
    """Whole sequences where it learnt to write them, up to the end token and with it where it did not."""
    system, setting = next((trained(name).system, setting) for other, setting in SETTINGS if other == name)
    samples = system.generate(REQUESTS, setting)
    whole = isinstance(system, TokenDiffusionSystem)
    for sample in samples:
        assert sample.sequence is not None
        assert all(0 <= token < system.loaded_shape["vocabulary"] for token in sample.sequence)
        if whole:
            assert len(sample.sequence) == system.loaded_shape["length"]
        else:
            assert len(sample.sequence) == sample.tokens + sample.finished
        assert (SEP in sample.sequence) == sample.finished
        assert system.vocabulary.decode([list(sample.sequence[: sample.tokens])])[0].text == sample.text


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_the_limit_of_a_request_holds(name: str, setting: Any, trained: Train) -> None:
    system, _ = trained(name)
    for sample in system.generate([dataclasses.replace(request, max_tokens=2) for request in REQUESTS], setting):
        assert sample.tokens <= 2 - sample.finished


@pytest.mark.parametrize(
    ("name", "setting", "calls"),
    [
        ("mdlm", Unmasking("ancestral", 5), 5),
        ("mdlm", Unmasking("confidence", 20), 10),  # a sequence of ten positions
        ("sedd", Scoring("analytic", 5), 5),
        ("sedd", Scoring("euler", 4), 4),
        ("sedd_uniform", Scoring("analytic", 5), 5),
        ("sedd_uniform", Scoring("euler", 4), 4),
        ("duo", Revising(5), 5),
        ("duo", Revising(4, greedy_tail=True, top_p=0.9), 4),
        ("diffuseq", EmbeddingSampling("ddim", 5), 5),
        ("diffuseq", EmbeddingSampling("dpmpp_2m", 5, "log_snr", final_x0=True, candidates=3), 18),
        ("tencdm", LatentSamplingSetting("release", 5), 5),
        ("tencdm", LatentSamplingSetting("release", 5, guidance=1.5), 10),
        # The first step has no estimate.
        ("tencdm", LatentSamplingSetting("release", 5, guidance=1.5, self_guidance=1.5), 18),
        ("ld4lg", LatentSamplingSetting("ddpm", 5, self_guidance=1.5), 9),
        ("ld4lg", LatentSamplingSetting("ddpm", 5), 5),
        ("ld4lg", CandidateSampling("ddpm", 5, guidance=2.0, candidates=3), 30),
        ("ld4lg", BeamSampling("ddpm", 5, candidates=3, beams=2), 15),
        ("cosmos", FEW_LATENT_STEPS, 4),
    ],
)
def test_a_diffusion_calls_its_network_once_per_step(name: str, setting: Any, calls: int, trained: Train) -> None:
    assert count_calls(trained(name).system, setting) == calls


def test_gpt2_calls_its_network_once_per_token_and_once_for_the_prompts(trained: Train) -> None:
    system, _ = trained("gpt2")
    longest = max(sample.tokens + sample.finished for sample in system.generate(REQUESTS, Decoding()))
    assert count_calls(system, Decoding()) == longest + 1
    assert count_calls(system, PlainGenerate()) == longest, "the last token of the prompts is among them"


@pytest.mark.parametrize("name", few(name for name in SYSTEMS if name != "gpt2"))  # whose prompts are read uncaptured
def test_a_captured_loop_given_sources_writes_the_same(
    name: str, trained: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "BACKEND", "eager")  # traced whole, so nothing in it waits; not made faster
    system, _ = trained(name)
    plain = brief(next(iter(system.settings.values())))
    captured = dataclasses.replace(plain, capture="compile")
    assert system.generate(REQUESTS, captured) == system.generate(REQUESTS, plain)
    assert count_calls(system, captured) == count_calls(system, plain)


@each_system
def test_half_precision_generates(name: str, trained: Train, encoder_folder: Path) -> None:
    system = make(name, encoder_folder)
    system.load(trained(name).folder, device="cpu", dtype="bfloat16")
    assert next(next(iter(system.networks().values())).parameters()).dtype == torch.bfloat16
    for setting in system.settings.values():
        assert len(system.generate(REQUESTS[:3], brief(setting))) == 3


@each_few
def test_an_unconditional_task_works(name: str, encoder_folder: Path, tmp_path: Path) -> None:
    corpus = Corpus(
        *([dataclasses.replace(d, source=None) for d in part] for part in (CORPUS.train, CORPUS.validation))
    )
    system = make(name, encoder_folder, Limits(0, 14))
    fit(system, tmp_path, Budget(6, "steps"), corpus=corpus)
    system.load(tmp_path, device="cpu", dtype="float32")
    assert not SOURCE_NETWORKS & set(system.networks())
    requests = [dataclasses.replace(request, source=None) for request in REQUESTS]
    for setting in system.settings.values():
        assert len(system.generate(requests, brief(setting))) == len(REQUESTS)


@each_system
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    name: str, trained: Train, encoder_folder: Path, tmp_path: Path
) -> None:
    system, folder = make(name, encoder_folder), trained(name).folder
    whole = checkpoint(folder)
    weights = max(whole, key=lambda file: len(whole[file]) * file.endswith(".safetensors"))
    vocabulary = next(file for file in whole if file.endswith("vocabulary.json"))
    cases = [
        ("fit.json", None, "no finished checkpoint"),
        ("config.json", b'{"system": ', "is damaged"),
        (vocabulary, None, "Cannot read"),
        (weights, None, "Cannot read"),
        (weights, whole[weights][:-40], "truncated"),
        (weights, b"\x80\x04pickle of some kind" * 9, "not a safetensors file"),
    ]
    for number, (damaged, content, message) in enumerate(cases):
        for file, original in {**whole, "fit.json": (folder / "fit.json").read_bytes()}.items():
            path = tmp_path / str(number) / file
            path.parent.mkdir(parents=True, exist_ok=True)
            if file != damaged or content is not None:
                path.write_bytes(original if file != damaged or content is None else content)
        with pytest.raises(UserError, match=message) as caught:
            system.check(tmp_path / str(number))
        assert "\n" not in str(caught.value)
    system.check(folder)


@each
def test_a_checkpoint_of_another_configuration_is_refused(name: str, trained: Train, encoder_folder: Path) -> None:
    _, folder = trained(name)
    with pytest.raises(UserError, match="another recipe"):
        make(name, encoder_folder, **SYSTEMS[name].other).check(folder)
    with pytest.raises(UserError, match="another limits"):
        make(name, encoder_folder, Limits(16, 10)).load(folder, device="cpu", dtype="float32")
    with pytest.raises(UserError, match="another system and recipe"):
        make("mdlm" if name == "gpt2" else "gpt2", encoder_folder).check(folder)
    with pytest.raises(UserError, match="other seed"):
        fit(make(name, encoder_folder), folder, seed=2)
    with pytest.raises(UserError, match="other documents and budget"):
        fit(make(name, encoder_folder), folder, Budget(7, "steps"), corpus=Corpus(DOCUMENTS[:9], []))
    make(name, encoder_folder, budget=Budget(1e9, "flops")).check(folder)


def test_nothing_to_train_on_is_refused(encoder_folder: Path, tmp_path: Path) -> None:
    for name in SYSTEMS:
        with pytest.raises(UserError, match="nothing to train"):
            fit(make(name, encoder_folder), tmp_path / name, corpus=Corpus([], []))


@pytest.mark.parametrize("name", ["tencdm", "ld4lg"])
def test_a_denoiser_that_knows_no_estimates_is_not_guided_by_them(name: str, encoder_folder: Path) -> None:
    diffusion = dataclasses.replace(make(name, encoder_folder).recipe.diffusion, self_conditioning="off")
    system = make(name, encoder_folder, diffusion=diffusion)
    with pytest.raises(UserError, match="trained with self-conditioning"):
        system.check_setting(LatentSamplingSetting(self_guidance=1.5))


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Decoding(temperature=0.0),
        lambda: Decoding(top_p=1.5),
        lambda: Unmasking("ancestral", 0),
        lambda: make("tencdm", Path(), decoder_share=1.0),
        lambda: make("tencdm", Path(), encoding_share=0.0),
        lambda: make("ld4lg", Path(), decoder_share=0.0),
        lambda: make("ld4lg", Path(), decoder_layers=0),
        lambda: make("diffuseq", Path(), embedding=0),
        lambda: Scoring("analytic", 0),
        lambda: Scoring("tweedie", 3),  # type: ignore[arg-type]
        lambda: dataclasses.replace(SEDD, transition="mask"),  # type: ignore[arg-type]
        lambda: Revising(0),
        lambda: Revising(3, top_p=1.5),
        lambda: dataclasses.replace(DISTILLATION, share=1.0),
        lambda: dataclasses.replace(DISTILLATION, rounds=4),
        lambda: make("duo", Path(), curriculum_share=1.0),
        lambda: make("duo", Path(), temperature=0.0),
    ],
)
def test_recipes_and_settings_out_of_range_are_refused(bad: Callable[[], object]) -> None:
    with pytest.raises(UserError):
        bad()


def test_a_trunk_that_misses_the_time_or_is_told_it_in_vain_is_refused(encoder_folder: Path) -> None:
    for name in ("sedd", "duo"):
        trunk = dataclasses.replace(make(name, encoder_folder).recipe.trunk, time_width=0)
        with pytest.raises(UserError, match="needs a trunk with a time input"):
            make(name, encoder_folder, trunk=trunk)
    with pytest.raises(UserError, match="'mdlm' needs a trunk without a time input"):
        make("mdlm", encoder_folder, trunk=make("sedd", encoder_folder).recipe.trunk)
