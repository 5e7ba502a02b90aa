"""Take a quantised model out of a package, once: weights made fp16 safetensors, the tokenizer written beside them.

Loading the quantised file anew at every start would cost twenty seconds. fp16 holds what four bits can say: the loss is
below that of the quantisation by orders of magnitude.

    python -m benchmarks.evaluators.gguf FILE.gguf FOLDER
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import CacheError
from benchmarks.evaluators.catalogue import Model
from cosmos.io.files import make_folder
from cosmos.io.seals import read_hash


def bring(model: Model, folder: Path, say: Callable[[str], None]) -> None:
    """Make `folder`, whole or not at all. The packages are installed beside it for as long as it takes, if need be.

    Raises:
        UserError: the packages cannot be had, their file is not the one known, or it cannot be converted.
    """
    from benchmarks.evaluators.fetching import finish

    module = model.requirements[0].partition("==")[0].replace("-", "_")
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    make_folder(partial, CacheError)
    packages = folder.with_name(folder.name + ".packages")
    beside = not (find_spec(module) and find_spec("gguf"))
    if beside:
        say(f"{model.name}: getting {' and '.join(model.requirements)}")
        _install(model.requirements, packages)
    file = _quantised(module, packages if beside else None)
    if read_hash(file) != model.sha256:
        raise UserError(f"{file} is not the file that was tested (its SHA-256 differs); reinstall {module}.")
    say(f"{model.name}: converting {file.name}, half a minute")
    paths = [str(packages)] if beside else []
    root = str(Path(__file__).parents[2])
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "benchmarks.evaluators.gguf", str(file), str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise UserError(f"{file.name} cannot be converted ({' '.join(last)}); free 2 GB of memory and try again.")
    finish(partial, folder, model, origin=" ".join(model.requirements))
    shutil.rmtree(packages, ignore_errors=True)


def _install(requirements: tuple[str, ...], target: Path) -> None:
    """Install packages without what they need into a folder of their own; pip keeps what it has loaded."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(target)]
    done = subprocess.run([*command, *requirements], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise UserError(
            f"Cannot get {' and '.join(requirements)} ({said}); install them with: "
            f"pip install --no-deps {' '.join(requirements)}"
        )


def _quantised(module: str, packages: Path | None) -> Path:
    """The one GGUF file of a package, which is not imported: its own needs are not installed."""
    if packages is not None:
        folder: Path | None = packages / module
    else:
        spec = find_spec(module)
        folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    files = sorted(folder.glob("*.gguf")) if folder is not None else []
    if len(files) != 1:
        raise UserError(f"The package {module} does not hold the model it should; reinstall it.")
    return files[0]


def convert(file: Path, folder: Path) -> None:
    """Write the model and tokenizer of a GGUF file as `transformers` saves them, weights in fp16."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    weights = model.state_dict()
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    clean = type(model.config).from_dict({**config, "dtype": "float16"})
    clean.architectures = [type(model).__name__]
    clean.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod((folder / "config.json").stat().st_mode)  # safetensors lets nobody else read


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
