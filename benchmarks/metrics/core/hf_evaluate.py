"""Any metric of the library `evaluate`, as `evaluate:NAME` or `evaluate:FOLDER`, and `#KEY` for one of its results.

    python -m benchmarks score --metric "evaluate:exact_match"
    python -m benchmarks score --metric "evaluate:./my_metric#recall"

It gets texts as predictions, and all references if it takes several, else the target. Which way is better is not known,
so nothing is marked as best. A script of a folder is run as it is: use folders you trust.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from baselines.contract import UserError
from benchmarks.evaluators.cache_paths import weights_hash
from benchmarks.evaluators.suppress_output import quiet
from benchmarks.metrics.core.metric import ANYWHERE, INSTALL_EVAL, Absent, Evaluator, Measured, Metric, MetricInput
from benchmarks.metrics.core.signature import library
from cosmos.io.files import expanded

PREFIX = "evaluate:"


def metric(name: str) -> Metric:
    """The metric that a name with the prefix stands for; nothing is loaded yet.

    Raises:
        UserError: the name is empty, or looks like a folder that is not there.
    """
    module_name, _, key = name.removeprefix(PREFIX).partition("#")
    folder = expanded(module_name)
    if not module_name or (
        not folder.exists() and (module_name.startswith((".", "~", "/")) or module_name.count("/") > 1)
    ):
        raise UserError(f"There is no metric for evaluate at '{module_name}'; write evaluate:NAME or evaluate:FOLDER.")
    called = folder.resolve().stem if folder.exists() else module_name
    return Metric(
        name=name,
        summary=f"{f'{key} of ' if key else ''}{called} as the library evaluate has it, blank texts as it takes them.",
        direction="none",
        evaluators={
            ANYWHERE: Evaluator(
                name=lambda: f"{library('evaluate')} {called}{_version(folder)}",
                measure=_measure(module_name, key),
                modules=("evaluate",),
                command=INSTALL_EVAL,
            )
        },
    )


def _version(folder: Path) -> str:
    """What the scripts of a folder hash to, so that two states of it are two judges."""
    if not folder.exists():
        return ""
    return f" {weights_hash(folder if folder.is_dir() else folder.parent)[:8]}"


def _measure(module_name: str, key: str) -> Callable[[MetricInput], Measured]:
    def measure(batch: MetricInput) -> Measured:
        with tempfile.TemporaryDirectory() as scratch, quiet():
            module = _load(module_name, scratch)
            results = module.compute(**_inputs(module, batch))
        result, value = _result(results or {}, key, module.name)
        options = {"result": result}
        if isinstance(value, list):
            return Measured(values=tuple(float(one) for one in value), options=options)
        return Measured(total=float(value), options=options)

    return measure


def _load(module_name: str, scratch: str) -> Any:
    import evaluate

    try:
        return evaluate.load(module_name, cache_dir=scratch, keep_in_memory=True)
    except (FileNotFoundError, ConnectionError) as error:
        if expanded(module_name).exists():
            raise
        raise Absent(
            f"missing evaluator: evaluate does not have {module_name} on this machine; add it with: "
            f"python -c \"import evaluate; evaluate.load('{module_name}')\""
        ) from error


def _inputs(module: Any, batch: MetricInput) -> dict[str, list[Any]]:
    """Texts, and references in the form that the metric declares."""
    formats = module.features if isinstance(module.features, list) else [module.features]
    several = any(type(one["references"]).__name__ != "Value" for one in formats if "references" in one)
    out: dict[str, list[Any]] = {"predictions": list(batch.texts)}
    if any("references" in one for one in formats):
        out["references"] = [list(d.references) if several else d.target for d in batch.documents]
    if any("sources" in one for one in formats):
        out["sources"] = [document.source or "" for document in batch.documents]
    return out


def _result(results: Mapping[str, Any], key: str, name: str) -> tuple[str, Any]:
    """The result that is asked for: by its key, else that with the metric's name, else the only number."""
    if key:
        if key not in results:
            raise ValueError(f"{name} gives {', '.join(results)}, and no {key}")
        return key, results[key]
    if name in results:
        return name, results[name]
    numbers = [one for one, value in results.items() if isinstance(value, int | float) or hasattr(value, "dtype")]
    if len(numbers) != 1:
        raise ValueError(f"{name} gives {', '.join(results)}; choose one with {PREFIX}{name}#KEY")
    return numbers[0], results[numbers[0]]
