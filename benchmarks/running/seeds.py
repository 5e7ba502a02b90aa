"""Seeds from names, the same on every machine and in every process."""

from __future__ import annotations

import hashlib


def request_seed(seed: int, document: str) -> int:
    """The seed of one text, in [0, 2^63): a hash of the cell's seed and the document's id, and of nothing else.

    So a text does not depend on its place, its batch, or how many processes share the work.
    """
    digest = hashlib.sha256(f"{seed}\x1f{document}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
