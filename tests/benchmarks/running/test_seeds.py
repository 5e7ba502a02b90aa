"""Seeds of texts: the same everywhere, different for each text and each seed."""

from __future__ import annotations

import hashlib

from benchmarks.running.seeds import request_seed


def test_seeds_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(b"7\x1fdocument").hexdigest()
    assert request_seed(7, "document") == int(digest[:16], 16) // 2
    assert request_seed(0, "a") == 8617095791668180470


def test_seeds_fit_an_int64_and_differ() -> None:
    seeds = {request_seed(seed, f"doc-{n}") for seed in range(20) for n in range(500)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_names_cannot_be_mistaken_for_seeds() -> None:
    assert request_seed(1, "1") != request_seed(11, "")
