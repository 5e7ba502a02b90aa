"""Names of systems, tasks, metrics and sources: lazy, with near misses, and offered by outside packages."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from baselines import registry
from baselines.autoregressive.gpt2 import GPT2System
from baselines.common.system import TokenSystem, TrainedSystem
from baselines.common.transformer import trunk_of
from baselines.contract import Budget, NoSetting, UserError
from baselines.latent_diffusion.tencdm import TEncDMSystem
from baselines.reference.trivial import CopySystem
from baselines.token_diffusion.mdlm import MDLMSystem
from baselines.token_diffusion.system import TokenDiffusionRecipe
from benchmarks import tasks
from benchmarks.data import source as sources
from benchmarks.metrics.core import metric_names as metrics
from cosmos.config import MINILM
from cosmos.training.loop import TrainingConfig


def pretend(monkeypatch: pytest.MonkeyPatch, *offers: tuple[str, str, str]) -> None:
    """Pretend that packages offer systems: (name, value, package)."""

    def installed(group: str, folders: tuple[str, ...]) -> tuple[tuple[str, str, str], ...]:
        assert group == "cosmos_bench.systems"
        return offers

    monkeypatch.setattr(registry, "installed", installed)


def module(monkeypatch: pytest.MonkeyPatch, **content: Any) -> None:
    outside = types.ModuleType("outside_package")
    vars(outside).update(content)
    monkeypatch.setitem(sys.modules, "outside_package", outside)


def test_names_need_no_framework() -> None:
    code = (
        "import sys; from baselines import registry; assert 'gpt2' in registry.names();"
        "print([m for m in ('torch', 'transformers', 'numpy', 'baselines.autoregressive.gpt2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_built_in_name_gives_its_class() -> None:
    assert registry.find("copy") is CopySystem


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Unknown system 'gtp2'; did you mean gpt2"):
        registry.find("gtp2")


def test_an_outside_package_adds_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    module(monkeypatch, Mine=type("Mine", (CopySystem,), {}))
    assert registry.names()[-1] == "mine"
    assert registry.find("mine").__name__ == "Mine"


@pytest.mark.parametrize(
    ("offers", "message"),
    [
        ([("gpt2", "outside_package:Mine", "outside")], "offers a system named 'gpt2', which is built in"),
        ([("a", "one:A", "first"), ("a", "two:A", "second")], "also comes from the package first"),
    ],
)
def test_a_name_offered_twice_is_refused(
    monkeypatch: pytest.MonkeyPatch, offers: list[tuple[str, str, str]], message: str
) -> None:
    pretend(monkeypatch, *offers)
    with pytest.raises(UserError, match=message):
        registry.names()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"settings": {}}, "'settings' that is not a mapping with at least one entry"),
        ({"presets": {"nano": {"width": 3}}}, "'presets' that maps something else"),
        ({"trained": "yes"}, "'trained' that is not True or False"),
        ({"trained": True}, "without a default 'budget'"),
        ({"generate": None, "load": 3}, "no method load or generate"),
        ({"presets": {"nano": NoSetting}}, "'presets' that maps something else"),
    ],
)
def test_an_outside_class_must_meet_the_contract(
    monkeypatch: pytest.MonkeyPatch, attributes: dict[str, Any], message: str
) -> None:
    pretend(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    module(monkeypatch, Mine=type("Mine", (CopySystem,), attributes))
    with pytest.raises(UserError, match=message):
        registry.find("mine")


class _Own(TokenSystem):
    """As much of a token system as the registry looks at."""

    presets: ClassVar[dict[str, Any]] = {
        "nano": TokenDiffusionRecipe(trunk_of("nano", 64), 0, TrainingConfig(), Budget(1, "steps"))
    }
    settings: ClassVar[dict[str, Any]] = {"default": NoSetting()}


@pytest.mark.parametrize("base", [_Own, MDLMSystem, GPT2System, TEncDMSystem])
def test_a_trained_class_says_itself_which_weights_it_uses(
    base: type[TrainedSystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    for attributes in ({}, {"external_weights": lambda self, recipe: ()}):  # which an instance would be needed for
        module(monkeypatch, Mine=type("Mine", (base,), attributes))
        with pytest.raises(UserError, match=r"add to the class `@staticmethod def external_weights\(recipe\)"):
            registry.find("mine")
    said = staticmethod(lambda recipe: ("a-company/backbone",))
    module(monkeypatch, Mine=type("Mine", (base,), {"external_weights": said}))
    assert registry.find("mine").external_weights(None) == ("a-company/backbone",)


def test_names_of_a_family_are_found_without_a_line_of_their_own() -> None:
    assert "cosmos-16x64" not in registry.names()
    assert registry.has("cosmos-16x64") and registry.has("cosmos-16") and registry.has("cosmos-12")
    system = registry.find("cosmos-16x64")
    assert system is registry.find("cosmos-16x64")
    assert (system.name, system.method) == ("cosmos-16x64", "cosmos")  # type: ignore[attr-defined]
    for name in ("cosmos-016", "cosmos-0", "cosmos-16x", "cosmos-16x0", "cosmos-x64", "cosmos-16x64x2", "acosmos-16"):
        assert not registry.has(name), name
        with pytest.raises(UserError, match=f"Unknown system '{name}'; did you mean cosmos"):
            registry.find(name)
    with pytest.raises(UserError, match="latent_width must lie between 1 and 65536, not at 999999"):
        registry.find("cosmos-8x999999")


@pytest.mark.parametrize("name", registry.SYSTEMS.built_in)
def test_every_system_says_which_weights_it_uses(name: str) -> None:
    system = registry.find(name)
    for preset, recipe in system.presets.items():
        weights = system.external_weights(recipe)
        if name.startswith("cosmos") or name in ("tencdm", "ld4lg"):
            assert weights == ("bert-base-cased" if preset == "base" else MINILM,)
        elif name == "hf":
            assert weights == (recipe.model,)
        else:
            assert weights == (("openai-community/gpt2",) if (name, preset) == ("gpt2", "pretrained") else ())
    assert getattr(system, "method", name) == ("cosmos" if name.startswith("cosmos") else name)


@pytest.mark.parametrize("value", ["outside_package:Gone", "no_such_package_here:Mine"])
def test_an_outside_class_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    pretend(monkeypatch, ("mine", value, "outside"))
    module(monkeypatch, Mine=3)
    with pytest.raises(UserError, match="'mine' of the package outside cannot be loaded"):
        registry.find("mine")


def test_something_else_than_a_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    module(monkeypatch, Mine=3)
    with pytest.raises(UserError, match="of the package outside cannot be used: outside_package:Mine is not a class"):
        registry.find("mine")


MODULE = """
from dataclasses import dataclass
from baselines.contract import Limits
from benchmarks.metrics.core.metric import Metric
from benchmarks.tasks import Task

