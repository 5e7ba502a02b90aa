"""A first stage on corpora that are read row by row: shares, permutations, what they held, and the same bytes again."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from pyarrow import parquet

from cosmos.cli.main import main
from cosmos.data.mixture import BLOCK, MixtureOrder, permuted
from cosmos.data.streaming import stream
from cosmos.data.token_store import store_tokens
from cosmos.io.artifact import check_files, read_artifact
from cosmos.io.errors import UserError
from cosmos.io.openings import LENGTHS, met, openings, write_filter
from cosmos.stages import measured
from cosmos.text.corpora import CorpusFile, check_corpora, read_rows
from cosmos.text.encoder import TextEncoder
from cosmos.text.vocabulary import Vocabulary
from cosmos.training.budget import Budget
from cosmos.training.config import TrainingRun

sys.path.insert(0, str(Path(__file__).parent))
from tiny_cosmos import SOURCES, TARGETS, tiny_encoder, tiny_recipe

FEW = Budget(12, "steps")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Targets as Parquet, and sources as JSON lines of which two are one long row."""
    folder = tmp_path_factory.mktemp("files")
    parquet.write_table(pyarrow.table({"id": range(len(TARGETS)), "text": TARGETS}), folder / "a.parquet")
    rows = [*SOURCES[:5], f"{SOURCES[5].capitalize()} {SOURCES[6].capitalize()}"]
    (folder / "b.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return folder / "a.parquet", folder / "b.jsonl"


@pytest.mark.parametrize("count", [1, 2, 3, 17, 1024, 5000])
def test_a_permutation_has_every_number_once(count: int) -> None:
    every = torch.arange(count)
    one, other = permuted(every, count, 1), permuted(every, count, 2)
    assert torch.equal(one.sort().values, every) and torch.equal(other.sort().values, every)
    assert count < 17 or float((one == other).double().mean()) < 0.3


def test_a_permutation_has_no_order_left() -> None:
    moved = permuted(torch.arange(10_000), 10_000, 5).double()
    place = torch.arange(10_000).double()
    assert abs(float(torch.corrcoef(torch.stack((place, moved)))[0, 1])) < 0.05
    assert abs(float(torch.corrcoef(torch.stack((moved[1:], moved[:-1])))[0, 1])) < 0.05


def test_corpora_are_seen_by_their_weight_and_their_texts_equally_often() -> None:
    counts, weights = [300, 1000, 7], [2.0, 0.5, 3.0]
    order = MixtureOrder(counts, weights, seed=4)
    rows = order.rows(0, 3 * BLOCK + 100)
    assert torch.equal(rows[5000:9000], MixtureOrder(counts, weights, seed=4).rows(5000, 9000))
    assert not torch.equal(rows, MixtureOrder(counts, weights, seed=5).rows(0, len(rows)))
    seen = Counter(rows.tolist())
    per_text = len(rows) / sum(count * weight for count, weight in zip(counts, weights, strict=True))
    for first, count, weight in zip((0, 300, 1300), counts, weights, strict=True):
        times = [seen[row] for row in range(first, first + count)]
        assert min(times) >= int(per_text * weight) - 1 and max(times) <= int(per_text * weight) + 2
        assert sum(times) == pytest.approx(per_text * weight * count, rel=0.02)
    starts = [Counter((order.rows(at, at + 800) >= 300).tolist())[False] for at in range(0, 8000, 800)]
    assert max(starts) - min(starts) < 150  # mixed, not one after the other


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_rows_are_read_one_by_one(name: str, tmp_path: Path) -> None:
    texts = ["one. Two", "three\u2028four"] if name != "a.txt" else ["one. Two", "three four"]
    if name == "a.parquet":
        parquet.write_table(pyarrow.table({"source": ["x", "y"], "target": texts}), tmp_path / name)
    elif name == "a.jsonl":
        (tmp_path / name).write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    else:
        (tmp_path / name).write_text("\n\n".join(texts))
    assert list(read_rows(tmp_path / name)) == texts


def test_tokens_on_disk_are_those_of_the_texts_and_long_ones_become_several(
    encoder: TextEncoder, files: tuple[Path, Path], tmp_path: Path
) -> None:
    stored = store_tokens(CorpusFile(files[1]), encoder, 10, tmp_path)
    wanted, _ = encoder.ids(SOURCES[:7], 10)
    assert len(stored.states) == 7 and stored.states.cut == 0
    for number, row in enumerate(wanted):
        ids, mask = stored.states.ids(torch.tensor([number]), 10)
        assert ids[mask].tolist() == row
    assert set(stored.numbers) == {number for row in wanted for number in row}
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    store_tokens(CorpusFile(files[1]), encoder, 10, tmp_path)
    assert before == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(store_tokens(CorpusFile(files[1]), encoder, 24, tmp_path).states) == 6  # another limit: read again


@pytest.mark.parametrize("name", ["tokens.bin", "starts.bin", "openings.bin", "about.json"])
def test_stored_tokens_that_were_changed_are_refused(
    name: str, files: tuple[Path, Path], encoder: TextEncoder, tmp_path: Path
) -> None:
    store_tokens(CorpusFile(files[1]), encoder, 10, tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[-3] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="delete that folder and run again"):
        store_tokens(CorpusFile(files[1]), encoder, 10, tmp_path)


def test_a_mixed_batch_has_the_rows_of_each_corpus(
    encoder: TextEncoder, files: tuple[Path, Path], tmp_path: Path
) -> None:
    run = TrainingRun(tmp_path, 0, "cpu")
    streamed = stream([CorpusFile(files[0]), CorpusFile(files[1], 3.0)], TARGETS[:3], encoder, 10, FEW, run, measured)
    texts = [*TARGETS, *SOURCES[:7]]
    assert streamed.vocabulary.pieces == Vocabulary.of(texts, str(encoder.folder)).pieces
    index = torch.tensor([25, 0, 24, 7, 30])
    batch = streamed.corpus.train.targets.batch(index)
    wanted = streamed.vocabulary.encode([texts[row] for row in index.tolist()], 10)
    assert torch.equal(batch["tokens"], wanted.tokens) and torch.equal(batch["mask"], wanted.mask)
    sample = streamed.corpus.sample
    first = streamed.corpus.train.targets.order(0).rows(0, 2)
    expected = encoder.encode([texts[row] for row in first.tolist()], 10)
    found = sample.batch(torch.arange(2))
    torch.testing.assert_close(found["states"], expected.states, rtol=1e-3, atol=1e-3)
    cost = streamed.corpus.cost.flops
    assert cost > 0 and len(sample) == len(texts)
    poor = stream(
        [CorpusFile(files[0])], [], encoder, 10, Budget(cost, "flops"), TrainingRun(tmp_path / "p", 0, "cpu"), measured
    )
    assert len(poor.corpus.sample) == 16  # no more than it must


def test_texts_that_stood_in_a_corpus_are_told(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(4000)]
    passages = [" ".join(words[at : at + 30]) + ". " + " ".join(words[at + 30 : at + 70]) for at in range(0, 3900, 70)]
    hashes = np.array([number for passage in passages for number in openings(passage)], np.uint64)
    write_filter(tmp_path / "filter", [hashes[:50], hashes[50:]], len(hashes))
    whole, second = passages[:20], [" ".join(passage.split()[30:]).upper() for passage in passages[:20]]
    assert met(tmp_path / "filter", [*whole, *second]) == (40, 40)
    inside = [" ".join(passage.split()[5:]) for passage in passages]  # no sentence begins there
    assert met(tmp_path / "filter", inside)[0] == 0
    assert met(tmp_path / "filter", [" ".join(passages[0].split()[: LENGTHS[0] - 1])]) == (0, 0)
    others = [" ".join(words[at::7][:40]) for at in range(300)]
    assert met(tmp_path / "filter", others)[0] <= 1
    same_start = [f"{' '.join(passage.split()[:20])} {' '.join(words[9:30])}" for passage in passages]
    assert met(tmp_path / "filter", same_start)[0] == 0


def train(files: tuple[Path, Path], out: Path, *more: str) -> int:
    words = ["train-autoencoder", "--texts", str(files[0]), "--texts", f"{files[1]}=3", "--out", str(out)]
    return main([*words, "--preset", "tiny", "--device", "cpu", "--budget", "12steps", *more])


@pytest.mark.slow
def test_a_first_stage_is_left_with_what_it_cost_and_read(
    encoder: TextEncoder, files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cosmos.recipes.RECIPES", {"tiny": tiny_recipe(encoder.folder)})
    assert train(files, tmp_path / "calm") == 0
    about = read_artifact(tmp_path / "calm", "cosmos")
    assert [(c["texts"], c["weight"]) for c in about["corpora"]] == [(24, 1.0), (7, 3.0)]
    assert about["spent"]["steps"] == 12 and about["spent"]["texts_seen"] == 96 and about["spent"]["flops"] > 0
    assert about["text_encoder"] == encoder.fingerprint and about["sizes"]["max_tokens"] == 12

    class StoppedError(Exception):
        pass

    def stopping(stage: str, share: float, loss: float | None) -> None:
        if stage == "autoencoder" and share >= 0.5:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr("cosmos.cli.flags.progress_bars", lambda: nullcontext(stopping))
        with pytest.raises(StoppedError):
            train(files, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "artifact.json").exists()
    assert train(files, tmp_path / "stopped") == 0
    again = read_artifact(tmp_path / "stopped", "cosmos")
    assert again["files"] == about["files"] and again["spent"]["flops"] == about["spent"]["flops"]
    check_files(tmp_path / "calm", about)
    told = tmp_path / "calm" / "openings.bin"
    whole = told.read_bytes()
    told.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(UserError, match=r"openings.bin was changed after it was written"):
        check_files(tmp_path / "calm", about)
    told.write_bytes(whole)
    weights = tmp_path / "calm" / "model" / "standardiser.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with pytest.raises(UserError, match="was changed after it was written"):
        check_files(tmp_path / "calm", about)
    with pytest.raises(UserError, match="tencdm needs one of its own"):
        read_artifact(tmp_path / "calm", "tencdm")


def test_bad_corpora_are_refused_in_one_sentence(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert CorpusFile.parse(f"{files[0]}=0.5") == CorpusFile(files[0], 0.5)
    for text, message in (("a.txt=many", "Cannot read the weight"), ("a.txt=0", "must lie between")):
        with pytest.raises(UserError, match=message):
            CorpusFile.parse(text)
    (tmp_path / "a.csv").write_text("x")
    cases = (([], "Name between 1"), ([tmp_path / "a.csv"], "Cannot tell"), ([tmp_path / "b.txt"], "no file"))
    for paths, message in (*cases, ([files[0], files[0]], "named twice")):
        with pytest.raises(UserError, match=message):
            check_corpora([CorpusFile(path) for path in paths])
    assert main(["train-autoencoder", str(files[0]), "--out", "x", "--texts", str(files[0])]) == 2
