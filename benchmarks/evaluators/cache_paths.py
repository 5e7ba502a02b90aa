"""Where things are kept, and what a folder of weights hashes to. Standard library only."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from pathlib import Path

from benchmarks.records.files import hugging_face_home
from cosmos.io.files import WriteError, cache_folder, make_folder, write_bytes
from cosmos.io.seals import read_hash
from cosmos.io.typed_json import parse, read_as

MANIFEST = "evaluator.json"
_WEIGHTS = ("*.safetensors", "*.bin", "*.ckpt", "*.pt")  # the first kind that a folder has is what judges
_GIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORTH_KEEPING = 50_000_000  # bytes from which the hash of a file is kept on disk: half a second of hashing


class CacheError(WriteError):
    """The cache of evaluators and hashes cannot be written."""

    remedy = "set COSMOS_CACHE to another folder"


def own_folder(name: str) -> Path:
    """Where an evaluator of our own making lies: converted once, with a manifest."""
    return cache_folder() / "evaluators" / name


def hub_cache() -> Path:
    """The local Hugging Face cache of what comes from the hub."""
    return Path(os.path.expanduser(os.environ.get("HF_HUB_CACHE") or hugging_face_home() / "hub"))


def hub_root(repository: str) -> Path:
    """Where that cache has a repository, if it has it."""
    return hub_cache() / f"models--{repository.replace('/', '--')}"


def hub_folder(repository: str) -> Path | None:
    """The newest snapshot of a repository in the local Hugging Face cache, or None; asks no hub."""
    root = hub_root(repository)
    try:
        snapshot = root / "snapshots" / (root / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return snapshot if snapshot.is_dir() else None


def weights(folder: Path) -> list[Path]:
    """The files of a folder that hold weights, in order; those one level down if the folder itself has none."""
    for pattern in _WEIGHTS:
        files = sorted(folder.glob(pattern)) or sorted(folder.glob(f"*/{pattern}"))
        if files:
            return files
    return []


def weights_hash(folder: Path) -> str:
    """What the weights of a folder hash to: the SHA-256 of the file, or of the hashes of several.

    A folder without weights, such as a tokenizer or a word net, is hashed by all of its files.
    """
    files = weights(folder) or sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    hashes = [file_hash(path) for path in files]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def folder_hash(folder: Path) -> str:
    """What the files of a folder hash to, with their names; what lies deeper counts where there is nothing else."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.name != MANIFEST]
    named = [f"{path.name} {file_hash(path)}" for path in files]
    return hashlib.sha256("\n".join(named).encode()).hexdigest() if named else weights_hash(folder)


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes in hexadecimal, worked out once per state of the file.

    A file of the Hugging Face cache that was checked when it came is named by its hash; hashes of other large files are
    kept in the cache folder.
    """
    real = path.resolve()
    if _SHA256.fullmatch(real.name) and real.parent.name == "blobs":
        return real.name
    state = real.stat()
    return _hash(real, state.st_size, state.st_mtime_ns)


@functools.cache
def _hash(path: Path, size: int, changed: int) -> str:
    if size < _WORTH_KEEPING:
        return read_hash(path)
    store = cache_folder() / "hashes.json"
    key = f"{path}|{size}|{changed}"
    hashes = _stored_hashes(store)
    if key not in hashes:
        hashes = {**hashes, key: read_hash(path)}
        make_folder(store.parent, CacheError)
        write_bytes(store, (json.dumps(hashes, indent=1, sort_keys=True) + "\n").encode(), CacheError)
    return hashes[key]


def _stored_hashes(path: Path) -> dict[str, str]:
    try:
        return read_as(dict[str, str], parse(path.read_bytes()), str(path), "")
    except (OSError, ValueError):  # hashes are worked out again
        return {}


def is_whole(path: Path, stated: str) -> bool:
    """Whether a file is the one that the hub states, by its SHA-256 where it is large and by git's SHA-1 where it is
    small; a statement of another form says nothing."""
    if _SHA256.fullmatch(stated):
        return read_hash(path) == stated
    if not _GIT.fullmatch(stated):
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == stated
