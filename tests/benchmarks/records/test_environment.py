"""What a record says about machine and code."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks.records import environment


def test_the_cpu_is_found_without_torch() -> None:
    code = (
        "import sys; from benchmarks.records import environment as e; e.find_device('cpu'); e.packages(); e.commit();"
        "e.describe_device('cpu'); print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True).stdout
    assert said == "False\n"


@pytest.mark.parametrize(
    ("count", "asked", "found"), [(0, "auto", "cpu"), (2, "auto", "cuda"), (2, "cuda:1", "cuda:1")]
)
def test_auto_takes_cuda_where_it_is(monkeypatch: pytest.MonkeyPatch, count: int, asked: str, found: str) -> None:
    monkeypatch.setattr(environment, "_cuda_devices", lambda: count)
    assert environment.find_device(asked) == found


@pytest.mark.parametrize(
    ("count", "asked", "said"),
    [
        (0, "cuda", "found 0 CUDA devices"),
        (1, "cuda:1", "found 1 CUDA device)"),
        (1, "cdua", "did you mean cuda"),
        (1, "cuda:x", "Unknown device"),
        (1, "cpu:0", "Unknown device"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, count: int, asked: str, said: str
) -> None:
    monkeypatch.setattr(environment, "_cuda_devices", lambda: count)
    with pytest.raises(UserError) as caught:
        environment.find_device(asked)
    assert said in str(caught.value)


def test_the_description_is_json_and_names_the_processor() -> None:
    described = environment.describe_device("cpu")
    assert json.loads(json.dumps(described)) == described
    assert described["name"]
    assert described["cores"] >= 1
    assert described["memory_bytes"] > 1e8


def test_versions_are_those_of_what_is_installed() -> None:
    import torch

    assert environment.packages()["torch"] == torch.__version__


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=folder, check=True)


def copy_of(folder: Path) -> Path:
    """The module as another checkout would hold it."""
    path = folder / "benchmarks" / "records" / "environment.py"
    path.parent.mkdir(parents=True)
    path.write_bytes(Path(environment.__file__).read_bytes())
    return path


def test_versions_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for with every cell."""

    def read(name: str) -> str:
        raise AssertionError(f"{name} is read again")

    known = environment.packages()
    monkeypatch.setattr(metadata, "version", read)
    assert environment.packages() == known


def test_commit_and_dirty_flag_are_those_of_this_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copy_of(tmp_path)
    monkeypatch.setattr(environment, "__file__", str(path))

    def found() -> tuple[str | None, bool | None]:
        environment.commit.cache_clear()
        return environment.commit()

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert found() == (None, None)  # no checkout at all
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "theirs")
    assert found() == (None, None)  # somebody else's checkout, in which this was installed
    git(tmp_path, "add", "benchmarks")
    git(tmp_path, "commit", "-q", "-m", "ours")
    commit, dirty = found()
    assert (len(commit or ""), dirty) == (40, False)
    (tmp_path / "notes.txt").write_text("not code")
    assert found() == (commit, False)
    (tmp_path / "benchmarks" / "extra.py").write_text("code")
    assert found() == (commit, True)
    (tmp_path / "benchmarks" / "extra.py").unlink()
    path.write_text(path.read_text() + "# changed\n")
    assert found() == (commit, True)
    environment.commit.cache_clear()


def test_machines_are_alike_whatever_their_clocks_say() -> None:
    made = environment.made_with("cpu")
    assert environment.alike(made, {**made, "device": {**made["device"], "clock_khz": 1, "threads": 64}})
    assert not environment.alike(made, {**made, "device": {**made["device"], "name": "another"}})
    assert not environment.alike(made, {**made, "commit": "f" * 40})


@pytest.mark.parametrize(
    ("printed", "found"),
    [
        ("1980, 2619, 1980, 700.00", (1980.0, 2619.0, 1980.0, 700.0)),
        ("345, 2619, [N/A], 700.00", (345.0, 2619.0, None, 700.0)),
        ("No devices were found", (None,) * 4),
    ],
)
def test_clocks_of_a_gpu_are_what_its_driver_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, found: tuple[float | None, ...]
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f'#!/bin/sh\n[ "$1" = --id=GPU-12-34 ] && echo "{printed}"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    clocks = environment._gpu_clocks("12-34")
    names = ("sm_clock_mhz", "memory_clock_mhz", "sm_clock_limit_mhz", "power_limit_watts")
    assert tuple(clocks.get(name) for name in names) == found
    assert environment._gpu_clocks("other") == {}


def test_a_copy_without_history_is_told_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_git", lambda *_, **__: None)
    monkeypatch.setenv(environment.COMMIT_VARIABLE, "0123abcd")
    assert environment.commit.__wrapped__() == ("0123abcd", None)
    monkeypatch.delenv(environment.COMMIT_VARIABLE)
    assert environment.commit.__wrapped__() == (None, None)


def test_what_decides_rounding_is_noted_where_torch_is_at_work() -> None:
    import torch

    described = environment.describe_device("cpu")
    assert described["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert described["blas"] in ("mkl", "open", "generic", "accelerate", "eigen", "none", "nvpl", "flame")
