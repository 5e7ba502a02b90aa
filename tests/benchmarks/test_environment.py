"""What a record says about machine and code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.contract import UserError
from benchmarks import environment


def test_the_cpu_is_found_without_torch() -> None:
    code = (
        "import sys; from benchmarks import environment as e; e.find_device('cpu'); e.packages(); e.commit();"
        "e.describe_device('cpu'); print('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True).stdout
    assert said == "False\n"


@pytest.mark.parametrize(
    ("count", "wanted", "found"), [(0, "auto", "cpu"), (2, "auto", "cuda"), (2, "cuda:1", "cuda:1")]
)
def test_auto_takes_cuda_where_it_is(monkeypatch: pytest.MonkeyPatch, count: int, wanted: str, found: str) -> None:
    monkeypatch.setattr(environment, "_cuda_devices", lambda: count)
    assert environment.find_device(wanted) == found


@pytest.mark.parametrize(
    ("count", "wanted", "said"),
    [
        (0, "cuda", "found 0 CUDA devices"),
        (1, "cuda:1", "found 1 CUDA device)"),
        (1, "cdua", "did you mean cuda"),
        (1, "cuda:x", "Unknown device"),
        (1, "cpu:0", "Unknown device"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, count: int, wanted: str, said: str
) -> None:
    monkeypatch.setattr(environment, "_cuda_devices", lambda: count)
    with pytest.raises(UserError) as caught:
        environment.find_device(wanted)
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


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert environment._git("rev-parse", "HEAD", folder=tmp_path) is None
    commit, dirty = environment.commit()
    assert commit is None or (len(commit) == 40 and dirty in (True, False))
