"""Systems that several processes train together: the losses of one, whoever goes on with whatever they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import cosmos

sys.path.insert(0, str(Path(__file__).parent / "autoregressive"))
sys.path.insert(0, str(Path(__file__).parent))
import launched_systems
from launched_systems import Ending, Run
from tiny_language_models import save_model
from tiny_systems import DOCUMENTS, SYSTEMS

CLOSE = 1e-5


def train(encoder: Path, *runs: Run) -> list[Ending]:
    """Give the program these runs; how each has ended."""
    environment = {
        **os.environ, "PYTHONPATH": str(Path(cosmos.__file__).parent.parent), "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true", "HF_HUB_OFFLINE": "1", "TORCH_CPP_LOG_LEVEL": "ERROR",
    }  # fmt: skip
    command = [sys.executable, launched_systems.__file__, str(encoder), json.dumps([asdict(run) for run in runs])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [Ending(**ending) for ending in json.loads(done.stdout)]


def curves(folder: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    """The lines of each training's log, without what time it was."""
    found = {}
    for path in sorted((folder / name / "training").glob("*.jsonl")):
        lines = map(json.loads, path.read_text().splitlines())
        found[path.stem] = [{key: value for key, value in line.items() if key != "seconds"} for line in lines]
    return found


def apart(one: Path, other: Path, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Where curves and prices of two folders differ; a curve has more than two lines, or it is told too."""
    found: list[tuple[Any, ...]] = []
    for name in names:
        alone, shared = curves(one, name), curves(other, name)
        if not alone or alone.keys() != shared.keys():
            found.append((name, "stages", [*alone], [*shared]))
            continue
        for stage, lines in alone.items():
            if not len(lines) == len(shared[stage]) > 2:
                found.append((name, stage, "lines", len(lines), len(shared[stage])))
            pairs = zip(lines, shared[stage], strict=False)
            found += [(name, stage, a, b) for a, b in pairs if b != pytest.approx(a, rel=CLOSE)]
        costs = [json.loads((folder / name / "fit.json").read_text())["fitted"] for folder in (one, other)]
        found += [(name, key, *(c[key] for c in costs)) for key in ("flops", "steps") if costs[0][key] != costs[1][key]]
    return found


def cut_and_taken_up(first: int, then: int, folder: Path, name: str, parts: bool = False) -> tuple[Run, Run]:
    """Runs of which `first` processes leave one at step 4, in the first stage, and `then` processes go on with it."""
    cut = Run(str(folder), (name,), first, 20, parts=parts)
    return replace(cut, stop=4), replace(cut, processes=then)


def were_cut(stopped: Ending, gone_on: Ending, name: str, processes: int) -> bool:
    """Whether each process was stopped and left a resume point, and those that went on came to the end."""
    left = stopped.stopped == {str(rank): [name] for rank in range(processes)} and bool(stopped.points)
    return left and not any(gone_on.stopped.values()) and not gone_on.points


def test_two_processes_train_as_one_does_and_one_goes_on_with_what_two_leave(
    encoder_folder: Path, tmp_path: Path
) -> None:
    """A system of one stage, and one of all stages that there are."""
    names = ("gpt2", "cosmos")
    one, two = (Run(str(tmp_path / str(processes)), names, processes, 20) for processes in (1, 2))
    *_, stopped, gone_on = train(encoder_folder, one, two, *cut_and_taken_up(2, 1, tmp_path / "cut", "gpt2"))
    assert not apart(tmp_path / "1", tmp_path / "2", names)
    assert were_cut(stopped, gone_on, "gpt2", 2)
    assert not apart(tmp_path / "1", tmp_path / "cut", ("gpt2",))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "mdlm", "cosmos"])
@pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])
def test_what_some_processes_leave_another_number_goes_on_with(
    name: str, parts: bool, encoder_folder: Path, tmp_path: Path
) -> None:
    numbers = ((2, 1), (1, 2), (3, 2))
    runs = [run for pair in numbers for run in cut_and_taken_up(*pair, tmp_path / str(pair), name, parts)]
    _, *endings = train(encoder_folder, Run(str(tmp_path / "whole"), (name,), steps=20), *runs)
    for pair, stopped, gone_on in zip(numbers, endings[::2], endings[1::2], strict=True):
        assert were_cut(stopped, gone_on, name, pair[0])
        assert not apart(tmp_path / "whole", tmp_path / str(pair), (name,))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SYSTEMS))
def test_every_system_trains_to_the_curve_of_one(name: str, encoder_folder: Path, tmp_path: Path) -> None:
    more = {"2": Run("", (), 2), "3": Run("", (), 3), "2 with parts": Run("", (), 2, parts=True)}
    runs = {"1": Run("", ()), **more}
    train(encoder_folder, *(replace(run, folder=str(tmp_path / of), names=(name,)) for of, run in runs.items()))
    alone = weights(tmp_path / "1")
    for of in more:
        assert not apart(tmp_path / "1", tmp_path / of, (name,))
        shared = weights(tmp_path / of)
        assert shared.keys() == alone.keys()
        for file, shapes in alone.items():
            assert shared[file] == shapes, (of, file)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_a_model_of_the_library_is_tuned_by_several_processes_as_by_one(kind: str, tmp_path: Path) -> None:
    texts = [text for document in DOCUMENTS for text in (document.source or "", document.target)]
    (tmp_path / "model").mkdir()
    model = save_model(kind, texts, tmp_path / "model")
    runs = [Run("", ("hf",), 1, 50), Run("", ("hf",), 2, 50), Run("", ("hf",), 2, 50, parts=True)]
    train(model, *(replace(run, folder=str(tmp_path / str(number))) for number, run in enumerate(runs)))
    for number in (1, 2):
        assert not apart(tmp_path / "0", tmp_path / str(number), ("hf",))


def weights(folder: Path) -> dict[str, dict[str, torch.Size]]:
    """Files of weights: their names and shapes."""
    files = {str(path.relative_to(folder)): load_file(path) for path in folder.rglob("*.safetensors")}
    return {name: {key: value.shape for key, value in tensors.items()} for name, tensors in files.items()}
