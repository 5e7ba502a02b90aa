"""BERTScore (bert-score): how well the tokens of text and reference match in the states of an encoder.

Model, layer and rescaling move it by tens of points, so all three stand in the signature.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.evaluators import Located
from benchmarks.evaluators.suppress_output import quiet
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
from benchmarks.metrics.core.signature import library

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

_AT_ONCE = 64  # pairs scored and kept at a time
_LONGEST = 512  # tokens read of a text; the rest is cut
_SPARE = 2  # places that RoBERTa keeps for padding


def layer_of(model: Located) -> int:
    """The layer that the library's authors tuned for a model they know, the last one for others."""
    from bert_score.utils import model2layers

    for name in (model.name, model.name.rpartition("/")[2]):
        if name in model2layers:
            return int(model2layers[name])
    return int(json.loads((model.folder / "config.json").read_text())["num_hidden_layers"])


def baseline_of(model: Located) -> Path:
    """The library's file of baselines for a model it knows.

    Raises:
        Absent: it has none, so nothing can be rescaled.
    """
    import bert_score

    folder = Path(bert_score.__file__).parent / "rescale_baseline" / "en"
    for name in (model.name, model.name.rpartition("/")[2]):
        if (folder / f"{name}.tsv").is_file():
            return folder / f"{name}.tsv"
    raise Absent(f"not run: bert-score has no baseline to rescale {model.name} by")


def measure_with(role: str, *, rescaled: bool) -> Callable[[MetricInput], Measured]:
    """The evaluator's function: F1 of each text with its best reference; 0 for a text or references that are blank."""

    def measure(batch: MetricInput) -> Measured:
        import numpy as np

        model = batch.models[role]
        with quiet():
            layer = layer_of(model)
            baseline = baseline_of(model) if rescaled else None
        pairs: list[list[str]] = []
        for text, document in zip(batch.texts, batch.documents, strict=True):
            useful = [] if blank(text) else [those for those in document.references if not blank(those)]
            pairs.append([f"{len(text)}:{text}{those}" for those in useful])
        keys = [key for those in pairs for key in those]
        maker = f"bertscore {library('bert-score')}|{model.state}|layer {layer}|baseline {baseline is not None}"
        scores: Array = np.zeros(0)
        if keys:
            scores = batch.vectors.of(
                maker, keys, lambda missing: _score(model, layer, baseline, missing, batch.device)
            )
            scores = scores[:, 2]  # of precision, recall and F1
        values, start = [], 0
        for those in pairs:
            values.append(float(scores[start : start + len(those)].max()) if those else 0.0)
            start += len(those)
        options = {"blank": 0, "idf": False, "layer": layer, "references": "best", "rescaled": rescaled}
        return Measured(values=tuple(values), options=options)

    return measure


def _score(
    model: Located, layer: int, baseline: Path | None, keys: list[str], device: str
) -> Iterable[tuple[list[str], Array]]:
    scorer = _scorer(model.folder, layer, baseline, device)
    ordered = sorted(keys, key=len)  # of like length, so that little is padded
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        texts, references = zip(*(_parted(key) for key in some), strict=True)
        with quiet():
            columns = scorer.score(list(texts), list(references), batch_size=_AT_ONCE)
        yield some, _stack(columns)


@functools.lru_cache(maxsize=1)
def _scorer(folder: Path, layer: int, baseline: Path | None, device: str) -> Any:
    """The library's scorer, whose network is loaded once per process and device."""
    with quiet():
        from bert_score import BERTScorer

        scorer: Any = BERTScorer(
            model_type=str(folder),
            num_layers=layer,
            lang=None if baseline is None else "en",
            rescale_with_baseline=baseline is not None,
            baseline_path=None if baseline is None else str(baseline),
            device=device,
        )
        # Some tokenizers do not say how long a text may be, and the library then asks for more than a network has.
        tokenizer, longest = scorer._tokenizer, getattr(scorer._model.config, "max_position_embeddings", _LONGEST)
        tokenizer.model_max_length = min(tokenizer.model_max_length, longest - _SPARE, _LONGEST)
    return scorer


def _parted(key: str) -> tuple[str, str]:
    """Text and reference of a key, which is the length of the text, a colon, and both."""
    length, _, both = key.partition(":")
    return both[: int(length)], both[int(length) :]


def _stack(columns: tuple[Any, Any, Any]) -> Array:
    """Precision, recall and F1, shape (pairs, 3); 0 where a side holds no token that the model knows."""
    import torch

    out: Array = torch.nan_to_num(torch.stack(columns, dim=1)).cpu().numpy()
    return out


def metric(name: str, summary: str, role: str, *, rescaled: bool) -> Metric:
    """BERTScore by the model of a role."""
    evaluator = Evaluator(
        name=lambda: f"{library('bert-score')}, {library('transformers')}",
        measure=measure_with(role, rescaled=rescaled),
        modules=("bert_score", "torch", "transformers"),
        command=INSTALL_EVAL,
        models=(role,),
    )
    return Metric(name=name, summary=summary, direction="higher", evaluators={ANYWHERE: evaluator})


BERTSCORE = metric(
    "bertscore",
    "Mean F1 of tokens matched with the best reference in an encoder's states, not rescaled; a blank text has 0.",
    "bertscore",
    rescaled=False,
)
