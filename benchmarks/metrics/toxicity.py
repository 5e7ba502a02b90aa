"""Other judges of rudeness: alt-profanity-check, which needs no network, and Detoxify.

Both learnt from Jigsaw's comments, as did ParaDetox's judge of style: they are not independent witnesses.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.evaluators.suppress_output import quiet
from benchmarks.metrics.core.metric import ANYWHERE, INSTALL_EVAL, Evaluator, Measured, Metric, MetricInput, blank
from benchmarks.metrics.core.model_loading import in_batches, padded
from benchmarks.metrics.core.signature import library

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

THRESHOLD = 0.5
TOKENS = 512  # the longest text that Detoxify reads
_BUDGET = 4096  # tokens of a batch, with padding
_KIND = "toxicity"
_NAMES = {"toxic": _KIND, "severe_toxic": "severe_toxicity", "identity_hate": "identity_attack"}


def _profanity(batch: MetricInput) -> Measured:
    """1 where alt-profanity-check gives a probability of profanity below one half."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the packaged model was saved by an earlier scikit-learn
        from profanity_check import predict_prob

        present = [text for text in batch.texts if not blank(text)]
        probabilities = iter(predict_prob(present) if present else [])
    values = tuple(0.0 if blank(text) else float(next(probabilities) < THRESHOLD) for text in batch.texts)
    return Measured(values=values, options={"blank": 0, "threshold": THRESHOLD})


def load(folder: Path, device: str) -> tuple[Any, Any, tuple[str, ...]]:
    """Tokenizer, network and names of the outputs of a Detoxify checkpoint, with the library's own loader.

    The library would run code in the checkpoint and look for its base model on the hub: it is given tensors that were
    read without running any, and the folder instead.

    Raises:
        ValueError: the folder does not hold one checkpoint of Detoxify.
    """
    import torch
    from detoxify.detoxify import get_model_and_tokenizer

    files = sorted(folder.glob("*.ckpt"))
    if len(files) != 1:
        raise ValueError(f"{folder.name} holds {len(files)} checkpoints *.ckpt, and one is needed")
    loaded = torch.load(files[0], map_location="cpu", weights_only=True)
    config = loaded["config"]
    with quiet():
        network, tokenizer = get_model_and_tokenizer(
            **{**config["arch"]["args"], "model_type": str(folder)},
            state_dict=loaded["state_dict"],
            huggingface_config_path=str(folder),
        )
    names = tuple(_NAMES.get(name, name) for name in config["dataset"]["args"]["classes"])
    return tokenizer, network.float().eval().to(device), names


def _detoxify(batch: MetricInput) -> Measured:
    model = batch.models["detoxify"]
    present = [text for text in batch.texts if not blank(text)]

    def make(missing: list[str]) -> Iterable[tuple[list[str], Array]]:
        tokenizer, network, names = load(model.folder, batch.device)
        kind = names.index(_KIND)
        ids = tokenizer(missing, truncation=True, max_length=TOKENS, verbose=False)["input_ids"]
        fill = tokenizer.pad_token_id or 0
        return in_batches(
            missing, ids, _BUDGET, lambda some: _run(network, [ids[i] for i in some], fill, kind, batch.device)
        )

    probabilities = iter(batch.vectors.of(f"detoxify|{model.state}|{TOKENS}", present, make)[:, 0] if present else ())
    values = tuple(1.0 if blank(text) else float(next(probabilities)) for text in batch.texts)
    return Measured(values=values, options={"blank": 1, "output": _KIND, "tokens": TOKENS})


def _run(network: Any, ids: Sequence[Sequence[int]], fill: int, kind: int, device: str) -> Array:
    import torch

    tokens, mask = padded(ids, fill, device)  # (B, L) both
    with torch.inference_mode():
        logits = network(input_ids=tokens, attention_mask=mask)[0].float()  # (B, outputs)
        out: Array = torch.sigmoid(logits[:, kind : kind + 1]).cpu().numpy()
    return out


STA_PROFANITY = Metric(
    name="sta_profanity",
    summary="Share of texts without profanity by a linear classifier of words, not STA; 0 to 1, a blank text has 0.",
    direction="higher",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("alt-profanity-check"),
            measure=_profanity,
            modules=("profanity_check",),
            command=INSTALL_EVAL,
        )
    },
)

J_PROFANITY = Metric(
    name="j_profanity",
    summary="Mean over texts of STA (profanity) times SIM of the same text, blind to fluency: it rewards deleting "
    "words, and a source without its rude ones scores above the reference. It never leads.",
    direction="higher",
    parts=("sta_profanity", "sim"),
    companions=("sta_profanity", "sim"),
)

DETOXIFY = Metric(
    name="detoxify",
    summary="Mean probability of toxicity by Detoxify; 0 to 1, a blank text has 1, so silence is not polite.",
    direction="lower",
    evaluators={
        ANYWHERE: Evaluator(
            name=lambda: library("detoxify"),
            measure=_detoxify,
            modules=("detoxify", "torch", "transformers"),
            command=INSTALL_EVAL,
            models=("detoxify",),
        )
    },
)
