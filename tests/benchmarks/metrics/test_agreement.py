"""Our values and intervals against the libraries that we wrap, called in their own plain way."""

from __future__ import annotations

import math
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu import corpus_bleu, corpus_chrf

from baselines.contract import Document
from benchmarks import metrics
from benchmarks.evaluators import locate_model
from benchmarks.metrics.core.metric import MetricInput
from benchmarks.metrics.similarity import cosines, embed

WORDS = ["the", "a", "old", "red", "car", "house", "runs", "sleeps", "quickly", "never", ".", ",", "and", "idiot"]


@pytest.fixture(scope="module")
def texts():
    draw = random.Random(3)
    return [" ".join(draw.choices(WORDS, k=draw.randint(0, 14))) for _ in range(60)]


@pytest.fixture(scope="module")
def documents(texts):
    """Two references each: a neighbour's text cut short, and the text with a word put in front."""
    out = []
    for i, text in enumerate(texts):
        references = ((texts[i - 1] + " car")[:40], f"car {text.upper()}")
        out.append(Document(str(i), f"old {text}", references[0], references))
    return out


def score(name, documents, texts, roles=None):
    [found] = metrics.score(metrics.MetricInput("detox", "local", documents, texts), [name], evaluators=roles)
    assert found.reason is None, found.reason
    return found


def test_bleu_and_chrf_are_those_of_sacrebleu(documents, texts):
    streams = [[d.references[k] for d in documents] for k in range(2)]
    found = score("bleu", documents, texts)
    assert found.value == pytest.approx(corpus_bleu(texts, streams, lowercase=True).score, abs=1e-6)
    assert found.signature.options["sacrebleu"].startswith("nrefs:2|case:lc|eff:no|tok:13a|smooth:exp|version:")
    found = score("chrf", documents, texts)
    assert found.value == pytest.approx(corpus_chrf(texts, streams).score, abs=1e-6)
    assert found.signature.options["sacrebleu"].startswith("nrefs:2|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")


