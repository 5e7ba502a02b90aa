"""The source itself as a system."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from baselines.contract import Document, Likelihood, Request
from baselines.reference.trivial import Floor


class OracleSystem(Floor):
    """A draw from P(target | source), which a built-in source knows exactly: the best that any sampler can do.

    Its distance from the references is what chance leaves, and its likelihood, on average over what can be asked and
    answered, is the source's own entropy.
    """

    log_probability: Callable[[str, str | None], float] | None = None

    def law(self, sample: Callable[[str | None, int], str]) -> None:
        """Take `sample(source, seed)`, a text drawn from it (P(target) where the source is None); as `answers`."""
        self.sample = sample

    def probability(self, log_probability: Callable[[str, str | None], float]) -> None:
        """Take `log_probability(target, source)`, in nats, of the same law."""
        self.log_probability = log_probability

    def text(self, request: Request) -> str:
        return self.sample(request.source, request.seed)

    def likelihoods(self, documents: Sequence[Document], seeds: Sequence[int]) -> list[Likelihood]:
        """Exact, where the source says how likely its texts are."""
        likelihoods = []
        for document in documents:
            told = self.log_probability
            log_p = -math.inf if told is None else told(document.target, document.source)
            nats = -log_p if math.isfinite(log_p) else None
            silent = "the source does not say how likely its texts are"
            reason = None if nats is not None else silent if told is None else "the language has no such text"
            likelihoods.append(Likelihood(document.id, nats, "exact", reason=reason))
        return likelihoods
