"""The trained rivals behind the contract: fit, resume, check, load, generate."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.autoregressive.gpt2 import Beam, Decoding, GPT2Recipe, GPT2System, PlainGenerate
from baselines.common.system import TrainedSystem
from baselines.common.transformer import TrunkConfig
from baselines.contract import Budget, Corpus, Limits, System, UserError
from baselines.embedding_diffusion.diffuseq import DiffuSeqRecipe, DiffuSeqSystem, EmbeddingSampling
from baselines.latent_diffusion.ld4lg import CandidateSampling, LD4LGRecipe, LD4LGSystem
from baselines.latent_diffusion.system import LatentSamplingSetting
from baselines.latent_diffusion.tencdm import TEncDMRecipe, TEncDMSystem
from baselines.token_diffusion.mdlm import MDLMSystem, Unmasking
from baselines.token_diffusion.system import TokenDenoiser, TokenDiffusionRecipe
from cosmos.config import MINILM, AutoencoderConfig, DenoiserConfig, DiffusionConfig, ScheduleConfig
from cosmos.runtime import compilation
from cosmos.text.vocabulary import PAD

sys.path.insert(0, str(Path(__file__).parent))
from tiny_systems import CORPUS, DOCUMENTS, LIMITS, REQUESTS, TRAINING, all_named, brief, count_calls

BUDGET = Budget(60, "steps")
RIVALS: dict[str, tuple[type[TrainedSystem], Any]] = {
    "gpt2": (GPT2System, GPT2Recipe(32, 2, 2, 128, 0.1, dataclasses.replace(TRAINING, keep="best"), BUDGET)),
    "mdlm": (MDLMSystem, TokenDiffusionRecipe(TrunkConfig(32, 2, 2, 64), 1, TRAINING, BUDGET)),
    "diffuseq": (DiffuSeqSystem, DiffuSeqRecipe(16, TrunkConfig(32, 2, 2, 64, time_width=8), TRAINING, BUDGET)),
    "tencdm": (
        TEncDMSystem,
        TEncDMRecipe(
            text_encoder=MINILM,
            denoiser=DenoiserConfig(4, 16, 32, 2, 2, output_norm=False, source_layers=1, positions=True),
            decoder_layers=1,
            diffusion=DiffusionConfig(ScheduleConfig(d=9.0)),
            decoder_training=TRAINING,
            denoiser_training=TRAINING,
            decoder_share=0.3,
            budget=BUDGET,
        ),
    ),
    "ld4lg": (
        LD4LGSystem,
        LD4LGRecipe(
            text_encoder=MINILM,
            autoencoder=AutoencoderConfig(384, 16, 32, 4, 1, 2, max_tokens=14, vocabulary=64),
            decoder_layers=1,
            denoiser=DenoiserConfig(4, 16, 32, 2, 2, output_norm=False, source_layers=1, positions=True),
            diffusion=DiffusionConfig(ScheduleConfig("cosine")),
            decoder_training=TRAINING,
            denoiser_training=TRAINING,
            decoder_share=0.3,
            budget=BUDGET,
        ),
    ),
}
CHANGED: dict[str, dict[str, Any]] = {
    "gpt2": {"width": 64},
    "mdlm": {"source_layers": 2},
    "diffuseq": {"embedding": 8},
    "tencdm": {"decoder_layers": 2},
    "ld4lg": {"decoder_layers": 2},
}
STAGES = {"tencdm": ("decoder", "denoiser"), "ld4lg": ("decoder", "denoiser")}  # of others: one, of their name
SETTINGS = [
    ("gpt2", Decoding(greedy=True)),
    ("gpt2", Decoding(temperature=0.8, top_p=0.9)),
    ("gpt2", PlainGenerate(temperature=0.8, top_p=0.9)),
    ("gpt2", Beam(3)),
    ("mdlm", Unmasking("ancestral", 5)),
    ("mdlm", Unmasking("confidence", 4)),
    ("diffuseq", EmbeddingSampling("dpmpp_2m", 4, "log_snr", final_x0=True)),
    ("diffuseq", EmbeddingSampling("ddpm", 4, candidates=3)),
    ("tencdm", LatentSamplingSetting("release", 4)),
    ("tencdm", LatentSamplingSetting("release", 4, guidance=1.5)),
    ("tencdm", LatentSamplingSetting("release", 4, guidance=1.5, self_guidance=1.5)),
    ("ld4lg", LatentSamplingSetting("ddpm", 4)),
    ("ld4lg", LatentSamplingSetting("dpmpp_2m", 4, "log_snr", final_x0=True)),
]


NAMED = [(name, setting) for name, (kind, _) in RIVALS.items() for setting in all_named(kind)]
both = pytest.mark.parametrize("name", list(RIVALS))


def make(name: str, **changes: Any) -> TrainedSystem:
    kind, recipe = RIVALS[name]
    return kind(dataclasses.replace(recipe, **changes), LIMITS)


def fit(system: TrainedSystem, folder: Path, budget: Budget = BUDGET, **given: Any) -> Any:
    return system.fit(given.pop("corpus", CORPUS), budget, folder, seed=given.pop("seed", 1), device="cpu", **given)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[TrainedSystem, Path]]:
    """All rivals after a few steps, loaded, with their checkpoints."""
    found = {}
    for name in RIVALS:
        before = torch.random.get_rng_state()
        folder, system = tmp_path_factory.mktemp(name), make(name)
        fit(system, folder)
        system.load(folder, device="cpu", dtype="float32")
        assert torch.equal(before, torch.random.get_rng_state()), f"training {name} changes global randomness"
        found[name] = (system, folder)
    return found


@both
def test_a_rival_meets_the_contract(name: str, trained: dict[str, tuple[TrainedSystem, Path]]) -> None:
    system, folder = trained[name]
    assert isinstance(system, System)
    assert "nano" in system.presets
    known = json.loads((folder / "fit.json").read_text())["fitted"]
    assert known["steps"] == 60
    assert known["flops"] > 0
    assert known["validation_loss"] > 0
    parameters = sum(p.numel() for p in system.model.parameters())
    assert known["notes"]["parameters"] == parameters


@both
def test_training_learns(name: str, trained: dict[str, tuple[TrainedSystem, Path]], tmp_path: Path) -> None:
    known = json.loads((trained[name][1] / "fit.json").read_text())["fitted"]
    assert known["validation_loss"] < 0.8 * fit(make(name), tmp_path, Budget(3, "steps")).validation_loss


@both
def test_a_finished_fit_returns_the_same_at_once(name: str, trained: dict[str, tuple[TrainedSystem, Path]]) -> None:
    _, folder = trained[name]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def never(stage: str, share: float, loss: float | None) -> None:
        raise AssertionError("nothing is trained again")

    first = fit(make(name), folder, progress=never)
    assert first == fit(make(name), folder, progress=never)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@both
def test_a_fit_that_was_stopped_ends_with_the_same_bytes(
    name: str, trained: dict[str, tuple[TrainedSystem, Path]], tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop_at(where: str, share: float) -> Callable[[str, float, float | None], None]:
        def progress(stage: str, now: float, loss: float | None) -> None:
            if stage == where and now >= share:
                raise StoppedError

        return progress

    for where, share in ((stage, share) for stage in STAGES.get(name, (name,)) for share in (0.4, 1.0)):
        with pytest.raises(StoppedError):
            fit(make(name), tmp_path, progress=stop_at(where, share))
        with pytest.raises(UserError, match="no finished checkpoint"):
            make(name).check(tmp_path)
    fitted = fit(make(name), tmp_path)
    undisturbed = trained[name][1]
    for file in ("weights.safetensors", "vocabulary.json", "config.json"):
        assert (tmp_path / file).read_bytes() == (undisturbed / file).read_bytes(), file
    known = json.loads((undisturbed / "fit.json").read_text())["fitted"]
    assert without_seconds(dataclasses.asdict(fitted)) == without_seconds(known)


def without_seconds(values: Any) -> Any:
    """As JSON, with nothing that was measured with a clock."""
    return json.loads(json.dumps(values), object_hook=lambda d: {k: v for k, v in d.items() if "seconds" not in k})


@both
def test_global_randomness_is_untouched(name: str, trained: dict[str, tuple[TrainedSystem, Path]]) -> None:
    """By generating; that training leaves it alone is seen where it is done."""
    before, system = torch.random.get_rng_state(), trained[name][0]
    for setting in system.settings.values():
        system.generate(REQUESTS[:2], setting)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("name", "setting"), [*SETTINGS, *NAMED])
def test_a_text_does_not_depend_on_its_batch_mates(
    name: str, setting: Any, trained: dict[str, tuple[TrainedSystem, Path]]
) -> None:
    system, _ = trained[name]
    together = system.generate(REQUESTS, setting)
    assert [sample.id for sample in together] == [request.id for request in REQUESTS]
    assert system.generate(REQUESTS[::-1], setting) == together[::-1]
    for request, sample in zip(REQUESTS[::7], together[::7], strict=True):
        assert system.generate([request], setting) == [sample]
    shuffled = torch.randperm(len(REQUESTS), generator=torch.Generator().manual_seed(1)).tolist()
    assert system.generate([REQUESTS[i] for i in shuffled], setting) == [together[i] for i in shuffled]
    assert len({sample.text for sample in together}) > 1
    assert system.generate([], setting) == []


@pytest.mark.parametrize(("name", "setting"), SETTINGS)
def test_the_limit_of_a_request_holds(name: str, setting: Any, trained: dict[str, tuple[TrainedSystem, Path]]) -> None:
    system, _ = trained[name]
    for sample in system.generate([dataclasses.replace(request, max_tokens=2) for request in REQUESTS], setting):
        assert sample.tokens <= 2 - sample.finished


@pytest.mark.parametrize(
    ("name", "setting", "calls"),
    [
        ("mdlm", Unmasking("ancestral", 5), 5),
        ("mdlm", Unmasking("confidence", 20), 10),  # a sequence of ten positions
        ("diffuseq", EmbeddingSampling("ddim", 5), 5),
        ("diffuseq", EmbeddingSampling("dpmpp_2m", 5, "log_snr", final_x0=True, candidates=3), 18),
        ("tencdm", LatentSamplingSetting("release", 5), 5),
        ("tencdm", LatentSamplingSetting("release", 5, guidance=1.5), 10),
        (
            "tencdm",
            LatentSamplingSetting("release", 5, guidance=1.5, self_guidance=1.5),
            18,
        ),  # the first step has no estimate
        ("ld4lg", LatentSamplingSetting("ddpm", 5, self_guidance=1.5), 9),
        ("ld4lg", LatentSamplingSetting("ddpm", 5), 5),
        ("ld4lg", CandidateSampling("ddpm", 5, guidance=2.0, candidates=3), 30),
    ],
)
def test_a_diffusion_calls_its_network_once_per_step(
    name: str, setting: Any, calls: int, trained: dict[str, tuple[TrainedSystem, Path]]
) -> None:
    assert count_calls(trained[name][0], setting) == calls


@pytest.mark.parametrize("name", ["tencdm", "ld4lg"])
def test_a_denoiser_that_knows_no_estimates_is_not_guided_by_them(name: str) -> None:
    system = make(name, diffusion=dataclasses.replace(make(name).recipe.diffusion, self_conditioning="off"))
    with pytest.raises(UserError, match="trained with self-conditioning"):
        system.check_setting(LatentSamplingSetting(self_guidance=1.5))


def test_gpt2_calls_its_network_once_per_token_and_once_for_the_prompts(
    trained: dict[str, tuple[TrainedSystem, Path]],
) -> None:
    system, _ = trained["gpt2"]
    longest = max(s.tokens + s.finished for s in system.generate(REQUESTS, Decoding()))
    assert count_calls(system, Decoding()) == longest + 1
    assert count_calls(system, PlainGenerate()) == longest, "the last token of the prompts is among them"


@pytest.mark.parametrize("name", [name for name in RIVALS if name != "gpt2"])  # whose prompts are read uncaptured
def test_a_captured_loop_given_sources_writes_the_same(
    name: str, trained: dict[str, tuple[TrainedSystem, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compilation, "BACKEND", "eager")  # traced whole, so nothing in it waits; not made faster
    system, setting = trained[name][0], brief(next(iter(trained[name][0].settings.values())))
    plain, captured = setting, dataclasses.replace(setting, capture="compile")
    assert system.generate(REQUESTS, captured) == system.generate(REQUESTS, plain)
    assert count_calls(system, captured) == count_calls(system, plain)


@both
def test_half_precision_generates(name: str, trained: dict[str, tuple[TrainedSystem, Path]]) -> None:
    system = make(name)
    system.load(trained[name][1], device="cpu", dtype="bfloat16")
    assert next(next(iter(system.networks().values())).parameters()).dtype == torch.bfloat16
    for setting in system.settings.values():
        assert len(system.generate(REQUESTS[:3], setting)) == 3


@both
def test_an_unconditional_task_works(name: str, tmp_path: Path) -> None:
    corpus = Corpus(
        *([dataclasses.replace(d, source=None) for d in part] for part in (CORPUS.train, CORPUS.validation))
    )
    system = type(make(name))(RIVALS[name][1], Limits(0, 14))
    fit(system, tmp_path, Budget(4, "steps"), corpus=corpus)
    system.load(tmp_path, device="cpu", dtype="float32")
    for setting in system.settings.values():
        assert len(system.generate([dataclasses.replace(r, source=None) for r in REQUESTS], setting)) == len(REQUESTS)


@both
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    name: str, trained: dict[str, tuple[TrainedSystem, Path]], tmp_path: Path
) -> None:
    def damaged(file: str, content: bytes | None) -> Path:
        folder = tmp_path / f"{file}-{content is None}-{len(content or b'')}"
        folder.mkdir()
        for path in trained[name][1].glob("*.*"):
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / file).unlink()
        if content is not None:
            (folder / file).write_bytes(content)
        return folder

    weights = (trained[name][1] / "weights.safetensors").read_bytes()
    cases = [
        ("fit.json", None, "no finished checkpoint"),
        ("config.json", b'{"system": ', "is damaged"),
        ("vocabulary.json", None, "Cannot read"),
        ("weights.safetensors", None, "Cannot read"),
        ("weights.safetensors", weights[:-40], "truncated"),
        ("weights.safetensors", b"\x80\x04pickle of some kind" * 9, "not a safetensors file"),
    ]
    for file, content, message in cases:
        with pytest.raises(UserError, match=message) as caught:
            make(name).check(damaged(file, content))
        assert "\n" not in str(caught.value)
    make(name).check(trained[name][1])


@both
def test_a_checkpoint_of_another_configuration_is_refused(
    name: str, trained: dict[str, tuple[TrainedSystem, Path]], tmp_path: Path
) -> None:
    _, folder = trained[name]
    with pytest.raises(UserError, match="another recipe"):
        make(name, **CHANGED[name]).check(folder)
    with pytest.raises(UserError, match="another limits"):
        type(make(name))(RIVALS[name][1], Limits(16, 10)).load(folder, device="cpu", dtype="float32")
    with pytest.raises(UserError, match="another system and recipe"):
        make("mdlm" if name == "gpt2" else "gpt2").check(folder)
    with pytest.raises(UserError, match="other seed"):
        fit(make(name), folder, seed=2)
    with pytest.raises(UserError, match="other documents and budget"):
        fit(make(name), folder, Budget(7, "steps"), corpus=Corpus(DOCUMENTS[:9], []))
    make(name, budget=Budget(1e9, "flops")).check(folder)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Decoding(temperature=0.0),
        lambda: Decoding(top_p=1.5),
        lambda: Unmasking("ancestral", 0),
        lambda: make("tencdm", decoder_share=1.0),
        lambda: make("tencdm", encoding_share=0.0),
        lambda: make("ld4lg", decoder_share=0.0),
        lambda: make("ld4lg", decoder_layers=0),
        lambda: make("diffuseq", embedding=0),
    ],
)
def test_recipes_and_settings_out_of_range_are_refused(bad: Callable[[], object]) -> None:
    with pytest.raises(UserError):
        bad()


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


def test_the_source_is_encoded_once_per_text(trained: dict[str, tuple[TrainedSystem, Path]]) -> None:
    system, _ = trained["mdlm"]
    assert list(system.networks()) == ["mdlm", "source_encoder"]
    calls: list[object] = []
    hook = system.networks()["source_encoder"].register_forward_hook(lambda *_: calls.append(None))
    system.generate(REQUESTS, Unmasking("ancestral", 5))
    hook.remove()
    assert len(calls) == 1
