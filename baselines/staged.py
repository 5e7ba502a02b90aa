"""Rivals that train in several stages under one budget.

`StagedRival.fit` is `Rival.fit` with `optimise` in place of its single call of the training loop.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from baselines import checkpoint
from baselines.canvas import CanvasRival
from baselines.contract import Budget, Corpus, Fitted, Progress, UserError, silent
from baselines.sequence import encode_pairs
from cosmos import resume
from cosmos.training import Batches, Trained
from cosmos.vocabulary import Vocabulary


class StagedRival(CanvasRival):
    """A rival that says itself how the budget is spent."""

    @abstractmethod
    def optimise(
        self,
        model: nn.Module,
        data: Batches,
        validation: Batches,
        budget: Budget,
        workdir: Path,
        *,
        seed: int,
        device: str,
        progress: Progress,
    ) -> Trained:
        """Train the network in place, all stages; killed and called again, it takes up where it was."""

    def fit(
        self, corpus: Corpus, budget: Budget, workdir: Path, *, seed: int, device: str, progress: Progress = silent
    ) -> Fitted:
        """Train within the budget and leave a checkpoint; see the contract."""
        given = checkpoint.inputs(corpus, budget, seed)
        done = checkpoint.finished(workdir, self.configured, given)
        if done is not None:
            return done
        if not corpus.train:
            raise UserError(f"There is nothing to train '{self.name}' on; give at least one document.")
        vocabulary = Vocabulary.of(text for d in corpus.train for text in (d.source, d.target) if text is not None)
        pairs = encode_pairs(corpus.train, vocabulary, self.limits)
        shape = {"vocabulary": vocabulary.padded_size, **self.shape(pairs)}
        model = self.fresh(shape, seed)
        trained = self.optimise(
            model,
            self.batches(pairs, shape),
            self.batches(encode_pairs(corpus.validation, vocabulary, self.limits), shape),
            budget,
            workdir / "training",
            seed=seed,
            device=device,
            progress=progress,
        )
        fitted = Fitted(
            steps=trained.steps,
            seconds=trained.seconds,
            flops=trained.flops,
            validation_loss=trained.validation_loss,
            notes={
                "best_share": trained.best_share,
                "validation_losses": [list(pair) for pair in trained.history],
                "parameters": sum(value.numel() for value in resume.trainable(model).values()),
                "cut_sources": pairs.cut_sources,
                "cut_targets": pairs.cut_targets,
                **shape,
            },
        )
        checkpoint.save(workdir, self.configured, given, shape, vocabulary, model, fitted)
        return fitted


def together(stages: Sequence[tuple[Trained, float]]) -> Trained:
    """What several stages cost as one.

    Args:
        stages: what each cost, and its share of the budget.

    Returns:
        Sums of steps, seconds and FLOPs; the validation loss of the last; steps and shares counted from the first on.
    """
    history: list[tuple[int, float]] = []
    steps, share, best, best_share = 0, 0.0, float("inf"), None
    for trained, part in stages:
        losses = [loss for _, loss in trained.history]
        if losses and min(losses) < best:
            assert trained.best_share is not None
            best, best_share = min(losses), share + part * trained.best_share
        history += [(steps + step, loss) for step, loss in trained.history]
        steps, share = steps + trained.steps, share + part
    return Trained(
        steps=steps,
        seconds=sum(trained.seconds for trained, _ in stages),
        flops=sum(trained.flops for trained, _ in stages),
        validation_loss=stages[-1][0].validation_loss,
        best_share=best_share,
        history=tuple(history),
    )
