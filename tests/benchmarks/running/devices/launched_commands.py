"""Gives a command to two processes, as `torchrun` does, but forked, so that torch is imported once for all.

    python launched_commands.py FOLDER WORD...

The command is given twice: it makes FOLDER, and then is refused, as FOLDER is locked. What processes say on stderr is
in `made` and `refused` beside FOLDER, and JSON is printed, whether each went well.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from benchmarks.cli.main import main
from benchmarks.records.files import locked

import_module("benchmarks.running.runner")  # which each command would import, once before they fork


def command(words: Sequence[str], log: str) -> None:
    """What each process does; one that goes wrong ends itself."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
    assert main(words) == 0


def goes_well(words: Sequence[str], log: Path) -> bool:
    two = LaunchConfig(
        1, 1, 2, run_id="two", rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method="fork", max_restarts=0
    )
    try:
        elastic_launch(two, command)(words, str(log))
    except ChildFailedError:
        return False
    return True


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    made = goes_well(words, folder.with_name("made"))
    with locked(folder):
        print(json.dumps([made, goes_well([*words, "--fresh"], folder.with_name("refused"))]))
