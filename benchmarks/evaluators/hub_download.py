"""Download a repository of the hub into the local Hugging Face cache, where every library finds it by its name."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import is_whole

_SMALL = ("*.json", "*.txt", "*.model", "*.tiktoken")
_WEIGHTS = (("model*.safetensors",), ("pytorch_model*.bin",))  # the first kind that the repository has
_SECONDS = 10.0  # how long the hub may take to say that it is there


def download(repository: str, patterns: Sequence[str]) -> Path:
    """The folder of a repository's newest state, every file compared with the hash that the hub states.

    What is there already is not loaded again, and what was cut short goes on where it stopped.

    Args:
        patterns: which files; those that `transformers` reads if empty.

    Raises:
        UserError: no answer, no such repository, no access, or a file that came is not the one stated.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    transport: Any = HfHubHTTPError.__bases__[0]  # the errors of the library that it loads with, which changes

    if constants.HF_HUB_OFFLINE:
        raise UserError(f"HF_HUB_OFFLINE is set, so the hub is not asked for {repository}; unset it to fetch.")
    try:
        info = HfApi().model_info(repository, files_metadata=True, timeout=_SECONDS)
        stated = {
            sibling.rfilename: sibling.blob_id if sibling.lfs is None else sibling.lfs.sha256
            for sibling in info.siblings or ()
        }
        files = [name for name in stated if matches(name, tuple(patterns) or usual_files(tuple(stated)))]
        folder = Path(snapshot_download(repository, allow_patterns=files))
    except RepositoryNotFoundError as error:
        raise UserError(f"The hub has no model '{repository}', or it asks for a login: hf auth login.") from error
    except (transport, OSError) as error:
        said = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            f"The hub does not give {repository} ({said}); where there is a network, run: hf download {repository}"
        ) from error
    for name in files:
        expected = stated[name]
        if expected is not None and not is_whole(folder / name, expected):
            (folder / name).resolve().unlink()
            raise UserError(f"{name} of {repository} is not what the hub states and was deleted; fetch it again.")
    return folder


def usual_files(names: Sequence[str]) -> tuple[str, ...]:
    """The patterns that bring configuration, tokenizer and one kind of weights, of the files in the top folder."""
    for weights in _WEIGHTS:
        if any(matches(name, weights) for name in names):
            return (*_SMALL, *weights)
    return _SMALL


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a file of the top folder fits a pattern."""
    return "/" not in name and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