def test_bleu_of_pieces_is_that_of_sacrebleu(documents, texts, roles):
    """Of word pieces made beforehand, which sacrebleu is told to leave as they are; one reference."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(roles["pieces"])
    asked, references = (
        [" ".join(tokenizer.tokenize(text)) for text in some] for some in (texts, [d.target for d in documents])
    )
    theirs = corpus_bleu(asked, [references], tokenize="none", smooth_method="none", force=True).score
    found = score("legacy_bleu_pieces", documents, texts, roles)
    assert found.value == pytest.approx(theirs, abs=1e-6)
    whole = corpus_bleu(texts, [[d.target for d in documents]], tokenize="none", smooth_method="none").score
    assert theirs > whole + 1, "pieces are shorter than words and match more"


def test_intervals_are_those_of_recomputed_corpora(documents, texts):
    """Resampled statistics give the quantiles that scoring whole resampled corpora gives."""
    draw = random.Random(0)
    for name, draws, near, recompute in (
        ("bleu", 150, 0.25, lambda some, streams: corpus_bleu(some, streams, lowercase=True, force=True).score),
        ("chrf", 40, 0.5, lambda some, streams: corpus_chrf(some, streams).score),
    ):
        samples = [draw.choices(range(60), k=60) for _ in range(draws)]
        found = score(name, documents, texts)
        values = [
            recompute([texts[i] for i in chosen], [[documents[i].references[k] for i in chosen] for k in range(2)])
            for chosen in samples
        ]
        low, high = np.quantile(values, [0.025, 0.975])
        assert found.low == pytest.approx(low, abs=near * (high - low)), name
        assert found.high == pytest.approx(high, abs=near * (high - low)), name


@pytest.mark.parametrize(("name", "kind"), [("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")])
@pytest.mark.parametrize("stemmed", [True, False])
def test_rouge_is_that_of_rouge_score(documents, texts, name, kind, stemmed):
    scorer = RougeScorer([kind], use_stemmer=stemmed)
    best = [
        max(scorer.score(reference, text)[kind].fmeasure for reference in document.references)
        for document, text in zip(documents, texts, strict=True)
    ]
    assert score(name if stemmed else f"{name}_unstemmed", documents, texts).values == pytest.approx(best, abs=1e-6)


def test_rouge_lsum_is_that_of_rouge_score_on_lines(documents):
    lines = ["the old car runs. a red house sleeps!", "never. quickly, and the car? runs"] * 30
    broken = ["the old car runs.\na red house sleeps!", "never.\nquickly, and the car?\nruns"] * 30
    references = [d.references[0].replace(" . ", " .\n").replace("? ", "?\n").replace("! ", "!\n") for d in documents]
    plain = [Document(d.id, None, d.references[0], d.references[:1]) for d in documents]
    scorer = RougeScorer(["rougeLsum"], use_stemmer=True)
    theirs = [scorer.score(r, t)["rougeLsum"].fmeasure for r, t in zip(references, broken, strict=True)]
    assert score("rouge_lsum", plain, lines).values == pytest.approx(theirs, abs=1e-6)


def test_meteor_is_that_of_nltk(documents, texts, roles):
    meteor = pytest.importorskip("nltk.translate.meteor_score", reason="nltk is of the extra eval")
    from benchmarks.metrics.core.words import pieces
    from benchmarks.metrics.meteor import _NoSynonyms

    theirs = [
        meteor.meteor_score([pieces(r) for r in d.references], pieces(t), wordnet=_NoSynonyms()) if t else 0.0
        for d, t in zip(documents, texts, strict=True)
    ]
    assert score("meteor_stems", documents, texts).values == pytest.approx(theirs, abs=1e-6)
    assert score("meteor", documents, texts, roles).signature.weights is not None


def test_meteor_with_synonyms_is_that_of_nltk(users_caches, monkeypatch):
    """The library's own call with its own reader of WordNet."""
    meteor = pytest.importorskip("nltk.translate.meteor_score", reason="nltk is of the extra eval")
    net = locate_model("wordnet")
    if net is None:
        pytest.skip("WordNet is not here: python -m benchmarks fetch wordnet")
    import nltk
    from nltk.corpus.reader import WordNetCorpusReader

    from benchmarks.metrics.core.words import pieces

    draw = random.Random(4)
    alike = [("car", "automobile"), ("start", "begin"), ("large", "big"), ("film", "movie"), ("the", "the"), ("a", "a")]
    words = [[draw.choice(alike) for _ in range(draw.randint(1, 9))] for _ in range(30)]
    texts = [" ".join(draw.choice(pair) for pair in row) for row in words]
    documents = [
        Document(str(i), None, " ".join(a for a, _ in row), (" ".join(a for a, _ in row), " ".join(b for _, b in row)))
        for i, row in enumerate(words)
    ]
    monkeypatch.setattr(nltk.data, "path", [*nltk.data.path, str(net.folder.parents[1])])  # it reads below these alone
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has one language
        reader = WordNetCorpusReader(nltk.data.find("corpora/wordnet", [str(net.folder.parents[1])]), None)
    theirs = [
        meteor.meteor_score([pieces(r) for r in d.references], pieces(t), wordnet=reader)
        for d, t in zip(documents, texts, strict=True)
    ]
    found = score("meteor", documents, texts)
    assert found.values == pytest.approx(theirs, abs=1e-6)
    assert found.value > score("meteor_stems", documents, texts).value + 0.05


