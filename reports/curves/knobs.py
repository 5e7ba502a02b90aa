"""Which entries are one curve: a system whose settings differ in one number that they declare, all else equal.

Names of settings say nothing here: steps, temperature or nucleus are knobs because a setting's values have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.records.schema import Json, canonical_json
from reports.names import entry_name
from reports.panels import Entry

_OF_A_SETTING = ("setting", "setting_values", "seed")


@dataclass(frozen=True)
class KnobCurve:
    """Entries of one training that differ in one number of their settings, in its order.

    Attributes:
        knob: the name of that number, as settings have it.
        values: that of each entry.
    """

    knob: str
    values: tuple[float, ...]
    entries: tuple[Entry, ...]

    @property
    def system(self) -> str:
        return self.entries[0].system

    @property
    def name(self) -> str:
        """What the curve is called, told apart from others of its system by the settings at its ends."""
        first, last = self.entries[0], self.entries[-1]
        ends = f"{self.knob} {self.values[0]:g} to {self.values[-1]:g}"
        return entry_name(first.title, ends, *first.tags)[:-1] + f"; {first.setting_title} to {last.setting_title})"


def curves_of(entries: Sequence[Entry]) -> tuple[KnobCurve, ...]:
    """The curves among entries, in the order of these."""
    groups: dict[tuple[str, str, str], list[tuple[float, Entry]]] = {}
    for entry in entries:
        cell = {name: part for name, part in entry.cell.identified.items() if name not in _OF_A_SETTING}
        values: Json = entry.cell.setting_values
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
    return tuple(found)
