"""A run as the harness would leave it: three systems, four floors, null scores, a failed and a refused cell."""

import hashlib
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import reports
from benchmarks.records import seals, store
from benchmarks.records.schema import (
    Cell,
    Header,
    Network,
    SampleRecord,
    Score,
    Signature,
    TimingRecord,
    Training,
    canonical_json,
    to_json,
)
from benchmarks.stats import mean_interval

RUDE = (
    "The damned waiter dropped my soup.",
    "That idiot Tom never washes the blue cup.",
    "Who the hell moved the lamp?",
)
CALM = ("The waiter dropped my soup.", "Tom never washes the blue cup.", "Who moved the lamp?")
CALLS = {
    "cosmos": {"fast": 8, "best": 32},
    "gpt2": {"greedy": 13, "sampled": 14},
    "mdlm": {"steps-8": 8, "steps-32": 32},
}
SKILL = {"cosmos": 0.71, "gpt2": 0.83, "mdlm": 0.69, "copy": 0.05, "unigram": 0.02, "retrieval": 0.35, "reference": 1.0}
NASTY = (
    '<b>"cosmos" & $x_1$ | \\end{document}</b>',
    "<script>alert('reason')</script> {{ 7*7 }} | `a` \\input{x} é中 --",
)
MILLISECONDS = {"cosmos": 4.0, "gpt2": 5.5, "mdlm": 3.6}


