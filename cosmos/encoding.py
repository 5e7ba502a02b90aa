"""The frozen states that training reads, shared by stages: each list of texts is encoded once, and one stage pays."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from cosmos.budget import Budget
from cosmos.errors import UserError
from cosmos.files import make_folder, read_json, write_json
from cosmos.latent_cache import CachedLatents
from cosmos.processes import find_processes
from cosmos.state_cache import CachedStates, cache_states
from cosmos.text_encoder import TextEncoder
from cosmos.training_config import Progress


def first_process_first(device: str) -> AbstractContextManager[None]:
    """A block that the first process of a machine runs before the others, which then find the files it has made."""
    first: AbstractContextManager[None] = find_processes(device).accelerator.local_main_process_first()
    return first


@dataclass(frozen=True)
class Cost:
    """What something cost that is neither states nor latents."""

    seconds: float
    flops: float


class Encoding:
    """States for one stage, in folders named after a hash of the texts below a folder that stages may share.

    Attributes:
        paid: what this stage pays for before it trains: states no other stage has paid for, latents, a linear start.
    """

    def __init__(self, folder: Path, encoder: TextEncoder, stage: str, device: str, progress: Progress) -> None:
        self.folder, self.encoder, self.stage = folder, encoder, stage
        self.device, self.progress = device, progress
        self.paid: list[CachedStates | CachedLatents | Cost] = []

    def states(self, texts: Sequence[str], max_tokens: int) -> tuple[CachedStates, str]:
        """States of the texts, encoded unless they are there, and their key."""
        key = self._key(texts, max_tokens)
        place = self.folder / key[:16]
        with first_process_first(self.device):
            if not (place / "payer.json").exists():
                make_folder(place)
                write_json(place / "payer.json", {"stage": self.stage})
            found = cache_states(self.encoder, texts, place, max_tokens, self.tell)
        if read_json(place / "payer.json").get("stage") == self.stage:
            self.paid.append(found)
        return found, key

    def tell(self, share: float) -> None:
        """Pass on how far encoding is."""
        self.progress("encode", share, None)

    @property
    def seconds(self) -> float:
        return sum(cache.seconds for cache in self.paid)

    @property
    def flops(self) -> float:
        return sum(cache.flops for cache in self.paid)

    def left(self, budget: Budget) -> Budget:
        """What encoding the texts leaves of a budget; steps are spent by training alone.

        Raises:
            UserError: it leaves nothing.
        """
        spent = self.spent(budget)
        if spent >= budget.amount:
            raise UserError(
                f"Encoding the texts costs {spent:.3g}{budget.unit}, which uses up the {budget} of the stage "
                f"'{self.stage}'; give a larger budget or fewer texts."
            )
        return Budget(budget.amount - spent, budget.unit)

    def and_more(self, budget: Budget) -> Budget:
        """A budget that pays for encoding the texts too, of which `left` is this one."""
        return Budget(budget.amount + self.spent(budget), budget.unit)

    def spent(self, budget: Budget) -> float:
        """What encoding the texts costs in the unit of a budget."""
        return {"steps": 0.0, "seconds": self.seconds, "flops": self.flops}[budget.unit]

    def _key(self, texts: Sequence[str], max_tokens: int) -> str:
        digest = hashlib.blake2b(f"{self.encoder.fingerprint}/{max_tokens}".encode(), digest_size=16)
        for text in texts:
            content = text.encode()
            digest.update(len(content).to_bytes(8, "big") + content)
        return digest.hexdigest()
