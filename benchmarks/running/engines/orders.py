"""What a worker is told and what it answers: plain values, which a machine without this project can read too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypedDict

from benchmarks.records import environment
from cosmos import __version__

if TYPE_CHECKING:
    from benchmarks.running.runner import Stage

VARIABLES = (
    "COSMOS_CACHE", "COSMOS_COMMIT", "COSMOS_DATA", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
)  # fmt: skip
"""Variables by which this project and its libraries are told something: a worker has those of the command."""

TOKEN = "token"  # in a run's folder for claims: who finds it there sees the same folder


class WorkOrder(TypedDict):
    """One piece of work.

    Attributes:
        choices: the command's choices, pickled; `run` is the folder of the run, absolute.
        environment: `VARIABLES`; None for one that is not set.
        parcel: what the work needs of the folder, for who does not see it; None where all see it.
    """

    version: tuple[str, str | None]
    stage: Stage
    cells: tuple[str, ...]
    choices: bytes
    device: str
    run: str
    token: str
    environment: Mapping[str, str | None]
    threads: int | None
    beside: str | None
    parcel: bytes | None
    attempt: int


class Answer(TypedDict):
    """How a piece of work ended.

    Attributes:
        ending: done; failed, which may go well another time; refused, which will not; full, of a machine that cannot
            write; apart, of one that does not see the folder and was given no parcel; stranger, of another version.
        node: the machine, in words.
        parcel: what the folder of the run lacks; None where the worker wrote into it.
    """

    ending: Literal["done", "failed", "refused", "full", "apart", "stranger"]
    said: str
    node: str
    parcel: bytes | None


def this_version() -> tuple[str, str | None]:
    """The version of this project, and its commit where it is known."""
    return __version__, environment.commit()[0]


def named(version: tuple[str, str | None]) -> str:
    """A version in words."""
    number, commit = version
    return f"cosmos-bench {number}" + (f" (commit {commit[:10]})" if commit else "")
