"""No option is silent: each key of `--set` changes a network, its training or the texts, or is refused.

Every key of every system is set to other values, by the code that `--set` runs through, at nano sizes. What a recipe
makes is compared where training would begin: the weights, the loss of one batch, and what the training loop is given,
all of which it reads (the last test). What a setting makes are texts, of networks with random weights. And what is
refused must indeed change nothing, or not run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch

from baselines import registry
from baselines.contract import Budget, Corpus, Document, Limits, Request, Sample, UserError
from benchmarks.planning.generation_settings import available
from benchmarks.planning.overrides import CliValue, keys, override
from benchmarks.planning.plan import Contestant, make
from benchmarks.planning.run_config import gather
from cosmos.training.loop import TrainingConfig

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "autoregressive"))
sys.path.insert(0, str(Path(__file__).parents[1] / "cosmos"))
import tiny_training
from tiny_cosmos import tiny_encoder
from tiny_language_models import save_model
from tiny_systems import DOCUMENTS, few, marks_of
from watched import Begun, EnoughError, Spy, watch

# But for the number of latents; a test says so.
LIKE_COSMOS = ("cosmos-8", "cosmos-16", "cosmos-32", "cosmos-64", "cosmos-128", "cosmos-full")
TRAINED = [n for n in registry.SYSTEMS.built_in if registry.find(n).trained and n not in LIKE_COSMOS]
LIMITS = {"detox": Limits(16, 20), "story": Limits(0, 20)}  # with sources and without, short
# Their recipes have many keys, so their tests are cut in parts.
TWO_STAGES = ("cosmos", "cosmos-joint", "tencdm", "ld4lg")
CASES = [
    pytest.param(
        name,
        task,
        slice(part, None, parts),
        id=f"{name}-{task}-{part}",
        marks=[*marks_of(name), *[pytest.mark.slow] * (parts > 1 and task == "story")],
    )
    for name in TRAINED
    for task in LIMITS
    for parts in [3 if name in TWO_STAGES else 1]
    for part in range(parts)
]
STEPS = 4  # at most, of every setting that has steps

# Keys, by their last name, that are not compared, and why that is right.
NOT_COMPARED = {
    "capture": "how calls are launched; texts are the same (test_capturing.py, tests/gpu)",
    "compile": "how steps are launched on a GPU; tests/gpu",
    "cuda_graph": "how steps are launched on a GPU; tests/gpu",
    "checkpoint_seconds": "when resume points are written; no result depends on it (training/test_loop.py)",
    "states": "where states are computed; losses are the same (tests/cosmos/test_in_loop.py)",
    "clean_latents": "the same of latents",
    "autoencoder": "a first stage from elsewhere; latent_diffusion/test_shared_decoder.py",
    "decoder": "the same",
    "pretrained": "weights from elsewhere; autoregressive/test_pretrained.py",
    "model": "the same; autoregressive/test_hf.py",
    "prompt": "a template that must fit the task; the same",
    "tuned": "whether anything is trained; the same",
    "stop": "how a text ends that is not trained; the same",
    "released": "the same; latent_diffusion/test_released.py, token_diffusion/test_released.py",
    "loss_decay": "which times later batches get; cosmos/diffusion/test_timestep_sampling.py",
    "refresh_steps": "the same",
    "uniform_share": "the same",
}
# Keys that are refused by whoever is given them, in words of its own.
REFUSED_BY_THE_SYSTEM = {
    "mdlm.recipe.trunk.time_width": "needs a trunk without a time input",
    "diffuseq.settings.dpmpp_2m-20.grid": "this solver is not defined",
    "diffuseq.settings.mbr10-dpmpp_2m-20.grid": "this solver is not defined",
}
# Keys of a training that a system refuses, whatever they are set to.
REFUSED_OF_A_TRAINING = {"cosmos-joint": {"micro_batch_size": "standardised together; leave training.micro_batch_size"}}
# Refused keys with which nothing would run.
CANNOT_RUN = ("diffuseq.recipe.trunk.cross_attention",)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return watch(monkeypatch)


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A text encoder, and another of other weights."""
    first, second = (tmp_path_factory.mktemp("encoders") / name for name in ("first", "second"))
    tiny_encoder(first)
    tiny_encoder(second, seed=1)
    save_model("gpt2", [text for d in DOCUMENTS for text in (d.source or "", d.target)], first.with_name("gpt2"))
    return first, second


