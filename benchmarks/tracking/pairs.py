"""Which entry of one side is compared with which of the other, and which cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from baselines.titles import entry_name
from benchmarks.planning.plan_file import leaves
from benchmarks.records.schema import Header
from benchmarks.records.titles import display_setting, display_system
from benchmarks.tracking.sides import Side, StoredCell

_SHOWN = 8  # digits of a hash that are shown
_ALONE = " stands only in "
_TOLD = ("task_version", "preset", "budget", "batch_size", "device", "dtype", "limit")
_TREES = ("data", "recipe", "setting_values")


@dataclass(frozen=True)
class SideEntry:
    """A system with a setting on one side: its cells, one for each seed."""

    cells: tuple[StoredCell, ...]

    @property
    def header(self) -> Header:
        return self.cells[0].header

    @property
    def name(self) -> str:
        cell = self.header.cell
        return cell.system if cell.setting in ("", "default") else f"{cell.system} {cell.setting}"

    @property
    def title(self) -> str:
        """The same in words."""
        return entry_name(display_system(self.header), display_setting(self.header))

    @property
    def documents(self) -> str:
        """The hash of the test documents, "" where no record says it."""
        return str(self.header.documents.get("test", {}).get("sha256", ""))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(cell.header.cell.seed for cell in self.cells)


@dataclass(frozen=True)
class EntryPair:
    """What is compared: entry `a` of one side and `b` of the other, and in what they differ."""

    a: SideEntry
    b: SideEntry
    differs: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.a.name if self.a.name == self.b.name else f"{self.b.name} against {self.a.name}"

    @property
    def title(self) -> str:
        """The same in words."""
        return self.a.title if self.a.title == self.b.title else f"{self.b.title} against {self.a.title}"


def entries(side: Side) -> tuple[SideEntry, ...]:
    """The entries of a side: cells that differ by their seed alone are one."""
    groups: dict[str, list[StoredCell]] = {}
    for cell in side.cells:
        groups.setdefault(cell.header.entry_id, []).append(cell)
    by_seed = (sorted(group, key=lambda cell: cell.header.cell.seed) for group in groups.values())
    return tuple(SideEntry(tuple(group)) for group in by_seed)


def match(a: Side, b: Side) -> tuple[tuple[EntryPair, ...], tuple[str, ...]]:
    """The pairs of entries that may be compared, in the order of A, and a sentence for those that may not.

    Entries belong together that have task, source, system and setting in common. Where each side is another system,
    task, source and setting; and where one of them has a single setting, this one and each of the other's.
    """
    ours, theirs = entries(a), entries(b)
    key = _key(ours, theirs)
    groups: dict[object, tuple[list[SideEntry], list[SideEntry]]] = {key(entry): ([], []) for entry in (*ours, *theirs)}
    for place, those in enumerate((ours, theirs)):
        for entry in those:
            groups[key(entry)][place].append(entry)
    pairs: list[EntryPair] = []
    refused: list[str] = []
    for left, right in groups.values():
        found, alone = _paired(left, right)
        for one, other in found:
            reason = unlike(one, other)
            if reason is None:
                pairs.append(EntryPair(one, other, (*differences(one.header, other.header), *_seeds(one, other))))
            else:
                refused.append(f"{_asked(one)}: {reason}.")
        if left and right and alone:
            names = ", ".join(dict.fromkeys(map(_asked, alone)))
            refused.append(
                f"{names}: {len(left)} configurations in {a.text} and {len(right)} in {b.text}, and which belong "
                "together cannot be told; compare folders with one each."
            )
        refused += [f"{_asked(entry)}{_ALONE}{a.text}." for entry in alone if not right]
        refused += [f"{_asked(entry)}{_ALONE}{b.text}." for entry in alone if not left]
    return tuple(pairs), tuple(refused)


def summed_up(refused: Sequence[str]) -> tuple[str, ...]:
    """The sentences of `match`, those on entries that stand on one side alone put together into one a side."""
    alone: dict[str, list[str]] = {}
    others = []
    for sentence in refused:
        name, found, side = sentence.rpartition(_ALONE)
        if found:
            alone.setdefault(side.removesuffix("."), []).append(name)
        else:
            others.append(sentence)
    return (*others, *(f"Only {side} has {', '.join(dict.fromkeys(names))}." for side, names in alone.items()))


def _seeds(a: SideEntry, b: SideEntry) -> tuple[str, ...]:
    """That two entries are of other seeds, where they are."""
    told = [", ".join(map(str, entry.seeds)) for entry in (a, b)]
    return () if told[0] == told[1] else (f"seeds “{told[0]}” against “{told[1]}”",)


def _asked(entry: SideEntry) -> str:
    cell = entry.header.cell
    return f"{entry.title} of {cell.task} on {cell.source}"


def _key(ours: Sequence[SideEntry], theirs: Sequence[SideEntry]) -> Callable[[SideEntry], object]:
    """What entries that belong together have in common."""
    systems = [{entry.header.cell.system for entry in side} for side in (ours, theirs)]
    if len(systems[0]) != 1 or len(systems[1]) != 1:
        return lambda entry: (*_task(entry), entry.header.cell.system, entry.header.cell.setting)
    settings = [{entry.header.cell.setting for entry in side} for side in (ours, theirs)]
    if (systems[0] != systems[1] and 1 in map(len, settings)) or len(settings[0]) == len(settings[1]) == 1:
        return _task
    return lambda entry: (*_task(entry), entry.header.cell.setting)


def _task(entry: SideEntry) -> tuple[str, str]:
    return entry.header.cell.task, entry.header.cell.source


def _paired(
    left: Sequence[SideEntry], right: Sequence[SideEntry]
) -> tuple[list[tuple[SideEntry, SideEntry]], list[SideEntry]]:
    """Pairs that differ least, where it is plain which do, and the entries that are left over; all pairs of one entry
    with those of another system."""
    if left and right and left[0].header.cell.system != right[0].header.cell.system and 1 in (len(left), len(right)):
        return [(one, other) for one in left for other in right], []
    free, pairs, alone = list(right), [], []
    for entry in left:
        told = sorted(free, key=lambda other: len(differences(entry.header, other.header)))
        counts = [len(differences(entry.header, other.header)) for other in told[:2]]
        if not told or (len(counts) > 1 and counts[0] == counts[1]):
            alone.append(entry)
            continue
        pairs.append((entry, told[0]))
        free.remove(told[0])
    return pairs, [*alone, *free]


def unlike(a: SideEntry, b: SideEntry) -> str | None:
    """Why nothing of two entries may be compared: they answer other documents, or in another tokenizer's form."""
    if not a.documents or not b.documents:
        return "a record does not say which test documents it answers"
    if a.documents != b.documents:
        counts = [entry.header.documents["test"].get("count") for entry in (a, b)]
        return (
            f"test documents “{a.documents[:_SHOWN]}” ({counts[0]}) against “{b.documents[:_SHOWN]}” ({counts[1]}), "
            "and only answers to the same are compared"
        )
    tokenizers = [_tokenizer(entry.header) for entry in (a, b)]
    if tokenizers[0] != tokenizers[1] and all(tokenizers):
        return f"tokenizer {tokenizers[0]} against {tokenizers[1]}, through which texts went before they were scored"
    return None


