"""A pretrained GPT-2, made here: its tokens under the ids rivals share, its weights, fine-tuning, what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel

from baselines.autoregressive import pretrained as gpt2_pretrained
from baselines.autoregressive.decoding import Decoding
from baselines.autoregressive.gpt2 import GPT2Recipe, GPT2System
from baselines.autoregressive.pretrained import END, tokenizer_of
from baselines.contract import Budget, Corpus, Document, Limits, Request, UserError
from cosmos.text.vocabulary import MASK, PAD, SEP, SPECIALS
from cosmos.training.loop import TrainingConfig

SENTENCES = [f"{who} gave the {what} to {whom}." for who in ("Anna", "Ben") for what in ("lamp", "red book")
             for whom in ("her sister", "Mr. O'Neil", "no-one")]  # fmt: skip
DOCUMENTS = [Document(str(i), text, text.upper(), (text.upper(),)) for i, text in enumerate(SENTENCES)]
CORPUS = Corpus(DOCUMENTS[:10], DOCUMENTS[10:])
TRAINING = TrainingConfig(batch_size=4, learning_rate=1e-3, ema_decay=0.9, validations=4, keep="best")
BUDGET, LIMITS = Budget(12, "steps"), Limits(40, 50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT-2 as the hub has it: a byte-level tokenizer of a few sentences, weights in float32."""
    path = tmp_path_factory.mktemp("gpt2-tiny")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=320, special_tokens=[END], initial_alphabet=alphabet)
    )
    tokenizer.save(str(path / "tokenizer.json"))
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_positions=96, n_embd=32, n_layer=2, n_head=2, initializer_range=0.2,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(3)
        GPT2LMHeadModel(config).save_pretrained(path)
    return path


def system(folder: Path | str, limits: Limits = LIMITS) -> GPT2System:
    return GPT2System(GPT2Recipe(768, 12, 12, 3072, 0.1, TRAINING, BUDGET, pretrained=str(folder)), limits)


def test_texts_come_back_as_they_were(folder: Path) -> None:
    vocabulary = tokenizer_of(str(folder))
    texts = [*SENTENCES, "Ünïcode, 日本 \t two  spaces\n", ""]
    encoded = vocabulary.encode(texts, 200)
    assert [decoded.text for decoded in vocabulary.decode(encoded.tokens[:, 1:])] == texts
    ids = [row[1 : own - 1].tolist() for row, own in zip(encoded.tokens, encoded.mask.sum(1).tolist(), strict=True)]
    assert [vocabulary.text([*row, MASK, -1, len(vocabulary)]) for row in ids] == texts, "one alone"
    assert encoded.cut == 0
    lengths = encoded.mask.sum(1)
    assert (encoded.tokens.gather(1, lengths[:, None] - 1) == SEP).all()
    assert (encoded.tokens[~encoded.mask] == PAD).all()
    own = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert lengths.tolist() == [len(own.encode(text).ids) + 2 for text in texts]
    assert len(vocabulary) == own.get_vocab_size() - 1 + len(SPECIALS)
    assert vocabulary.encode(["Anna gave the lamp"], 4).cut == 1


def test_weights_are_those_of_the_folder(folder: Path) -> None:
    """Before any training the network gives the pretrained one's probabilities, but for tokens that one lacks."""
    made = system(folder)
    vocabulary = made.vocabulary_of([])
    model = made.fresh({"vocabulary": vocabulary.padded_size, **gpt2_pretrained.sizes(str(folder))}, 1)
    made.begin(model, vocabulary)
    pretrained = GPT2LMHeadModel.from_pretrained(folder).eval()
    tokens = vocabulary.encode(SENTENCES, 100).tokens[:, 1:20]
    known = torch.tensor([i for i in range(len(vocabulary)) if vocabulary.to_full[i] < pretrained.config.vocab_size])
    assert len(known) == pretrained.config.vocab_size
    with torch.no_grad():
        mine = model.eval()(tokens).logits
        theirs = pretrained(vocabulary.to_full[tokens.where(tokens != PAD, SEP)]).logits
    mine, theirs = mine[tokens != PAD], theirs[tokens != PAD]  # padding comes last and is not seen
    assert (mine[..., known] - theirs[..., vocabulary.to_full[known]]).abs().max() < 1e-4
    new = torch.ones(mine.shape[-1], dtype=torch.bool)
    new[known] = False
    assert (mine[..., new] - theirs.mean(-1, keepdim=True)).abs().max() < 1e-4


