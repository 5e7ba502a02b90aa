"""Bring Detoxify's checkpoint from where the library has it, and the configuration and tokenizer it is built on.

The checkpoint is a pickle: it is kept as it is and only ever read as tensors and plain values, never as code.
"""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import CacheError
from benchmarks.evaluators.catalogue import Model
from cosmos.io.files import make_folder
from cosmos.io.seals import read_hash

_VARIANT = "original"
_CHUNK = 1 << 20
_SECONDS = 20.0


def bring(model: Model, folder: Path, say: Callable[[str], None]) -> None:
    """Make `folder`, whole or not at all; a cut download goes on where it stopped.

    Raises:
        UserError: the library is missing, the place does not answer, or the checkpoint is not the one it names.
    """
    from benchmarks.evaluators.fetching import finish
    from benchmarks.evaluators.hub_download import download

    assert model.hub is not None, "the checkpoint is built on a model of the hub"
    if find_spec("detoxify") is None:
        raise UserError("Detoxify is not installed; run pip install -c constraints.txt -e '.[eval]' first.")
    say(f"{model.hub}: asking the hub")
    base = download(model.hub, model.patterns)
    from detoxify.detoxify import MODEL_URLS  # after the hub has answered: it imports torch, which takes seconds

    address: str = MODEL_URLS[_VARIANT]
    partial = folder.with_name(folder.name + ".partial")
    make_folder(partial, CacheError)
    name = address.rsplit("/", 1)[-1]
    say(f"{model.name}: loading {name}")
    resume(address, partial / name)
    prefix = name.rsplit("-", 1)[-1].partition(".")[0]
    if not read_hash(partial / name).startswith(prefix):
        (partial / name).unlink()
        raise UserError(f"{name} does not hash to what its name says and was deleted; fetch it again.")
    for path in base.iterdir():
        shutil.copyfile(path, partial / path.name)
    finish(partial, folder, model, origin=f"detoxify {_VARIANT} on {model.hub}")


def resume(address: str, path: Path) -> None:
    """Load a file, going on behind what is there already.

    Raises:
        UserError: the address does not answer or breaks off.
    """
    start = path.stat().st_size if path.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            goes_on = answer.status == 206
            expected = answer.headers.get("Content-Length")
            with path.open("ab" if goes_on else "wb") as file:
                before = file.tell() if goes_on else 0
                shutil.copyfileobj(answer, file, _CHUNK)
                if expected is not None and file.tell() - before != int(expected):
                    raise UserError(f"The download of {path.name} broke off; the same command goes on with it.")
    except urllib.error.HTTPError as error:
        if error.code != 416:  # nothing is left to load
            raise UserError(f"{path.name} cannot be loaded (answer {error.code}); try again later.") from error
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{path.name} cannot be loaded ({reason}); where there is a network, run the same command again."
        ) from error