TASK = Task("mine", "1", "Mine", False, Limits(0, 8), (), (), (), (), (), "")
METRIC = Metric("mine", "Mine.", "none")


@dataclass(frozen=True)
class Options:
    size: int = 3


class Good:
    Options, version = Options, "1"

    def load(self, task, split, limit=None):
        return []


class Unversioned:
    Options, load = Options, Good.load


class Plain:
    Options, version, load = int, "1", Good.load
"""


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Install a package `outside` that offers `name = attribute` of its module in a group."""
    (tmp_path / "offered_things.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))

    def offer(group: str, name: str, attribute: str) -> None:
        info = tmp_path / "outside-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cosmos_bench.{group}]\n{name} = offered_things:{attribute}\n")
        registry.installed.cache_clear()

    return offer


@pytest.mark.parametrize(
    ("group", "names", "attribute"),
    [("tasks", tasks, "TASK"), ("metrics", metrics, "METRIC"), ("sources", sources, "Good")],
)
def test_what_another_package_offers_is_found(offer, group, names, attribute) -> None:  # type: ignore[no-untyped-def]
    before = tuple(names.names())
    offer(group, "mine", attribute)
    assert tuple(names.names()) == (*before, "mine")
    assert names.find("mine").__class__.__name__ in ("Task", "Metric", "type")


@pytest.mark.parametrize(
    ("group", "names", "attribute", "message"),
    [
        ("tasks", tasks, "METRIC", "The task 'mine' .* offered_things:METRIC is no benchmarks.tasks.Task"),
        ("metrics", metrics, "Good", "The metric 'mine' .* is no benchmarks.metrics.core.metric.Metric"),
        ("sources", sources, "Unversioned", "The source 'mine' .* offered_things:Unversioned has no version"),
        ("sources", sources, "Plain", "has Options that are no dataclass"),
        ("sources", sources, "TASK", "has no Options and no load"),
        ("tasks", tasks, "NOTHING", "The task 'mine' of the package outside cannot be loaded"),
    ],
)
def test_what_cannot_be_used_is_told(offer, group, names, attribute, message) -> None:  # type: ignore[no-untyped-def]
    offer(group, "mine", attribute)
    with pytest.raises(UserError, match=message):
        names.find("mine")


@pytest.mark.parametrize(
    ("group", "names", "name"),
    [("tasks", tasks, "detox"), ("metrics", metrics, "bleu"), ("sources", sources, "hub")],
)
def test_a_name_that_is_taken_is_refused(offer, group, names, name) -> None:  # type: ignore[no-untyped-def]
    offer(group, name, "TASK")
    with pytest.raises(UserError, match=f"The package outside offers a .* named '{name}', which is built in"):
        names.names()
