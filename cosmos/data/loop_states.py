"""Hidden states that are computed where they are needed, in the training loop, and never stored.

Stored, the states of a text take a kilobyte a token: a corpus of millions of texts would need terabytes. Here a text is
its token ids alone. A step is given those, and computes their states on its device before its loss, without a gradient
and in half precision on a GPU (`TextEncoder.batch_states`): the encoder is smaller than what is trained, and no text
waits for all others to be encoded first. What is computed so is part of the step, and paid for as such, each time.

Where a training sees each text many times and its networks are smaller than the encoder, storing is cheaper, as at the
preset nano; so a recipe says which.

Axis legend: B texts of a batch, L tokens, T tokens of all texts together, D width of the encoder.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cosmos.text.encoder import TextEncoder
from cosmos.training.batches import Batch, Rows
from cosmos.training.budget import Cost

IDS = "_ids"  # after the name of states in a batch: the tokens that they are to be computed of
_NAMES = (("states", "mask"), ("source", "source_mask"))


class LoopStates:
    """Texts as the encoder's token ids, with the methods of `cosmos.data.state_cache.CachedStates`.

    Attributes:
        flat: whole numbers [T], tokens of all texts end to end, specials included; may be memory-mapped.
        starts: int64 [number of texts + 1], where each text begins; may be memory-mapped.
        cut: how many texts were longer than the limit.
        limit: the most tokens of a text.
        cost: nothing, as nothing is computed before training.
    """

    cost = Cost()

    def __init__(self, encoder: TextEncoder, flat: Tensor, starts: Tensor, cut: int, limit: int) -> None:
        self.encoder, self.flat, self.starts, self.cut, self.limit = encoder, flat, starts, cut, limit

    @classmethod
    def of(cls, encoder: TextEncoder, texts: Sequence[str], max_tokens: int) -> LoopStates:
        """Texts cut into at most `max_tokens` tokens, specials included."""
        rows, cut = encoder.ids(texts, max_tokens)
        flat = torch.tensor([number for row in rows for number in row], dtype=torch.int32)
        starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
        return cls(encoder, flat, starts, cut, max_tokens)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, int64 [number of texts]."""
        return self.starts[1:] - self.starts[:-1]

    def longest_of(self, index: Tensor) -> int:
        """Tokens of the longest text at `index`."""
        return int((self.starts[index + 1] - self.starts[index]).max())

    def ids(self, index: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Token ids int64 [B, length] of the texts at `index`, padded, and mask bool [B, length]."""
        starts = self.starts[index]
        lengths = self.starts[index + 1] - starts
        assert int(lengths.max()) <= length
        along = torch.arange(length)
        mask = along < lengths[:, None]  # [B, L]
        places = (starts[:, None] + along).where(mask, starts[:, None])
        return self.flat[places].long().masked_fill_(~mask, self.encoder.pad), mask

    def rows(self, index: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """States float32 [B, length, D], computed now, on the encoder's device, and mask bool [B, length]."""
        ids, mask = (part.to(self.encoder.device) for part in self.ids(index, length))
        return self.encoder.batch_states(ids, mask), mask

    def batch(self, index: Tensor, length: int, name: str, mask_name: str) -> Rows:
        """What a step is given of the texts at `index`: their tokens, of which `with_states` computes states."""
        ids, mask = self.ids(index, length)
        return {name + IDS: ids, mask_name: mask}


def with_states(encoder: TextEncoder, batch: Batch) -> Batch:
    """The batch with states [B, L, D] in place of the tokens [B, L] that they are of, whose mask may be wider."""
    computed = dict(batch)
    for name, mask in _NAMES:
        if name + IDS in computed:
            ids = computed.pop(name + IDS)
            computed[name] = encoder.batch_states(ids, computed[mask][:, : ids.shape[1]])
    return batch.having(computed)