def _tokenizer(header: Header) -> str:
    """The tokenizer of a run, "" in records that do not say it."""
    about = header.tokenizer
    return f"“{about['name']}” ({about['sha256'][:_SHOWN]})" if about else ""


def differences(a: Header, b: Header) -> tuple[str, ...]:
    """In what two entries differ that may be compared, such as "recipe.width “64” against “128”"; of two systems their
    recipes and settings are left out, which have little in common. A key that is None is as if it were not there:
    records that are older than an option differ in nothing from those that leave it off."""
    told: list[tuple[str, object, object]] = [
        (name, getattr(a.cell, name), getattr(b.cell, name)) for name in ("system", "setting", *_TOLD)
    ]
    for tree in _TREES if a.cell.system == b.cell.system else _TREES[:1]:
        ours, theirs = (dict(leaves(tree, each.cell.identified[tree])) for each in (a, b))
        told += [(key, _said(ours.get(key)), _said(theirs.get(key))) for key in dict.fromkeys([*ours, *theirs])]
    for split in ("train", "validation", "passages"):
        one, other = (str(each.documents.get(split, {}).get("sha256", "unknown"))[:_SHOWN] for each in (a, b))
        told.append((f"{split} texts", one, other))
    one, other = ((each.commit or "unknown")[:_SHOWN] + ("+" if each.dirty else "") for each in (a, b))
    told.append(("commit", one, other))
    told += [(name, a.packages.get(name), b.packages.get(name)) for name in sorted({*a.packages, *b.packages})]
    return tuple(f"{name} “{one}” against “{other}”" for name, one, other in told if one != other)


def _said(value: object) -> object:
    return "not set" if value is None else value
