"""The drill without simulation: Cosmos itself, whose sampler waits at every step, or whose decoder misreads its table.

It is trained once, since neither change has to do with training. The sampler waits as long as its network works, which
is much longer than what processes of the same code differ by. On a machine with so much other work that they differ by
more nobody can tell, so the test says that and is skipped. Minutes: `tox -e bench`.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from gate_repository import Repository, made
from test_drill import what_failed

SMALL = (
    *("--system", "cosmos", "--setting", "dpmpp_2m-20", "--metric", "rouge_l", "--set", "budget=60steps"),
    *("--set", "data.train=100", "--set", "data.validation=20", "--set", "data.test=24", "--set", "batch_size=8"),
)
ENTRY = "cosmos dpmpp_2m-20"
SPEEDS = {f"throughput@8 of {ENTRY}", f"latency of {ENTRY}"}
SAMPLER = "cosmos/diffusion/samplers.py"
CALL = "        before, estimate = estimate, denoise(x, grid.t[i], estimate)\n"
SLOW = (
    "        began = time.perf_counter()\n" + CALL + "        took = time.perf_counter() - began\n"
    "        while time.perf_counter() < began + 2 * took:\n            pass\n"
)
DECODER, READ = "cosmos/models/token_reading.py", "[:, :vocabulary].argmax(-1)"
TIMED = ("--processes", "3", "--rounds", "5")
NOISY = re.compile(r"the margin was widened from [\d.]+% to [\d.]+%")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with a run of its first commit."""
    repository = made(tmp_path_factory.mktemp("real"), simulated=False)
    repository.run("runs/baseline", *SMALL, task="detox")
    return repository


@pytest.fixture
def repository(trained: Repository) -> Repository:
    """The same, at its first commit."""
    trained.git("checkout", "-q", "--detach", trained.git("rev-list", "--max-parents=0", "--all"))
    return trained


def written_again(repository: Repository, out: str) -> None:
    """A copy of the baseline whose texts are made and timed anew, from the same weights, by the code as it is now."""
    shutil.copytree(repository.folder / "runs/baseline", repository.folder / out)
    for words in (("generate", "--task", "detox", *SMALL, "--fresh"), ("score", "--metric", "rouge_l")):
        done = repository.call(*words, "--out", out)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_sampler_that_waits_is_a_regression_of_speed_and_of_nothing_else(repository: Repository) -> None:
    path = repository.folder / SAMPLER
    path.write_text(path.read_text().replace("import math\n", "import math\nimport time\n", 1))
    repository.commit(SAMPLER, CALL, SLOW, "Wait a little")
    written_again(repository, "runs/slow")
    done = repository.gate("runs/slow", "--against", "runs/baseline", "--system", "cosmos", *TIMED)
    said = done.stdout + done.stderr
    failed = what_failed(done)
    assert {title for _, title in failed} <= SPEEDS, said
    slower = {title for outcome, title in failed if outcome == "regression"}
    unsure = {line for line in done.stdout.splitlines() if line.startswith("cannot judge: ") or NOISY.search(line)}
    if not slower and unsure:
        pytest.skip("cannot tell, the machine has other work: " + min(unsure))
    assert slower and done.returncode == 1, said


def test_a_decoder_that_reads_the_next_token_of_its_table_is_a_regression_of_scores(repository: Repository) -> None:
    repository.commit(DECODER, READ, f"{READ}.add(1).remainder(vocabulary)", "Count from one")
    written_again(repository, "runs/shift")
    done = repository.gate("runs/shift", "--against", "runs/baseline", "--system", "cosmos", "--no-speed")
    assert done.returncode == 1, done.stdout + done.stderr
    assert ("regression", f"rouge_l of {ENTRY}") in what_failed(done)