@dataclass
class FakeRun:
    """Builds cells and writes them; change `cells` before `write`."""

    texts: int = 60
    seeds: tuple[int, ...] = (0,)
    skill: dict[str, float] = field(default_factory=lambda: dict(SKILL))
    setting_bonus: float = 0.03
    task_label: str = "detox"
    with_encoder: tuple[str, ...] = ("cosmos",)  # those that use weights learnt elsewhere
    cells: list[tuple[Header, list[SampleRecord], list[TimingRecord], list[Score]]] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [f"test-{number:04d}" for number in range(self.texts)]

    @property
    def documents(self) -> list[dict]:
        return [
            {
                "id": key,
                "source": f"{RUDE[n % 3]} ({n})",
                "target": f"{CALM[n % 3]} ({n})",
                "references": [f"{CALM[n % 3]} ({n})"],
            }
            for n, key in enumerate(self.ids)
        ]

    @property
    def lines(self) -> str:
        """The file of the documents."""
        return "".join(json.dumps(document) + "\n" for document in self.documents)

    @property
    def sha(self) -> str:
        return hashlib.sha256(self.lines.encode()).hexdigest()

    def header(self, system: str, setting: str, seed: int, **changes) -> Header:
        trained = system in CALLS
        cell = Cell(
            task=self.task_label,
            task_version="1",
            source="world",
            data={"seed": 0, "train": 4000, "test": self.texts},
            system=system,
            preset="nano",
            recipe={"width": 128} if trained else {},
            budget="60 s" if trained else "0 steps",
            setting=setting,
            setting_values={"steps": CALLS[system][setting]} if trained else {},
            limit=None,
            batch_size=10,
            device="cpu",
            dtype="float32",
            seed=seed,
        )
        networks = {}
        if trained:
            networks["denoiser"] = Network(parameters=2_400_000, trainable=2_400_000)
            if system in self.with_encoder:
                networks["encoder"] = Network(parameters=22_700_000, trainable=0)
        plain = Header(
            cell=cell,
            status="done",
            created=f"2025-01-02T03:{len(self.cells):02d}:00Z",
            finished=f"2025-01-02T03:{len(self.cells):02d}:30Z",
            command="python -m benchmarks run --task detox",
            method=system,
            external_weights=("some-company/an-encoder",) if system in self.with_encoder else (),
            commit="0123456789abcdef0123456789abcdef01234567",
            dirty=False,
            packages={"python": "3.11.7", "torch": "2.13.0"},
            device={"name": "An ordinary CPU", "cores": 2},
            documents={
                "train": {"count": 4000, "sha256": "ab" * 32},
                "test": {"count": self.texts, "sha256": self.sha},
            },
            training=Training(900, 61.25 + seed, 3.1e12, 1.5, {}) if trained else Training(0, 0.0, 0.0, None, {}),
            networks=networks,
            parameters=Network(
                sum(network.parameters for network in networks.values()),
                sum(network.trainable for network in networks.values()),
            ),
            verdict={"valid": True, "reasons": []},
        )
        return replace(plain, **changes)

    def add(self, system: str, setting: str, seed: int = 0, **changes) -> None:
        """A done cell, with scores that follow the system's skill."""
        header = self.header(system, setting, seed, **changes)
        rng = np.random.default_rng([len(setting), seed, *system.encode()])
        hard = np.random.default_rng(7).normal(0, 0.08, self.texts)  # shared by all systems: texts differ in difficulty
        skill = self.skill[system] + (self.setting_bonus if setting in ("best", "greedy", "steps-32") else 0.0)
        j = np.clip(skill + hard + rng.normal(0, 0.05, self.texts), 0, 1) if skill < 1 else np.ones(self.texts)
        calls = {name: CALLS[system][setting] if name == "denoiser" else 1 for name in header.networks}
        samples = [
            SampleRecord(key, self._text(system, n), 9, True, seed * 1000 + n, calls) for n, key in enumerate(self.ids)
        ]
        each = MILLISECONDS.get(system, 0.02) * max(1, sum(calls.values())) / 1000
        timings = [TimingRecord("warmup", 0, tuple(self.ids[:10]), 1.0, calls)]
        for index in range(0, self.texts, 10):
            ids = tuple(self.ids[index : index + 10])
            timings.append(TimingRecord("batch", index // 10, ids, 3 * each * rng.uniform(0.95, 1.05), calls))
        for index in range(9):
            timings.append(TimingRecord("latency", index, (self.ids[index],), each * rng.uniform(0.97, 1.08), calls))
        self.cells.append((header, samples, timings, self.scores(j)))

    def _text(self, system: str, number: int) -> str:
        document = self.documents[number]
        return {"copy": document["source"], "reference": document["target"]}.get(
            system, document["target"] if number % 2 else f"{system} says: {document['target']}"
        )

    def scores(self, j: np.ndarray) -> list[Score]:
        def per_text(metric: str, values: np.ndarray, direction: str = "higher") -> Score:
            limits = mean_interval(values)
            low, high = (None, None) if limits is None else (limits.low, limits.high)
            signature = Signature(metric, "1", "world grammar 1", {"exact": True})
            shown = tuple(float(v) for v in values)
            n = len(shown)
            return Score(metric, float(values.mean()), low, high, 0.95, n, n, direction, signature, None, shown)

        n, mean = len(j), float(j.mean())
        return [
            per_text("J", j),
            per_text("STA", np.sqrt(j)),
            per_text("rudeness left", 1 - np.sqrt(j), "lower"),
            Score(
                "BLEU", 100 * mean, 100 * mean - 3.2, 100 * mean + 3.1, 0.95, n, n, "higher",
                Signature("BLEU", "1", "sacrebleu 2.6.0", {"tokenize": "13a"}),
            ),
            Score(
                "FL", None, None, None, None, 0, n, "higher", Signature("FL", "1", "none"),
                "missing evaluator: no acceptability model here; pip install cosmos-bench[eval]",
            ),
            per_text("length", 8 + j, "none"),
        ]  # fmt: skip

    def change(self, place: int, **changes) -> None:
        """Change what the cell at a place was asked: its recipe, its system ..."""
        header, *rest = self.cells[place]
        self.cells[place] = (replace(header, cell=replace(header.cell, **changes)), *rest)

    def declare(self, place: int, *weights: str) -> None:
        """Change which weights learnt elsewhere the system of the cell at a place uses."""
        header, *rest = self.cells[place]
        self.cells[place] = (replace(header, external_weights=weights), *rest)

    def end(self, system: str, setting: str, status: str, reason: str) -> None:
        """A cell without a result."""
        self.cells.append((self.header(system, setting, 0, status=status, reason=reason), [], [], []))

    def fill(self) -> "FakeRun":
        for system, settings in CALLS.items():
            for setting in settings:
                for seed in self.seeds:
                    self.add(system, setting, seed)
        for floor in ("copy", "unigram", "retrieval", "reference"):
            self.add(floor, "default")
        self.end("sedd", "steps-8", "failed", "RuntimeError: out of memory at step 12")
        self.end("duo", "steps-8", "refused", "the checkpoint is of another configuration")
        return self

    def plan(self) -> dict:
        """As much of a plan as a reader wants, without what names the task's headline."""
        cell = self.cells[0][0].cell
        same = {key: getattr(cell, key) for key in ("source", "data", "limit", "batch_size", "device", "dtype")}
        ids = [header.cell.id for header, *_ in self.cells]
        return {"schema": 1, "task": {}, "preset": cell.preset, **same, "systems": {}, "cells": ids}

    def write(self, folder: Path) -> Path:
        (folder / "documents").mkdir(parents=True)
        (folder / "plan.json").write_text(json.dumps(self.plan()), encoding="utf-8")
        (folder / "documents" / f"{self.sha}.jsonl").write_text(self.lines, encoding="utf-8")
        for header, samples, timings, scores in self.cells:
            cell = folder / "cells" / header.cell.id
            cell.mkdir(parents=True)
            sealed = header.schema >= seals.SINCE
            for name, records in ((store.SAMPLES, samples), (store.TIMINGS, timings), (store.SCORES, scores)):
                lines = [canonical_json(to_json(record)) + "\n" for record in records]
                if name == store.SCORES and sealed:
                    of = seals.file_hashes(cell, [store.SAMPLES])
                    lines = [seals.sealed_line({**json.loads(row), **of}) for row in lines]
                text = "".join(lines)
                (cell / name).write_text(text, encoding="utf-8")
            stored = to_json(
                replace(header, titles=_titles(header), files=seals.file_hashes(cell, store.SEALED) if sealed else {})
            )
            (cell / store.HEADER).write_text(json.dumps(seals.sealed(stored) if sealed else stored), encoding="utf-8")
        return folder


def _titles(header: Header) -> dict[str, str]:
    """A record says what its system is called; here, as its identifiers, so that tests of sentences need no words."""
    setting = "" if header.cell.setting == "default" and not header.cell.setting_values else header.cell.setting
    return {"system": header.cell.system, "setting": setting, **header.titles}


@pytest.fixture
def fake_run() -> FakeRun:
    return FakeRun()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A whole run with everything in it; do not change it."""
    return FakeRun().fill().write(tmp_path_factory.mktemp("run") / "detox")


@pytest.fixture(scope="session")
def run_report(run_folder) -> dict[str, Path]:
    """The report of that run; do not change it."""
    return reports.write(run_folder)


@pytest.fixture(scope="session")
def nasty_report(tmp_path_factory) -> dict[str, Path]:
    """The report of a run in which everything that may hold any text holds markup of every kind."""
    name, words = NASTY[0], NASTY[1]
    fake = FakeRun(texts=12)
    fake.fill()
    for place, (header, samples, timings, scores) in enumerate(fake.cells):
        nasty_system = {"cosmos": name}.get(header.cell.system, header.cell.system)
        nasty_setting = {"fast": "_100%|*fast*", "best": "\\best{~^}#"}.get(header.cell.setting, header.cell.setting)
        cell = replace(header.cell, system=nasty_system, setting=nasty_setting, task="detox_&_%", source="w|`o`rld")
        fake.cells[place] = (
            replace(
                header,
                cell=cell,
                reason=words if header.reason else None,
                command=f"{words} | `x` && echo $HOME",
                commit="<commit>_%",
                packages={words: "1|2"},
                device={"name": words},
                verdict={"valid": False, "reasons": [words]},
            ),
            [replace(sample, text=f"{words} {sample.text} \x07\ud800") for sample in samples],
            timings,
            [
                replace(score, reason=words if score.value is None else None, metric=f"{score.metric}_%|<i>")
                for score in scores
            ],
        )
    return reports.write(fake.write(tmp_path_factory.mktemp("nasty") / "run"))


if __name__ == "__main__":  # python tests/reports/conftest.py FOLDER: a run to look at
    FakeRun().fill().write(Path(sys.argv[1]))
