"""The history of a tree: right over all that people do to their records, or one sentence."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.records.schema import SCHEMA, Signature
from benchmarks.tracking.history import analysis, tables
from benchmarks.tracking.history.schema import History, Series

sys.path.insert(0, str(Path(__file__).parent))
from history_trees import DEVICE, commit_of, record, repository, score

STEP = [0.50, 0.51, 0.49, 0.50, 0.52, 0.48, 0.51, 0.49, 0.50, 0.51, 0.40, 0.41, 0.39, 0.40, 0.42, 0.38, 0.41, 0.40]


def read(folder: Path, **narrowed: tuple[str, ...]) -> History:
    return analysis.history(tables.connected(), folder, **narrowed)


def only(history: History, metric: str = "exact_j") -> Series:
    [found] = [each for each in history.series if each.line.metric == metric]
    return found


def said(history: History, words: str) -> bool:
    return any(words in note for note in history.notes)


def test_a_change_is_told_with_both_commits_and_the_command(tmp_path: Path) -> None:
    for number, value in enumerate(STEP):
        record(tmp_path / f"run{number:02d}", commit=commit_of(number), day=number, scores={"exact_j": value})
    history = read(tmp_path)
    [(series, change)] = history.changed
    assert (change.index, change.outcome) == (10, "worse")
    assert [series.points[i].commit for i in (9, 10)] == [commit_of(9), commit_of(10)]
    assert change.change == pytest.approx(-0.1, abs=0.01) and change.low < change.change < change.high < 0
    start, run = change.bisect
    points = series.points
    assert start == f"git bisect start {points[change.last].commit} {points[change.first - 1].commit}"
    assert f"--against {points[change.first - 1].run} --system gpt2" in run
    assert float(run.partition("gate.exact_j=")[2].split()[0]) == pytest.approx(0.05, abs=0.001)


def test_speed_is_followed_by_ratios(tmp_path: Path) -> None:
    for number, value in enumerate(STEP):
        record(
            tmp_path / f"run{number:02d}", commit=commit_of(number), day=number, seconds=[1 / value] * 3, latency=[0.1]
        )
    [(series, change)] = read(tmp_path).changed
    assert series.line.metric == "texts_per_second" and series.line.unit == "texts/s"
    assert (change.before, change.after) == pytest.approx((1.0, 0.8), abs=0.01)
    assert change.change == pytest.approx(-0.2, abs=0.01)
    assert "--set gate.speed=11.8% " in change.bisect[1] and "--no-speed" not in change.bisect[1]


def test_timings_that_are_not_valid_make_no_change(tmp_path: Path) -> None:
    """A machine that is busy from some commit on looks like code that is slower from there on."""
    for number, value in enumerate(STEP):
        record(
            tmp_path / f"run{number:02d}", commit=commit_of(number), day=number, seconds=[1 / value] * 3,
            valid=number < 10,
        )  # fmt: skip
    history = read(tmp_path)
    assert not history.changed
    assert said(history, "Timings of 8 points are not valid by their verdict; they are drawn hollow, and no change")
    assert len(only(history, "texts_per_second").points) == len(STEP)


def test_a_change_lies_between_valid_timings(tmp_path: Path) -> None:
    """Every third timing is of a busy machine: the commits that are named, and gated against, are valid ones."""
    values = [0.5 + 0.001 * (n % 3) if n < 20 else 0.4 + 0.001 * (n % 3) for n in range(40)]
    for number, value in enumerate(values):
        busy = number % 3 == 1
        record(
            tmp_path / f"run{number:02d}", commit=commit_of(number), day=number,
            seconds=[(4 if busy else 1) / value] * 3, valid=not busy,
        )  # fmt: skip
    [(series, change)] = read(tmp_path).changed
    sides = series.judged[change.index - 1], series.judged[change.index]
    assert [point.commit for point in sides] == [commit_of(18), commit_of(20)]
    good, bad = series.judged[change.first - 1], series.judged[change.last]
    assert change.bisect[0] == f"git bisect start {bad.commit} {good.commit}" and good.doubtful == bad.doubtful == 0
    assert f"--against {good.run} " in change.bisect[1]
    assert change.change == pytest.approx(-0.2, abs=0.01)


def test_a_valid_timing_of_the_same_code_and_seed_is_taken_alone(tmp_path: Path) -> None:
    for number, (seconds, valid) in enumerate([(1.0, True), (9.0, False)]):
        record(tmp_path / f"run{number}", commit=commit_of(0), day=number, seconds=[seconds], valid=valid)
    [point] = only(read(tmp_path), "texts_per_second").points
    assert (point.value, point.doubtful, point.records) == (pytest.approx(2.0), 0, 1)


def test_commits_have_the_order_of_git_when_clocks_go_backwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = repository(tmp_path / "clone", len(STEP))
    monkeypatch.chdir(tmp_path / "clone")
    for number, (commit, value) in enumerate(zip(commits, STEP, strict=True)):
        record(tmp_path / f"tree/run{number}", commit=commit, day=100 - number, scores={"exact_j": value})
    history = read(tmp_path / "tree")
    assert [point.commit for point in only(history).points] == commits
    assert [change.index for _, change in history.changed] == [10]
    assert said(history, "A clock went backwards: 18 records")


def test_without_git_the_order_is_that_of_time_and_commits_stay_together(tmp_path: Path) -> None:
    for number, (commit, day) in enumerate([("b" * 40, 1), ("a" * 40, 2), ("b" * 40, 3)]):
        record(tmp_path / f"run{number}", commit=commit, day=day, scores={"exact_j": float(number)})
    points = only(read(tmp_path)).points
    assert [(point.commit, point.value, point.records) for point in points] == [("b" * 40, 1.0, 2), ("a" * 40, 1.0, 1)]


def test_two_machines_merge_by_copying_and_are_never_compared(tmp_path: Path) -> None:
    other = {**DEVICE, "name": "Slide rule"}
    for number, value in enumerate(STEP):
        for name, device, factor in (("mine", DEVICE, 1.0), ("yours", other, 1.5)):
            record(
                tmp_path / name / f"run{number}", commit=commit_of(number), day=number, device=device,
                scores={"exact_j": value}, seconds=[factor] * 3, texts=name,
            )  # fmt: skip
    alone = read(tmp_path / "mine")
    shutil.copytree(tmp_path / "mine", tmp_path / "all")
    shutil.copytree(tmp_path / "yours", tmp_path / "all/yours")
    shutil.copytree(tmp_path / "mine/run3", tmp_path / "all/again")
    together = read(tmp_path / "all")
    assert {each.line.machine.split(",")[0] for each in together.series} == {"Abacus 9", "Slide rule"}
    assert len(together.series) == 2 * len(alone.series) and not together.breaks
    mine = [each for each in together.series if each.line.machine.startswith("Abacus")]
    assert [[(p.place, p.value) for p in each.points] for each in mine] == [
        [(p.place, p.value) for p in each.points] for each in alone.series
    ]
    assert said(together, "1 records lie in several places and are counted once")


@pytest.mark.parametrize("machine", [{"threads": 8}, {"cores": 8}, {"python": "3.12.1"}])
def test_a_machine_that_differs_in_what_decides_speed_is_another(tmp_path: Path, machine: dict) -> None:
    for number, device in enumerate((DEVICE, {**DEVICE, "clock_khz": 5}, {**DEVICE, **machine})):
        record(tmp_path / f"run{number}", commit=commit_of(number), day=number, device=device, seconds=[1.0])
    assert [len(each.points) for each in read(tmp_path).series] in ([1, 2], [2, 1])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"documents": "9" * 64}, "test documents changed"),
        ({"data": {"train": 20, "seed": 0}}, "data.train 10 → 20"),
        ({"recipe": {"width": 16}}, "recipe.width 8 → 16"),
        ({"limit": 40}, "limit 20 → 40"),
        ({"tokenizer": "other"}, "tokenizer"),
        ({"seed": 7}, "seeds 0 → 7"),
        ({"scores": [score("exact_j", 0.1, Signature("exact_j", "2", "world grammar 2"))]}, "signature changed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_series_breaks_where_numbers_cannot_be_compared_and_says_so(
    tmp_path: Path, changed: dict, sentence: str
) -> None:
    for number in range(20):
        asked = changed if number >= 10 else {}
        given = {"scores": {"exact_j": 0.5 if number < 10 else 0.1}, **asked}
        record(tmp_path / f"run{number:02d}", commit=commit_of(number), day=number, **given)
    history = read(tmp_path)
    assert [len(each.points) for each in history.series] == [10, 10] and not history.changed
    [found] = history.breaks
    assert sentence in found.sentence and "are not compared with" in found.sentence
    assert (found.before, found.after) == (commit_of(9)[:10], commit_of(10)[:10])


def test_two_that_go_on_beside_each_other_are_two_series(tmp_path: Path) -> None:
    for number in range(8):
        record(
            tmp_path / f"run{number}",
            commit=commit_of(number),
            day=number,
            limit=20 + number % 2,
            scores={"exact_j": 1.0},
        )
    history = read(tmp_path)
    assert [len(each.points) for each in history.series] == [4, 4]
    assert "both go on" in history.breaks[0].sentence


def test_a_point_is_the_mean_over_the_seeds_that_all_points_have(tmp_path: Path) -> None:
    for number in range(3):
        for seed in (0, 1, 2) if number else (1, 2):
            record(
                tmp_path / f"run{number}",
                commit=commit_of(number),
                day=number,
                seed=seed,
                scores={"exact_j": seed + number / 8},
            )
    points = only(read(tmp_path)).points
    assert [(point.value, point.seeds) for point in points] == [(1.5 + n / 8, (1, 2)) for n in range(3)]


def test_uncommitted_changes_are_points_of_their_own_after_their_commit(tmp_path: Path) -> None:
    for number, dirty in enumerate((True, False, True)):
        record(
            tmp_path / f"run{number}", commit=commit_of(0), dirty=dirty, day=number, scores={"exact_j": float(number)}
        )
    points = only(read(tmp_path)).points
    assert [(point.value, point.code) for point in points] == [
        (1.0, commit_of(0)[:10]), (0.0, commit_of(0)[:10] + "+"), (2.0, commit_of(0)[:10] + "+"),
    ]  # fmt: skip


def test_what_is_damaged_is_left_out_and_told_and_costs_nothing_else(tmp_path: Path) -> None:
    folders = [
        record(tmp_path / f"run{n}", commit=commit_of(n), day=n, scores={"exact_j": 0.5, "other": 0.1}, seconds=[1.0])
        for n in range(9)
    ]
    header = (folders[0] / "header.json").read_text()
    (folders[0] / "header.json").write_text(header[: len(header) // 2])
    (folders[1] / "header.json").write_bytes(b"\xff\xfe\x00garbage")
    (folders[2] / "header.json").write_text("[1]")
    (folders[3] / "header.json").write_text(header.replace(f'"schema": {SCHEMA}', '"schema": 99'))
    lines = (folders[4] / "scores.jsonl").read_text().splitlines(keepends=True)
    (folders[4] / "scores.jsonl").write_text(lines[0] + lines[1][:40])
    lines = (folders[5] / "scores.jsonl").read_text().splitlines(keepends=True)
    (folders[5] / "scores.jsonl").write_text(lines[0].replace('"value":0.5', '"value":0.9') + lines[1])
    (folders[6] / "scores.jsonl").write_bytes(b"\xff")
    (folders[7] / "timings.jsonl").write_text('{"kind":"batch","ids":["a"],"seconds":')
    (tmp_path / "run7/cells/not a cell").mkdir()
    history = read(tmp_path)
    assert [point.value for point in only(history).points] == [0.5] * 3
    assert [len(each.points) for each in history.series if each.line.metric == "other"] == [3]
    assert [len(each.points) for each in history.series if each.line.kind == "speed"] == [4]
    for words in (
        "3 damaged and left out", "1 of a newer schema", "2 half-written scores",
        "1 scores that were changed after they were written", "1 half-written timings",
    ):  # fmt: skip
        assert said(history, words), (words, history.notes)


def test_a_header_that_was_changed_is_left_out(tmp_path: Path) -> None:
    folder = record(tmp_path / "run", commit=commit_of(0), scores={"exact_j": 0.5})
    text = (folder / "header.json").read_text()
    (folder / "header.json").write_text(text.replace('"Abacus 9"', '"Abacus 8"'))
    with pytest.raises(UserError, match="is done and whole"):
        read(tmp_path)


def test_scores_of_other_samples_are_left_out(tmp_path: Path) -> None:
    one = record(tmp_path / "one", commit=commit_of(0), scores={"exact_j": 0.5}, texts="a")
    two = record(tmp_path / "two", commit=commit_of(1), scores={"exact_j": 0.7}, texts="b", day=2)
    shutil.copy(one / "scores.jsonl", two / "scores.jsonl")
    history = read(tmp_path)
    assert [point.commit for point in only(history).points] == [commit_of(0)]
    assert said(history, "1 scores of other samples")


@pytest.mark.parametrize("kind", ["missing", "file", "empty", "no cells"])
def test_nothing_to_read_is_one_sentence(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "tree"
    if kind == "file":
        folder.write_text("")
    elif kind != "missing":
        folder.mkdir()
    if kind == "no cells":
        (folder / "plan.json").write_text("{}")
    with pytest.raises(UserError) as refused:
        read(folder)
    assert str(folder) in str(refused.value) and "\n" not in str(refused.value)


def test_cells_that_are_not_done_do_not_count(tmp_path: Path) -> None:
    folder = record(tmp_path / "a", commit=commit_of(0), scores={"exact_j": 0.5})
    record(tmp_path / "b", commit=commit_of(1), day=2, scores={"exact_j": None})
    from benchmarks.records import seals

    stored = json.loads((folder / "header.json").read_text())
    stored.pop("seal")
    (folder / "header.json").write_text(json.dumps(seals.sealed({**stored, "status": "failed", "reason": "x"})))
    record(tmp_path / "c", commit=commit_of(2), day=3, scores={"exact_j": 0.25})
    history = read(tmp_path)
    assert [point.value for point in only(history).points] == [0.25]
    assert said(history, "1 cell is not done")


def test_what_is_asked_for_must_be_there(tmp_path: Path) -> None:
    record(tmp_path / "a", commit=commit_of(0), scores={"exact_j": 0.5, "bleu": 0.1}, seconds=[1.0])
    assert {each.line.metric for each in read(tmp_path, metrics=("bleu",)).series} == {"bleu"}
    with pytest.raises(UserError, match="exact_j"):
        read(tmp_path, metrics=("exact_jj",))
    with pytest.raises(UserError, match="gpt2"):
        read(tmp_path, systems=("gtp2",))


def test_links_are_not_followed(tmp_path: Path) -> None:
    record(tmp_path / "tree/a", commit=commit_of(0), scores={"exact_j": 0.5})
    (tmp_path / "tree/again").symlink_to(tmp_path / "tree", target_is_directory=True)
    assert said(read(tmp_path / "tree"), "1 symbolic link was not followed")


def test_the_work_of_the_database_is_the_same_for_few_and_many_records(tmp_path: Path) -> None:
    """As many statements, none of them once for each record."""

    class Counting:
        def __init__(self) -> None:
            self.base, self.statements = tables.connected(), 0

        def __getattr__(self, name: str) -> object:
            return getattr(self.base, name)

        def execute(self, *given: object) -> object:
            self.statements += 1
            return self.base.execute(*given)  # type: ignore[arg-type]

    counts = []
    for size in (3, 30):
        for number in range(size):
            record(
                tmp_path / f"{size}/run{number}",
                commit=commit_of(number),
                day=number,
                scores={"exact_j": 0.5},
                seconds=[1.0],
            )
        base = Counting()
        analysis.history(base, tmp_path / str(size))  # type: ignore[arg-type]
        counts.append(base.statements)
    assert counts[0] == counts[1] > 10


def test_speeds_rest_on_what_the_verdict_says_they_do(tmp_path: Path) -> None:
    """Sweeps of as many texts at once count, of others not; stalled calls not; each quantity has its own verdict; and
    what runs no network has no speed."""
    verdict = {
        "batch_size": 2,
        "stalled": [{"kind": "batch", "index": 1, "reason": "x"}],
        "quantities": {"latency": {"valid": False, "reasons": ["x"]}, "throughput@2": {"valid": True, "reasons": []}},
    }
    record(
        tmp_path / "run", commit=commit_of(0), scores={"exact_j": 0.5}, seconds=[1.0, 50.0], latency=[0.1, 0.3, 0.2],
        sweep={2: 3.0, 8: 70.0}, verdict=verdict,
    )  # fmt: skip
    record(
        tmp_path / "floor", commit=commit_of(0), system="copy", seconds=[1.0], scores={"exact_j": 0.1}, networks=False
    )
    history = read(tmp_path)
    points = {each.line.metric: each.points[0] for each in history.series if each.line.kind == "speed"}
    assert (points["texts_per_second"].value, points["texts_per_second"].doubtful) == (pytest.approx(4 / 4.0), 0)
    assert (points["latency"].value, points["latency"].doubtful) == (pytest.approx(0.2), 1)
    assert len(history.series) == 4


def test_a_damaged_header_does_not_cost_others_of_its_cell(tmp_path: Path) -> None:
    for number in range(4):
        record(tmp_path / f"run{number}", commit=commit_of(number), day=number, scores={"exact_j": 0.5})
    spoilt = 0
    for header in sorted(tmp_path.glob("*/cells/*/header.json"))[:2]:
        header.write_text(header.read_text().replace('"command": "python', '"command": "perl'))
        spoilt += 1
    history = read(tmp_path)
    left = [note for note in history.notes if note.startswith("Left out")]
    assert len(only(history).points) + len(left) == 4 and len(left) <= spoilt


def test_published_records_are_read() -> None:
    history = read(Path(__file__).parents[3] / "reports/published")
    assert history.counts.cells >= 33 and history.counts.scores >= 532
    assert not any("left out" in note.lower() for note in history.notes), history.notes
    assert {each.line.kind for each in history.series} == {"quality", "speed"}


@pytest.mark.parametrize("schema", range(1, SCHEMA + 1))
def test_records_of_every_schema_are_read(schema: int) -> None:
    history = read(Path(__file__).parents[2] / f"historic/schema-{schema}")
    assert history.counts.cells >= 6 and history.counts.scores >= 60
    assert not any("left out" in note.lower() for note in history.notes), history.notes
    assert {each.line.kind for each in history.series} == {"quality", "speed"}


def test_lines_are_called_what_the_newest_records_declare(tmp_path: Path) -> None:
    declared = [dataclasses.replace(score("exact_j", 0.5), title=title) for title in ("", "Old J", "My J")]
    titles = [{}, {"system": "Old net", "setting": "by luck"}, {"system": "My net", "setting": "without noise"}]
    for day in (2, 0, 1):  # read in any order
        of = {"scores": [declared[day], score("plain_score", 0.1)], "titles": titles[day], "latency": [0.1]}
        record(tmp_path / f"run{2 - day}", commit=commit_of(day), day=day, **of)
    found = read(tmp_path)
    assert {each.line.title for each in found.series} == {"My net (without noise)"}
    assert only(found).line.metric_title == "My J" and len(only(found).points) == 3
    assert only(found, "plain_score").line.metric_title == "plain score"


def test_older_records_are_called_by_the_rule(tmp_path: Path) -> None:
    record(tmp_path / "run", scores={"exact_j": 0.5})
    assert only(read(tmp_path)).line.title == "GPT-2 (greedy)"
    assert only(read(tmp_path)).line.metric_title == "J (exact)"