def planned(name: str, task: str, assignments: Mapping[str, str], *flags: str) -> Contestant:
    """The system with `--set` of everything given, by the code of the command line."""
    words = [f"{key}={value}" for key, value in assignments.items()]
    plan = make(gather({"task": task, "system": [name], "setting": list(flags) or None}, words), "cpu")
    return next(p.contestant for p in plan.cells if p.cell.system == name)


def basis(name: str, task: str, encoder: Path) -> dict[str, str]:
    """What is set throughout: a small encoder, few layers, and a budget in FLOPs that pays for encoding some texts."""
    recipe = registry.find(name).presets["nano"]
    found = {f"{name}.recipe.budget": "5e9flops"}
    found |= {key: str(encoder) for key in keys(recipe, f"{name}.recipe.") if key.endswith("text_encoder")}
    found |= {key: "2" for key in keys(recipe, f"{name}.recipe.") if key.endswith(".layers")}
    if name == "hf":
        found["hf.recipe.model"] = str(encoder.with_name("gpt2"))
    # What is off by default is on; the budget pays for it.
    found |= {key: "0.2" for key in keys(recipe, f"{name}.recipe.") if key.endswith("adaptation_share")}
    found |= {key: "0.2" for key in keys(recipe, f"{name}.recipe.") if key.endswith("distillation.share")}
    found |= {key: "moments" for key in keys(recipe, f"{name}.recipe.") if key.endswith("further_methods")}
    found |= {key: "0.1" for key in keys(recipe, f"{name}.recipe.") if key.endswith("grid_share")}
    if LIMITS[task].source_tokens > 0:  # for guidance
        found |= {key: "0.1" for key in keys(recipe, f"{name}.recipe.") if key.endswith("source_dropout")}
    return found


def leaves(instance: Any, prefix: str) -> Iterator[tuple[str, Any, Any]]:
    """Key, value and annotation of everything that can be set."""
    hints = typing.get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Budget):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, value, hints[field.name]


