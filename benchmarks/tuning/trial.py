"""One trial: train a system by a recipe, generate by its first setting, and judge texts that no run is scored on.

The documents come from the validation split, and where the source can draw others, by another seed than runs use. The
first of them are shown to the system, as in a run; the texts that are judged answer those that follow.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from baselines.contract import Corpus, Document, Request, UserError
from benchmarks.data import source as sources
from benchmarks.data.source import HasAuxiliaryTexts, Source
from benchmarks.planning import plan
from benchmarks.planning.overrides import plain
from benchmarks.planning.plan import Plan, PlannedCell
from benchmarks.planning.run_config import Choices
from benchmarks.records import run_texts
from benchmarks.records.schema import Json, Score, identity
from benchmarks.running.fitting import VALIDATION_DOCUMENTS
from benchmarks.running.seeds import request_seed
from benchmarks.timing import memory
from cosmos.io import seals
from cosmos.io.files import WriteError, make_folder
from cosmos.io.typed_json import read_as
from cosmos.text import round_trip

DATA_SEED = 1  # of drawn documents; runs have 0 unless told otherwise


class _Named(TypedDict):
    asked: str
    system: str
    candidate: str
    recipe: Json
    seed: int


class _Found(TypedDict):
    value: float | None
    reason: str | None
    n: int
    signature: str
    validation_loss: float | None
    steps: int
    seconds: float


class TrialResult(_Named, _Found):
    """What is kept of a trial. `asked` is the identity of what all trials of a search have in common: task, data,
    preset, budget, metric, judged documents."""


@dataclass(frozen=True)
class Trial:
    """What is trained and judged.

    Attributes:
        choices: of task, source, preset, data, budget and settings, as those of a run.
        system: the contestant.
        candidate: what to call the recipe in tables.
        changes: keys of its recipe, without `SYSTEM.recipe.`, and their values.
        metric: by which its texts are judged.
        limit: how many texts.
        folder: where results are, one file each.
    """

    choices: Choices
    system: str
    candidate: str
    changes: Mapping[str, Any]
    seed: int
    metric: str
    limit: int
    folder: Path

    @property
    def plan(self) -> Plan:
        """That of a run of this system with this recipe."""
        recipe = {f"{self.system}.recipe.{key}": value for key, value in self.changes.items()}
        others = tuple(f"{system}." for system in self.choices.system if system != self.system)
        asked = {key: value for key, value in self.choices.changes.items() if not key.startswith(others)}
        choices = dataclasses.replace(
            self.choices, system=(self.system,), seed=self.seed, seeds=1, changes={**asked, **recipe}
        )
        return plan.make(choices, choices.device)


def judged_data(choices: Choices, limit: int) -> Choices:
    """Choices whose source has enough validation documents, and documents of another seed where it draws them."""
    _, _, name = plan.check_names(choices)
    options = {field.name for field in dataclasses.fields(sources.find(name).Options)}
    wanted: dict[str, Any] = {"data.seed": DATA_SEED} if "seed" in options else {}
    if {"seed", "validation"} <= options:  # those drawn without end; a set has what it has
        wanted["data.validation"] = VALIDATION_DOCUMENTS + limit
    return dataclasses.replace(choices, changes={**wanted, **choices.changes})


def documents(source: Source, task: str, limit: int) -> tuple[Sequence[Document], Sequence[Document]]:
    """Validation documents that systems are shown, and at most `limit` that their texts are judged on.

    Raises:
        UserError: the split has no others than those that systems are shown.
    """
    whole = source.load(task, "validation", VALIDATION_DOCUMENTS + limit)
    shown, judged = whole[:VALIDATION_DOCUMENTS], whole[VALIDATION_DOCUMENTS:]
    if not judged:
        raise UserError(
            f"The validation split has {len(whole)} documents, which systems are shown while they train; tuning needs "
            f"more than {VALIDATION_DOCUMENTS}."
        )
    return shown, judged


def run(trial: Trial) -> TrialResult:
    """The result of a trial, read where it is there already. Killed, it goes on where its training was."""
    made = trial.plan
    planned = next(planned for planned in made.cells if planned.cell.system == trial.system)  # by its first setting
    cell = planned.cell
    shown, judged = documents(made.source, made.task.name, trial.limit)
    inputs = {
        **cell.training_inputs,
        "setting": plain(planned.setting),
        "metric": trial.metric,
        "judged": run_texts.digest(judged)["sha256"],
    }
    path = trial.folder / f"{cell.system}-{identity(inputs)}.json"
    if path.exists():
        return stored(path)
    common = {key: value for key, value in inputs.items() if key not in ("system", "recipe", "seed", "setting")}
    named = _Named(
        asked=identity(common), system=cell.system, candidate=trial.candidate, recipe=cell.recipe, seed=cell.seed
    )
    workdir = path.with_suffix(".training")
    make_folder(workdir)
    try:
        found = _carried_out(planned, made, shown, judged, trial.metric, workdir)
    except WriteError:
        raise
    except UserError as error:  # it diverged, which is what the trial found
        found = _failed(str(error))
    except Exception as error:
        if not memory.is_exhausted(error) and "can't allocate memory" not in str(error):  # so torch says it of a CPU
            raise
        found = _failed("the memory does not hold it")
    result = TrialResult(**named, **found)
    seals.write_sealed(path, dict(result))
    shutil.rmtree(workdir)
    return result


def _failed(reason: str) -> _Found:
    return _Found(value=None, reason=reason, n=0, signature="", validation_loss=None, steps=0, seconds=0.0)


def _carried_out(
    planned: PlannedCell, made: Plan, shown: Sequence[Document], judged: Sequence[Document], metric: str, workdir: Path
) -> _Found:
    contestant, cell, source, task = planned.contestant, planned.cell, made.source, made.task
    passages = source.passages(task.name) if isinstance(source, HasAuxiliaryTexts) else ()
    corpus = Corpus(source.load(task.name, "train"), shown, passages, cell.tokenizer)
    system = contestant.system(contestant.recipe, task.limits)
    assert contestant.budget is not None, "floors are not tuned"
    trained = system.fit(corpus, contestant.budget, workdir, seed=cell.seed, device=cell.device)
    system.load(workdir, device=cell.device, dtype=cell.dtype)
    requests = [Request(d.id, d.source, request_seed(cell.seed, d.id), task.limits.target_tokens) for d in judged]
    texts: list[str] = []
    for start in range(0, len(requests), cell.batch_size):
        texts += [s.text for s in system.generate(requests[start : start + cell.batch_size], planned.setting)]
    score = _judge(metric, planned, judged, texts, corpus)
    return _Found(
        value=score.value,
        reason=score.reason,
        n=score.n,
        signature=score.signature.evaluator,
        validation_loss=trained.validation_loss,
        steps=trained.steps,
        seconds=round(trained.seconds, 1),
    )


def _judge(
    metric: str, planned: PlannedCell, judged: Sequence[Document], texts: Sequence[str], corpus: Corpus
) -> Score:
    from benchmarks import metrics

    batch = metrics.MetricInput(
        planned.cell.task,
        planned.cell.source,
        judged,
        texts,
        device=planned.cell.device,
        training=[document.target for document in corpus.train],
        normaliser=round_trip.find(planned.cell.tokenizer),
    )
    return metrics.score(batch, [metric])[0]


def stored(path: Path) -> TrialResult:
    """The result in a file.

    Raises:
        UserError: it is damaged, or of another kind.
    """
    remedy = "delete it, and tune again"
    result: TrialResult = read_as(TrialResult, seals.read_sealed(path, remedy), str(path), remedy)
    return result
