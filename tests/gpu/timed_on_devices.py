"""Work of a size that is timed on one device and on two; a JSON line on stdout says what came of it.

    python timed_on_devices.py train OUT [--preset base] [--steps 120] [--device cuda]      alone, or under torchrun
    python timed_on_devices.py curve OUT [--preset nano] [--steps 50]                       the loss of every step
    python timed_on_devices.py generate OUT cuda:0,cuda:1 [--texts 4096] [--preset small]   trained once, briefly

Training is that of the denoiser of `cosmos-full` on random rows, the batch that of its preset whoever shares it; its
speed is that of the last half of the steps. Texts are those of MDLM, trained once and hardly, which is no matter of
their time; their speed is that of the whole, from the first device's begin to the last one's end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosmos.io import launched


def trained(options: argparse.Namespace, changes: Mapping[str, Any]) -> tuple[Any, int, list[Any]]:
    """What training on random rows came to, the rows of a batch, and the lines of the log."""
    from baselines import registry
    from baselines.contract import Limits, RandomTraining

    kind = registry.find("cosmos-full")
    system = kind(kind.presets[options.preset], Limits(0, 128 if options.preset == "base" else 32))
    asked = RandomTraining("diffusion", options.steps, 4096, 30_000, changes)
    device = launched.own_device(options.device)
    result, rows = system.train_on_random_rows(asked, options.out, device=device)
    log = options.out / "diffusion.jsonl"
    return result, rows, [json.loads(line) for line in log.read_text().splitlines()]


def curve(options: argparse.Namespace) -> None:
    from cosmos.training import loop

    loop.LOG_EVERY = 1
    result, _, lines = trained(options, {"cuda_graph": True, "precision": "float32", "compile": False})
    if launched.is_first():
        recorded = result.notes.get("preparation", {}).get("recorded", False)
        print(json.dumps({"recorded": recorded, "losses": [line["loss"] for line in lines]}), flush=True)


def train(options: argparse.Namespace) -> None:
    result, rows, lines = trained(options, {})
    if launched.is_first():
        first, last = lines[(len(lines) - 1) // 2], lines[-1]
        seconds = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
        said = {"seconds_per_step": seconds, "rows_per_second": rows / seconds, "rows": rows, "loss": last["loss"]}
        print(json.dumps({**said, "preparation": result.notes.get("preparation")}), flush=True)


def generate(options: argparse.Namespace) -> None:
    from benchmarks.records import store

    kind = options.devices.partition(":")[0]
    shared = [
        "--task", "story", "--system", "mdlm", "--setting", "mdlm:confidence-24", "--preset", options.preset,
        "--out", str(options.out), "--limit", str(options.texts), "--set", f"data.test={options.texts}",
        "--set", f"data.train={min(512, 16 * options.texts)}", "--set", f"budget={min(20, options.texts // 4)}steps",
        "--set", f"batch_size={min(64, options.texts // 4)}",
    ]  # fmt: skip
    command = [sys.executable, "-m", "benchmarks"]
    if not (options.out / "checkpoints").exists():
        subprocess.run([*command, "fit", *shared, "--device", kind], check=True)
    subprocess.run([*command, "generate", *shared, "--devices", options.devices], check=True)
    devices = tuple(options.devices.split(","))
    headers = [header for header in store.read_headers(options.out) if header.cell.devices == devices]
    (header,) = [header for header in headers if header.cell.system == "mdlm"]
    folder = store.cell_folder(options.out, header.cell.id)
    timings = store.read_timings(folder)
    (whole,) = [timing for timing in timings if timing.kind == "whole"]
    each = {name: sum(t.seconds for t in timings if t.kind == "shard" and t.device == name) for name in devices}
    sha256 = hashlib.sha256((folder / store.SAMPLES).read_bytes()).hexdigest()
    said = {"texts": len(whole.ids), "seconds": whole.seconds, "seconds_of_each": each, "sha256": sha256}
    print(json.dumps({**said, "texts_per_second": len(whole.ids) / whole.seconds}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("train", "curve", "generate"))
    parser.add_argument("out", type=Path)
    parser.add_argument("devices", nargs="?", default="cuda:0")
    parser.add_argument("--preset", default=None)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--texts", type=int, default=4096)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    options.preset = options.preset or {"train": "base", "curve": "nano", "generate": "small"}[options.what]
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    {"train": train, "curve": curve, "generate": generate}[options.what](options)


if __name__ == "__main__":
    main()