def others(value: Any, hint: Any) -> list[str]:
    """Other values of a type, as words of a command line."""
    if isinstance(value, bool):
        return [str(not value).lower()]
    if isinstance(value, Budget):
        return [f"{2 * value.amount}{value.unit}"]
    if get_origin(hint) is Literal:
        return [str(option) for option in get_args(hint) if option != value]
    if isinstance(value, int):
        return [str(other) for other in (2 * value, value + 1, value + 2, value // 2) if other != value]
    if isinstance(value, float):
        return [str(other) for other in (0.5 * value or 0.5, 1.0, 0.0, 0.9, 2 * value, 0.004, 0.001) if other != value]
    if isinstance(value, tuple):
        of = get_args(hint)[0]
        if get_origin(of) is Literal:
            return [str(option) for option in get_args(of) if (option,) != value]
        return ["4,2"] if of is int else ["0.5,0.7", "0,1", "2,inf"]
    assert value is None, f"say what other values of {hint} are"
    arm = next(arm for arm in get_args(hint) if arm is not type(None))
    if get_origin(arm) is Literal:
        return [str(option) for option in get_args(arm)]
    return {int: ["3"], float: ["0.5"], str: ["other"]}[arm]


def documents_of(task: str) -> list[Document]:
    """With targets that are longer than nano has latents."""
    longer = [dataclasses.replace(d, target=f"{d.target} {d.target} {d.target}") for d in DOCUMENTS]
    return longer if LIMITS[task].source_tokens > 0 else [dataclasses.replace(d, source=None) for d in longer]


def begun(spy: Spy, contestant: Contestant, task: str, folder: Path) -> list[Begun]:
    """What the training of a system begins with."""
    spy.begun = []
    documents = documents_of(task)
    assert contestant.budget is not None
    system = contestant.system(contestant.recipe, LIMITS[task])
    with contextlib.suppress(EnoughError):
        system.fit(Corpus(documents[:14], documents[14:16]), contestant.budget, folder, seed=1, device="cpu")
    return spy.begun


def check(
    known: Sequence[tuple[str, Any, Any]],
    prefix: str,
    expected: Any,
    asked: Callable[[str, str], Any],
    forced: Callable[[Mapping[str, CliValue]], Any],
    encoder: Path,
) -> None:
    """Assert of each key of a recipe or setting that it counts or is refused, and that what is refused would not count.

    Args:
        known: from `leaves`.
        prefix: that of the keys.
        expected: what comes out when none of them is set.
        asked: what comes out with a key set to a word by the code of the command line; it may raise `UserError`.
        forced: the same for keys without their prefix, past what refuses them.
        encoder: another than is used.
    """
    refused = {}
    for key, value, hint in known:
        if key.rpartition(".")[2] in NOT_COMPARED:
            continue
        if key.endswith("text_encoder"):
            words = [str(encoder)]
        else:  # the encoder has one layer
            words = ["0"] if key.endswith("encoder_layers") else others(value, hint)
        said = []
        for word in words:
            try:
                if asked(key, word) != expected:
                    break
                said.append("nothing changes")
            except UserError as error:
                said.append(str(error))
        else:
            assert "nothing changes" not in said, f"{key} is read by nobody, or overwritten"
            reason = REFUSED_BY_THE_SYSTEM.get(key, f"{key} has no effect: ")
            assert any(reason in text for text in said), f"{key} is refused for another reason: {said}"
            if key not in REFUSED_BY_THE_SYSTEM and key not in CANNOT_RUN:
                refused[key.removeprefix(prefix)] = CliValue(words[0])
    assert not refused or forced(refused) == expected, f"some of {', '.join(refused)} count, and need not be refused"


@pytest.mark.parametrize(("name", "task", "share"), CASES)
def test_every_key_of_a_recipe_counts_or_is_refused(
    name: str, task: str, share: slice, spy: Spy, encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    given = basis(name, task, encoders[0])
    base = planned(name, task, given)
    folders = (tmp_path / str(number) for number in itertools.count())

    def asked(key: str, word: str) -> list[Begun]:
        return begun(spy, planned(name, task, {**given, key: word}), task, next(folders))

    def forced(changes: Mapping[str, CliValue]) -> list[Begun]:
        recipe = override(base.recipe, changes, "")
        return begun(spy, dataclasses.replace(base, recipe=recipe), task, next(folders))

    expected = begun(spy, base, task, next(folders))
    spy.expected = expected
    assert begun(spy, base, task, next(folders)) == expected
    # The first of two stages sees no source; the loop's own options have a test of their own.
    first = ("autoencoder.", "corruption.") if task == "story" else ()
    known = [leaf for leaf in leaves(base.recipe, f"{name}.recipe.") if not any(p in leaf[0] for p in first)]
    known = [leaf for leaf in known if "training." not in leaf[0]]
    check(known[share], f"{name}.recipe.", expected, asked, forced, encoders[1])


@pytest.mark.parametrize("name", few(TRAINED))
def test_every_key_of_a_training_reaches_the_loop(
    name: str, spy: Spy, encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    given = basis(name, "detox", encoders[0])
    base = planned(name, "detox", given)
    trainings = {key.rpartition(".")[0] for key, _, _ in leaves(base.recipe, "") if "training." in key}
    assert trainings
    for part in sorted(trainings):
        words = {key: others(value, hint)[0] for key, value, hint in leaves(part_of(base.recipe, part), "")}
        for key, said in REFUSED_OF_A_TRAINING.get(name, {}).items():
            with pytest.raises(UserError, match=said):
                planned(name, "detox", {**given, f"{name}.recipe.{part}.{key}": words.pop(key)})
        seen: set[str] = set()
        for number, chosen in enumerate((set(words) - {"warmup_share"}, {"warmup_share"})):  # one excludes the other
            changed = {f"{name}.recipe.{part}.{key}": words[key] for key in chosen}
            contestant = planned(name, "detox", {**given, **changed})
            stages = begun(spy, contestant, "detox", tmp_path / f"{part}-{number}")
            declared = part_of(contestant.recipe, part)
            seen |= {key for key in chosen for s in stages if getattr(s.config, key) == getattr(declared, key)}
        assert seen == set(words)


def part_of(recipe: Any, path: str) -> Any:
    """The part of a recipe at a dotted path."""
    return functools.reduce(getattr, path.split("."), recipe)


@pytest.mark.parametrize("name", few(TRAINED))
def test_every_key_of_a_setting_counts_or_is_refused(
    name: str, spy: Spy, encoders: tuple[Path, Path], tmp_path: Path
) -> None:
    task = "detox"
    walked = set()
    given = basis(name, task, encoders[0])
    if name == "sedd":  # the transition under which both kinds of step are there
        given["sedd.recipe.transition"] = "uniform"
    system_class = registry.find(name)
    base = planned(name, task, given)
    begun(spy, base, task, tmp_path)
    system = base.system(base.recipe, LIMITS[task])
    system.load(tmp_path, device="cpu", dtype="float32")
    for network in system.networks().values():
        network.register_forward_pre_hook(lambda _, inputs: spy.seen.append(total_of(inputs)))
    requests = [Request(d.id, d.source, 50 + i, 20) for i, d in enumerate(documents_of(task)[:4])]

    def outcome(setting: Any) -> tuple[list[Sample], list[Any]]:
        spy.seen = []
        return system.generate(requests, setting), spy.seen

    for setting_name, setting in available(system_class).items():
        flag, prefix = f"{name}:{setting_name}", f"{name}.settings.{setting_name}."
        most = {"steps": STEPS, "candidates": 2}
        brief = {**given, **{f"{prefix}{k}": str(n) for k, n in most.items() if getattr(setting, k, 0) > n}}
        [small] = planned(name, task, brief, flag).settings.values()
        if small in walked:  # another number of steps was all
            continue
        walked.add(small)

        def asked(key: str, word: str, brief: Mapping[str, str] = brief, flag: str = flag) -> Any:
            [made] = planned(name, task, {**brief, key: word}, flag).settings.values()
            return outcome(made)

        def forced(changes: Mapping[str, CliValue], small: Any = small) -> Any:
            return outcome(override(small, changes, ""))

        check(list(leaves(small, prefix)), prefix, outcome(small), asked, forced, encoders[1])


def total_of(inputs: Any) -> float:
    """The sum of all numbers that a network is called with, but for lists, which are what a cache happens to hold."""
    return sum(float(part.double().sum()) for part in inputs if isinstance(part, torch.Tensor))


def test_floors_have_no_keys() -> None:
    for name in registry.SYSTEMS.built_in:
        system = registry.find(name)
        if not system.trained:
            for part in (*system.presets.values(), *available(system).values()):
                assert list(leaves(part, "")) == []


def test_contestants_that_are_walked_as_cosmos_add_no_code() -> None:
    for name in LIKE_COSMOS:  # what is their own of `ignored_keys` is in tests/benchmarks/planning/test_plan.py
        own = {key for key in vars(registry.find(name)) if not key.startswith("__")}
        assert own <= {"name", "presets", "_abc_impl"}
        assert registry.find(name).__bases__ == (registry.find("cosmos"),)


def test_the_training_loop_reads_every_field(tmp_path: Path) -> None:
    """Weights, or what is said of them, change with every field but those that are not to change them."""

    def outcome(config: TrainingConfig, folder: str) -> tuple[str, Any]:
        trained = tiny_training.run(tmp_path / folder, 12, config=config)
        return tiny_training.digest(tmp_path / folder), trained.notes["validation_losses"]

    # Under which the best weights are not the last.
    wild = dataclasses.replace(
        tiny_training.CONFIG, keep="best", learning_rate=1.0, final_learning_rate=1.0, ema_decay=None, validations=12
    )

    def counts(start: TrainingConfig, key: str, words: list[str]) -> bool:
        for number, word in enumerate(words):
            try:
                changed = override(start, {key: CliValue(word)}, "")
            except UserError:  # not a value of this key
                continue
            if outcome(changed, f"{start.keep}-{key}-{number}") != expected:
                return True
        return False

    read = set()
    for start in (tiny_training.CONFIG, wild):
        expected = outcome(start, start.keep)
        for key, value, hint in leaves(start, ""):
            if key not in NOT_COMPARED and key not in read and counts(start, key, others(value, hint)):
                read.add(key)
    one_length = {"length_buckets"}  # as all rows have it here; training/test_compiled_buckets.py
    assert {key for key, _, _ in leaves(tiny_training.CONFIG, "")} - read <= NOT_COMPARED.keys() | one_length
