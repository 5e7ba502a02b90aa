"""What the user chose: the command line beats the file, the file beats the default. Standard library only."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from baselines.contract import UserError, unknown
from benchmarks.planning import gate_margins
from benchmarks.planning.overrides import CliValue, convert, flatten, shortened, split_assignment
from cosmos.io.typed_json import LARGEST

_NAME = re.compile(r"[\w.-]{1,100}")
_LONGEST, _MOST_PARTS = 100_000, 500  # characters of a configuration, and dots of one of its lines
GENERAL_KEYS = ("budget", "batch_size", "sweep", "dtype", "capture")


@dataclass(frozen=True)
class Choices:
    """The flags of a command, complete.

    Attributes:
        system: contestants; empty for those the task names.
        setting: settings to run, each `SETTING` or `SYSTEM:SETTING`; a system that none of them is of runs its own.
        steps: numbers of generation steps, one cell each; empty for what the settings say.
        metric: metrics to score by, or `usual` and `all` of the task; empty for the usual ones.
        devices: that make the texts of each cell at once, their documents dealt among them; `all` is those there are.
        timing: `rounds`, systems and settings by turns in one process; `fresh`, besides in processes of their own.
        changes: dotted key -> value, from `--set` and the file's tables.
    """

    task: str | None = None
    system: tuple[str, ...] = ()
    preset: str = "nano"
    source: str | None = None
    limit: int | None = None
    device: str = "auto"
    devices: tuple[str, ...] = ()
    setting: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    metric: tuple[str, ...] = ()
    seed: int = 0
    seeds: int = 1
    out: str | None = None
    offline: bool = True
    timing: Literal["rounds", "fresh"] = "rounds"
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("limit", "seeds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name} must be at least 1, not {value}.")
        if not _NAME.fullmatch(self.preset):
            raise UserError(f"--preset must be a name such as nano, not {shortened(self.preset)}.")
        if self.seed < 0:
            raise UserError(f"--seed must not be negative, as {self.seed} is.")
        if self.seed + self.seeds > LARGEST:
            raise UserError(f"--seed and --seeds go past the largest seed, {LARGEST - 1}; take smaller ones.")
        if self.devices and self.timing == "fresh":
            raise UserError("--timing fresh times one device; leave out --devices, or --timing.")
        if any(steps < 1 for steps in self.steps):
            raise UserError(f"--steps must be at least 1, not {min(self.steps)}.")

    def need_task(self) -> str:
        """The task, which has no default."""
        if self.task is None:
            raise UserError("Say which task with --task; `python -m benchmarks list tasks` names them.")
        return self.task


FLAGS = tuple(f.name for f in dataclasses.fields(Choices) if f.name != "changes")


def gather(flags: Mapping[str, Any], assignments: Sequence[str] = (), config: str | None = None) -> Choices:
    """Put the command line over the file over the defaults.

    Args:
        flags: flag name -> text as typed, a sequence of such, or a boolean; None where the flag was not given.
        assignments: the `key=value` of every `--set`.
        config: a TOML file with the flags as keys and the dotted keys of `--set` as tables.

    Raises:
        UserError: a file that cannot be read, an unknown key, or a value of the wrong type.
    """
    hints = typing.get_type_hints(Choices)
    values: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    if config is not None:
        for key, value in read_config(Path(config)).items():
            if key == gate_margins.TABLE:  # of the verb `gate`; it changes no cell
                gate_margins.read(value, config)
            elif key in FLAGS:
                words = (
                    [value]
                    if key in ("system", "setting", "steps", "metric", "devices") and isinstance(value, str | int)
                    else value
                )
                values[key] = convert(words, hints[key], f"{key} in {config}")
            elif isinstance(value, Mapping):
                changes.update(flatten(value, f"{key}."))
            else:
                changes[key] = value
    for key, typed in flags.items():
        if typed is not None:
            text = CliValue(",".join(typed)) if isinstance(typed, list | tuple) else typed
            values[key] = convert(CliValue(text) if isinstance(text, str) else text, hints[key], f"--{key}")
    changes.update(split_assignment(text) for text in assignments)
    return Choices(**values, changes=changes)


def choose(
    *, config: str | os.PathLike[str] | None = None, options: Mapping[str, Any] | None = None, **given: Any
) -> Choices:
    """Choices from values of Python, as `gather` makes them from words.

    Args:
        config: a TOML file, over whose values go those given.
        options: what `--set` sets, by dotted keys or nested.
        given: field of `Choices` -> value, None where it is not given; names may come in one text with commas.

    Raises:
        UserError: as `gather`.
    """
    hints = typing.get_type_hints(Choices)
    start = Choices() if config is None else gather({}, config=os.fspath(config))
    values: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        elif isinstance(value, str) and typing.get_origin(hints[name]) is tuple:
            value = CliValue(value)
        elif typing.get_origin(hints[name]) is tuple and isinstance(value, int):
            value = [value]
        values[name] = convert(value, hints[name], name)
    changes = {key: os.fspath(v) if isinstance(v, os.PathLike) else v for key, v in flatten(options or {})}
    return dataclasses.replace(start, **values, changes={**start.changes, **changes})


def go_offline() -> None:
    """Keep every library of this process, and of those that it starts, from looking for a network."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ[variable] = "1"


def read_config(path: Path) -> dict[str, Any]:
    """Read a TOML file and check its top-level keys.

    Raises:
        UserError: it cannot be read, is no TOML (with the line), or has a key that means nothing.
    """
    from baselines import registry

    try:
        text = path.read_text(encoding="utf-8-sig")
        if len(text) > _LONGEST or any(line.count(".") > _MOST_PARTS for line in text.split("\n")):
            raise UserError(  # reading a key takes the square of its parts
                f"The configuration {path} has more than {_LONGEST} characters, or a line with more than {_MOST_PARTS} "
                "dots; no run needs as many."
            )
        table = tomllib.loads(text)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"Cannot read the configuration {path} ({error.strerror or error}).") from error
    except RecursionError as error:
        raise UserError(f"The configuration {path} is nested too deeply; write it flatter.") from error
    except ValueError as error:
        raise UserError(f"The configuration {path} is not TOML: {error}.") from error
    sections = {*FLAGS, *GENERAL_KEYS, "data", "evaluators", gate_margins.TABLE, *registry.names()}
    for key in table:
        if key not in sections and not registry.has(key):
            raise unknown(f"key in {path}", key, sections)
    return table


def as_flags(choices: Choices) -> list[str]:
    """The flags that make the same choices, without those that have their default value."""
    words: list[str] = []
    defaults = Choices()
    for name in FLAGS:
        value = getattr(choices, name)
        if value == getattr(defaults, name):
            continue
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    for key, value in choices.changes.items():
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        text = str(text).lower() if isinstance(text, bool) else str(text)
        words += ["--set", f"{key}={text}"]
    return words
