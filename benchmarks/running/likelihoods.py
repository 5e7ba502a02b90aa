"""How likely a loaded system finds the test documents' targets, kept beside the samples so that scoring needs no model.

Not timed, and after all that is; the same for all settings of a checkpoint, so it is worked out once for them. It costs
a network one call for each text, or the few that a bound is estimated from: less than generating the texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from baselines.contract import Document, HasLikelihood, Likelihood, System, UserError
from benchmarks.records import store
from benchmarks.records.files import write_lines
from benchmarks.records.schema import LikelihoodRecord
from benchmarks.running.seeds import request_seed
from benchmarks.timing import memory

TEXTS = 16
"""How many are looked at together: the same whatever is generated at once, so that the last bits are the same too."""

DIGITS = 6  # decimals kept of nats
NOT_OFFERED = "the system gives no likelihood"


class TargetLikelihoods:
    """The likelihoods of all test documents by one loaded system.

    Args:
        seed: of the cells, from which each document's own follows.
        token_counts: how many tokens texts have in the tokenizer that the run's systems share, their end counted.
        progress: told the share that is done.
    """

    def __init__(
        self,
        system: System,
        documents: Sequence[Document],
        seed: int,
        token_counts: Callable[[Sequence[str]], list[int]],
        progress: Callable[[float], None],
    ) -> None:
        self.system, self.documents, self.seed = system, documents, seed
        self.token_counts, self.progress = token_counts, progress

    @property
    def absent(self) -> str | None:
        """Why there are none; None if there are."""
        if isinstance(self.system, HasLikelihood):
            return None
        return str(getattr(self.system, "no_likelihood", NOT_OFFERED))

    @cached_property
    def records(self) -> tuple[LikelihoodRecord, ...]:
        """One for each document, in order."""
        size = TEXTS
        while True:
            try:
                return tuple(self._records(size))
            except Exception as error:
                if not memory.is_exhausted(error):
                    raise
            memory.free()  # nothing refers to the failed call's tensors any more
            if size == 1:
                raise UserError(
                    "The device's memory does not hold the likelihood of even one text; use another device."
                )
            size //= 2

    def _records(self, size: int) -> list[LikelihoodRecord]:
        assert isinstance(self.system, HasLikelihood)
        records: list[LikelihoodRecord] = []
        for start in range(0, len(self.documents), size):
            part = self.documents[start : start + size]
            # A stream of its own: the request's seed is used up by the text.
            seeds = [request_seed(self.seed, f"likelihood\x1f{document.id}") for document in part]
            counts = self.token_counts([document.target for document in part])
            records += map(_record, self.system.likelihoods(part, seeds), counts)
            self.progress(min(1.0, (start + size) / len(self.documents)))
        return records

    def keep(self, folder: Path) -> str | None:
        """Write them into a cell's folder as a whole; returns why there are none."""
        if self.absent is None:
            write_lines(folder / store.LIKELIHOODS, map(vars, self.records))
        memory.free()
        return self.absent


def _record(given: Likelihood, tokens: int) -> LikelihoodRecord:
    nats = None if given.nats is None else round(given.nats, DIGITS)
    return LikelihoodRecord(given.id, nats, tokens, given.kind, given.draws, given.reason)
