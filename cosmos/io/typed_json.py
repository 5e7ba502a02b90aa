"""JSON read as what it is annotated to be: dataclasses, typed dictionaries, tuples, mappings and plain values.

Whoever reads a file says once, in annotations, what may stand in it. A value of another type or shape is one sentence
that names the place, what is wanted there and what was found. Standard library only.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from cosmos.io.errors import UserError

T = TypeVar("T")
Reader = Callable[[Any], Any]

LARGEST = 2**63  # whole numbers lie between this and its negative: what 64 bits hold
_DEEPEST = 64  # levels of nesting in JSON that is read as it is
_HALVES = re.compile("[\ud800-\udfff]")
_SHOWN = 40  # characters of a wrong value that are shown

AnyText = Annotated[str, "any text"]
"""A text that somebody else has written and that is only ever shown: it may hold half of a surrogate pair."""
AnyFloat = Annotated[float, "any number"]
"""A number that may be infinite or not a number, as a loss may."""


Count = Annotated[int, "a count"]
"""A whole number that is not negative."""
Amount = Annotated[float, "an amount"]
"""A finite number that is not negative."""
AnyJson = Annotated[Mapping[str, Any], "any object"]
"""An object that is read as it is, numbers that are infinite or none included."""


class UnfitError(Exception):
    """A value is not what its annotation says.

    Args:
        wanted: what it should be.
        fault: what is wrong with it, where more can be said than what was found.
        place: where it is, from the outside in.
    """

    def __init__(self, wanted: str, found: Any, fault: str = "", place: tuple[str, ...] = ()) -> None:
        super().__init__(wanted)
        self.wanted, self.found, self.fault, self.place = wanted, found, fault, place

    def within(self, part: str) -> UnfitError:
        return UnfitError(self.wanted, self.found, self.fault, (part, *self.place))

    def __str__(self) -> str:
        place = "".join(self.place).lstrip(".") or "it"
        place = place if len(place) <= 2 * _SHOWN else f"{place[: 2 * _SHOWN]}..."
        return f"{place} {self.fault or f'must be {self.wanted}, not {shown(self.found)}'}"


def parse(text: str | bytes) -> Any:
    """The value of a JSON text; `ValueError` with a reason on one line where there is none, however it is damaged."""
    try:
        if isinstance(text, bytes):  # as `json.loads` does it, but the bytes of a large file need not stay
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 text at byte {error.start}") from None


def parse_object(text: str, where: str) -> dict[str, Any]:
    """The object of one line of JSON; `UserError` where there is none, or a key comes twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
            raise UserError(f"{where} has more than one {shown(twice)}; keep one of them.")
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not JSON, the file may be truncated ({error.msg}).") from error
    except RecursionError as error:
        raise UserError(f"{where} is nested too deeply.") from error
    except UserError:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise UserError(f"{where} holds a number that is too long.") from error
    if not isinstance(value, dict):
        raise UserError(f"{where} is no JSON object.")
    return value


def read_as(kind: type[T], value: Any, where: str, remedy: str) -> T:
    """A value of JSON as an object of a dataclass, or of another annotation.

    Args:
        where: what to call it in errors, such as a path.
        remedy: what the user can do about it.

    Raises:
        UserError: something in it is missing, superfluous, or of another type; or the dataclass refuses it.
    """
    try:
        return reader_of(kind)(value)  # type: ignore[no-any-return]
    except UnfitError as error:
        raise UserError(f"{where} is damaged ({error}); {remedy}.") from error
    except UserError as error:
        raise UserError(f"{where} is damaged ({str(error).rstrip('.')}); {remedy}.") from error


def shown(value: Any) -> str:
    """A value in a few words, whatever it is."""
    names: dict[type, str] = {dict: "an object", list: "a list", type(None): "null", bool: str(value).lower()[:5]}
    if type(value) in names:
        return names[type(value)]
    if isinstance(value, int) and abs(value) >= LARGEST:
        return "a huge number"
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


