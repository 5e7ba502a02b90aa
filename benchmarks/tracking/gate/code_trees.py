"""The code of a commit, laid out in a folder of its own for as long as it is needed (`git worktree`)."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from baselines.contract import UserError

HERE = Path(__file__).resolve().parents[3]
"""The folder of the code at work."""
_SHOWN = 10  # digits of a commit


@dataclass(frozen=True)
class CodeTree:
    """Code that can be run: the folder that holds the packages, and what to call it."""

    folder: Path
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process that runs this code and not that at work."""
        others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
        kept = [part for part in others if Path(part).resolve() not in (HERE, self.folder)]
        return {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), *kept])}


def short(commit: str) -> str:
    """As much of a commit's hash as is shown."""
    return commit[:_SHOWN]


def at_work(commit: str | None, dirty: bool | None) -> CodeTree:
    """The code that is running, of which environment.commit() said this."""
    changed = " with uncommitted changes" if dirty else ""
    return CodeTree(HERE, f"commit {short(commit)}{changed}" if commit else "the code at work")


@contextmanager
def checked_out(commit: str, repository: Path = HERE) -> Iterator[CodeTree]:
    """The code of a commit, removed again at the end.

    Raises:
        UserError: there is no git repository, or it does not have the commit.
    """
    if _git(repository, "rev-parse", "--git-dir").returncode != 0:
        raise UserError(
            f"{repository} is not in a git repository, so the code of {short(commit)} cannot be checked out."
        )
    if _git(repository, "cat-file", "-e", f"{commit}^{{commit}}").returncode != 0:
        raise UserError(
            f"The repository {repository} does not have the commit {short(commit)}; fetch it (a shallow clone lacks "
            "most: `git fetch --unshallow`)."
        )
    with tempfile.TemporaryDirectory(prefix="gate-") as temporary:
        folder = Path(temporary).resolve() / "code"
        done = _git(repository, "worktree", "add", "--detach", "--force", str(folder), commit)
        if done.returncode != 0:
            raise UserError(f"git cannot check out {short(commit)}: {' '.join(done.stderr.split())[:300]}")
        try:
            yield CodeTree(folder / _below_top(repository), f"commit {short(commit)}")
        finally:
            _git(repository, "worktree", "remove", "--force", str(folder))


def _below_top(repository: Path) -> str:
    """Where in its repository a folder is, which may hold other projects besides."""
    return _git(repository, "rev-parse", "--show-prefix").stdout.strip()


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A git command that runs no hook of the user's; one that fails where there is no git."""
    try:
        return subprocess.run(
            ["git", "-C", str(folder), "-c", "core.hooksPath=/dev/null", *words], capture_output=True, text=True
        )
    except OSError as error:
        return subprocess.CompletedProcess(words, 127, "", str(error))
