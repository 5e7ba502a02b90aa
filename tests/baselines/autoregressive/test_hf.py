"""Language models of Hugging Face behind the contract: every architecture that is named, tiny and with random weights;
and SmolLM2-135M, where it is."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, BertConfig, BertModel

from baselines import registry
from baselines.autoregressive import hf, hf_models, hf_rows
from baselines.autoregressive.beam import Beam
from baselines.autoregressive.hf import HFRecipe, HFSystem, LibraryDecoding
from baselines.contract import Budget, Corpus, Limits, System, UserError
from baselines.titles import system_title
from benchmarks.evaluators.locate import locate_model
from benchmarks.timing.probes import counting
from cosmos.runtime.flops import measure_flops
from cosmos.runtime.rng import CounterRNG
from cosmos.training.config import TrainingConfig, TrainingRun
from cosmos.training.shared_dropout import DropoutOfWhole

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_language_models import ENCODES, KINDS, save_model
from tiny_systems import CORPUS, DOCUMENTS, REQUESTS

TEXTS = [text for document in DOCUMENTS for text in (document.source or "", document.target)]
TRAINING = TrainingConfig(batch_size=4, learning_rate=5e-3, ema_decay=0.8, validations=2, keep="best")
LIMITS, BUDGET = Limits(30, 30), Budget(14, "steps")
SETTINGS = (LibraryDecoding(greedy=True), LibraryDecoding(temperature=0.8, top_p=0.9), Beam(3))
FEW = ("gpt2", "t5")  # one of each sort; what differs less between architectures is slow for the others
each = pytest.mark.parametrize("kind", KINDS)
few = pytest.mark.parametrize(
    "kind", [kind if kind in FEW else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS]
)
ASKED = [dataclasses.replace(request, max_tokens=9) for request in REQUESTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @functools.cache
    def saved(kind: str) -> Path:
        return save_model(kind, TEXTS, tmp_path_factory.mktemp(kind))

    return saved


def made(folder: Path, limits: Limits = LIMITS, **changes: Any) -> HFSystem:
    return HFSystem(dataclasses.replace(HFRecipe(TRAINING, BUDGET, model=str(folder)), **changes), limits)


def fit(system: HFSystem, out: Path, **given: Any) -> Any:
    return system.fit(given.pop("corpus", CORPUS), given.pop("budget", BUDGET), out, seed=1, device="cpu", **given)


@pytest.fixture(scope="module")
def tuned(folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """System, its checkpoint and what it cost."""

    @functools.cache
    def trained(kind: str) -> Any:
        system, out = made(folder(kind)), tmp_path_factory.mktemp(f"{kind}-fitted")
        before = torch.random.get_rng_state()
        fitted = fit(system, out)
        system.load(out, device="cpu", dtype="float32")
        assert torch.equal(before, torch.random.get_rng_state())
        return system, out, fitted

    return trained


@each
def test_it_is_fine_tuned_and_its_checkpoint_stands_by_itself(
    kind: str, folder: Callable[[str], Path], tuned: Callable[[str], Any]
) -> None:
    system, out, fitted = tuned(kind)
    assert isinstance(system, System) and registry.find("hf") is HFSystem
    assert fitted.steps == BUDGET.amount
    losses = [loss for _, loss in fitted.notes["validation_losses"]]
    assert fitted.validation_loss == min(losses) < 0.95 * losses[0]
    parameters = sum(value.numel() for value in system.model.parameters())
    assert fitted.notes["parameters"] == parameters
    moved = folder(kind).with_name(f"{kind}-elsewhere")
    folder(kind).rename(moved)
    try:
        again = made(folder(kind))
        again.check(out)
        again.load(out, device="cpu", dtype="float32")
        assert again.generate(REQUESTS[:3], SETTINGS[0]) == system.generate(REQUESTS[:3], SETTINGS[0])
        again.load(out, device="cpu", dtype="bfloat16")
        assert len(again.generate(REQUESTS[:3], SETTINGS[1])) == 3
    finally:
        moved.rename(folder(kind))
    with pytest.raises(UserError, match="another recipe"):
        made(folder(kind), tuned=False).check(out)


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_the_first_alone_writes(
    rank: int, folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf, "find_processes", lambda device: SimpleNamespace(rank=rank))
    system, out = made(folder("gpt2"), tuned=False), tmp_path / "out"
    system.fit_networks(CORPUS, BUDGET, out, TrainingRun(out / "training", 1, "cpu"))
    assert out.exists() == (rank == 0)


@each
def test_a_text_does_not_depend_on_its_batch_mates(kind: str, tuned: Callable[[str], Any]) -> None:
    system, _, _ = tuned(kind)
    for setting in SETTINGS:
        together = system.generate(ASKED[:5], setting)
        assert [sample.id for sample in together] == [request.id for request in ASKED[:5]]
        for request, sample in zip(ASKED[:5:3], together[::3], strict=True):
            assert system.generate([request], setting) == [sample]
        short = [dataclasses.replace(request, max_tokens=3) for request in ASKED[:3]]
        assert all(len(sample.sequence) <= 3 for sample in system.generate(short, setting))
        for sample in together:
            assert len(sample.sequence) == sample.tokens + sample.finished
            assert (sample.sequence[-1] == system.tokens.end) == sample.finished
    others = [dataclasses.replace(request, seed=request.seed + 1000) for request in ASKED[:5]]
    assert system.generate(others, LibraryDecoding()) != system.generate(ASKED[:5], LibraryDecoding())
    assert system.generate([], SETTINGS[0]) == []


@few
def test_greedy_texts_are_those_of_a_plain_loop_without_a_cache(kind: str, tuned: Callable[[str], Any]) -> None:
    """One text at a time, all of it read anew for every token, without padding: nothing of the library's serving."""
    system, _, _ = tuned(kind)
    for request, sample in zip(ASKED[:3], system.generate(ASKED[:3], LibraryDecoding(greedy=True)), strict=True):
        prompt = torch.tensor(system.tokens.prompts([request.source]).ids)
        text = prompt if system.start is None else torch.tensor([[system.start]])
        first = text.shape[1]
        with torch.no_grad():
            while text.shape[1] - first < request.max_tokens and (text.shape[1] == first or text[0, -1] != 2):
                given = {"input_ids": text} if system.start is None else {
                    "input_ids": prompt, "decoder_input_ids": text
                }  # fmt: skip
                best = system.model(**given, use_cache=False).logits[:, -1].argmax(-1)
                text = torch.cat([text, best[:, None]], 1)
        assert tuple(text[0, first:].tolist()) == sample.sequence


