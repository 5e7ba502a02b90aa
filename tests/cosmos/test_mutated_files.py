"""Every JSON file of a model's folder, and every file of texts, with one thing wrong in it: read, or refused in one
sentence before any weight is read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cosmos.cli.main import main
from cosmos.config import DiffusionConfig
from cosmos.data.array_cache import has_array, open_array
from cosmos.io.errors import UserError
from cosmos.models.autoencoder import Autoencoder
from cosmos.models.denoiser import Denoiser
from cosmos.models.standardiser import Standardiser
from cosmos.pipeline import ABOUT, VOCABULARY, Pipeline, check
from cosmos.text.encoder import TextEncoder
from cosmos.text.files import read_sources, read_texts
from cosmos.text.vocabulary import Vocabulary
from cosmos.training import resume
from cosmos.training.config import TrainingResult

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from mutations import DAMAGED, mutations
from tiny_cosmos import AUTOENCODER, DENOISER, TARGETS, WIDTH, tiny_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    encoder = TextEncoder(str(tiny_encoder(tmp_path_factory.mktemp("encoder"))))
    vocabulary = Vocabulary.of(TARGETS, str(encoder.folder))
    autoencoder = Autoencoder(replace(AUTOENCODER, vocabulary=len(vocabulary)))
    model = Pipeline(vocabulary, Standardiser(WIDTH), autoencoder, encoder, Denoiser(DENOISER), DiffusionConfig())
    path = tmp_path_factory.mktemp("saved")
    model.save(path)
    return path


def refusals(path: Path, read: Callable[[], object], each: int) -> int:
    """How many contents of a file are refused; nothing else may come of one but that it is read."""
    before, refused, faults = path.read_bytes(), 0, []
    changed = [(said, text.encode("utf-8", "surrogatepass")) for said, text in mutations(json.loads(before), each)]
    for said, data in [*changed, *((f"bytes {data[:9]!r}", data) for data in DAMAGED)]:
        path.write_bytes(data)
        try:
            read()
        except UserError:
            refused += 1
        except Exception as error:
            faults.append(f"{said}: {error!r}")
    path.write_bytes(before)
    assert not faults, f"{path.name}: " + "\n".join(faults)
    read()
    return refused


@pytest.mark.parametrize("name", [ABOUT, "autoencoder/config.json", "denoiser/config.json"])
def test_a_model_s_folder_is_read_or_refused(folder: Path, name: str) -> None:
    assert refusals(folder / name, lambda: check(folder), 3) > 25


def test_a_vocabulary_is_read_or_refused(folder: Path) -> None:
    assert refusals(folder / VOCABULARY, lambda: Vocabulary.load(folder / VOCABULARY), 1) > 30


def test_what_a_training_leaves_is_read_or_refused(tmp_path: Path) -> None:
    arguments = {"seed": 3, "budget": "5steps"}
    result = TrainingResult(3, 1.5, 1e6, float("nan"), {"validation_losses": [[1, 2.0]]})
    resume.finish(tmp_path, "stage", {"weight": torch.zeros(2)}, arguments, result)
    marker, about = tmp_path / "stage.trained.json", tmp_path / "states.json"
    assert refusals(marker, lambda: resume.finished(tmp_path, "stage", arguments), 19) > 100
    about.write_text(json.dumps({"key": "k", "groups": 1, "seconds": 0.5, "flops": 3.0}))
    np.save(tmp_path / "states.npy", np.zeros((2, 3), dtype=np.float16))

    def opened() -> object:
        there = has_array(tmp_path, "states", "k")
        return there and open_array(tmp_path, "states", lambda array, noted: (len(array), 2 * noted["seconds"]))

    assert refusals(about, opened, 19) > 10


@pytest.mark.parametrize("read", [read_texts, read_sources])
def test_a_file_of_texts_is_read_or_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"source": "ask", "target": "say"}))
    assert refusals(path, lambda: read(path), 19) > 35
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(path)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        *(("--count", value) for value in ("0", "-1", "1000000000000", "9" * 5000, "1.5", "")),
        *(("--batch", value) for value in ("0", "1000000000000")),
        *(("--steps", value) for value in ("0", "1000000000", "x")),
        *(("--seed", value) for value in ("-1", str(2**63), "9" * 5000)),
        *(("--guidance", value) for value in ("nan", "inf", "1e999", "x")),
        ("--solver", "x" * 100_000),
        ("--device", "x" * 1000),
        ("--capture", "x" * 1000),
    ],
    ids=lambda value: value[:12],
)
def test_a_number_with_which_nothing_ends_is_refused(
    folder: Path, flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sample", str(folder), f"{flag}={value}"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and len(said) < 2100
