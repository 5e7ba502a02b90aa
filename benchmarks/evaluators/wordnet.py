"""Bring WordNet for METEOR: by NLTK's own downloader, or from the operating system's package where no hub answers."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import CacheError
from benchmarks.evaluators.catalogue import Model
from benchmarks.evaluators.suppress_output import quiet
from cosmos.io.files import make_folder

SYSTEM = Path("/usr/share/wordnet")  # of Debian's packages wordnet-base and wordnet-sense-index
_NEEDED = (
    *(f"{kind}.{part}" for part in ("noun", "verb", "adj", "adv") for kind in ("data", "index")),
    *(f"{part}.exc" for part in ("noun", "verb", "adj", "adv")),
    "index.sense",
)
# The files of senses, numbered from 0: name and part of speech (1 noun, 2 verb, 3 adjective, 4 adverb), from the manual
# page lexnames(5WN). The system's package leaves the file out.
_NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group location motive object "
    "person phenomenon plant possession process quantity relation shape state substance time"
)
_VERBS = (
    "body change cognition communication competition consumption contact creation emotion motion perception "
    "possession social stative weather"
)


def lexnames() -> str:
    """The file that names the 45 files of senses: number, name, part of speech."""
    names = [("adj.all", 3), ("adj.pert", 3), ("adv.all", 4)]
    names += [(f"noun.{name}", 1) for name in _NOUNS.split()]
    names += [(f"verb.{name}", 2) for name in _VERBS.split()]
    names += [("adj.ppl", 3)]
    return "".join(f"{number:02d}\t{name}\t{part}\n" for number, (name, part) in enumerate(names))


def bring(model: Model, folder: Path, say: Callable[[str], None]) -> None:
    """Make `folder` with corpora/wordnet in it, as NLTK reads it; whole or not at all.

    Raises:
        UserError: neither NLTK's downloader nor the operating system has it.
    """
    from benchmarks.evaluators.fetching import finish

    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    words = partial / "corpora" / "wordnet"
    make_folder(words.parent, CacheError)
    if all((SYSTEM / name).exists() for name in _NEEDED):
        say(f"{model.name}: copying {SYSTEM}")
        copy(SYSTEM, words)
        origin = "the operating system's packages"
    else:
        say(f"{model.name}: asking NLTK's downloader")
        if not _download(partial):
            shutil.rmtree(partial, ignore_errors=True)
            raise UserError(
                "NLTK's downloader does not answer; on Debian run: apt-get install wordnet-base wordnet-sense-index, "
                "then fetch wordnet again."
            )
        origin = "NLTK's downloader"
    finish(partial, folder, model, origin=origin)


def copy(system: Path, words: Path) -> None:
    """Copy the operating system's word net and add what it leaves out."""
    make_folder(words, CacheError)
    for name in _NEEDED:
        shutil.copyfile(system / name, words / name)
    (words / "lexnames").write_text(lexnames())


def _download(root: Path) -> bool:
    """Ask NLTK, which checks what it loads by its checksum."""
    try:
        from nltk.downloader import Downloader
    except ImportError as error:
        raise UserError("NLTK is not installed; run pip install -c constraints.txt -e '.[eval]' first.") from error
    with quiet():
        Downloader(download_dir=str(root)).download("wordnet", quiet=True)
    archive = root / "corpora" / "wordnet.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(archive.parent)
        archive.unlink()
    return (root / "corpora" / "wordnet" / "index.sense").exists()
