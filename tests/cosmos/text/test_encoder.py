"""The frozen encoder: states, independence of the batch, statistics, the cache on disk, bad folders."""

from __future__ import annotations

import json
import resource
import shutil
import socket
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from cosmos.data import array_cache, state_cache
from cosmos.data.state_cache import VARIANCE_FLOOR, CachedStates, cache_states, open_states
from cosmos.io.errors import UserError
from cosmos.text.encoder import TOKENS_PER_BATCH, TextEncoder, fingerprint_of, layers_read
from cosmos.text.tokenizer import default_encoder, find_encoder
from cosmos.training.budget import Cost

TEXTS = [f"the {'very ' * (i % 7)}old dog of {name} sleeps." for i, name in enumerate(["anna", "bob", "carl"] * 12)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT with random weights, saved as Hugging Face saves one."""
    from transformers import BertConfig, BertModel

    path = tmp_path_factory.mktemp("encoder")
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "the",
        "very",
        "old",
        "dog",
        "of",
        "sleeps",
        ".",
        "anna",
        "bob",
    ]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(path / "tokenizer.json"))
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(str(path))
    return path


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TextEncoder:
    return TextEncoder(str(folder))


def test_the_packaged_encoder_gives_the_states_of_transformers_and_says_nothing(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    encoder = TextEncoder()
    states, mask, cut = encoder.encode(["the old dog sleeps.", "it is late, and you are not."], 32)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    from transformers import AutoModel, AutoTokenizer

    place = default_encoder()
    inputs = AutoTokenizer.from_pretrained(place)(
        ["the old dog sleeps.", "it is late, and you are not."], return_tensors="pt", padding="longest"
    )
    with torch.no_grad():
        expected = AutoModel.from_pretrained(place)(**inputs).last_hidden_state
    assert states.dtype == torch.float32 and cut == 0 and encoder.width == 384
    assert torch.equal(mask, inputs["attention_mask"].bool())
    assert float((states - expected)[mask].abs().max()) < 1e-4
    assert not states[~mask].any()
    assert tuple(encoder.mask_embedding.shape) == (384,)
    assert not any(parameter.requires_grad for parameter in encoder.network.parameters())


def test_states_of_a_text_do_not_depend_on_its_batch(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS, 20, pad_to=20)
    assert together.states.shape == (len(TEXTS), 20, 16)
    for i in (0, 6, 11):
        alone, mask, _ = encoder.encode([TEXTS[i]], 20)
        torch.testing.assert_close(together.states[i, : alone.shape[1]], alone[0], rtol=0, atol=1e-5)
        assert together.mask[i].sum() == mask.sum()


def test_long_texts_are_cut_and_counted(encoder: TextEncoder) -> None:
    cut = encoder.encode(["the dog sleeps.", "the very very old dog sleeps."], 6)
    assert cut.cut == 1 and cut.states.shape[1] == 6 and cut.mask[1].all()
    rows, _ = encoder.ids(["the very very old dog sleeps."], 6)
    assert len(rows[0]) == 6 and rows[0][0] == 2 and rows[0][-1] == 3
    with pytest.raises(AssertionError, match="32 positions"):
        encoder.encode(["the"], 33)


def test_groups_are_of_similar_length_and_bounded(encoder: TextEncoder) -> None:
    rows, _ = encoder.ids(TEXTS * 20, 20)
    groups = encoder.groups(rows)
    assert sorted(i for group in groups for i in group) == list(range(len(rows)))
    assert all(len(group) * max(len(rows[i]) for i in group) <= TOKENS_PER_BATCH for group in groups)
    assert len(groups) > 1
    assert encoder.groups([[0] * (TOKENS_PER_BATCH + 1)]) == [[0]]


def test_the_mask_embedding_is_the_word_embedding_alone(encoder: TextEncoder) -> None:
    table = encoder.network.embeddings.word_embeddings.weight  # type: ignore[union-attr]
    assert torch.equal(encoder.mask_embedding, table[4])
    encoder.mask_embedding.zero_()
    assert table[4].any()  # a copy was given


def test_statistics_are_those_of_all_tokens(
    encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = cache_states(encoder, TEXTS, tmp_path, 20)
    tokens = cached.flat.double()
    monkeypatch.setattr(state_cache, "_CHUNK", 50)
    mean, std = cached.statistics()
    torch.testing.assert_close(mean, tokens.mean(0).float())
    torch.testing.assert_close(std, tokens.std(0, correction=0).float())
    constant = CachedStates(torch.full((9, 3), 1e3, dtype=torch.float16), torch.tensor([4, 5]), 0, Cost())
    assert constant.statistics().std.tolist() == pytest.approx([VARIANCE_FLOOR**0.5] * 3)


def test_cached_states_are_the_states(encoder: TextEncoder, tmp_path: Path) -> None:
    cached = cache_states(encoder, TEXTS, tmp_path, 20)
    fresh = encoder.encode(TEXTS, 20, pad_to=20)
    index = torch.tensor([5, 0, 17, 5])
    states, mask = cached.rows(index, 20)
    assert len(cached) == len(TEXTS) and states.dtype == torch.float32 and cached.flat.dtype == torch.float16
    assert torch.equal(mask, fresh.mask[index])
    torch.testing.assert_close(states, fresh.states[index], rtol=1e-3, atol=1e-4)
    assert not states[~mask].any()
    assert cached.cost.flops > 0 and cached.cost.seconds > 0


def test_the_cache_is_used_again_only_for_the_same_input(
    encoder: TextEncoder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    states = TextEncoder.states
    monkeypatch.setattr(TextEncoder, "states", lambda self, rows: calls.append(len(rows)) or states(self, rows))
    cache_states(encoder, TEXTS, tmp_path / "cache", 20)
    assert sum(calls) == len(TEXTS)
    cache_states(encoder, TEXTS, tmp_path / "cache", 20)
    assert sum(calls) == len(TEXTS)  # nothing computed
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-6}))
    for changed in (
        (encoder, TEXTS[::-1], 20),
        (encoder, [*TEXTS[:2], TEXTS[2] + TEXTS[3], *TEXTS[4:]], 20),
        (encoder, TEXTS, 19),
        (TextEncoder(str(other)), TEXTS, 19),
    ):
        calls.clear()
        network, texts, limit = changed
        cached = cache_states(network, texts, tmp_path / "cache", limit)
        assert sum(calls) == len(texts) == len(cached)
        torch.testing.assert_close(
            cached.rows(torch.tensor([0]), 20)[0],
            network.encode(texts[:1], limit, pad_to=20).states,
            rtol=1e-3,
            atol=1e-4,
        )


def test_a_cache_that_was_interrupted_goes_on_and_gives_the_same_bytes(
    encoder: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos.text.encoder.TOKENS_PER_BATCH", 64)
    monkeypatch.setattr(array_cache, "_SAVE_SECONDS", 0.0)
    cache_states(encoder, TEXTS, tmp_path / "calm", 20)

    def stop(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_states(encoder, TEXTS, tmp_path / "cut", 20, progress=stop)
    with pytest.raises(UserError):
        open_states(tmp_path / "cut")
    calls = []
    states = TextEncoder.states
    monkeypatch.setattr(TextEncoder, "states", lambda self, rows: calls.append(len(rows)) or states(self, rows))
    cached = cache_states(encoder, TEXTS, tmp_path / "cut", 20)
    assert 0 < sum(calls) < len(TEXTS)
    assert (tmp_path / "cut/states.npy").read_bytes() == (tmp_path / "calm/states.npy").read_bytes()
    assert cached.cost.flops == open_states(tmp_path / "calm").cost.flops
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == ["states.json", "states.npy"]


def test_a_full_disk_and_a_damaged_cache_are_user_errors(encoder: TextEncoder, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(UserError, match="Cannot write"):
            cache_states(encoder, TEXTS, tmp_path, 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    cache_states(encoder, TEXTS, tmp_path, 20)
    path = tmp_path / "states.npy"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match="damaged"):
        open_states(tmp_path)
    with pytest.raises(UserError, match="no texts"):
        cache_states(encoder, [], tmp_path, 20)


@pytest.mark.parametrize(
    ("missing", "said"),
    [("tokenizer.json", "no tokenizer"), ("model.safetensors", "no weights"), ("config.json", "no config")],
)
def test_a_folder_that_lacks_something_is_refused_before_loading(
    folder: Path, tmp_path: Path, missing: str, said: str
) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / missing).unlink()
    with pytest.raises(UserError, match=said):
        find_encoder(str(broken))
    with pytest.raises(UserError, match=said):
        TextEncoder(str(broken))


def test_weights_that_are_damaged_are_refused(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes((broken / "model.safetensors").read_bytes()[:500])
    with pytest.raises(UserError, match="Cannot load the encoder"):
        TextEncoder(str(broken))


@pytest.mark.parametrize("name", ["nobody/no-such-encoder", "/no/such/folder", "not a name"])
def test_an_unknown_name_fails_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked over the network, where an answer may be waited for."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    asked: list[object] = []
    for function in ("getaddrinfo", "create_connection", "socket"):
        monkeypatch.setattr(socket, function, lambda *words, **_: asked.append(words))
    with pytest.raises(UserError, match="neither a folder nor in the local Hugging Face cache"):
        find_encoder(name)
    assert asked == []


def test_another_kind_of_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>")).save(str(other / "tokenizer.json"))
    with pytest.raises(UserError, match="no BERT tokenizer"):
        TextEncoder(str(other))


def test_a_vocabulary_file_is_enough(folder: Path, tmp_path: Path, encoder: TextEncoder) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    pieces = encoder.tokenizer.get_vocab()
    (other / "tokenizer.json").unlink()
    (other / "vocab.txt").write_text("\n".join(sorted(pieces, key=pieces.__getitem__)) + "\n")
    (other / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
    assert TextEncoder(str(other)).ids(TEXTS, 20) == encoder.ids(TEXTS, 20)


def test_the_default_encoder_is_a_whole_folder() -> None:
    assert find_encoder(None) == Path(default_encoder())


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_states_of_the_first_layers_are_those_that_pass_through_the_whole(folder: Path, layers: int) -> None:
    whole, part = TextEncoder(str(folder)), TextEncoder(str(folder), layers=layers)
    ids = whole.ids(TEXTS[:4], 16)[0]
    row = torch.tensor([ids[2]])
    with torch.no_grad():
        passed = whole.network(input_ids=row, output_hidden_states=True).hidden_states[layers][0]
    torch.testing.assert_close(part.states(ids)[2], passed, atol=1e-5, rtol=1e-5)
    mask = torch.ones_like(row, dtype=torch.bool)
    torch.testing.assert_close(part.batch_states(row, mask)[0], passed, atol=1e-5, rtol=1e-5)
    assert part.fingerprint == fingerprint_of(str(folder), layers) != whole.fingerprint == fingerprint_of(str(folder))
    assert (part.flops(ids) < whole.flops(ids)) == (layers < 2)
    assert layers_read(str(folder), part.fingerprint) == layers
    assert layers_read(str(folder), whole.fingerprint) == "none" and layers_read(str(folder), "f" * 32) is None


def test_more_layers_than_there_are_are_refused(folder: Path) -> None:
    for layers in (-1, 3):
        for load in (TextEncoder, fingerprint_of):
            with pytest.raises(UserError, match=f"has 2 layers, not {layers}; ask for at most 2"):
                load(str(folder), layers=layers)
