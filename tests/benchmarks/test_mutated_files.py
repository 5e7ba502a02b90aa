"""Every file of a run, of a measurement of speed and of a data set, with one thing wrong in it: read, or refused in one
sentence. Nothing else may come of it, whoever reads it."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.contract import UserError
from benchmarks.data.local import Local, LocalOptions
from benchmarks.planning.plan_file import join
from benchmarks.records import run_texts, seals, store
from benchmarks.running import fitting
from benchmarks.speed import schema as speed
from reports import latex, markdown
from reports.content import build

sys.path.insert(0, str(Path(__file__).parents[1]))

from mutations import DAMAGED, WRONG, mutations

Command = Callable[..., subprocess.CompletedProcess[str]]
FLAGS = ("--task", "echo", "--device", "cpu", "--set", "batch_size=8", "--set", "data.test=9", "--out", "run")


EACH = 4  # wrong values at every place


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """What was done to a file of JSON, or to its first line, and its bytes after that."""
    first, rest = path.read_text(), ""
    if path.suffix == ".jsonl":
        first, _, rest = first.partition("\n")
    for said, text in mutations(json.loads(first), EACH):
        yield said, f"{text}\n{rest}".encode("utf-8", "surrogatepass")
    for number, data in enumerate(DAMAGED):
        yield f"bytes {number}", data


def outcomes(path: Path, readers: list[Callable[[], object]], every: int = 1) -> tuple[int, int]:
    """How many contents of a file are refused by one reader at least, and how many are read by all.

    Args:
        readers: the first reads every content, the others one of `every` that it can read.
    """
    before, counts, faults = path.read_bytes(), [0, 0], []
    for said, data in contents(path):
        path.write_bytes(data)
        try:
            readers[0]()
            if counts[1] % every == 0:
                for reader in readers[1:]:
                    reader()
        except UserError:
            counts[0] += 1
        except Exception as error:
            faults.append(f"{said}: {error!r} in {traceback.extract_tb(error.__traceback__)[-1]}")
        else:
            counts[1] += 1
    path.write_bytes(before)
    assert not faults, f"{path.name}: " + "\n".join(faults)
    return counts[0], counts[1]


@pytest.fixture
def run(command: Command, unreported: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small run with everything in it, as before records were sealed: else a seal would hide each fault."""
    monkeypatch.setenv("COSMOS_COMMIT", "0123456")
    done = command("run", *FLAGS, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    for path in (run / "plan.json", *run.glob("checkpoints/*.json"), *run.glob("cells/*/header.json")):
        rest = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("seal", "files")}
        path.write_text(json.dumps({**rest, "schema": seals.SINCE - 1}))
    for path in (*run.glob("cells/*/scores.jsonl"), *run.glob("cells/*/timings.jsonl")):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(
            "".join(
                json.dumps({k: v for k, v in row.items() if k not in ("seal", store.SAMPLES)}) + "\n" for row in rows
            )
        )
    return run


def test_files_of_a_run_are_read_or_refused(run: Path, command: Command) -> None:
    (folder,) = (path.parent for path in run.glob("cells/*/header.json") if '"fast"' in path.read_text())
    plan = store.read_plan(run)
    assert plan is not None

    def report() -> None:
        made = build(run, run / "report")
        markdown.write(made, {})
        latex.write(made, "")

    def show() -> None:
        done = command("show", "toy", "--out", "run", cwd=run.parent)
        assert done.returncode in (0, 2) and "Traceback" not in done.stderr

    def read_cell() -> None:
        record = store.read_cell(folder)
        run_texts.documents_of(run, record.header, record.samples)

    def read_fit() -> None:
        fitting.training_of(run, fit.stem)
        fitting.documents_of(run, fit.stem)

    (documents,), (fit,) = run.glob("documents/*.jsonl"), run.glob("checkpoints/*.json")
    readers: list[Callable[[], object]] = [read_cell, show, report]
    counts = {name: outcomes(folder / f"{name}.jsonl", readers, 12) for name in ("samples", "timings", "scores")}
    counts["header"] = outcomes(folder / "header.json", readers, 40)
    counts["documents"] = outcomes(documents, readers, 12)
    counts["fit"] = outcomes(fit, [read_fit])
    counts["plan"] = outcomes(run / "plan.json", [lambda: join(store.read_plan(run), plan, run), show, report], 40)
    assert all(refused > 10 for refused, _ in counts.values()), counts
    assert sum(refused + read for refused, read in counts.values()) > 500, counts
    show()
    report()


