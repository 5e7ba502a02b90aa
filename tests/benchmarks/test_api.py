"""Runs from Python: what docs/python.md shows, as it stands; what is imported when; and how mistakes come back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks import api
from benchmarks.importing import requests
from benchmarks.planning.run_config import Choices, choose, gather

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, benchmarks; bare = set(sys.modules); benchmarks.run, benchmarks.UserError; "
        "print([n for n in ('torch', 'pandas', 'numpy', 'reports') if n in sys.modules], 'benchmarks.api' in bare)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[] False"


def test_every_public_name_is_there_and_documented() -> None:
    assert set(benchmarks.__all__) <= set(dir(benchmarks))
    for name in benchmarks.__all__:
        assert getattr(benchmarks, name).__doc__, name
    with pytest.raises(AttributeError):
        benchmarks.nothing  # noqa: B018


@pytest.mark.slow
def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COSMOS_CACHE", str(tmp_path / "cache"))
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(block, names)
    assert names["result"].exit_code == 0
    assert (tmp_path / "runs" / "quick" / "report" / "report.html").is_file()
    assert len(names["worst"]) == 3 and set(names["scores"].system) >= {"gpt2", "copy", "reference"}
    [row] = names["comparison"].entries[0].quantities
    assert row.quantity == "exact_rudeness" and row.a == 0.0 and row.p is not None
    assert "Unknown system 'gpt3'; did you mean gpt2?" in capsys.readouterr().out


def test_values_of_python_choose_what_words_choose(tmp_path: Path) -> None:
    words = gather(
        {"task": "detox", "system": ["gpt2,mdlm"], "steps": "8,32", "limit": "5", "setting": ["gpt2:greedy"]},
        ["data.train=500", "budget=3steps"],
    )
    values = choose(
        task="detox", system=["gpt2", "mdlm"], steps=[8, 32], limit=5, setting="gpt2:greedy",
        options={"data": {"train": 500}, "budget": "3steps"},
    )  # fmt: skip
    assert {**vars(values), "changes": {k: str(v) for k, v in values.changes.items()}} == {
        **vars(words), "changes": {k: str(v) for k, v in words.changes.items()},
    }  # fmt: skip
    (tmp_path / "run.toml").write_text('task = "story"\nseeds = 3\n[data]\ntrain = 7\n')
    both = choose(config=tmp_path / "run.toml", options={"data.test": 9}, task="detox", out=tmp_path)
    assert both == Choices(task="detox", seeds=3, out=str(tmp_path), changes={"data.train": 7, "data.test": 9})


def test_an_argument_beats_the_file_also_where_it_is_the_default(tmp_path: Path) -> None:
    told = {
        "system": ["gpt2"], "preset": "small", "device": "cpu", "devices": ["cpu"], "setting": ["greedy"], "steps": [8],
        "metric": ["bleu"], "seed": 4, "seeds": 3, "offline": False,
    }  # fmt: skip
    lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
    (tmp_path / "run.toml").write_text("\n".join(lines))
    plain = Choices(task="detox")
    given = {name: getattr(plain, name) for name in told}
    assert choose(config=tmp_path / "run.toml", task="detox", **given) == plain
    kept = choose(config=tmp_path / "run.toml", task="detox", **dict.fromkeys(told))
    assert kept == gather({"task": "detox"}, config=str(tmp_path / "run.toml")) != plain


def test_run_hands_on_what_was_given_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.toml").write_text('preset = "small"\nseeds = 3\ntiming = "fresh"\noffline = false\n')
    made: list[Choices] = []
    monkeypatch.setattr(api, "carry_out", lambda choices, *rest, **more: made.append(choices))
    benchmarks.run("detox", preset="nano", timing="rounds", config=tmp_path / "run.toml")
    assert made == [Choices(task="detox", seeds=3, offline=False)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"task": "detxo"}, "did you mean detox"),
        ({"task": "detox", "systems": "gpt3"}, "did you mean gpt2"),
        ({"task": "detox", "limit": 0}, "limit must be at least 1"),
        ({"task": "detox", "limit": "many"}, "limit must be a whole number or none"),
        ({"task": "detox", "steps": [0]}, "steps must be at least 1"),
        ({"task": "detox", "steps": ["x"]}, "steps must be a list of values, each a whole number"),
        ({"task": "detox", "timing": "never"}, "never"),
        ({"task": "detox", "options": {"data": {"tets": 3}}}, "did you mean data.test"),
        ({"task": "detox", "track": "tensorbord"}, "did you mean tensorboard"),
        ({"task": "detox", "config": "nowhere.toml"}, "Cannot read the configuration"),
    ],
)
def test_a_mistake_is_a_user_error_and_begins_nothing(
    given: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(benchmarks.UserError, match=re.escape(said)):
        benchmarks.run(**given)
    assert not list(tmp_path.iterdir())


def test_failed_and_refused_cells_are_told_and_end_nothing(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    result = benchmarks.run("echo", ["broken", "fussy"], device="cpu", out="run", reporter=quiet)
    assert result.exit_code == 1 and not result.report
    assert all("no memory left" in said and "error.txt" in said for said in result.failed) and result.failed
    assert all("not to be loaded" in said for said in result.refused) and result.refused
    assert [line for line in quiet.lines if "run folder" in line]
    with pytest.raises(benchmarks.UserError, match="holds no run"):
        benchmarks.report("nowhere")
    with pytest.raises(benchmarks.UserError, match="holds no run"):
        benchmarks.score("nowhere")
    with pytest.raises(benchmarks.UserError, match="neither a folder nor a git commit"):
        benchmarks.compare("nowhere", "run")


@pytest.mark.parametrize(
    ("verb", "function", "words"),
    [
        ("run", "carry_out", ("run", "--task", "echo")),
        ("fit", "carry_out", ("fit", "--task", "echo")),
        ("generate", "carry_out", ("generate", "--task", "echo")),
        ("study", "carry_out", ("study", "--task", "story", "--latents", "8")),
        ("score", "score", ("score", "--out", "run")),
        ("report", "report", ("report", "--out", "run")),
        ("report of a table", "report", ("report", "--out", "run", "--table", "story")),
        ("report of columns", "report", ("report", "--out", "run", "--columns", "bleu", "--digits", "2")),
        ("compare", "compare", ("compare", "a", "b")),
        ("import", "bring", ("import", "--task", "echo", "--texts", "a", "--name", "b")),
        ("import of nothing", "ask", ("import", "--task", "echo", "--requests", "a")),
    ],
)
def test_verbs_call_these_functions(
    verb: str, function: str, words: tuple[str, ...], command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No verb has a second road to the same end."""

    def reached(*given: Any, **more: Any) -> Any:
        raise benchmarks.UserError("this was called")

    monkeypatch.setattr(requests if function == "ask" else api, function, reached)
    done = command(*words)
    assert done.returncode == 2 and done.stderr == "this was called\n"


