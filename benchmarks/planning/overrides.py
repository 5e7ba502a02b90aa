"""Typed changes to frozen dataclasses: `--set a.b=3` and TOML tables, checked against the annotations.

Standard library only. A value from a command line is a `CliValue` and is read as whatever type the field wants; a value
from TOML has a type of its own, which must fit.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from baselines.contract import Budget, UserError, unknown
from cosmos.io.later_fields import fields_said
from cosmos.io.typed_json import LARGEST, AnyFloat, AnyText, UnfitError, reader_of

T = TypeVar("T")
_NONE = type(None)
_SHOWN = 200  # characters of a wrong value that are shown


class CliValue(str):
    """A value as typed on a command line."""


def split_assignment(text: str) -> tuple[str, CliValue]:
    """Split `key=value`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"Cannot read --set {text[:_SHOWN]}; write key=value, such as data.train=500.")
    return key.strip(), CliValue(value.strip())


def flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested TOML tables, with dotted keys."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def keys(instance: Any, prefix: str = "", hidden: Collection[str] = ()) -> Iterator[str]:
    """All dotted keys that can be set on a (nested) dataclass instance, without those `hidden` (with their prefix)."""
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if is_nested(value):
            yield from keys(value, f"{prefix}{field.name}.", hidden)
        elif not covered(prefix + field.name, hidden):
            yield prefix + field.name


def covered(key: str, paths: Collection[str]) -> bool:
    """Whether a dotted key is one of some paths or lies within one."""
    return any(key == path or key.startswith(f"{path}.") for path in paths)


def override(instance: T, changes: Mapping[str, Any], where: str, hidden: Collection[str] = ()) -> T:
    """A copy of a frozen dataclass with some fields changed.

    Args:
        changes: dotted key -> value.
        where: the prefix under which the user knows the keys, for errors.
        hidden: keys, with the prefix, that no error suggests.

    Raises:
        UserError: a key that is not there (with the nearest ones), a value of another type, or one the dataclass
            refuses.
    """
    hints = typing.get_type_hints(type(instance))
    fields = {field.name for field in dataclasses.fields(instance)}  # type: ignore[arg-type]
    inner: dict[str, dict[str, Any]] = {}
    new: dict[str, Any] = {}
    for key, value in changes.items():
        head, _, rest = key.partition(".")
        if head not in fields or (rest and not is_nested(getattr(instance, head))):
            raise unknown("option", f"{where}.{key}", keys(instance, f"{where}.", hidden))
        if rest:
            inner.setdefault(head, {})[rest] = value
        elif is_nested(getattr(instance, head)):
            inner_keys = ", ".join(keys(getattr(instance, head), f"{where}.{head}.", hidden))
            raise UserError(f"{where}.{key} holds several options; set one of {inner_keys}.")
        else:
            new[head] = convert(value, hints[head], f"{where}.{key}")
    for head, part in inner.items():
        new[head] = override(getattr(instance, head), part, f"{where}.{head}", hidden)
    try:
        return dataclasses.replace(instance, **new)  # type: ignore[type-var]
    except UserError:
        raise
    except (ValueError, AssertionError) as error:
        raise UserError(f"{where} cannot have {', '.join(sorted(changes))} set so: {error}.") from error


def convert(value: Any, hint: Any, key: str) -> Any:
    """Read a value as the annotated type.

    Raises:
        UserError: it is none of that type; the message says what is expected.
    """
    if get_origin(hint) is Literal:
        by_name = {str(option): option for option in get_args(hint)}
        if str(value) not in by_name:
            raise unknown(f"value of {key}", str(value), by_name)
        return by_name[str(value)]
    try:
        return _read(value, hint, key)
    except UnfitError:
        raise UserError(f"{key} must be {describe(hint)}, not {shortened(value)}.") from None


def shortened(value: Any) -> str:
    """A value as it was typed, or the beginning of one that is longer than anybody reads."""
    if isinstance(value, int) and abs(value) >= LARGEST:
        return "a number that 64 bits do not hold"
    text = repr(str(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def describe(hint: Any) -> str:
    """A type in words a user knows."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(part) for part in arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return f"a list of values, each {describe(arguments[0])}"
    if origin is tuple:
        return f"a list of {len(arguments)} values, each {describe(arguments[0])}"
    if origin is Literal:
        return " or ".join(map(str, arguments))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", _NONE: "none"}
    return words.get(hint) or ("a budget such as 300steps" if hint is Budget else hint.__name__)


def _read(value: Any, hint: Any, key: str) -> Any:
    """A value as the annotated type; `UnfitError` where it is none."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _read_union(value, arguments, key)
    if origin is Literal:
        return convert(value, hint, key)
    if origin is tuple:
        return _read_tuple(value, arguments, key)
    if hint is Budget:
        return Budget.parse(reader_of(AnyText)(_spelt(value, str)))
    if hint in (bool, int, float, str, _NONE):
        return _read_plain(_spelt(value, hint), hint)
    raise AssertionError(f"{key} is annotated {hint}, which cannot be set")


def _read_union(value: Any, arms: tuple[Any, ...], key: str) -> Any:
    for arm in sorted(arms, key=lambda arm: arm is not _NONE):  # "none" before text
        try:
            return _read(value, arm, key)
        except UnfitError:
            continue
    raise UnfitError("one of several", value)


def _read_tuple(value: Any, arguments: tuple[Any, ...], key: str) -> tuple[Any, ...]:
    if isinstance(value, CliValue):
        parts: list[Any] = [CliValue(part.strip()) for part in value.split(",") if part.strip()]
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        raise UnfitError("a list", value)
    hints = [arguments[0]] * len(parts) if arguments[1:] == (Ellipsis,) else list(arguments)
    if len(hints) != len(parts):
        raise UnfitError(f"a list of {len(hints)} values", value)
    return tuple(_read(part, hint, key) for part, hint in zip(parts, hints, strict=True))


def _spelt(value: Any, hint: Any) -> Any:
    """What words of a command line stand for where a plain type is wanted; what cannot be spelt so stays text. "none"
    is null in TOML too, which has no other word for it."""
    if hint is _NONE and isinstance(value, str):
        return None if value.lower() == "none" else str(value)
    whole = hint is float and type(value) is int
    if not isinstance(value, CliValue) and not whole:
        return value
    if hint is bool:
        return {"true": True, "false": False}.get(str(value).lower(), str(value))
    try:
        return hint(value) if hint in (int, float) else str(value)
    except (ValueError, OverflowError):
        return str(value)


def _read_plain(value: Any, hint: Any) -> Any:
    """As JSON is read (`cosmos.io.typed_json`); but infinity is a number here, and no text ends before its end."""
    read = reader_of({float: AnyFloat, str: AnyText}.get(hint, hint))(value)
    if (hint is float and math.isnan(read)) or (hint is str and "\0" in read):
        raise UnfitError(describe(hint), value)
    return float(read) if hint is float else read


def is_nested(value: Any) -> bool:
    """Whether a field's value has options of its own; a budget is one value, written as text."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type | Budget)


def plain(value: Any) -> Any:
    """A dataclass, recipe or setting as JSON values: tuples as lists; budgets, and infinity, as text; see
    `cosmos.io.later_fields` for what is left out."""
    if isinstance(value, Budget):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields_said(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if value is None or isinstance(value, str | int | bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)