def test_texts_learnt_from_are_read_or_refused(run: Path) -> None:
    (path,) = run.glob("learnt/*")
    name = path.name.partition(".")[0]
    rows = gzip.decompress(path.read_bytes()).splitlines()
    for wrong in (*(word.encode() for word in WRONG), *DAMAGED):
        path.write_bytes(gzip.compress(b"\n".join([wrong, *rows[1:]])))
        if wrong in (b'""', b'"x"', b'"\\ud800"'):
            assert run_texts.read_learnt(run, name) is not None
        else:
            with pytest.raises(UserError, match="is damaged"):
                run_texts.read_learnt(run, name)
    for data in DAMAGED[1:]:
        path.write_bytes(data)
        with pytest.raises(UserError, match="is damaged"):
            run_texts.read_learnt(run, name)


def test_lines_of_speed_are_read_or_refused(tmp_path: Path) -> None:
    made = {"commit": None, "dirty": None, "packages": {}, "device": {"name": "An ordinary CPU"}}
    subject = speed.Subject("generation", "gpt2", "nano", {"width": 3}, "greedy", {}, 2, 16, 100, "float32", "cpu")
    for record in (
        speed.Ceilings(1e9, 1e9, 64, 64, "float32", made),
        speed.SpeedRecord(subject, "done", "2026-01-01", made, seconds=(0.1,), calls={"gpt2": 3}, flops=1e6),
    ):
        path = tmp_path / speed.FILE
        path.write_text(json.dumps(speed.to_line(record)) + "\n")
        assert outcomes(path, [lambda: speed.read_records(tmp_path)])[0] > 20
        found = speed.read_records(tmp_path)
        expected = replace(record, method="gpt2") if isinstance(record, speed.SpeedRecord) else record
        assert (found.ceilings, *found.measured)[-1] == expected


def rows(split: str, count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"{split}-{i}", "source": f"ask {split} {i}", "target": f"say {i}", "references": [f"tell {i}"]}
        for i in range(count)
    ]


def test_lines_of_a_data_set_are_read_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for split, count in (("train", 4), ("validation", 2), ("test", 2)):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(split, count)))

    def read() -> None:
        for document in Local(LocalOptions(str(tmp_path), "mine")).load("detox", "test"):
            for text in itertools.chain((document.id, document.source or "", document.target), document.references):
                assert text.encode() and text.strip()

    read()
    refused, kept = outcomes(folder / "test.jsonl", [read])
    assert refused > 15
    assert kept < 15  # an id or a text may be "x", -7, or a huge number, and references may be none


def test_a_configuration_is_read_or_refused(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    tables = ["task", "system", "seed", "steps", "limit", "metric", "offline", "out", "budget", "sweep", "data.test"]
    texts = [f"{key} = {wrong}\n" for key in tables for wrong in ("7", "1.5", "nan", '"x"', "[]", "[[1]]", "{x=1}")]
    texts += [f"{key} = {wrong}\n" for key in ("seed", "data.test") for wrong in ("1" + "0" * 400, "1" + "0" * 5000)]
    texts += [
        "x = " + "[" * 100_000,
        "a" + ".a" * 40_000 + " = 1",
        '"\\ud800" = 1',
        'out = "\\u0000"',
        "task = 1\ntask = 2",
    ]
    for text in texts:
        path.write_text('task = "echo"\n' * ("task" not in text[:4]) + text)
        done = command("plan", "--device", "cpu", "--config", "run.toml", cwd=tmp_path)
        assert done.returncode in (0, 2), text[:50]
        assert len(done.stderr.splitlines()) == (done.returncode == 2), text[:50]
    for data in (b"\xff = 1", b"\0"):
        path.write_bytes(data)
        assert command("plan", "--config", "run.toml", cwd=tmp_path).returncode == 2
