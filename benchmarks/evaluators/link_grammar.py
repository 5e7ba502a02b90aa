"""Bring Link Grammar: from Debian's packages, unpacked into our own folder, for which nobody needs to be root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import CacheError
from benchmarks.evaluators.catalogue import Model
from cosmos.io.files import make_folder

PACKAGES = ("liblink-grammar5", "link-grammar-dictionaries-en")
_BESIDE = ("libhunspell-1.7-0",)  # what the library itself needs and few machines have


def bring(model: Model, folder: Path, say: Callable[[str], None]) -> None:
    """Make `folder` of Debian's packages, as they lie below /; whole or not at all.

    Raises:
        UserError: this system has no such packages, or they cannot be had.
    """
    from benchmarks.evaluators.fetching import finish

    remedy = f"on Debian or Ubuntu run: apt-get install {' '.join(PACKAGES)}"
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise UserError(
            f"Link Grammar comes with the operating system, and this one has no packages of Debian; {remedy}."
        )
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial / "packages", CacheError)
    say(f"{model.name}: asking apt-get for {', '.join((*PACKAGES, *_BESIDE))}")
    try:
        _run(["apt-get", "download", *PACKAGES, *_BESIDE], partial / "packages")
        for package in sorted((partial / "packages").glob("*.deb")):
            _run(["dpkg", "-x", str(package), str(partial)], partial)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(partial, ignore_errors=True)
        said = " ".join((error.stderr or "").split()) or f"exit code {error.returncode}"
        raise UserError(f"Link Grammar cannot be had from Debian's packages ({said}); {remedy}.") from error
    shutil.rmtree(partial / "packages")
    finish(partial, folder, model, origin="Debian's packages")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
