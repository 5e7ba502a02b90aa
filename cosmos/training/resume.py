"""What a training run leaves on disk: resume points, the log, the finished weights.

Safetensors and JSON only. `accelerate.Accelerator.save_state` is not used: it pickles optimiser and random states, and
a pickle can run code when it is read. Here the optimiser's state is flattened into named tensors, and no random state
is kept, because every draw is derived from (seed, step).

    <stage>.resume.safetensors            the newest resume point (weights, averages, optimiser; counters in its header)
    <stage>.resume.previous.safetensors   the one before
    <stage>.jsonl                         the log, one line per interval
    <stage>.trained.safetensors           when finished: the weights to keep
    <stage>.trained.json                  the marker of the end: arguments, what training cost, the weights' seal

All but the log, which nobody reads again, is sealed (`cosmos.io.seals`) and verified before it is used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from cosmos.io import safetensors, seals
from cosmos.io.errors import UserError
from cosmos.io.files import remove_leftovers, saving, write_bytes
from cosmos.io.typed_json import AnyJson, read_as
from cosmos.training.config import TrainingResult

_ANEW = "delete it, and run again"
_COMPILED_BY = ("model", "made_of", "batch_size", "micro_batch_size", "precision")  # what compiled steps are made for


class StoredMarker(TypedDict):
    """What the marker of the end says."""

    arguments: AnyJson
    trained: TrainingResult
    weights: str


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training moves, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def weights(model: nn.Module) -> dict[str, Tensor]:
    """What training may change: trainable parameters and persistent buffers. Frozen parameters are not among them."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {name: value for name, value in model.state_dict().items() if name not in parameters}
    return {**{name: parameter.detach() for name, parameter in trainable(model).items()}, **buffers}


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors of `weights` into a model of the same shape."""
    with torch.no_grad():
        for name, value in weights(model).items():
            value.copy_(tensors[name])


def flatten_optimizer(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, Tensor]:
    """The optimiser's state as `<parameter>/<quantity>` -> tensor; `names` in the order the optimiser has them."""
    state = optimizer.state_dict()["state"]
    return {f"{names[i]}/{key}": value for i, quantities in state.items() for key, value in quantities.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        name, key = path.rsplit("/", 1)
        state.setdefault(names.index(name), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def check_arguments(stage: str, workdir: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse (`UserError`) to go on with other arguments than training began with."""
    now = json.loads(json.dumps(now))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if keys:
        changes = ", ".join(f"{key} was {before.get(key)} and is now {now.get(key)}" for key in keys)
        raise UserError(
            f"Training of '{stage}' in {workdir} began with other settings: {changes}; "
            "give the same settings again, or another folder."
        )


class ResumePoints:
    """The two newest resume points of a stage.

    Attributes:
        passed_over: why the newest was not gone on with, if it was changed or damaged and the one before is whole.
    """

    def __init__(self, workdir: Path, stage: str) -> None:
        self.stage = stage
        self.current = workdir / f"{stage}.resume.safetensors"
        self.previous = workdir / f"{stage}.resume.previous.safetensors"
        self.fresh = workdir / f"{stage}.resume.safetensors.new"  # whole, and not yet the newest
        self.passed_over: UserError | None = None

    def save(self, groups: Mapping[str, Mapping[str, Tensor]], header: Mapping[str, Any]) -> None:
        """Write a point, named groups of named tensors; those there were stay where it cannot be (`UserError`)."""
        tensors = {f"{group}/{name}": value for group, part in groups.items() for name, value in part.items()}
        remove_leftovers(self.fresh)
        safetensors.save_sealed(self.fresh, tensors, {**header, "stage": self.stage})
        with saving(self.current):
            if self.current.exists() and self.passed_over is None:
                self.current.replace(self.previous)  # a kill here leaves it to be gone on with
            self.fresh.replace(self.current)
        self.passed_over = None

    def load(self) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]] | None:
        """The newest point that is as it was written; None if there is none at all. `UserError` where none is whole."""
        problem = None
        for path in (self.current, self.previous):
            if path.exists():
                try:
                    groups, header = self._read(path)
                except UserError as error:
                    problem = problem or error
                    continue
                self.passed_over = problem
                return groups, header
        if problem:
            raise problem
        return None

    def _read(self, path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
        tensors, header = safetensors.load_sealed(path, _ANEW)
        if header.pop("stage", None) != self.stage:
            raise UserError(f"{path} is a resume point of another training; {_ANEW}.")
        groups: dict[str, dict[str, Tensor]] = {}
        for place, value in tensors.items():
            group, name = place.split("/", 1)
            groups.setdefault(group, {})[name] = value
        return groups, header

    def remove(self) -> None:
        remove_leftovers(self.fresh)
        for path in (self.current, self.previous, self.fresh):
            path.unlink(missing_ok=True)


class Log:
    """A JSON-lines file that continues at the length a resume point remembers, so that no line is there twice."""

    def __init__(self, path: Path, length: int) -> None:
        self.path = path
        with saving(path):
            content = path.read_bytes()[:length] if path.exists() else b""
            content = content[: content.rfind(b"\n") + 1]  # a file shorter than remembered may end in part of a line
            write_bytes(path, content)
            self._file = path.open("ab", buffering=0)

    def write(self, **line: object) -> None:
        with saving(self.path):
            self._file.write((json.dumps(line) + "\n").encode())

    def length(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def finish(
    workdir: Path, stage: str, tensors: Mapping[str, Tensor], arguments: Mapping[str, Any], trained: TrainingResult
) -> None:
    """Leave the weights to keep, then the marker: where the marker is, the weights are whole."""
    seal = safetensors.save_sealed(_trained(workdir, stage), tensors, {"stage": stage})
    marker = {"arguments": arguments, "trained": asdict(trained), "weights": seal}
    seals.write_sealed(workdir / f"{stage}.trained.json", marker)


def finished(workdir: Path, stage: str, arguments: Mapping[str, Any]) -> TrainingResult | None:
    """What a finished stage cost, or None where it has not finished; errors as `check_arguments`, and `UserError` where
    the marker or the weights are not those that were written."""
    path, weights_path = workdir / f"{stage}.trained.json", _trained(workdir, stage)
    if not path.exists():
        return None
    marker = read_as(StoredMarker, seals.read_sealed(path, _ANEW), str(path), _ANEW)
    check_arguments(stage, workdir, marker["arguments"], arguments)
    if safetensors.read_header(weights_path).notes.get(seals.KEY) != marker["weights"]:
        raise UserError(f"{weights_path} holds other weights than {path.name} says; delete both, and run again.")
    return marker["trained"]


def compiled_lengths(workdir: Path, arguments: Mapping[str, Any]) -> set[int] | None:
    """Lengths of batches at which finished stages of a run have compiled the network of these arguments, for batches of
    as many rows; None where none has. Errors as `finished`."""
    found: set[int] | None = None
    for path in sorted(workdir.glob("*.trained.json")):
        marker = read_as(StoredMarker, seals.read_sealed(path, _ANEW), str(path), _ANEW)
        prepared = marker["trained"].notes.get("preparation", {})
        same = all(marker["arguments"].get(key) == arguments[key] for key in _COMPILED_BY)
        if same and prepared.get("compiled"):
            found = {*(found or ()), *prepared["lengths"]}
    return found


def load_finished(workdir: Path, stage: str, model: nn.Module) -> None:
    path = _trained(workdir, stage)
    load_weights(model, safetensors.load_sealed(path, f"delete it and {stage}.trained.json, and run again")[0])


def _trained(workdir: Path, stage: str) -> Path:
    return workdir / f"{stage}.trained.safetensors"
