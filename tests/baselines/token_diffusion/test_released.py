"""Published weights of MDLM and SEDD: files of their structure with random weights, read, drawn from, and refused.

What the network computes is written here once more as plain functions of the published tensors.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional

from baselines.autoregressive.pretrained import END
from baselines.contract import Budget, Corpus, Document, Limits, Request, UserError
from baselines.token_diffusion.masked import LogLinear, forbid_mask
from baselines.token_diffusion.mdlm import MDLMSystem, Unmasking
from baselines.token_diffusion.sedd import Scoring, SEDDSystem, log_scores
from benchmarks.planning.plan import make as make_plan
from benchmarks.planning.run_config import gather
from cosmos.text.vocabulary import MASK, SEP, SPECIALS

WIDTH, BLOCKS, HEADS, CONDITION, LENGTH = 16, 2, 2, 12, 40
LIMITS = Limits(0, 12)
SENTENCES = [f"{who} gave the {what} away." for who in ("Anna", "Ben") for what in ("lamp", "red book")]
DOCUMENTS = [Document(str(i), None, text, (text,)) for i, text in enumerate(SENTENCES)]
CORPUS = Corpus(DOCUMENTS[:3], DOCUMENTS[3:])
REQUESTS = [Request(str(i), None, 30 + i, 12) for i in range(6)]
KINDS = {"mdlm": MDLMSystem, "sedd": SEDDSystem}
SETTINGS = {
    # By confidence nothing tells the positions of an all-masked row apart, where they are rotary alone.
    "mdlm": (Unmasking("cached", 6), Unmasking("ancestral", 5)),
    "sedd": (Scoring("analytic", 6),),
}
each = pytest.mark.parametrize("name", list(KINDS))


def save_tokenizer(folder: Path) -> int:
    """One of GPT-2's kind, and how many tokens it has."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    known = trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES, known)
    tokenizer.add_special_tokens([END])  # last, as GPT-2 has it
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer.get_vocab_size()