@few
def test_probabilities_of_all_texts_sum_to_one_and_likelihoods_are_theirs(
    kind: str, tuned: Callable[[str], Any]
) -> None:
    """Over the first token, by the likelihood itself; and the whole is what the library's own loss says."""
    system, _, _ = tuned(kind)
    [found] = system.likelihoods(DOCUMENTS[:1], [0])
    prompts, targets = hf_rows.pairs(DOCUMENTS[:1], system.tokens)
    if system.start is None:
        text = torch.tensor([[*prompts.ids[0], *targets.ids[0]]])
        labels = text.masked_fill(torch.arange(text.shape[1]) < len(prompts.ids[0]), -100)
        given = {"input_ids": text, "labels": labels}
    else:
        given = {"input_ids": torch.tensor(prompts.ids), "labels": torch.tensor(targets.ids)}
    with torch.no_grad():
        loss = system.model(**given).loss
    assert found.kind == "exact" and found.nats == pytest.approx(float(loss) * len(targets.ids[0]), rel=1e-4)
    many = [dataclasses.replace(DOCUMENTS[0], target="lamp " * 40), *DOCUMENTS[:3]]
    assert [one.nats is None for one in system.likelihoods(many, [0] * 4)] == [True, False, False, False]
    assert system.likelihoods(many, [0] * 4)[1].nats == pytest.approx(found.nats, rel=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_calls_and_flops_are_counted_as_they_are_made(
    kind: str, folder: Callable[[str], Path], tuned: Callable[[str], Any], tmp_path: Path
) -> None:
    system, _, fitted = tuned(kind)
    longest = max(len(sample.sequence) for sample in system.generate(ASKED[:6], LibraryDecoding()))
    with counting(system.networks()) as calls:
        system.generate(ASKED[:6], LibraryDecoding())
    assert calls == {"hf": longest} | ({"source_encoder": 1} if kind in ENCODES else {})
    # A budget in FLOPs buys steps at the price of one, forward and backward, as it is measured.
    budget = Budget(4.5 * fitted.flops / fitted.steps, "flops")
    assert abs(fit(made(folder(kind)), tmp_path, budget=budget).steps - 4) <= 1
    rows = hf_rows.training_rows(*hf_rows.pairs(DOCUMENTS[:4], system.tokens), system.pad, kind in ENCODES)
    batch = rows.batch(torch.arange(4))
    with torch.no_grad():
        forward = measure_flops(lambda: hf_rows.target_nll(system.model, batch, system.start))
    assert 0.7 < fitted.flops / fitted.steps / (3 * forward) < 1.3


def test_killed_it_goes_on_and_ends_with_the_same_bytes(
    folder: Callable[[str], Path], tuned: Callable[[str], Any], tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(stage: str, share: float, loss: float | None) -> None:
        if share > 0.5:
            raise StoppedError

    quick = dataclasses.replace(TRAINING, checkpoint_seconds=0.0)
    whole = tmp_path / "whole"
    fit(made(folder("gpt2"), training=quick), whole, budget=Budget(6, "steps"))
    with pytest.raises(StoppedError):
        fit(made(folder("gpt2"), training=quick), tmp_path / "stopped", budget=Budget(6, "steps"), progress=stop)
    with pytest.raises(UserError, match="no finished checkpoint"):
        made(folder("gpt2"), training=quick).check(tmp_path / "stopped")
    fit(made(folder("gpt2"), training=quick), tmp_path / "stopped", budget=Budget(6, "steps"))
    files = [file.relative_to(whole) for file in whole.rglob("*") if file.is_file() and file.name != "fit.json"]
    kept = [file for file in files if file.parts[0] != "training"]
    assert {str(file) for file in kept} > {"config.json", "weights.safetensors", "model/config.json"}
    for file in kept:
        assert (whole / file).read_bytes() == (tmp_path / "stopped" / file).read_bytes(), file


@few
def test_as_it_is_it_costs_nothing_and_has_the_weights_of_the_folder(
    kind: str, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    system = made(folder(kind), tuned=False, prompt="rude: {source} polite:", stop=" ")
    fitted = fit(system, tmp_path)
    assert (fitted.steps, fitted.flops, fitted.validation_loss) == (0, 0.0, None)
    system.load(tmp_path, device="cpu", dtype="float32")
    kind_of = AutoModelForSeq2SeqLM if kind in ENCODES else AutoModelForCausalLM
    theirs = kind_of.from_pretrained(folder(kind)).state_dict()
    mine = system.model.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    [prompt] = system.tokens.prompts([DOCUMENTS[0].source]).ids
    assert system.tokens.decode(prompt) == f"rude: {DOCUMENTS[0].source} polite:"
    for sample in system.generate(REQUESTS[:6], LibraryDecoding()):
        assert " " not in sample.text
        assert not sample.finished or sample.sequence[-1] in system.ends


def test_a_line_break_ends_a_text_by_default_and_what_is_before_it_stays(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    system = made(folder("gpt2"), tuned=False)
    fit(system, tmp_path)
    system.load(tmp_path, device="cpu", dtype="float32")
    breaks = {
        number for number in range(len(system.tokens.tokenizer)) if "\n" in system.tokens.tokenizer.decode([number])
    }
    assert set(system.ends) == {2, *breaks} and breaks
    word = system.tokens.tokenizer.encode("lamp", add_special_tokens=False)
    sample = system._sample(REQUESTS[0], [*word, min(breaks), *word])
    assert (sample.text, sample.finished, sample.tokens) == ("lamp", True, len(word))
    assert system.tokens.prompts(["anna"]).ids == [system.tokens.tokenizer.encode("anna\n")]


@few
def test_an_unconditional_task_works(kind: str, folder: Callable[[str], Path], tmp_path: Path) -> None:
    stories = Corpus(
        *([dataclasses.replace(d, source=None) for d in part] for part in (CORPUS.train, CORPUS.validation))
    )
    system = made(folder(kind), Limits(0, 20))
    fit(system, tmp_path, corpus=stories, budget=Budget(4, "steps"))
    system.load(tmp_path, device="cpu", dtype="float32")
    requests = [dataclasses.replace(request, source=None) for request in REQUESTS]
    assert len({sample.text for sample in system.generate(requests, LibraryDecoding())}) > 5
    with pytest.raises(UserError, match="one text for all"):
        system.check_setting(Beam(4))
    system.check_setting(LibraryDecoding(top_p=0.9))


def test_sources_and_targets_are_cut_and_counted_in_own_tokens(folder: Callable[[str], Path]) -> None:
    system = made(folder("gpt2"), Limits(3, 6))
    tokenizer = hf_models.tokenizer_of(folder("gpt2"))
    tokens = system._tokens(hf_models.configuration(folder("gpt2")), tokenizer)
    prompts = tokens.prompts(["anna broke the damn lamp .", "anna"])
    assert prompts.cut == 1
    kept = tokenizer.encode("anna broke the damn lamp .", add_special_tokens=False)[:3]
    assert prompts.ids[0] == [*kept, *tokenizer.encode("\n", add_special_tokens=False)]
    targets = tokens.targets(["anna broke the damn lamp .", "anna"])
    assert targets.cut == 1 and targets.ids[0] == [*tokenizer.encode("anna broke the damn lamp .")[:4], 2]


def copy(folder: Path, to: Path, file: str = "config.json", **changes: object) -> Path:
    shutil.copytree(folder, to)
    content = json.loads((to / file).read_text())
    (to / file).write_text(json.dumps({**content, **changes}))
    return to


def test_what_cannot_be_used_is_refused_in_one_sentence(folder: Callable[[str], Path], tmp_path: Path) -> None:
    gpt2 = folder("gpt2")
    bert = tmp_path / "bert"
    BertModel(BertConfig(vocab_size=400, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)).save_pretrained(
        bert
    )
    for file in gpt2.glob("tokenizer*"):
        shutil.copy(file, bert)
    pickled, mute, torn = (copy(gpt2, tmp_path / name) for name in ("pickled", "mute", "torn"))
    (pickled / "model.safetensors").unlink()
    torch.save({}, pickled / "pytorch_model.bin")
    (mute / "tokenizer.json").unlink()
    (torn / "model.safetensors").write_bytes((gpt2 / "model.safetensors").read_bytes()[:-9])
    endless = copy(gpt2, tmp_path / "endless", "tokenizer_config.json", eos_token=None)
    cases = [
        ("no/such-model", {}, "neither a folder nor in the local"),
        (bert, {}, "is a bert, which is neither causal"),
        (copy(gpt2, tmp_path / "odd", model_type="gpt99"), {}, "Cannot read the language model"),
        (
            copy(gpt2, tmp_path / "code", model_type="mine", auto_map={"AutoConfig": "x.Y"}),
            {},
            "Cannot read the language",
        ),
        (pickled, {}, "no weights in safetensors"),
        (mute, {}, "no tokenizer"),
        (torn, {}, "truncated"),
        (endless, {}, "names no end token"),
        (copy(gpt2, tmp_path / "narrow", vocab_size=100), {}, "tokens and the model embeds 100"),
        (copy(gpt2, tmp_path / "short", n_positions=50), {}, "has 50 positions and a text with its prompt may need"),
        (folder("llama"), {"dropout": 0.3}, "has no dropout"),
    ]
    for given, changes, message in cases:
        system = made(given, **changes)
        for ask in (system.locate_weights, lambda system=system: fit(system, tmp_path / "out")):
            with pytest.raises(UserError, match=message) as caught:
                ask()
            assert "\n" not in str(caught.value)
    fewer = copy(gpt2, tmp_path / "fewer", n_layer=3)
    with pytest.raises(UserError, match=r"lack 'transformer\.h\.2"):
        fit(made(fewer), tmp_path / "out")
    for limits, prompt in ((LIMITS, "rewrite it:"), (Limits(0, 20), "{source}")):
        with pytest.raises(UserError, match=r"hf\.recipe\.prompt must"):
            made(gpt2, limits, prompt=prompt)
    with pytest.raises(UserError, match="must lie in"):
        made(gpt2, dropout=1.0)


def test_it_is_called_by_its_model_not_by_a_path() -> None:
    assert system_title("hf", {"model": "/somewhere/SmolLM2-135M/", "tuned": True}) == "SmolLM2-135M"
    assert system_title("hf", {"model": "EleutherAI/pythia-70m", "tuned": False}) == "pythia-70m, not tuned"


def test_a_dropout_is_that_of_the_model_unless_it_is_set(folder: Callable[[str], Path]) -> None:
    for kind, name in (
        ("gpt2", "resid_pdrop"),
        ("t5", "dropout_rate"),
        ("bart", "dropout"),
        ("gpt_neo", "resid_dropout"),
    ):
        own = hf_models.configuration(folder(kind))
        assert getattr(hf_models.with_dropout(own, None, folder(kind)), name) != 0.37
        assert getattr(hf_models.with_dropout(own, 0.37, folder(kind)), name) == 0.37


@each
def test_what_a_tuned_model_drops_does_not_depend_on_how_many_share_a_batch(
    kind: str, folder: Callable[[str], Path]
) -> None:
    config = hf_models.configuration(folder(kind))
    for name in hf_models.ATTENTION_DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.3)
    config = hf_models.with_dropout(config, None, folder(kind))
    network: Any = hf_models.load(folder(kind), config).train()
    rows, ids = torch.arange(8), torch.arange(8 * 9).view(8, 9) + 5

    def logits(places: torch.Tensor) -> Any:
        torch.manual_seed(7)
        given = {"decoder_input_ids": ids[places]} if config.is_encoder_decoder else {}
        return network(input_ids=ids[places], **given).logits

    one = logits(rows)
    for rank in range(2):
        with DropoutOfWhole(rows[rank::2], 8, CounterRNG(torch.tensor([rank]))):
            torch.testing.assert_close(logits(rows[rank::2]), one[rank::2], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_smollm2_rewrites_real_sentences_as_it_is(tmp_path: Path) -> None:
    found = locate_model("smollm2")
    if found is None:
        pytest.skip("SmolLM2-135M is not here; add it with: python -m benchmarks fetch smollm2")
    prompt = "<|im_start|>user\nSay politely: {source}<|im_end|>\n<|im_start|>assistant\n"
    system = made(Path(found.folder), Limits(40, 40), tuned=False, prompt=prompt)
    fit(system, tmp_path)
    system.load(tmp_path, device="cpu", dtype="float32")
    requests = [dataclasses.replace(request, max_tokens=40) for request in REQUESTS[:4]]
    samples = system.generate(requests, LibraryDecoding(greedy=True))
    assert [system.generate([request], LibraryDecoding(greedy=True))[0].text for request in requests] == [
        s.text for s in samples
    ]
    assert all(sample.text for sample in samples)
    # It knows English: a sentence is likelier than the same words in another order.
    right = [dataclasses.replace(DOCUMENTS[0], target="The old man broke the red chair.")]
    wrong = [dataclasses.replace(DOCUMENTS[0], target="Chair the red broke man old the.")]
    assert system.likelihoods(right, [0])[0].nats + 10 < system.likelihoods(wrong, [0])[0].nats
