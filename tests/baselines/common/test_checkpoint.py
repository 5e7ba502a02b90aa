"""A checkpoint that a killed process left finished is verified before it is taken for the result of a training."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from baselines.contract import Corpus, UserError

sys.path.insert(0, str(Path(__file__).parents[1]))
from tiny_systems import CORPUS, LIMITS, Trained, fit, make

LONGER = dataclasses.replace(LIMITS, source_tokens=LIMITS.source_tokens + 1)

Train = Callable[[str], Trained]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cheaper(path: Path) -> None:
    stored = json.loads(path.read_text())
    stored["fitted"]["seconds"] /= 100
    path.write_text(json.dumps(stored))


def other_pieces(path: Path) -> None:
    stored = json.loads(path.read_text())
    stored["pieces"][-1], stored["pieces"][-2] = stored["pieces"][-2:]
    path.write_text(json.dumps(stored))


@pytest.mark.parametrize(
    ("system", "name", "forge"),
    [
        ("mdlm", "fit.json", cheaper),
        ("mdlm", "weights.safetensors", flip),
        ("mdlm", "vocabulary.json", other_pieces),
        ("cosmos", "model/denoiser/model.safetensors", flip),
    ],
)
def test_an_edited_checkpoint_is_refused_where_its_training_is_taken_up(
    system: str, name: str, forge: Callable[[Path], None], trained: Train, encoder_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(trained(system).folder, tmp_path / "copy")
    first = fit(make(system, encoder_folder), folder)
    forge(folder / name)
    with pytest.raises(UserError, match=rf"^{folder / name} was changed after it was written; delete its folder and"):
        fit(make(system, encoder_folder), folder)
    assert first.steps == 40


class StoppedError(Exception):
    """A process that ends here."""


def stop(stage: str, share: float, loss: float | None) -> None:
    if stage != "encode" and share >= 0.5:
        raise StoppedError


def test_a_training_goes_on_with_its_own_documents_alone(encoder_folder: Path, tmp_path: Path) -> None:
    """As many others, or the same in another order, are others, whatever calls the system."""
    with pytest.raises(StoppedError):
        fit(make("mdlm", encoder_folder), tmp_path, progress=stop)
    turned = Corpus(CORPUS.train[::-1], CORPUS.validation)
    with pytest.raises(UserError, match=r"Training of 'mdlm' in .* began with other settings: made_of was"):
        fit(make("mdlm", encoder_folder), tmp_path, corpus=turned)


def test_a_resume_point_of_another_system_is_not_gone_on_with(encoder_folder: Path, tmp_path: Path) -> None:
    """The names and shapes of what is trained may be the same, as those of one system for two tasks."""
    systems = {name: make("tencdm", encoder_folder, limits) for name, limits in (("a", LIMITS), ("b", LONGER))}
    for name, system in systems.items():
        with pytest.raises(StoppedError):
            fit(system, tmp_path / name, progress=stop)
    [theirs], [mine] = ([*(tmp_path / name / "training").glob("*.resume.safetensors")] for name in "ab")
    shutil.copy(theirs, mine)
    with pytest.raises(UserError, match="began with other settings: made_of was"):
        fit(systems["b"], tmp_path / "b")
    mdlm = make("mdlm", encoder_folder)
    with pytest.raises(StoppedError):
        fit(mdlm, tmp_path / "c", progress=stop)
    shutil.copy(theirs, tmp_path / "c" / "training" / "mdlm.resume.safetensors")
    (tmp_path / "c" / "training" / "mdlm.resume.previous.safetensors").unlink(missing_ok=True)
    with pytest.raises(UserError, match="is a resume point of another training; delete it, and run again"):
        fit(mdlm, tmp_path / "c")
