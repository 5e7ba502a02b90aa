"""What a report costs as cells grow many: nothing is read or worked out twice. `tests/speed` measures it."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import reports
from benchmarks.cli.main import main
from benchmarks.records import schema
from benchmarks.stats import paired
from reports import content


@pytest.fixture
def folder(fake_run, tmp_path):
    """Two seeds of two entries, and a floor."""
    fake_run.texts = 20
    for seed in (0, 1):
        fake_run.add("gpt2", "greedy", seed)
        fake_run.add("mdlm", "steps-8", seed)
    fake_run.add("copy", "default")
    return fake_run.write(tmp_path / "run")


@pytest.fixture
def read(monkeypatch):
    """How often each file is read, by its last two names."""
    counts, real = Counter(), Path.read_bytes

    def read_bytes(path):
        counts["/".join(path.parts[-2:])] += 1
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    return counts


def test_the_verb_report_reads_the_lines_of_a_cell_once(folder, read, capsys):
    """For its table, its pages and its figure together, besides once for their seals; headers once more, to say at once
    what is wrong."""
    assert main(["report", "--out", str(folder)]) == 0
    cells = [path.name for path in (folder / "cells").iterdir()]
    assert len(cells) == 5
    for cell in cells:
        for name, most in (("header.json", 2), ("samples.jsonl", 2), ("timings.jsonl", 2), ("scores.jsonl", 2)):
            assert 1 <= read[f"{cell}/{name}"] <= most, name
    said = capsys.readouterr().out
    assert said.startswith(reports.terminal(folder))
    assert f"markdown: {folder / 'report' / 'report.md'}" in said


def test_the_identity_of_a_cell_is_worked_out_once(folder, monkeypatch):
    """However many tables it is in: its id, its entry and its panel, each once a cell."""
    counts, real = Counter(), schema.canonical_json

    def canonical_json(value):
        text = real(value)
        counts[text] += '"system":' in text and '"status":' not in text  # that is a header, for its seal
        return text

    monkeypatch.setattr(schema, "canonical_json", canonical_json)
    content.build(folder, folder / "report")
    assert 0 < sum(counts.values()) <= 3 * 5


def test_random_signs_are_drawn_once_for_all_pairs(monkeypatch):
    """However many texts a pair differs on, which is seldom the same number."""
    drawn, real = [], paired._drawn

    def counted(generator, count):
        drawn.append(count)
        return real(generator, count)

    monkeypatch.setattr(paired, "_drawn", counted)
    paired._kept_signs.cache_clear()
    generator = np.random.default_rng(0)
    columns = generator.normal(size=(12, 50))
    differences = [(a - b) * (generator.random(50) < 0.8) for a, b in combinations(columns, 2)]
    assert len({np.count_nonzero(those) for those in differences}) > 3
    kept = [paired.sign_flip(those) for those in differences]
    assert drawn == [1 << 19]
    monkeypatch.setattr(paired, "_KEPT_SIGNS", 0)
    assert [paired.sign_flip(those) for those in differences] == kept, "drawn anew, they are the same"
    paired._kept_signs.cache_clear()


@pytest.mark.parametrize("n", [20, 500, 603, 3400])
def test_signs_are_those_of_one_generator_in_parts(n):
    """As they always were, so that p-values of records stay: the parts that a generator gave, four million at most.
    A part of 603 signs a draw ends within a random number, which makes four signs; 3400 are too many to keep."""
    assert (4_000_000 // 603) * 603 % 4 and 3400 * paired.FLIPS > paired._KEPT_SIGNS
    differences = np.random.default_rng(3).normal(0.05, 1, n)
    generator, sizes = np.random.default_rng(0), np.sort(np.abs(differences))
    observed, hits, left = abs(differences.sum()) - 1e-9 * sizes.max(), 0, paired.FLIPS
    while left:
        size = min(left, 4_000_000 // n)
        signs = generator.integers(0, 2, size=(size, n), dtype=np.int8) * 2 - 1
        hits, left = hits + int(np.sum(np.abs(signs @ sizes) >= observed)), left - size
    assert paired.sign_flip(differences) == (1 + hits) / (1 + paired.FLIPS)
