"""What the numbers of a panel hold for, and no further: its texts, and how the systems were trained and run.

Texts from elsewhere are left out: nobody here knows their size, budget or machine, and whatever their records say of
these is of the import.
"""

from __future__ import annotations

from reports.legend import covered
from reports.names import display_budget, display_source, within_sentence
from reports.numbers import counted, listed
from reports.panels import Entry, Panel


def scope(panel: Panel, lead: str, title: str = "", across: str = "") -> str:
    """One sentence on what all numbers hold for.

    Args:
        lead: its beginning, such as "This".
        title: the task's own, such as "Detoxification: rewrite ..."; its identifier stands in for none.
        across: what is to be said of those that are compared.
    """
    entries = _entries(panel)
    cells = [entry.cell for entry in entries] or [panel.cell]
    records = [record for entry in entries for record in entry.records]
    texts = max((len(record.samples) for entry in panel.entries for record in entry.records), default=0)
    devices = dict.fromkeys(
        f"{r.header.device.get('name', r.header.cell.device)} in {r.header.cell.dtype}" for r in records
    )
    task = within_sentence(title.partition(": ")[0]) or panel.cell.task
    said = f"{lead} holds for {counted(texts, 'test text')} of {task} from {display_source(panel.cell.source)}, "
    if entries and entries[0].trained and not entries[0].imported:
        seeds = len({record.header.cell.seed for record in records})
        said += f"preset {listed(dict.fromkeys(cell.preset for cell in cells))}, {counted(seeds, 'training seed')}, "
        if len(_budgets(entries)) == 1:
            said += f"a budget of {display_budget(_budgets(entries)[0])} each, "
    said += f"on {listed(devices) or panel.cell.device}{across}"
    return f"{said}; another size, machine or seed may order the systems otherwise."


def in_full(panel: Panel, title: str = "") -> str:
    """The same with what its intervals cover, and the budgets where they differ."""
    budgets = _budgets(_entries(panel))
    differ = f" Budgets of training differ: {listed(map(display_budget, budgets))}." if len(budgets) > 1 else ""
    intervals = covered(panel)
    return f"{scope(panel, 'All this', title)}{f' {intervals}' if intervals else ''}{differ}"


def _entries(panel: Panel) -> tuple[Entry, ...]:
    """Those that were trained here, or else those that are there for scale, or else all."""
    return tuple(entry for entry in panel.trained if not entry.imported) or panel.for_scale or panel.entries


def _budgets(entries: tuple[Entry, ...]) -> list[str]:
    return list(dict.fromkeys(entry.cell.budget for entry in entries))
