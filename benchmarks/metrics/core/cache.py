"""What was worked out before, on disk: vectors that models gave for texts, and finished scores.

Every entry is found by the hash of all that decides it, so nothing here can be stale, only superfluous: the folder may
be deleted at any time. One SQLite file, so that a killed scoring loses at most the batch it was at, and several
processes may share it. Standard library until a vector is read.
"""

from __future__ import annotations

import functools
import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import CacheError
from benchmarks.records.files import line
from benchmarks.records.schema import Score, score_from_json, to_json
from cosmos.io.typed_json import parse

if TYPE_CHECKING:
    from benchmarks.stats.bootstrap import Array

FILE = "scores.sqlite"
_AT_ONCE = 500  # keys asked for in one statement
_IN_MEMORY = 20_000  # vectors held where there is no folder; then it starts anew
_WAIT_SECONDS = 60.0  # for another process that writes


class Vectors:
    """Vectors of texts, float32, by what made them: on disk in a folder, or in this process's memory.

    `progress` hears which share of the missing ones is made.
    """

    def __init__(self, folder: Path | None = None, progress: Callable[[float], None] | None = None) -> None:
        self._folder, self._progress = folder, progress or (lambda share: None)

    def of(
        self, maker: str, texts: Sequence[str], make: Callable[[list[str]], Iterable[tuple[list[str], Array]]]
    ) -> Array:
        """The vectors of texts, shape (n, k); those that are not kept yet are made and kept batch by batch.

        Args:
            maker: names all that decides a vector besides the text: model, weights, options.
            make: gives vectors, shape (batch, k), for some of the texts it is asked for at a time, and at last all.
        """
        import numpy as np

        connection = _open(self._folder)
        keys = {text: _key(maker, text) for text in texts}
        if self._folder is None:
            _make_room(connection, len(keys))
        missing = sorted(set(keys) - set(_stored_vectors(connection, keys)))
        made = 0
        for some, vectors in make(missing) if missing else ():
            rows = [
                (keys[text], np.asarray(vector, dtype=np.float32).tobytes())
                for text, vector in zip(some, vectors, strict=True)
            ]
            _write(connection, "insert or replace into vectors values (?, ?)", rows, self._folder)
            made += len(some)
            self._progress(made / len(missing))
        stored = _stored_vectors(connection, keys)
        assert len(stored) == len(keys), f"{maker} gave no vector for {len(keys) - len(stored)} texts"
        return np.stack([np.frombuffer(stored[text], dtype=np.float32) for text in texts]).astype(np.float64)


class Scores:
    """Finished scores by the hash of everything they depend on; nothing is kept without a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def get(self, key: str) -> Score | None:
        """The score kept under a key."""
        if self._folder is None:
            return None
        row = _open(self._folder).execute("select score from scores where key = ?", (key,)).fetchone()
        return None if row is None else score_from_json(parse(row[0]), f"A score kept in {self._folder / FILE}")

    def put(self, key: str, score: Score) -> None:
        """Keep a score."""
        if self._folder is not None:
            row = (key, line(to_json(score)))  # in its order: what is read is the line that was written
            _write(_open(self._folder), "insert or replace into scores values (?, ?)", [row], self._folder)


@functools.cache
def code_hash(measure: Callable[..., object]) -> str:
    """What the code that scores hashes to, ours and the file of the evaluator's function, perhaps another package's.

    So no score outlives a change of the code that made it.
    """
    root = Path(__file__).parents[2]
    files = [path for part in ("metrics", "data/world") for path in sorted((root / part).rglob("*.py"))]
    files += [root / "stats" / "bootstrap.py", root / "stats" / "intervals.py"]
    code = getattr(measure, "__code__", None)
    theirs = Path(code.co_filename) if code is not None else None
    if theirs is not None and theirs.is_file() and theirs not in files:
        files.append(theirs)
    hashed = hashlib.sha256()
    for path in files:
        hashed.update(path.read_bytes())
    return hashed.hexdigest()


def texts_hash(texts: Iterable[str]) -> str:
    """What texts hash to, in order."""
    hashed = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        hashed.update(len(data).to_bytes(8, "little") + data)
    return hashed.hexdigest()


def _key(maker: str, text: str) -> bytes:
    return hashlib.sha256(f"{maker}\0{text}".encode("utf-8", "surrogatepass")).digest()


@functools.cache
def _open(folder: Path | None) -> sqlite3.Connection:
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        place = ":memory:" if folder is None else str(folder / FILE)
        connection = sqlite3.connect(place, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        # A killed process loses nothing that was written; a power cut may cost the last entries, to be made again.
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute("create table if not exists vectors (key blob primary key, vector blob)")
        connection.execute("create table if not exists scores (key text primary key, score text) without rowid")
    except OSError as error:
        raise CacheError.of(folder or Path(FILE), error) from error
    except sqlite3.OperationalError as error:  # what the system refuses
        raise CacheError(f"Cannot keep scores in {folder} ({error}); {CacheError.remedy}.") from error
    except sqlite3.Error as error:
        raise UserError(
            f"Cannot keep scores in {folder} ({error}); delete {FILE} there, or set COSMOS_CACHE to another folder."
        ) from error
    return connection


def check(folder: Path) -> None:
    """See that scores can be kept in a folder, before anything is made that they would be of.

    Raises:
        UserError: it cannot be made or written, or what lies there is no cache.
    """
    _write(_open(folder), "delete from scores where key = ? or key = ?", [("", "")], folder)


def _stored_vectors(connection: sqlite3.Connection, keys: dict[str, bytes]) -> dict[str, bytes]:
    """The vectors kept of these texts."""
    texts = {key: text for text, key in keys.items()}
    vectors = {}
    for some in _pieces(list(texts), _AT_ONCE):
        marks = ",".join("?" * len(some))
        for key, vector in connection.execute(f"select key, vector from vectors where key in ({marks})", some):
            vectors[texts[key]] = vector
    return vectors


def _pieces(keys: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _make_room(connection: sqlite3.Connection, rows: int) -> None:
    (held,) = connection.execute("select count(*) from vectors").fetchone()
    if held and held + rows > _IN_MEMORY:
        connection.execute("delete from vectors")


def _write(
    connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, object]], folder: Path | None
) -> None:
    """Write rows, all or none."""
    try:
        connection.execute("begin immediate")
        connection.executemany(statement, rows)
        connection.execute("commit")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("rollback")
        raise CacheError(f"Cannot keep scores in {folder} ({error}); make room, or {CacheError.remedy}.") from error