def test_character_bleu_is_that_of_nltk(documents, texts):
    """Called with lists of characters, as the scripts' strings are read; short texts are left out."""
    bleu = pytest.importorskip("nltk.translate.bleu_score", reason="nltk is of the extra eval")
    for name, side in (("legacy_bleu_characters", "target"), ("legacy_bleu_characters_source", "source")):
        pairs = [(text, getattr(document, side)) for text, document in zip(texts, documents, strict=True)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = [
                bleu.sentence_bleu([list(other)], list(text)) if min(len(text), len(other)) > 3 else None
                for text, other in pairs
            ]
        assert score(name, documents, texts).values == tuple(None if v is None else round(v, 6) for v in expected)
        assert None in expected


def test_bertscore_is_that_of_bert_score(documents, texts, roles):
    library = pytest.importorskip("bert_score", reason="bert-score is of the extra eval")
    some = [i for i, text in enumerate(texts) if text][:15]
    scorer = library.BERTScorer(model_type=roles["bertscore"], num_layers=3, device="cpu")
    scorer._tokenizer.model_max_length = 512
    _, _, best = scorer.score([texts[i] for i in some], [list(documents[i].references) for i in some])
    found = score("bertscore", [documents[i] for i in some], [texts[i] for i in some], roles)
    assert found.values == pytest.approx(best.tolist(), abs=1e-4)
    assert found.signature.options == {"blank": 0, "idf": False, "layer": 3, "references": "best", "rescaled": False}


def test_rescaled_bertscore_is_that_of_bert_score(documents, texts, deep_encoder):
    """A model by a name that the library has a baseline for, at the layer that its authors tuned."""
    library = pytest.importorskip("bert_score", reason="bert-score is of the extra eval")
    from benchmarks.metrics import bertscore

    baseline = Path(library.__file__).parent / "rescale_baseline/en/bert-base-uncased.tsv"
    assert bertscore.baseline_of(locate_model(deep_encoder)) == baseline
    some = [i for i, text in enumerate(texts) if text][:15]
    chosen = [documents[i] for i in some], [texts[i] for i in some]
    scorer = library.BERTScorer(
        model_type=deep_encoder, num_layers=9, lang="en", rescale_with_baseline=True, baseline_path=str(baseline)
    )
    scorer._tokenizer.model_max_length = 512
    _, _, theirs = scorer.score(chosen[1], [list(document.references) for document in chosen[0]])
    roles = {"paper_bertscore_rescaled": deep_encoder, "paper_bertscore": deep_encoder}
    found = score("legacy_bertscore_rescaled", *chosen, roles)
    assert found.values == pytest.approx(theirs.tolist(), abs=1e-4)
    assert found.signature.options == {"blank": 0, "idf": False, "layer": 9, "references": "best", "rescaled": True}
    base = float(baseline.read_text().splitlines()[10].split(",")[3])  # F1 of layer 9, below the heads
    plain = score("legacy_bertscore", *chosen, roles)
    assert found.values == pytest.approx([(value - base) / (1 - base) for value in plain.values], abs=1e-5)
    assert base > 0.1


def test_bertscore_at_a_layer_that_a_network_lacks_is_null(documents, texts, roles, tmp_path):
    pytest.importorskip("bert_score", reason="bert-score is of the extra eval")
    import shutil

    folder = shutil.copytree(roles["bertscore"], tmp_path / "bert-base-uncased")  # of three layers
    chosen = documents[:4], texts[:4]
    taking = {"paper_bertscore_rescaled": str(folder)}
    [failed] = metrics.score(
        metrics.MetricInput("detox", "local", *chosen), ["legacy_bertscore_rescaled"], evaluators=taking
    )
    assert failed.reason.startswith("failed: AssertionError: Invalid num_layers")


def test_similarity_does_not_depend_on_batches(texts):
    """One by one or all at once; the parts that depend on batch mates are below the decimals kept."""
    some = [text for text in texts if text][:12]

    def fresh():
        from benchmarks.metrics.core import cache

        cache._open.cache_clear()
        return MetricInput("detox", "local", [], [], models={"similarity": locate_model("minilm")})

    together = cosines(fresh(), some, some[::-1])
    alone = np.concatenate([cosines(fresh(), [a], [b]) for a, b in zip(some, some[::-1], strict=True)])
    assert together == pytest.approx(alone, abs=1e-5)
    assert np.linalg.norm(embed(fresh(), some), axis=1) == pytest.approx(np.ones(12), abs=1e-6)
    long = "the coffee is cold and " * 200
    assert cosines(fresh(), [long], [long + "so is the tea"]) == pytest.approx([1.0], abs=1e-5)


def test_paradetox_s_own_similarity_is_the_cosine_of_mean_vectors(tmp_path):
    """A tiny model in the form of ParaDetox's, its embeddings added up by hand."""
    import argparse

    import torch

    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece comes with the extra eval")
    pytest.importorskip("nltk", reason="nltk is of the extra eval")
    (tmp_path / "lines.txt").write_text("the cat sat\nthe dog sat\na cat ran\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "lines.txt"), model_prefix=str(tmp_path / "sim.sp"), vocab_size=16, minloglevel=2
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sim.sp.model"))
    vocabulary = {pieces.id_to_piece(i): i for i in range(3, pieces.get_piece_size())}
    vectors = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    content = {"state_dict": {"embedding.weight": vectors}, "vocab": vocabulary, "args": argparse.Namespace(dim=4)}
    torch.save(content, tmp_path / "sim.pt")
    documents = [Document("0", "the cat sat", "x", ("x",)), Document("1", "the cat sat", "x", ("x",))]
    [found] = metrics.score(
        metrics.MetricInput("detox", "local", documents, ["The cat sat", "a dog ran"]),
        ["sim"],
        evaluators={"similarity": str(tmp_path)},
    )

    def mean(text):
        return np.mean([vectors[vocabulary[p]].numpy() for p in pieces.encode(text, out_type=str)], axis=0)

    one, other = mean("the cat sat"), mean("a dog ran")
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert found.values == pytest.approx((1.0, cosine), abs=1e-4)
    assert found.signature.options["pooling"] == "mean of subword vectors"


def states_one_by_one(folder, texts, start):
    """Likelihoods and last states, one text at a time, as the library's own manual has it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    losses, counts, states = [], [], []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        tokens = torch.tensor([[tokenizer.bos_token_id, *ids] if start else ids])
        with torch.no_grad():
            out = network(tokens, labels=tokens, output_hidden_states=True)
        counts.append(tokens.shape[1] - 1)
        losses.append(float(out.loss) * counts[-1] if counts[-1] else 0.0)
        states.append(out.hidden_states[-1][0, -1].numpy())
    return np.array(losses), np.array(counts), np.stack(states)


def test_perplexity_is_that_of_transformers(documents, texts, roles):
    kept = [text for text in texts if text]
    losses, counts, _ = states_one_by_one(roles["lm"], kept, start=True)
    found = score("perplexity", documents, texts, roles)
    assert found.value == pytest.approx(math.exp(losses.sum() / counts.sum()), rel=1e-4)
    assert found.value > 2
    assert (found.n, found.total) == (len(kept), 60)
    each = np.sort(np.exp(losses / counts))
    assert score("legacy_ppl_mean", documents, texts, roles).value == pytest.approx(each.mean(), rel=1e-4)
    cut = int(0.05 * len(each))
    trimmed = score("legacy_ppl_trimmed", documents, texts, roles).value
    assert trimmed == pytest.approx(each[cut : len(each) - cut].mean(), rel=1e-4)


def test_mauve_is_that_of_mauve_text(documents, texts, roles):
    library = pytest.importorskip("mauve", reason="mauve-text is of the extra eval")
    keys = [[text or "the", document.target or "a"] for text, document in zip(texts, documents, strict=True)]
    pairs = [Document(d.id, None, target, (target,)) for d, (_, target) in zip(documents, keys, strict=True)]
    asked = [text for text, _ in keys]
    _, _, p = states_one_by_one(roles["lm"], asked, start=False)
    _, _, q = states_one_by_one(roles["lm"], [target for _, target in keys], start=False)
    theirs = library.compute_mauve(p_features=p, q_features=q, seed=25, verbose=False).mauve
    assert score("legacy_mauve", pairs, asked, roles).value == pytest.approx(theirs, abs=0.03)
    from benchmarks.metrics.mauve import area, clustered, mauve

    found = clustered(p, q, 3)
    assert 0.01 < found.mauve < 0.99
    assert mauve(p, q, 3) == area(found.p_hist, found.q_hist) == pytest.approx(found.mauve, abs=1e-9)


def test_mauve_of_chunks_is_the_mean_over_all_pairs_of_them(documents, texts, roles, monkeypatch):
    library = pytest.importorskip("mauve", reason="mauve-text is of the extra eval")
    from benchmarks.metrics import legacy

    monkeypatch.setattr(legacy, "CHUNK", 20)
    kept = [i for i, text in enumerate(texts) if text and documents[i].target.strip()][:50]
    asked = [texts[i] for i in kept] + [""]  # a blank one is left out, and so is what fills no chunk
    answers = [documents[i].target for i in kept] + ["car"]
    pairs = [Document(str(i), None, target, (target,)) for i, target in enumerate(answers)]
    _, _, p = states_one_by_one(roles["lm"], asked[:40], start=False)
    _, _, q = states_one_by_one(roles["lm"], answers[:40], start=False)
    theirs = [
        library.compute_mauve(p_features=p[i : i + 20], q_features=q[j : j + 20], seed=25, verbose=False).mauve
        for i in (0, 20)
        for j in (0, 20)
    ]
    found = score("legacy_mauve_chunked", pairs, asked, roles)
    assert found.value == pytest.approx(sum(theirs) / 4, abs=1e-3)
    assert (found.n, found.total) == (40, 51)
    assert found.signature.options == {"chunk": 20, "chunks": 2, "seed": 25, "start": False}
    assert len(set(theirs)) > 1 and score("legacy_mauve", pairs, asked, roles).value != found.value


@pytest.mark.parametrize(("name", "role", "good"), [("sta", "toxicity", "neutral"), ("fl", "acceptability", "LABEL_0")])
def test_classifiers_are_those_of_transformers(documents, texts, roles, name, role, good):
    from transformers import pipeline

    asked = [text for text in texts if text]
    judge = pipeline("text-classification", model=roles[role], device="cpu")
    theirs = iter([float(judge(text)[0]["label"] == good) for text in asked])
    found = score(name, documents, texts, roles)
    assert found.values == tuple(next(theirs) if text else 0.0 for text in texts)
    assert 0 < found.value < 1
    assert found.signature.options["class"] == f"0 {good}"


def test_mean_sta_j_is_the_product_of_means(documents, texts, roles):
    sta, sim, fl = (score(name, documents, texts, roles) for name in ("sta", "sim", "fl"))
    products = [a * b for a, b in zip(sim.values, fl.values, strict=True)]
    found = score("legacy_j_mean_sta", documents, texts, roles)
    assert found.value == pytest.approx(sta.value * sum(products) / 60, abs=1e-4)
    assert found.low <= found.value <= found.high


def test_detoxify_is_that_of_detoxify(documents, texts, roles):
    library = pytest.importorskip("detoxify", reason="detoxify is of the extra eval")
    some = [i for i, text in enumerate(texts) if text][:20]
    checkpoint = next(Path(roles["detoxify"]).glob("*.ckpt"))
    judge = library.Detoxify(checkpoint=str(checkpoint), huggingface_config_path=roles["detoxify"])
    theirs = judge.predict([texts[i] for i in some])["toxicity"]
    found = score("detoxify", [documents[i] for i in some], [texts[i] for i in some], roles)
    assert found.values == pytest.approx(theirs, abs=1e-4)
    assert np.ptp(theirs) > 0.001


def test_profanity_is_that_of_profanity_check():
    check = pytest.importorskip("profanity_check", reason="alt-profanity-check is of the extra eval")
    texts = ["you are a stupid idiot", "the coffee is cold", "", "damn it", "good morning"]
    documents = [Document(str(i), "s", "t", ("t",)) for i in range(5)]
    found = score("sta_profanity", documents, texts)
    probabilities = check.predict_prob(texts)
    assert found.values == tuple(float(p < 0.5 and text != "") for p, text in zip(probabilities, texts, strict=True))
    assert found.values[:3] == (0.0, 1.0, 0.0)
