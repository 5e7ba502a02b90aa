"""Tiny networks of the tests' own in the roles of the judges, so that nothing is downloaded; and empty caches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

WORDS = ("the", "a", "cat", "dog", "sat", "ran", "on", "mat", "car", "red", "cold", "tea", "is", "this", "idiot", "##s")


USERS = {name: os.environ.get(name) for name in ("COSMOS_CACHE", "HF_HUB_CACHE", "NLTK_DATA")}


@pytest.fixture(autouse=True)
def _own_caches(tmp_path, monkeypatch):
    """What lies in the user's caches is nothing to the tests."""
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cosmos"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NLTK_DATA", str(tmp_path / "nltk"))


@pytest.fixture
def users_caches(monkeypatch):
    """The user's own caches again, for tests with models that are large."""
    for name, value in USERS.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)


def byte_tokenizer(folder: Path):
    """Every byte a token, with all special tokens: reads any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *letters])}
    raw = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
    )
    tokenizer.save_pretrained(folder)
    return len(vocabulary)


def causal(folder: Path, *, flat: bool) -> Path:
    """A GPT-2 of two layers; if flat, every token is as likely as any other."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    size = byte_tokenizer(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_layer=2, n_embd=16, n_head=2, n_positions=512))
    with torch.no_grad():
        network.transformer.wte.weight.mul_(0.0 if flat else 40.0)
    network.save_pretrained(folder)
    return folder


def unigram(folder: Path, chances: dict[str, float]) -> Path:
    """A GPT-2 to which every token is as likely as `chances` say, whatever comes before; others share what is left."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    size = byte_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = GPT2LMHeadModel(GPT2Config(vocab_size=size, n_layer=1, n_embd=4, n_head=1, n_positions=512))
    rest = (1.0 - sum(chances.values())) / (size - len(chances))
    with torch.no_grad():
        network.transformer.ln_f.weight.zero_()
        network.transformer.ln_f.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))  # the last state, at every position
        network.transformer.wte.weight[:, 0] = torch.tensor(rest).log()
        for token, chance in chances.items():
            network.transformer.wte.weight[tokenizer.convert_tokens_to_ids(token), 0] = torch.tensor(chance).log()
    network.save_pretrained(folder)
    return folder


def classifier(
    folder: Path, *, bias: tuple[float, ...] | None = None, names: tuple[str, ...] = (), seed: int = 1
) -> Path:
    """A RoBERTa of two layers with two classes; with a bias its answer is that, whatever the text."""
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    size = byte_tokenizer(folder)
    labels = {"id2label": dict(enumerate(names)), "label2id": {n: i for i, n in enumerate(names)}} if names else {}
    config = RobertaConfig(
        vocab_size=size, num_hidden_layers=2, hidden_size=16, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=520, pad_token_id=1, **labels,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = RobertaForSequenceClassification(config)
        with torch.no_grad():
            network.classifier.out_proj.weight.normal_(std=0.0 if bias else 30.0)
            if bias:
                network.classifier.out_proj.bias.copy_(torch.tensor(bias))
    network.save_pretrained(folder)
    return folder


def bert(folder: Path, layers: int = 3):
    """Configuration and word pieces of a tiny BERT, and the folder that holds them."""
    from transformers import BertConfig, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(pieces)) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(dict.fromkeys(pieces)), num_hidden_layers=layers, hidden_size=16, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=512,
    )  # fmt: skip
    config.save_pretrained(folder)
    return config


def encoder(folder: Path, layers: int = 3) -> Path:
    """A BERT of three layers, or more."""
    import torch
    from transformers import BertModel

    config = bert(folder, layers)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        BertModel(config).save_pretrained(folder)
    return folder


def toxic(folder: Path) -> Path:
    """A checkpoint in the form of Detoxify's, and beside it what it is built on."""
    import torch
    from transformers import BertForSequenceClassification

    config = bert(folder)
    names = ["toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate"]
    config.num_labels = len(names)
    config.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = BertForSequenceClassification(config)
        with torch.no_grad():
            network.classifier.weight.normal_(std=30.0)
    arch = {
        "model_type": str(folder),
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
        "num_classes": len(names),
    }
    config_of_training = {"dataset": {"args": {"classes": names}}, "arch": {"args": arch}}
    torch.save({"config": config_of_training, "state_dict": network.state_dict()}, folder / "tiny.ckpt")
    return folder


def wordnet(root: Path) -> Path:
    """A word net of one set of synonyms, car and auto, in the form of WordNet's own files."""
    from benchmarks.evaluators.wordnet import lexnames

    folder = root / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for part in ("noun", "verb", "adj", "adv"):
        for kind in ("data", "index"):
            (folder / f"{kind}.{part}").write_text("")
        (folder / f"{part}.exc").write_text("")
    (folder / "data.noun").write_text("00000000 06 n 02 car 0 auto 0 000 | a machine on wheels\n")
    (folder / "index.noun").write_text("".join(f"{word} n 1 0 1 0 00000000  \n" for word in ("auto", "car")))
    (folder / "index.sense").write_text("".join(f"{w}%1:06:00:: 00000000 1 0\n" for w in ("auto", "car")))
    (folder / "lexnames").write_text(lexnames())
    return folder


@pytest.fixture(scope="session")
def roles(tmp_path_factory) -> dict[str, str]:
    """A model of the tests' own for every role."""
    root = tmp_path_factory.mktemp("judges")
    lm = causal(root / "lm", flat=False)
    taking = {
        "lm": lm,
        "paper_lm": lm,
        "paper_neo": lm,
        "similarity": encoder(root / "encoder"),
        "bertscore": root / "encoder",
        "paper_bertscore": root / "encoder",
        "paper_bertscore_rescaled": root / "encoder",
        "pieces": root / "encoder",
        "toxicity": classifier(root / "toxicity", names=("neutral", "toxic")),
        "acceptability": classifier(root / "acceptability", seed=4),
        "detoxify": toxic(root / "detoxify"),
        "wordnet": wordnet(root / "nltk_data"),
    }
    return {role: str(folder) for role, folder in taking.items()}


@pytest.fixture(scope="session")
def deep_encoder(tmp_path_factory) -> str:
    """An encoder by the name and with as many layers as one that bert-score knows."""
    return str(encoder(tmp_path_factory.mktemp("deep") / "bert-base-uncased", layers=12))


@pytest.fixture(scope="session")
def flat_lm(tmp_path_factory) -> str:
    """A language model to which every token is as likely as any other."""
    return str(causal(tmp_path_factory.mktemp("flat") / "flat", flat=True))


@pytest.fixture(scope="session")
def unigram_lm(tmp_path_factory) -> str:
    """A language model by which perplexities can be worked out by hand: a has 1/2, b 1/4 and the end 1/8."""
    return str(unigram(tmp_path_factory.mktemp("unigram") / "unigram", {"a": 0.5, "b": 0.25, "</s>": 0.125}))


@pytest.fixture(scope="session")
def sure(tmp_path_factory) -> dict[bool, str]:
    """Classifiers that put every text into the good class, or none."""
    root = tmp_path_factory.mktemp("sure")
    return {good: str(classifier(root / str(good), bias=(1.0, 0.0) if good else (0.0, 1.0))) for good in (True, False)}
