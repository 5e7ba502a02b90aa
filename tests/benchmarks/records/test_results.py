"""`benchmarks.load`: what docs/tracking.md says of it, done as it stands, and what it costs to import."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks import load
from benchmarks.records import dataframes, results
from benchmarks.records.archive import RECORDS, found_runs, unpacked
from benchmarks.records.schema import Record

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tracking.md").read_text().partition("\n## Python and pandas\n")[2].partition("\n## ")[0]
HISTORIC = ROOT / "tests" / "historic"
DETOX = ROOT / "reports" / "published" / "2026-11-28-h200" / "detox-480s"
COLUMNS = (
    "task", "source", "system", "preset", "setting", "seed", "metric", "value", "low", "high", "n", "signature",
    "commit", "device",
)  # fmt: skip


def in_a_process(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout


def test_the_example_of_the_page_runs_as_it_stands() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    said = in_a_process(code)
    assert re.search(r"gpt2 +greedy +0 +53\.3", said), "as the README's table of that run says"
    assert re.search(r"\bcosmos-8 +\d+ +4[678]\d\.\d+ ", said)


def test_no_framework_is_loaded_and_pandas_only_with_it() -> None:
    heavy = "[name for name in ('torch', 'transformers', 'accelerate', 'pandas') if name in sys.modules]"
    code = (
        f"import sys, benchmarks; print({heavy}); from benchmarks import load; load({str(HISTORIC)!r}); print({heavy})"
    )
    assert in_a_process(code).splitlines() == ["[]", "['pandas']"]


def test_the_package_offers_no_other_name() -> None:
    import benchmarks

    assert "load" in benchmarks.__all__
    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        _ = benchmarks.lode


def test_the_page_names_every_column() -> None:
    frame = load(HISTORIC / "schema-5")
    assert tuple(frame.columns[: len(COLUMNS)]) == COLUMNS
    rows = re.findall(r"^\| `(df[.\w]*)` \| .* \| (.*) \|$", PAGE, flags=re.MULTILINE)
    every = {"df": frame, **{f"df.{name}": getattr(frame, name) for name in results.Results._metadata}}
    assert [name for name, _ in rows] == list(every)
    for name, said in rows:
        told = said.replace("task to seed", "task, source, system, preset, setting, seed")
        told = told.replace(", and a column for each metric that scores texts one by one", "")
        names = list(every[name].columns)
        if name == "df.samples":
            metrics = set(names[len(results.SAMPLE_COLUMNS) :])
            names = names[: len(results.SAMPLE_COLUMNS)]
            scored = [score.metric for record in records() for score in record.scores if score.values is not None]
            assert metrics == set(scored)
        assert told.split(", ") == names


def records() -> list[Record]:
    (run,) = found_runs(HISTORIC / "schema-5")
    return list(dataframes.read_run(run.folder).records)


def test_columns_have_one_type_in_runs_of_all_versions() -> None:
    whole = load(HISTORIC)
    for folder in sorted(path.parent for path in HISTORIC.glob("*/records.tar.xz")):
        part = load(folder)
        assert part.dtypes.to_dict() == whole.dtypes.to_dict()
        for name in ("timings", "training", "curves"):
            assert getattr(part, name).dtypes.to_dict() == getattr(whole, name).dtypes.to_dict()


def test_published_records_are_read_as_they_are_packed() -> None:
    """Scores are there for texts that were not published, and each training once, with its losses."""
    frame = load(DETOX)
    copies = frame.samples[frame.samples["system"] == "copy"]
    assert len(copies) == 700 and copies["text"].isna().all() and copies["rouge_l"].notna().all()
    assert sorted(frame.training["system"]) == ["cosmos-8", "gpt2", "mdlm", "tencdm"]
    losses = frame.curves[frame.curves["system"] == "cosmos-8"]
    assert set(losses["stage"]) == {"autoencoder", "diffusion"}
    greedy = frame[(frame["setting"] == "greedy") & (frame["metric"] == "rouge_l")].iloc[0]
    own = frame.samples[(frame.samples["setting"] == "greedy")]
    assert own["rouge_l"].mean() == pytest.approx(greedy["value"])


def test_a_changed_record_is_one_sentence(tmp_path: Path) -> None:
    shutil.copytree(unpacked(HISTORIC / "schema-5" / RECORDS), tmp_path, dirs_exist_ok=True)
    path = next(tmp_path.glob("cells/*/header.json"))
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "commit": "0" * 40}))
    with pytest.raises(UserError) as raised:
        load(tmp_path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_run_without_a_cell_that_is_done_is_one_sentence(tmp_path: Path) -> None:
    shutil.copytree(unpacked(HISTORIC / "schema-5" / RECORDS), tmp_path, dirs_exist_ok=True)
    for cell in tmp_path.glob("cells/*"):
        for path in cell.iterdir():
            path.unlink()
    with pytest.raises(UserError, match=r"No cell in .* is done; give the command of its run again\."):
        load(str(tmp_path))