@functools.cache
def reader_of(hint: Any) -> Reader:
    """What turns a JSON value into what an annotation says, or raises `UnfitError`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _READERS[hint] if hint in _READERS else reader_of(arguments[1])
    if hint in _READERS:
        return _READERS[hint]
    if origin in (Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        return _one_of(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is list:
        return _list(reader_of(arguments[0]))
    if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _any_object if arguments[1] is Any else _mapping(reader_of(arguments[1]))
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint)
    if typing.is_typeddict(hint):
        return _typed_dict(hint)
    raise AssertionError(f"{hint} cannot be read from JSON")


def _none(value: Any) -> None:
    if value is not None:
        raise UnfitError("null", value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise UnfitError("true or false", value)
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise UnfitError("a whole number", value)
    if not -LARGEST <= value < LARGEST:
        raise UnfitError("a whole number that 64 bits hold", value)
    return value


def _number(value: Any) -> float:
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and -LARGEST <= value < LARGEST:
        return value
    raise UnfitError("a finite number", value)


def _count(value: Any) -> int:
    return value if type(value) is int and 0 <= value < LARGEST else int(_at_least_zero(_whole(value)))


def _at_least_zero(value: Any) -> Any:
    if value < 0:
        raise UnfitError("0 or more", value)
    return value


def _any_number(value: Any) -> float:
    return value if type(value) is float else _number(value)


def _any_text(value: Any) -> str:
    if type(value) is not str:
        raise UnfitError("text", value)
    return value


def is_whole_text(value: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    return value.isascii() or _HALVES.search(value) is None


def _text(value: Any) -> str:
    if type(value) is not str:
        raise UnfitError("text", value)
    if not value.isascii() and not is_whole_text(value):
        raise UnfitError("text without halves of surrogate pairs", value)
    return value


def _any_object(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise UnfitError("an object", value)
    _plain(value, _DEEPEST)
    return value


def _any_json(value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise UnfitError("an object", value)
    return value


def _plain(value: Any, deep: int) -> Any:
    """A JSON value as it is: finite numbers, and not nested too deeply."""
    if type(value) is dict or type(value) is list:
        if deep == 0:
            raise UnfitError(f"nested {_DEEPEST} levels at most", value)
        for key, part in value.items() if type(value) is dict else enumerate(value):
            try:
                _plain(part, deep - 1)
            except UnfitError as error:
                raise error.within(f".{key}" if type(key) is str else f"[{key}]") from None
    elif type(value) is int or type(value) is float:
        _number(value)
    return value


_READERS: dict[Any, Reader] = {
    type(None): _none,
    bool: _flag,
    int: _whole,
    float: _number,
    AnyFloat: _any_number,
    Count: _count,
    Amount: lambda value: _at_least_zero(_number(value)),
    str: _text,
    AnyText: _any_text,
    AnyJson: _any_json,
    Any: lambda value: _plain(value, _DEEPEST),
}


def _union(arms: tuple[Any, ...]) -> Reader:
    readers = [reader_of(arm) for arm in arms]
    optional = type(None) in arms

    def read(value: Any) -> Any:
        if value is None and optional:
            return None
        faults = []
        for reader in readers:
            try:
                return reader(value)
            except UnfitError as error:
                faults.append(error)
        inner = next((fault for fault in faults if fault.place or fault.fault), None)
        if inner is not None:
            raise inner
        raise UnfitError(" or ".join(fault.wanted for fault in faults), value)

    return read


def _one_of(options: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if not any(type(value) is type(option) and value == option for option in options):
            raise UnfitError(" or ".join(map(str, options)), value)
        return value

    return read


def _tuple(arguments: tuple[Any, ...]) -> Reader:
    if arguments[1:] == (Ellipsis,):
        listed = _list(reader_of(arguments[0]))
        return lambda value: tuple(listed(value))
    readers = [reader_of(argument) for argument in arguments]

    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(readers):
            raise UnfitError(f"a list of {len(readers)} values", value)
        pairs = enumerate(zip(readers, value, strict=True))
        return tuple(_part(reader, part, f"[{place}]") for place, (reader, part) in pairs)

    return read


def _list(reader: Reader) -> Reader:
    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise UnfitError("a list", value)
        try:
            return [reader(part) for part in value]
        except UnfitError:  # only now is it asked which
            return [_part(reader, part, f"[{place}]") for place, part in enumerate(value)]

    return read


def _mapping(reader: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise UnfitError("an object", value)
        try:
            return {_key(key): reader(part) for key, part in value.items()}
        except UnfitError:  # only now is it asked which
            return {_key(key): _part(reader, part, f".{key}") for key, part in value.items()}

    return read


def _key(key: str) -> str:
    if not key.isascii() and not is_whole_text(key):
        raise UnfitError("an object with keys without halves of surrogate pairs", key)
    return key


def _part(reader: Reader, value: Any, place: str) -> Any:
    try:
        return reader(value)
    except UnfitError as error:
        raise error.within(place) from None


def _dataclass(kind: Any) -> Reader:
    hints = typing.get_type_hints(kind, include_extras=True)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    readers = {field.name: reader_of(hints[field.name]) for field in fields}
    needed = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise UnfitError("an object", value)
        if value.keys() != readers.keys():
            _check_keys(value, needed, readers)
        try:
            return kind(**{name: readers[name](part) for name, part in value.items()})
        except UnfitError:  # only now is it asked which
            return kind(**{name: _part(readers[name], part, f".{name}") for name, part in value.items()})

    return read


def _typed_dict(kind: Any) -> Reader:
    """Its keys are read; others may stand beside them, and are read as they are. One without keys is empty."""
    hints = typing.get_type_hints(kind, include_extras=True)
    readers = {name: reader_of(hint) for name, hint in hints.items()}
    anything = _READERS[Any]

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise UnfitError("an object", value)
        _check_keys(value, kind.__required_keys__, None if readers else readers)
        return {name: _part(readers.get(name, anything), part, f".{name}") for name, part in value.items()}

    return read


def _check_keys(value: Mapping[str, Any], needed: typing.Iterable[str], known: Mapping[str, Any] | None = None) -> None:
    missing = sorted(name for name in needed if name not in value)
    strange = sorted(set(value) - set(known)) if known is not None else []
    if missing or strange:
        fault = f"lacks the field {missing[0]}" if missing else f"has an unknown field {shown(strange[0])}"
        raise UnfitError("an object", value, fault)
