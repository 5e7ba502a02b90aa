"""The catalogue: lazy names, near misses, outside packages."""

from __future__ import annotations

import subprocess
import sys
import types
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from baselines import catalogue
from baselines.canvas import CanvasRecipe
from baselines.contract import Budget, NoSetting, UserError
from baselines.fitting import Rival, TrainedSystem
from baselines.floors import CopySystem
from baselines.gpt2 import GPT2System
from baselines.mdlm import MDLMSystem
from baselines.tencdm import TEncDMSystem
from baselines.trunk import trunk_of
from cosmos.config import MINILM
from cosmos.training import TrainingConfig


def offer(monkeypatch: pytest.MonkeyPatch, *offers: tuple[str, str, str]) -> None:
    """Pretend that packages offer systems: (name, value, package)."""

    def entry_points(group: str) -> list[SimpleNamespace]:
        assert group == "cosmos_bench.systems"
        return [
            SimpleNamespace(name=n, value=value, dist=SimpleNamespace(name=package)) for n, value, package in offers
        ]

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)


def module(monkeypatch: pytest.MonkeyPatch, **content: Any) -> None:
    outside = types.ModuleType("outside_package")
    vars(outside).update(content)
    monkeypatch.setitem(sys.modules, "outside_package", outside)


def test_names_need_no_framework() -> None:
    code = (
        "import sys; from baselines import catalogue; assert 'gpt2' in catalogue.names();"
        "print([m for m in ('torch', 'transformers', 'numpy', 'baselines.gpt2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_built_in_name_gives_its_class() -> None:
    assert catalogue.find("copy") is CopySystem


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Unknown system 'gtp2'; did you mean gpt2"):
        catalogue.find("gtp2")


def test_an_outside_package_adds_a_system(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    module(monkeypatch, Mine=type("Mine", (CopySystem,), {}))
    assert catalogue.names()[-1] == "mine"
    assert catalogue.find("mine").__name__ == "Mine"


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
    offer(monkeypatch, *offers)
    with pytest.raises(UserError, match=message):
        catalogue.names()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"settings": {}}, "'settings' is not a mapping with at least one entry"),
        ({"presets": {"nano": {"width": 3}}}, "'presets' maps something else"),
        ({"trained": "yes"}, "'trained' is not True or False"),
        ({"trained": True}, "no default 'budget'"),
        ({"generate": None, "load": 3}, "no method load or generate"),
        ({"presets": {"nano": NoSetting}}, "'presets' maps something else"),
    ],
)
def test_an_outside_class_must_meet_the_contract(
    monkeypatch: pytest.MonkeyPatch, attributes: dict[str, Any], message: str
) -> None:
    offer(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    module(monkeypatch, Mine=type("Mine", (CopySystem,), attributes))
    with pytest.raises(UserError, match=message):
        catalogue.find("mine")


class _Own(Rival):
    """As much of a token system as the catalogue looks at."""

    presets: ClassVar[dict[str, Any]] = {
        "nano": CanvasRecipe(trunk_of("nano", 64), 0, TrainingConfig(), Budget(1, "steps"))
    }
    settings: ClassVar[dict[str, Any]] = {"default": NoSetting()}


@pytest.mark.parametrize("base", [_Own, MDLMSystem, GPT2System, TEncDMSystem])
def test_a_trained_class_says_itself_which_weights_it_uses(
    base: type[TrainedSystem], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    for attributes in ({}, {"external_weights": lambda self, recipe: ()}):  # which an instance would be needed for
        module(monkeypatch, Mine=type("Mine", (base,), attributes))
        with pytest.raises(UserError, match=r"add to the class `@staticmethod def external_weights\(recipe\)"):
            catalogue.find("mine")
    said = staticmethod(lambda recipe: ("a-company/backbone",))
    module(monkeypatch, Mine=type("Mine", (base,), {"external_weights": said}))
    assert catalogue.find("mine").external_weights(None) == ("a-company/backbone",)


@pytest.mark.parametrize("name", catalogue.BUILT_IN)
def test_every_system_says_which_weights_it_uses(name: str) -> None:
    system = catalogue.find(name)
    for preset, recipe in system.presets.items():
        weights = system.external_weights(recipe)
        if name.startswith("cosmos") or name in ("tencdm", "ld4lg"):
            assert weights == (MINILM,)
        else:
            assert weights == (("openai-community/gpt2",) if (name, preset) == ("gpt2", "pretrained") else ())
    assert getattr(system, "method", name) == ("cosmos" if name.startswith("cosmos") else name)


@pytest.mark.parametrize("value", ["outside_package:Gone", "no_such_package_here:Mine"])
def test_an_outside_class_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    offer(monkeypatch, ("mine", value, "outside"))
    module(monkeypatch, Mine=3)
    with pytest.raises(UserError, match="'mine' of the package outside cannot be loaded"):
        catalogue.find("mine")


def test_something_else_than_a_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, ("mine", "outside_package:Mine", "outside"))
    module(monkeypatch, Mine=3)
    with pytest.raises(UserError, match="it is not a class"):
        catalogue.find("mine")
