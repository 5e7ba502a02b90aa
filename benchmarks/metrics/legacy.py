"""Scores as the scripts of the Cosmos lineage compute them, to be laid beside published numbers and nothing else.

Each has the sentence that says why it differs from ours. None leads a table, and none is needed for one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.metrics import bertscore
from benchmarks.metrics.classifiers import good_class, probabilities
from benchmarks.metrics.core.cache import texts_hash
from benchmarks.metrics.core.metric import (
    ANYWHERE,
    INSTALL_EVAL,
    Absent,
    Evaluator,
    Measured,
    Metric,
    MetricInput,
    blank,
)
from benchmarks.metrics.core.model_loading import load_tokenizer
from benchmarks.metrics.core.signature import library, ours
from benchmarks.metrics.core.words import RULE, pieces
from benchmarks.metrics.diversity import ORDERS, distinct_share
from benchmarks.metrics.language_model import TOKENS, likelihoods_and_states
from benchmarks.metrics.mauve import clustered
from benchmarks.metrics.memorisation import ORDER, longest_runs
from benchmarks.metrics.overlap import streams
from benchmarks.metrics.perplexity import PERPLEXITY
from benchmarks.metrics.similarity import cosines
from benchmarks.metrics.surface import sources
from benchmarks.records.schema import Direction
from cosmos.io.counting import counted

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

CHUNK = 1000  # texts of one MAUVE
MAUVE_SEED = 25
TRIMMED = 0.05  # share of perplexities left out at each end
TRAINING_TEXTS = 100_000
_CHARACTERS = 4  # texts with fewer are left out of character BLEU
_LM = ("torch", "transformers")


def legacy_metric(
    name: str,
    difference: str,
    measure: Callable[[MetricInput], Measured],
    judge: Callable[[], str] = ours,
    *,
    direction: Direction = "higher",
    modules: tuple[str, ...] = (),
    models: tuple[str, ...] = (),
    training: bool = False,
    samples: bool = False,
    companions: tuple[str, ...] = (),
) -> Metric:
    """A metric whose summary is the sentence that says why it differs from ours."""
    evaluator = Evaluator(judge, measure, modules, INSTALL_EVAL, models, training, samples=samples)
    return Metric(f"legacy_{name}", difference, direction, evaluators={ANYWHERE: evaluator}, companions=companions)


def perplexities(batch: MetricInput, role: str) -> list[float]:
    """exp(mean negative log-likelihood) of each text that is not empty, under the model that takes the role."""
    present = [text for text in batch.texts if text]
    rows = likelihoods_and_states(batch, role, present)[:, :2].tolist() if present else []
    out = [math.exp(loss / tokens) for loss, tokens in rows if tokens > 0]
    if not out:
        raise Absent(f"too few: none of {counted(len(batch.texts), 'text')} holds a token")
    return out


def trimmed_mean(values: Sequence[float], share: float) -> float:
    """The mean of what is left when `share` of the values, rounded down, is left out at each end."""
    cut = int(len(values) * share)
    middle = sorted(values)[cut : len(values) - cut]
    return math.fsum(middle) / len(middle)


def _ppl(share: float) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        values = perplexities(batch, "paper_lm")
        options = {"dtype": "float32", "over": "texts", "trimmed": share}
        return Measured(total=trimmed_mean(values, share), n=len(values), options=options)

    return measure


def _features(batch: MetricInput, texts: Sequence[str], most: int = TOKENS) -> Array:
    return likelihoods_and_states(batch, "paper_lm", texts, start=False, most=most)[:, 2:]


def filled_pairs(batch: MetricInput) -> tuple[list[str], list[str]]:
    """Texts and targets of which neither is empty."""
    pairs = zip(batch.texts, (document.target for document in batch.documents), strict=True)
    filled = [(text, target) for text, target in pairs if text.strip() and target.strip()]
    return [text for text, _ in filled], [target for _, target in filled]


def _mauve_once(batch: MetricInput) -> Measured:
    return mauve_at_once(batch, TOKENS)


def mauve_at_once(batch: MetricInput, most: int) -> Measured:
    """MAUVE of one clustering of texts cut at `most` tokens, features without a start token."""
    texts, references = filled_pairs(batch)
    if len(texts) < 20:
        pairs = counted(len(texts), "pair")
        raise Absent(f"too few: {pairs} without an empty text, and 20 are needed for two clusters")
    p, q = (_features(batch, side, most) for side in (texts, references))
    options: dict[str, object] = {"seed": MAUVE_SEED, "start": False, "texts": len(texts)}
    if most != TOKENS:
        options["tokens"] = most
    return Measured(total=float(clustered(p, q, MAUVE_SEED).mauve), n=len(texts), options=options)


def _mauve_chunked(batch: MetricInput) -> Measured:
    texts, references = filled_pairs(batch)
    chunks = len(texts) // CHUNK
    if chunks == 0:
        raise Absent(f"too few: {counted(len(texts), 'pair')} without an empty text, and a chunk has {CHUNK}")
    p, q = _features(batch, texts), _features(batch, references)
    parts = _chunks(chunks)
    values = [float(clustered(p[one], q[other], MAUVE_SEED).mauve) for one in parts for other in parts]
    options = {"chunk": CHUNK, "chunks": chunks, "seed": MAUVE_SEED, "start": False}
    return Measured(total=math.fsum(values) / len(values), n=chunks * CHUNK, options=options)


def _chunks(count: int) -> list[slice]:
    return [slice(CHUNK * index, CHUNK * (index + 1)) for index in range(count)]


def spacy_tokens(texts: Iterable[str]) -> list[list[str]]:
    """The tokens of spaCy's rules for English, case and runs of spaces kept: those of `en_core_web_sm`, which changes
    none of them, without its networks."""
    tokenizer = _spacy().tokenizer
    return [[token.text for token in tokenizer(text)] for text in texts]


@functools.cache
def _spacy() -> Any:
    import spacy

    return spacy.blank("en")


@functools.lru_cache(maxsize=1)
def _spacy_tokens_learnt(key: str, training: tuple[str, ...]) -> list[list[str]]:
    """The same for every system of a run."""
    return spacy_tokens(training)


def _spacy_chunks(batch: MetricInput) -> tuple[list[list[str]], list[slice], dict[str, object]]:
    """The tokens of all texts, the chunks that are whole, and what the signature says of both."""
    count = len(batch.texts) // CHUNK
    if count == 0:
        raise Absent(f"too few: {counted(len(batch.texts), 'text')}, and a chunk has {CHUNK}")
    if "tokens of spaCy" not in batch.memo:
        batch.memo["tokens of spaCy"] = spacy_tokens(batch.texts)
    return batch.memo["tokens of spaCy"], _chunks(count), {"chunk": CHUNK, "chunks": count, "tokens": "spacy en"}


def _diversity_spacy(batch: MetricInput) -> Measured:
    tokens, chunks, options = _spacy_chunks(batch)
    values = []
    for chunk in chunks:
        shares = [share for n in ORDERS if (share := distinct_share(tokens[chunk], n)) is not None]
        if len(shares) < len(ORDERS):
            raise Absent(f"too few: a chunk of {CHUNK} texts has none of {max(ORDERS)} tokens")
        values.append(math.prod(shares))
    return Measured(total=math.fsum(values) / len(values), n=len(chunks) * CHUNK, options=options)


def _memorisation_spacy(batch: MetricInput) -> Measured:
    tokens, chunks, options = _spacy_chunks(batch)
    training = tuple((batch.training or ())[:TRAINING_TEXTS])
    key = texts_hash(training)
    _, repeated = longest_runs(tokens, _spacy_tokens_learnt(key, training), ORDER)
    values = []
    for chunk in chunks:
        total = sum(max(0, len(words) - ORDER + 1) for words in tokens[chunk])
        if not total:
            raise Absent(f"too few: a chunk of {CHUNK} texts has none of {ORDER} tokens")
        values.append(float(repeated[chunk].sum()) / total)
    options |= {"training": len(training), "training_sha256": key[:8]}
    return Measured(total=math.fsum(values) / len(values), n=len(chunks) * CHUNK, options=options)


def _diversity(batch: MetricInput) -> Measured:
    texts = [pieces(text) for text in batch.texts]
    shares = [distinct_share(texts, n) for n in ORDERS]
    present = [share for share in shares if share is not None]
    if len(present) < len(shares):
        raise Absent(f"too few: no text has {max(ORDERS)} words")
    return Measured(total=math.prod(present), options={"texts": len(texts), "tokens": RULE})


def _memorisation(batch: MetricInput) -> Measured:
    training = (batch.training or ())[:TRAINING_TEXTS]
    texts = [pieces(text) for text in batch.texts]
    _, repeated = longest_runs(texts, map(pieces, training))
    totals = [max(0, len(words) - 3) for words in texts]
    if not sum(totals):
        raise Absent("too few: no text has 4 words")
    return Measured(total=float(repeated.sum()) / sum(totals), options={"tokens": RULE, "training": len(training)})


def _joint(batch: MetricInput) -> Measured:
    import numpy as np

    asked = sources(batch)
    rows = np.zeros((len(batch.texts), 3))  # (n, 3): style, similarity * fluency, 1
    rows[:, 2] = 1
    judged = [index for index, text in enumerate(batch.texts) if not blank(text)]
    texts = [batch.texts[index] for index in judged]
    if judged:
        style, fluency = (
            probabilities(batch, role, texts).argmax(axis=1) == good_class(batch.models[role])[0]
            for role in ("toxicity", "acceptability")
        )
        rows[judged, 0] = style
        rows[judged, 1] = cosines(batch, texts, [asked[index] for index in judged]) * fluency
    total = _product_of_means(rows.sum(axis=0, keepdims=True))[0]
    return Measured(total=float(total), rows=rows, statistic=_product_of_means, options={"blank": 0})


def _product_of_means(sums: Array) -> Array:
    out: Array = sums[:, 0] * sums[:, 1] / sums[:, 2] ** 2
    return out


def _characters(references: Callable[[MetricInput], Sequence[Sequence[str]]]) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        from nltk.translate.bleu_score import sentence_bleu

        from benchmarks.evaluators.suppress_output import quiet

        values: list[float | None] = []
        with quiet():  # of the warning that an order has no match
            for text, those in zip(batch.texts, references(batch), strict=True):
                short = len(text) < _CHARACTERS or any(len(other) < _CHARACTERS for other in those)
                values.append(None if short else float(sentence_bleu(list(those), text)))
        return Measured(values=tuple(values), options={"shortest": _CHARACTERS, "unit": "character"})

    return measure


def _pieces(batch: MetricInput) -> Measured:
    from sacrebleu.metrics.bleu import BLEU

    tokenizer = load_tokenizer(batch.models["pieces"].folder)
    corpus = BLEU(tokenize="none", smooth_method="none", force=True)
    references = [[_joined(tokenizer, document.target)] for document in batch.documents]
    texts = [_joined(tokenizer, text) for text in batch.texts]
    total = float(corpus.corpus_score(texts, streams(references)).score)
    return Measured(total=total, options={"sacrebleu": str(corpus.get_signature())})


def _joined(tokenizer: object, text: str) -> str:
    return " ".join(tokenizer.tokenize(text))  # type: ignore[attr-defined]  # of no common base class


PPL_TRIMMED = legacy_metric(
    "ppl_trimmed",
    "Perplexity of Cosmos and TEncDM: the mean over texts, not over tokens, of the middle nine tenths, so the worst "
    "and the best are left out, and empty ones too; Cosmos averages chunks of 1,000 texts, where there are more.",
    _ppl(TRIMMED),
    lambda: library("transformers"),
    direction="lower",
    modules=_LM,
    models=("paper_lm",),
    companions=PERPLEXITY.companions,
)
PPL_MEAN = legacy_metric(
    "ppl_mean",
    "Perplexity of the library evaluate: the mean over texts of exponentials, which exceeds that of the mean and "
    "follows the worst texts; empty ones are left out.",
    _ppl(0.0),
    lambda: library("transformers"),
    direction="lower",
    modules=_LM,
    models=("paper_lm",),
    companions=PERPLEXITY.companions,
)
MAUVE_ONCE = legacy_metric(
    "mauve",
    "MAUVE of the library evaluate: one clustering with one seed, features without a start token, and pairs with an "
    "empty text left out, so silence costs nothing.",
    _mauve_once,
    lambda: f"{library('mauve-text')}, {library('faiss-cpu')}, {library('transformers')}",
    modules=("mauve", *_LM),
    models=("paper_lm",),
)
MAUVE_CHUNKED = legacy_metric(
    "mauve_chunked",
    "MAUVE of Cosmos: the mean over all pairs of chunks of 1,000 texts, which are not independent, one seed, pairs "
    "with an empty text left out.",
    _mauve_chunked,
    lambda: f"{library('mauve-text')}, {library('faiss-cpu')}, {library('transformers')}",
    modules=("mauve", *_LM),
    models=("paper_lm",),
)
DIVERSITY = legacy_metric(
    "diversity",
    "Diversity of LD4LG, and of Cosmos for up to 1,000 texts: over all texts at their full length, so it falls as "
    "there are more of them; words by our rule, not by spaCy.",
    _diversity,
    direction="none",
)
MEMORISATION = legacy_metric(
    "memorisation",
    "Memorisation of LD4LG and Cosmos: 4-grams of the first 100,000 training texts only and no human value; words by "
    "our rule, not by spaCy.",
    _memorisation,
    direction="lower",
    training=True,
)
DIVERSITY_SPACY = legacy_metric(
    "diversity_spacy",
    "Diversity as in the tables of Cosmos: the product over n = 2, 3, 4 of distinct n-grams over all of 1,000 texts at "
    "their full length, the mean over chunks of as many, by spaCy's tokens.",
    _diversity_spacy,
    lambda: library("spacy"),
    direction="none",
    modules=("spacy",),
)
MEMORISATION_SPACY = legacy_metric(
    "memorisation_spacy",
    "Memorisation as in the tables of Cosmos: the share of 4-grams of 1,000 texts that the first 100,000 training "
    "texts have, the mean over chunks of as many, by spaCy's tokens.",
    _memorisation_spacy,
    lambda: library("spacy"),
    direction="lower",
    modules=("spacy",),
    training=True,
)
J_MEAN_STA = legacy_metric(
    "j_mean_sta",
    "J of the group's port: the mean of STA times the mean of SIM * FL, which loses the correlation that J is there to "
    "measure.",
    _joint,
    lambda: library("transformers"),
    modules=_LM,
    models=("toxicity", "acceptability", "similarity"),
)
BLEU_CHARACTERS_SOURCE = legacy_metric(
    "bleu_characters_source",
    "BLEU of ParaDetox's script: strings where lists of words are meant, so n-grams of characters, and against the "
    "source, so copying is best; texts of under four characters are left out.",
    _characters(lambda batch: [[source] for source in sources(batch)]),
    lambda: library("nltk"),
    modules=("nltk",),
)
BLEU_CHARACTERS = legacy_metric(
    "bleu_characters",
    "BLEU of the group's port of it: n-grams of characters against the reference; texts of under four characters are "
    "left out.",
    _characters(lambda batch: [[document.target] for document in batch.documents]),
    lambda: library("nltk"),
    modules=("nltk",),
)
BLEU_PIECES = legacy_metric(
    "bleu_pieces",
    "BLEU of the TEncDM lineage: over word pieces of multilingual BERT, which are shorter than words and match more, "
    "one reference, no smoothing.",
    _pieces,
    lambda: f"{library('sacrebleu')}, {library('transformers')}",
    modules=("sacrebleu", "transformers"),
    models=("pieces",),
)
BERTSCORE = bertscore.metric(
    "legacy_bertscore",
    "BERTScore of the TEncDM lineage: deberta-xlarge-mnli, not rescaled; tens of points from that of LD4LG.",
    "paper_bertscore",
    rescaled=False,
)
BERTSCORE_RESCALED = bertscore.metric(
    "legacy_bertscore_rescaled",
    "BERTScore of LD4LG: roberta-large, rescaled by the library's baseline, so it may be negative.",
    "paper_bertscore_rescaled",
    rescaled=True,
)