@pytest.mark.parametrize("verb", ["run", "fit", "generate", "study", "score", "report", "import_"])
def test_verbs_that_report_know_nothing_of_reports(verb: str) -> None:
    """What writes them is the function's to call."""
    code = (ROOT / "benchmarks" / "cli" / f"{verb}.py").read_text(encoding="utf-8")
    assert re.findall(r"^\s*(?:from|import) reports\b.*", code, re.MULTILINE) == []


def test_a_report_takes_what_the_verb_takes(
    toys: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: Any, command: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    benchmarks.run("echo", device="cpu", out="run", reporter=quiet)
    whole = benchmarks.report("run")
    assert whole.table and {"html", "latex"} <= whole.report.keys()
    one = benchmarks.report("run", columns="calls", rows=["*"], digits={"calls": 3}, caption="C", label_prefix="p")
    assert one.table == "" and one.report.keys() == {"latex", "csv"}
    written = {kind: path.read_bytes() for kind, path in one.report.items()}
    for path in one.report.values():
        path.unlink()
    words = ("--columns", "calls", "--rows", "*", "--digits", "calls=3", "--caption", "C", "--label-prefix", "p")
    done = command("report", "--out", "run", *words, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == "".join(f"{kind}: {path}\n" for kind, path in one.report.items())
    assert {kind: path.read_bytes() for kind, path in one.report.items()} == written


@pytest.mark.parametrize("words", [("--table", "story"), ("--columns", "calls"), ("--rows", "*"), ("--caption", "C")])
def test_a_size_of_figures_with_one_table_is_refused(words: tuple[str, str], command: Callable[..., Any]) -> None:
    done = command("report", "--out", "nowhere", *words, "--size", "column")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "leave out the size" in done.stderr


def test_requests_are_written_from_python_as_by_the_verb(
    toys: None, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert benchmarks.write_requests("echo", "a.jsonl", limit=2) == Path("a.jsonl")
    done = command("import", "--task", "echo", "--limit", "2", "--requests", "b.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    with pytest.raises(benchmarks.UserError, match="is there already"):
        benchmarks.write_requests("echo", "a.jsonl")