def tensors_of(tokens: int, prefix: str) -> dict[str, Tensor]:
    """The published names with random numbers."""
    shapes = {"vocab_embed.embedding": (tokens, WIDTH), "rotary_emb.inv_freq": (WIDTH // HEADS // 2,)}
    shapes |= {"sigma_map.mlp.0.weight": (CONDITION, 256), "sigma_map.mlp.0.bias": (CONDITION,)}
    shapes |= {"sigma_map.mlp.2.weight": (CONDITION, CONDITION), "sigma_map.mlp.2.bias": (CONDITION,)}
    for block in range(BLOCKS):
        inner = {
            "norm1.weight": (WIDTH,), "norm2.weight": (WIDTH,), "attn_qkv.weight": (3 * WIDTH, WIDTH),
            "attn_out.weight": (WIDTH, WIDTH), "mlp.0.weight": (4 * WIDTH, WIDTH), "mlp.0.bias": (4 * WIDTH,),
            "mlp.2.weight": (WIDTH, 4 * WIDTH), "mlp.2.bias": (WIDTH,),
            "adaLN_modulation.weight": (6 * WIDTH, CONDITION), "adaLN_modulation.bias": (6 * WIDTH,),
        }  # fmt: skip
        shapes |= {f"blocks.{block}.{part}": shape for part, shape in inner.items()}
    shapes |= {
        "output_layer.norm_final.weight": (WIDTH,), "output_layer.linear.weight": (tokens, WIDTH),
        "output_layer.linear.bias": (tokens,), "output_layer.adaLN_modulation.weight": (2 * WIDTH, CONDITION),
        "output_layer.adaLN_modulation.bias": (2 * WIDTH,),
    }  # fmt: skip
    draws = torch.Generator().manual_seed(5)
    return {
        prefix + name: torch.randn(shape, generator=draws) * (1.5 * shape[-1] ** -0.5 if len(shape) > 1 else 0.5)
        for name, shape in shapes.items()
    }


def configuration(name: str, tokens: int) -> dict[str, Any]:
    """As the hub has it; `tokens` without the mask."""
    if name == "mdlm":
        return {
            "architectures": ["MDLM"], "model_type": "mdlm", "vocab_size": tokens + 1, "model_length": LENGTH,
            "hidden_dim": WIDTH, "n_blocks": BLOCKS, "n_heads": HEADS, "cond_dim": CONDITION, "dropout": 0.1,
            "time_conditioning": False, "return_dict": False, "torch_dtype": "float32",
        }  # fmt: skip
    model = {
        "name": "small", "type": "ddit", "hidden_size": WIDTH, "cond_dim": CONDITION, "length": LENGTH,
        "n_blocks": BLOCKS, "n_heads": HEADS, "scale_by_sigma": True, "dropout": 0.1,
    }  # fmt: skip
    noise = {"type": "loglinear", "sigma_min": 1e-4, "sigma_max": 20}
    return {"tokens": tokens, "graph": {"type": "absorb", "file": "data"}, "noise": noise, "model": model, "ngpus": 8}


PREFIX = {"mdlm": "backbone.", "sedd": ""}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name in KINDS:
        folder = found[name] = tmp_path_factory.mktemp(name)
        tokens = save_tokenizer(folder)
        (folder / "config.json").write_text(json.dumps(configuration(name, tokens)))
        save_file(tensors_of(tokens + 1, PREFIX[name]), folder / "model.safetensors", {"format": "pt"})
    return found


def made(name: str, folder: Path | str, limits: Limits = LIMITS) -> Any:
    kind = KINDS[name]
    return kind(dataclasses.replace(kind.presets["nano"], released=str(folder)), limits)


def fit(system: Any, out: Path) -> Any:
    return system.fit(CORPUS, Budget(5, "steps"), out, seed=0, device="cpu")


def loaded(name: str, folder: Path, out: Path) -> Any:
    system = made(name, folder)
    fit(system, out)
    system.load(out, device="cpu", dtype="float32")
    return system


def authors_logits(tensors: Mapping[str, Tensor], tokens: Tensor, sigma: Tensor) -> Tensor:
    """[B, L, V] of the authors' tokens at noise levels [B]; names without prefix."""

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ tensors[f"{name}.weight"].T + tensors.get(f"{name}.bias", torch.zeros(()))

    def norm(name: str, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * tensors[f"{name}.weight"]

    def turned(x: Tensor) -> Tensor:  # [B, L, H, D]
        size = x.shape[-1]
        angle = torch.arange(x.shape[1])[:, None] / 10_000.0 ** (torch.arange(0, size, 2) / size)
        pair = (
            torch.complex(x[..., : size // 2], x[..., size // 2 :])
            * torch.polar(torch.ones_like(angle), angle)[:, None]
        )
        return torch.cat((pair.real, pair.imag), -1)

    waves = sigma[:, None] * 10_000.0 ** (-torch.arange(128) / 128)
    level = linear("sigma_map.mlp.0", torch.cat((waves.cos(), waves.sin()), -1))
    level = functional.silu(linear("sigma_map.mlp.2", functional.silu(level)))
    x = tensors["vocab_embed.embedding"][tokens]
    for block in range(BLOCKS):
        name = f"blocks.{block}"
        shift, scale, gate, shift2, scale2, gate2 = linear(f"{name}.adaLN_modulation", level)[:, None].chunk(6, -1)
        qkv = linear(f"{name}.attn_qkv", norm(f"{name}.norm1", x) * (1 + scale) + shift)
        query, key, value = qkv.view(*x.shape[:2], 3, HEADS, -1).unbind(2)
        scores = torch.einsum("blhd,bmhd->bhlm", turned(query), turned(key)) / math.sqrt(WIDTH // HEADS)
        attended = torch.einsum("bhlm,bmhd->blhd", scores.softmax(-1), value).flatten(2)
        x = x + gate * linear(f"{name}.attn_out", attended)
        inner = linear(f"{name}.mlp.0", norm(f"{name}.norm2", x) * (1 + scale2) + shift2)
        x = x + gate2 * linear(f"{name}.mlp.2", functional.gelu(inner, approximate="tanh"))
    shift, scale = linear("output_layer.adaLN_modulation", level)[:, None].chunk(2, -1)
    return linear("output_layer.linear", norm("output_layer.norm_final", x) * (1 + scale) + shift)


@each
def test_numbers_are_those_of_the_published_network(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    system = loaded(name, folders[name], tmp_path)
    vocabulary, size = system.vocabulary, len(system.vocabulary)
    plain = {k.removeprefix(PREFIX[name]): v for k, v in tensors_of(size - len(SPECIALS) + 2, PREFIX[name]).items()}
    mask = len(plain["vocab_embed.embedding"]) - 1
    known = torch.tensor([token for token in range(size) if token in (SEP, MASK) or token >= len(SPECIALS)])
    theirs = vocabulary.to_full.clone()
    theirs[MASK] = mask
    draws = torch.Generator().manual_seed(1)
    noisy = known[torch.randint(len(known), (3, 9), generator=draws)]
    noisy[:, ::2] = MASK
    t = torch.tensor([0.05, 0.5, 0.99], dtype=torch.float64)
    with torch.no_grad():
        if name == "mdlm":
            found = forbid_mask(system.model(noisy, None), MASK).log_softmax(-1)
            expected = authors_logits(plain, theirs[noisy], torch.zeros(3))
            expected[..., mask] = -torch.inf
            expected = expected.log_softmax(-1)
        else:
            found = log_scores(system.model(noisy, None, t), noisy, LogLinear().alpha(t)[:, None])
            sigma = -torch.log1p(-0.999 * t).float()
            expected = authors_logits(plain, theirs[noisy], sigma)
            expected = expected - (sigma.exp() - 1).log()[:, None, None] - math.log(expected.shape[-1] - 1)
            expected = expected.scatter(-1, theirs[noisy][..., None], 0.0)
    words = known[known != MASK]
    masked = noisy == MASK  # an open position stays as it is
    assert (found[masked][:, words] - expected[masked][:, theirs[words]]).abs().max() < 1e-3
    lacking = [token for token in range(size) if token not in known.tolist()]
    assert bool((found[masked][:, lacking].exp() == 0).all())
    assert vocabulary.decode(vocabulary.encode(SENTENCES, 60).tokens[:, 1:])[0].text == SENTENCES[0]


@each
def test_texts_are_drawn_behind_the_contract(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    system = made(name, folders[name])
    system.locate_weights()
    fitted = fit(system, tmp_path)
    assert (fitted.steps, fitted.flops, fitted.validation_loss) == (0, 0.0, None)
    assert fit(made(name, folders[name]), tmp_path) == fitted
    moved = folders[name].with_name("moved")
    folders[name].rename(moved)
    try:
        system = made(name, folders[name])
        system.check(tmp_path)
        system.load(tmp_path, device="cpu", dtype="float32")
        for setting in SETTINGS[name]:
            samples = system.generate(REQUESTS, setting)
            assert samples == [system.generate([request], setting)[0] for request in REQUESTS]
            assert all(token in (SEP, *range(5, len(system.vocabulary))) for s in samples for token in s.sequence)
        assert len({sample.text for sample in system.generate(REQUESTS, SETTINGS[name][0])}) > 1
        assert system.loaded_shape["length"] == LIMITS.target_tokens
        assert system.likelihoods(DOCUMENTS[:1], [0])[0].nats is None
    finally:
        moved.rename(folders[name])


def test_an_end_token_in_front_is_not_of_the_text(folders: dict[str, Path], tmp_path: Path) -> None:
    system = loaded("mdlm", folders["mdlm"], tmp_path)
    words = system.vocabulary.encode(["red book"], 20, add_specials=False).tokens[0].tolist()
    tail = [SEP] + [words[0]] * (10 - len(words))
    [sample] = system.samples(REQUESTS[:1], torch.tensor([[SEP, *words, *tail]]))
    assert (sample.text, sample.tokens, sample.finished) == ("red book", len(words), True)
    [cut] = system.samples(REQUESTS[:1], torch.tensor([[words[0]] * 12]))
    assert (cut.tokens, cut.finished) == (12, False)


@each
def test_a_run_ranks_it_among_weights_learnt_elsewhere_with_a_tokenizer_of_its_own(
    name: str, folders: dict[str, Path]
) -> None:
    plan = make_plan(gather({"task": "story", "system": [name]}, [f"{name}.recipe.released={folders[name]}"]), "cpu")
    mine = next(planned for planned in plan.cells if planned.cell.system == name)
    assert mine.contestant.external_weights == (str(folders[name]),)
    assert mine.contestant.system.own_tokenizer(mine.contestant.recipe) == str(folders[name])  # type: ignore[attr-defined]
    assert mine.cell.contents["recipe.released"]
    with pytest.raises(UserError, match="take no source"):
        make_plan(gather({"task": "detox", "system": [name]}, [f"{name}.recipe.released={folders[name]}"]), "cpu")
    keys = [f"{name}.recipe.released={folders[name]}", f"{name}.recipe.trunk.dropout=0.2"]
    with pytest.raises(UserError, match="used as they are; leave out"):
        make_plan(gather({"task": "story", "system": [name]}, keys), "cpu")


@each
def test_a_pickle_is_read_with_weights_only(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(folders[name], pickled)
    (pickled / "model.safetensors").unlink()
    tokens = Tokenizer.from_file(str(pickled / "tokenizer.json")).get_vocab_size()
    torch.save(tensors_of(tokens + 1, PREFIX[name]), pickled / "pytorch_model.bin")
    one, other = (loaded(name, path, tmp_path / "of" / path.name) for path in (pickled, folders[name]))
    assert one.generate(REQUESTS, SETTINGS[name][0]) == other.generate(REQUESTS, SETTINGS[name][0])
    torch.save({"x": print}, pickled / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds code or unknown objects"):
        fit(made(name, pickled), tmp_path / "evil")


@each
def test_wrong_folders_are_refused_in_one_sentence(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    other = "sedd" if name == "mdlm" else "mdlm"

    def copy(called: str, **changes: Any) -> Path:
        path = tmp_path / called
        shutil.copytree(folders[name], path)
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps({**config, **changes}))
        return path

    mute, bare, torn, torn_off = (copy(called) for called in ("mute", "bare", "torn", "torn-off"))
    (mute / "tokenizer.json").unlink()
    (bare / "model.safetensors").unlink()
    (torn / "model.safetensors").write_bytes((folders[name] / "model.safetensors").read_bytes()[:-7])
    tokens = Tokenizer.from_file(str(torn_off / "tokenizer.json")).get_vocab_size()
    weights = tensors_of(tokens + 1, PREFIX[name])
    save_file({k: v for k, v in weights.items() if "blocks.1.norm2" not in k}, torn_off / "model.safetensors")
    own = {
        "mdlm": [
            (copy("timed", time_conditioning=True), "is told the time"),
            (copy("wide", hidden_dim=32), "so it is not of"),
        ],
        "sedd": [
            (copy("uniform", graph={"type": "uniform"}), "of graph absorb"),
            (copy("geo", noise={}), "of noise loglinear"),
        ],
    }
    cases = [
        (tmp_path / "nowhere", "There is no folder"),
        (tmp_path, r"has no config\.json, so it holds no published weights"),
        (folders[other], "of no published"),
        (mute, r"has no tokenizer\.json; put that of GPT-2"),
        (bare, "has neither model"),
        (torn, "truncated"),
        (torn_off, r"lacks '.*blocks\.1\.norm2\.weight'"),
        (
            copy("few", **{"mdlm": {"vocab_size": 100}, "sedd": {"tokens": 100}}[name]),
            r"writes (99|100) tokens and its tokenizer\.json has",
        ),
        *own[name],
    ]
    for folder, message in cases:
        system = made(name, folder)
        for ask in (system.locate_weights, lambda system=system: fit(system, tmp_path / "out")):
            with pytest.raises(UserError, match=message) as caught:
                ask()
            assert "\n" not in str(caught.value)
