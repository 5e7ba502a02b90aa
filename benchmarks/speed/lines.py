"""What is measured: the lines of the table, and the choices of a command line made into entries."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from baselines import registry
from baselines.contract import Limits, SupportsRandomWeights, UserError, unknown
from benchmarks.planning import generation_settings
from benchmarks.planning.ignored_keys import change_recipe
from benchmarks.planning.overrides import plain
from benchmarks.planning.run_config import Choices
from benchmarks.speed.schema import Subject
from benchmarks.timing.passes import with_capture
from cosmos.io.errors import check_range

_MOST, _MOST_TOKENS = 1_000_000, 10_000_000  # texts, positions and seconds asked for; tokens of a vocabulary

CAPTURES = ("off", "compile", "graph")


@dataclass(frozen=True)
class Line:
    """Some settings of one system, each at every batch size.

    Attributes:
        settings: by name; none: those the system runs by default.
        steps: numbers of steps, for settings that have them; none: what the settings say.
    """

    system: str
    settings: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()


# In the order in which they are measured: what the bars ask for comes first.
LINES = (
    Line("gpt2", ("generate-greedy", "greedy", "generate-sample", "sample")),
    Line("cosmos-16", ("release-200",), (10, 50, 200)),
    Line("cosmos-full", ("release-200",), (10, 50, 200)),
    Line("mdlm", ("ancestral-32",), (64, 16)),
    Line("tencdm", ("euler-50",)),
    Line("duo", ("ancestral-32",)),
    Line("sedd", ("analytic-32",)),
    Line("ld4lg"),
    Line("diffuseq"),
)
TRAINING = (("cosmos-16", "autoencoder"), ("cosmos-full", "diffusion"))  # systems and the stages that are measured


@dataclass(frozen=True)
class SpeedOptions:
    """What a command asks for.

    Attributes:
        choices: systems, settings and steps in place of those of `LINES`; preset, folder, changes.
        length: positions of a text, the given first one included, as limits of tasks count.
        vocabulary: tokens of the made-up vocabulary.
        capture: ways to run every loop; none: the fastest the device has, for each setting.
        seconds: how long repeats of one entry may go on.
        training: whether training steps are measured too.
    """

    choices: Choices
    batches: tuple[int, ...] = (1, 8, 64, 512)
    length: int = 128
    vocabulary: int = 30522
    capture: tuple[str, ...] = ()
    seconds: float = 1.5
    training: bool = True

    def __post_init__(self) -> None:
        for name, least in (("length", 4), ("vocabulary", 64)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} must be at least {least}, not {getattr(self, name)}.")
        if not self.batches or min(self.batches) < 1:
            raise UserError("--batch must name sizes of at least 1, such as 1,8,64.")
        if not self.seconds > 0:
            raise UserError(f"--seconds must be positive, not {self.seconds:g}.")
        for name, value in (("length", self.length), ("batch", max(self.batches)), ("seconds", self.seconds)):
            check_range(f"--{name}", value, 0, _MOST)
        check_range("--vocabulary", self.vocabulary, 0, _MOST_TOKENS)
        for capture in self.capture:
            if capture not in CAPTURES:
                raise unknown("capture", capture, CAPTURES)


@dataclass(frozen=True)
class PlannedTiming:
    """One thing to measure: the record's subject and the Python values its JSON was made of.

    For training, `setting` is the name of the stage.
    """

    subject: Subject
    system: type[Any]
    recipe: Any
    setting: Any


def entries(options: SpeedOptions, device: str, dtype: str) -> list[PlannedTiming]:
    """Everything to measure, in order.

    Raises:
        UserError: an unknown name or key, a system that cannot be timed without a training.
    """
    lines = _lines(options.choices)
    names = {line.system for line in lines}
    _check_keys(options.choices.changes, names)
    generation_settings.check_words(options.choices.setting, tuple(names))
    generation_settings.check_names(options.choices.setting, map(_system, names))
    planned: list[PlannedTiming] = []
    for system, group in groupby(lines, key=lambda line: line.system):
        planned += (entry for line in group for entry in _generations(line, options, device, dtype))
        planned += _trainings(system, options, device, dtype) if options.training else ()
    return list({entry.subject.key: entry for entry in planned}.values())


def _lines(choices: Choices) -> list[Line]:
    """The lines of the systems named, or all; with the settings and steps named in place of their own."""
    listed = {line.system for line in LINES}
    lines = [line for line in LINES if not choices.system or line.system in choices.system]
    lines += [Line(name) for name in choices.system if name not in listed]
    for line in lines:
        system = _system(line.system)
        if not issubclass(system, SupportsRandomWeights):
            raise UserError(f"The system '{line.system}' cannot be timed without a training; leave it out.")
        presets = _system(line.system).presets
        if choices.system and choices.preset not in presets:
            raise unknown(f"preset of {line.system}", choices.preset, presets)
    lines = [line for line in lines if choices.preset in _system(line.system).presets]
    if not lines:
        raise unknown("preset", choices.preset, {p for line in LINES for p in _system(line.system).presets})
    if choices.setting:
        lines = [dataclasses.replace(line, settings=(), steps=()) for line in lines]
    if choices.steps:
        lines = [dataclasses.replace(line, steps=choices.steps) for line in lines]
    return lines


def _system(name: str) -> type[Any]:
    system: type[Any] = registry.find(name)
    return system


def _check_keys(changes: Mapping[str, Any], names: Collection[str]) -> None:
    for key in changes:
        head, _, rest = key.partition(".")
        if head not in names or rest.partition(".")[0] not in ("recipe", "setting", "settings"):
            raise unknown(
                "key of --set", key, [f"{n}.{part}." for n in sorted(names) for part in ("recipe", "setting")]
            )
        if not rest.startswith("recipe.") and key.endswith(".capture"):
            raise UserError(f"{key} has no effect: every way that --capture names is measured; set that.")


def _recipe(name: str, options: SpeedOptions) -> Any:
    system, preset = _system(name), options.choices.preset
    prefix = f"{name}.recipe."
    mine = {k.removeprefix(prefix): v for k, v in options.choices.changes.items() if k.startswith(prefix)}
    return change_recipe(name, system, system.presets[preset], mine, Limits(0, options.length))


def _generations(line: Line, options: SpeedOptions, device: str, dtype: str) -> Iterator[PlannedTiming]:
    system, recipe = _system(line.system), _recipe(line.system, options)
    words = tuple(f"{line.system}:{name}" for name in line.settings) or options.choices.setting
    # What a text costs does not depend on whether it is another's, so what is greedy is timed too.
    chosen = generation_settings.choose(line.system, system, words, conditional=True)
    run_settings = generation_settings.with_steps(chosen, line.steps)
    prefix = f"{line.system}."
    mine = {
        k.removeprefix(prefix): v
        for k, v in options.choices.changes.items()
        if k.startswith(prefix) and not k.startswith(f"{prefix}recipe.")
    }
    for name, setting in generation_settings.change(line.system, system, run_settings, mine).items():
        for capture in options.capture or (_best(setting, device),):
            captured = with_capture(setting, capture)
            for batch in options.batches if captured is not None else ():
                subject = Subject(
                    kind="generation",
                    system=line.system,
                    preset=options.choices.preset,
                    recipe=plain(recipe),
                    what=name,
                    values=plain(captured),
                    batch=batch,
                    length=options.length,
                    vocabulary=options.vocabulary,
                    dtype=dtype,
                    device=device,
                )
                yield PlannedTiming(subject, system, recipe, captured)


def _trainings(name: str, options: SpeedOptions, device: str, dtype: str) -> Iterator[PlannedTiming]:
    for system, stage in TRAINING:
        if system != name:
            continue
        recipe = _recipe(system, options)
        config = getattr(recipe, f"{stage}_training")
        subject = Subject(
            kind="training",
            system=system,
            preset=options.choices.preset,
            recipe=plain(recipe),
            what=stage,
            values=plain(config),
            batch=config.batch_size,
            length=options.length,
            vocabulary=options.vocabulary,
            dtype=dtype,
            device=device,
        )
        yield PlannedTiming(subject, _system(system), recipe, stage)


def _best(setting: Any, device: str) -> str:
    """The fastest capture that a setting has on a device."""
    return "graph" if device.startswith("cuda") and hasattr(setting, "capture") else "off"
