"""The drill without simulation: Cosmos itself, a tenth slower in its sampler, or shifted by a token in its decoder.

It is trained once, since neither change has to do with training. Minutes, and a machine that does little else: `tox -e
bench`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gate_repository import Repository, made
from test_drill import what_failed

SMALL = (
    *("--system", "cosmos", "--setting", "dpmpp_2m-20", "--metric", "rouge_l", "--set", "budget=120steps"),
    *("--set", "data.train=400", "--set", "data.validation=40", "--set", "data.test=60"),
)
SAMPLER, DECODER = "cosmos/diffusion/samplers.py", "cosmos/pipeline.py"
CALL = "        before, estimate = estimate, denoise(x, grid.t[i], estimate)\n"
# Every step waits for an eighth of what its network call took, which makes about a tenth of the whole.
SLOW = (
    "        began = time.perf_counter()\n" + CALL + "        took = time.perf_counter() - began\n"
    "        while time.perf_counter() < began + 1.125 * took:\n            pass\n"
)

pytestmark = pytest.mark.slow


def written_again(repository: Repository, out: str) -> None:
    """A copy of the baseline whose texts are made and timed anew, from the same weights, by the code as it is now."""
    shutil.copytree(repository.folder / "runs/baseline", repository.folder / out)
    for words in (("generate", "--task", "detox", *SMALL, "--fresh"), ("score", "--metric", "rouge_l")):
        done = repository.call(*words, "--out", out)
        assert done.returncode == 0, done.stdout + done.stderr


def test_cosmos_that_samples_a_tenth_slower_and_cosmos_that_decodes_shifted_fail(tmp_path: Path) -> None:
    repository = made(tmp_path, simulated=False)
    repository.run("runs/baseline", *SMALL, task="detox")
    path = repository.folder / SAMPLER
    path.write_text(path.read_text().replace("import math\n", "import math\nimport time\n", 1))
    repository.commit(SAMPLER, CALL, SLOW, "Wait a little")
    written_again(repository, "runs/slow")
    words = ("--against", "runs/baseline", "--system", "cosmos", "--processes", "5", "--rounds", "5")
    done = repository.gate("runs/slow", *words)
    assert done.returncode == 1, done.stdout + done.stderr
    failed = {title for outcome, title in what_failed(done) if outcome == "regression"}
    assert failed & {"throughput@25 of cosmos dpmpp_2m-20", "latency of cosmos dpmpp_2m-20"}
    assert not any("rouge_l" in title for title in failed)

    repository.git("revert", "--no-edit", "HEAD")
    repository.commit(DECODER, "return logits.argmax(-1)", "return logits.argmax(-1).roll(1, -1)", "Count from one")
    written_again(repository, "runs/shift")
    done = repository.gate("runs/shift", *words, "--no-speed")
    assert done.returncode == 1, done.stdout + done.stderr
    assert ("regression", "rouge_l of cosmos dpmpp_2m-20") in what_failed(done)
