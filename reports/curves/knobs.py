"""Which entries are one curve: a system whose settings differ in one number that they declare, all else equal.

Names of settings say nothing here: steps, temperature or nucleus are knobs because a setting's values have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from baselines.titles import range_title
from benchmarks.records.schema import Json, canonical_json
from reports.names import entry_name
from reports.panels import Entry

_OF_A_SETTING = ("setting", "setting_values", "seed")
_UNSAID = {"temperature": 1.0}  # what a setting that has such a number means where its values lack it


@dataclass(frozen=True)
class KnobCurve:
    """Entries of one training that differ in one number of their settings, in its order.

    Attributes:
        knob: the name of that number, as settings have it.
        values: that of each entry.
        apart: what tells it from another curve whose name would be the same; "" where there is none.
    """

    knob: str
    values: tuple[float, ...]
    entries: tuple[Entry, ...]
    apart: str = ""

    @property
    def system(self) -> str:
        return self.entries[0].system

    @property
    def name(self) -> str:
        """What the curve is called: what the names of its ends share, and how far its number goes."""
        first, last = self.entries[0], self.entries[-1]
        shared = [part for part in first.setting_title.split(", ") if part in last.setting_title.split(", ")]
        ends = range_title(self.knob, self.values[0], self.values[-1])
        return entry_name(first.title, *shared, ends, *first.tags, self.apart)


def curves_of(entries: Sequence[Entry]) -> tuple[KnobCurve, ...]:
    """The curves among entries, in the order of these."""
    groups: dict[tuple[str, str, str], list[tuple[float, Entry]]] = {}
    for entry in entries:
        cell = {name: part for name, part in entry.cell.identified.items() if name not in _OF_A_SETTING}
        said = entry.cell.setting_values
        values: Json = said | _UNSAID | said  # what is unsaid comes last
        for knob, value in values.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                rest = {name: part for name, part in values.items() if name != knob}
                key = (canonical_json(cell), knob, canonical_json(rest))
                groups.setdefault(key, []).append((float(value), entry))
    found = []
    for (_, knob, _), points in groups.items():
        if len({value for value, _ in points}) > 1:
            ordered = sorted(points, key=lambda point: point[0])
            found.append(KnobCurve(knob, tuple(v for v, _ in ordered), tuple(entry for _, entry in ordered)))
    count = Counter(curve.name for curve in found)
    return tuple(replace(curve, apart=_ends(curve)) if count[curve.name] > 1 else curve for curve in found)


def _ends(curve: KnobCurve) -> str:
    return f"settings {curve.entries[0].setting} to {curve.entries[-1].setting}"