def test_it_is_fine_tuned_behind_the_contract(folder: Path, tmp_path: Path) -> None:
    fitted = system(folder).fit(CORPUS, BUDGET, tmp_path, seed=1, device="cpu")
    assert {key: fitted.notes[key] for key in ("width", "layers", "heads", "inner", "positions")} == {
        "width": 32, "layers": 2, "heads": 2, "inner": 128, "positions": 96,
    }  # fmt: skip
    assert 0 < fitted.notes["best_share"] <= 1
    assert fitted.validation_loss == min(loss for _, loss in fitted.notes["validation_losses"])
    # The checkpoint stands by itself: nothing of the pretrained folder is read again.
    moved = folder.with_name("elsewhere")
    folder.rename(moved)
    try:
        loaded = system(folder)
        loaded.check(tmp_path)
        loaded.load(tmp_path, device="cpu", dtype="float32")
        requests = [Request(document.id, document.source, i, 50) for i, document in enumerate(DOCUMENTS[:4])]
        samples = loaded.generate(requests, Decoding())
        assert samples == [loaded.generate([request], Decoding())[0] for request in requests]
        assert all(sample.tokens <= 50 for sample in samples)
        assert len({sample.text for sample in samples}) > 1
        with pytest.raises(UserError, match="another recipe"):
            GPT2System(dataclasses.replace(loaded.recipe, pretrained=None), LIMITS).check(tmp_path)
    finally:
        moved.rename(folder)


def test_it_begins_better_than_from_scratch_and_learns(folder: Path, tmp_path: Path) -> None:
    first = system(folder).fit(CORPUS, Budget(40, "steps"), tmp_path / "first", seed=1, device="cpu")
    save = tmp_path / "taught"
    shutil.copytree(folder, save)
    taught = system(folder)
    taught.load(tmp_path / "first", device="cpu", dtype="float32")
    # Its own tokens back in the pretrained order: what was learnt is what the second fine-tuning begins with.
    rows = torch.empty_like(load_file(folder / "model.safetensors")["transformer.wte.weight"])
    places = taught.vocabulary.to_full
    there = places < len(rows)
    rows[places[there]] = taught.model.transformer.wte.weight.detach()[: len(places)][there]
    tensors = {
        f"transformer.{name}": value.contiguous() for name, value in taught.model.transformer.state_dict().items()
    }
    save_file(tensors | {"transformer.wte.weight": rows}, save / "model.safetensors", {"format": "pt"})
    second = system(save).fit(CORPUS, Budget(1, "steps"), tmp_path / "second", seed=1, device="cpu")
    fresh = system(folder).fit(CORPUS, Budget(1, "steps"), tmp_path / "fresh", seed=1, device="cpu")
    assert first.validation_loss is not None and fresh.validation_loss is not None
    assert second.validation_loss == pytest.approx(first.validation_loss, rel=0.05)
    assert first.validation_loss < 0.9 * fresh.validation_loss


def copy(folder: Path, to: Path, **changes: object) -> Path:
    shutil.copytree(folder, to)
    config = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(config | changes))
    return to


def test_what_cannot_be_fine_tuned_is_refused_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    half = copy(folder, tmp_path / "half")
    weights = load_file(half / "model.safetensors")
    save_file({name: value.half() for name, value in weights.items()}, half / "model.safetensors")
    bare = copy(folder, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    torch.save({}, bare / "pytorch_model.bin")
    mute = copy(folder, tmp_path / "mute")
    (mute / "tokenizer.json").unlink()
    endless = copy(folder, tmp_path / "endless")
    tokenizer = json.loads((endless / "tokenizer.json").read_text().replace(END, "<|other|>"))
    (endless / "tokenizer.json").write_text(json.dumps(tokenizer))
    cases = [
        ("no/such-model", "neither a folder nor in the local"),
        (half, "holds F16 weights; save them in float32"),
        (bare, "no weights in safetensors"),
        (mute, "no tokenizer"),
        (endless, "no token <|endoftext|>"),
        (copy(folder, tmp_path / "bert", model_type="bert"), "no plain GPT-2"),
        (copy(folder, tmp_path / "relu", activation_function="relu"), "no plain GPT-2"),
    ]
    for given, message in cases:
        with pytest.raises(UserError, match=message.replace("|", r"\|")) as caught:
            system(given).fit(CORPUS, BUDGET, tmp_path / "out", seed=1, device="cpu")
        assert "\n" not in str(caught.value)
    torn = copy(folder, tmp_path / "torn")
    save_file({name: value for name, value in weights.items() if "h.1.ln_2" not in name}, torn / "model.safetensors")
    with pytest.raises(UserError, match=r"lacks 'h\.1\.ln_2"):
        system(torn).fit(CORPUS, BUDGET, tmp_path / "out", seed=1, device="cpu")
    with pytest.raises(UserError, match="has 96 positions and the task needs 100"):
        system(folder, Limits(60, 40)).fit(CORPUS, BUDGET, tmp_path / "out", seed=1, device="cpu")
