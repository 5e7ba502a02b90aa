"""What a gate says: a finding for each thing that it looked at, and the exit code that follows from all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.tracking.gate.noninferiority import GateOutcome

FindingKind = Literal["quality", "calls", "speed", "cell"]
EXIT_CODES: dict[GateOutcome, int] = {"pass": 0, "regression": 1, "cannot judge": 2}


@dataclass(frozen=True)
class GateFinding:
    """One thing of one cell that was judged.

    Attributes:
        entry: the system and setting that it is of, seeds together; "" for the run as a whole.
        cells: the ids of its cells in the run that is judged.
        quantity: what was measured, such as "exact_j" or "seconds@25".
        baseline, now: the value on both sides.
        change, low, high: now less the baseline, with its 95 % interval; where `ratio`, seconds now over those of the
            baseline.
        unit: of the values.
        margin: of the change, that still passes: signed, or a ratio.
        why: what decided, in a sentence.
        command: what shows it.
    """

    entry: str
    cells: tuple[str, ...]
    kind: FindingKind
    quantity: str
    outcome: GateOutcome
    why: str
    baseline: float | None = None
    now: float | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    ratio: bool = False
    unit: str = ""
    command: str = ""

    @property
    def title(self) -> str:
        return f"{self.quantity} of {self.entry}" if self.entry else self.quantity

    @property
    def size(self) -> str:
        """The values, the change with its interval, and what is allowed, as far as they are known."""
        parts = []
        if self.baseline is not None and self.now is not None:
            parts.append(f"{number(self.baseline)} -> {number(self.now)} {self.unit}".rstrip())
        if self.change is not None:
            interval = (
                "" if self.low is None or self.high is None else f" [{self._told(self.low)}, {self._told(self.high)}]"
            )
            parts.append(f"{'seconds ' if self.ratio else ''}{self._told(self.change)}{interval}")
        if self.margin is not None:
            parts.append(f"{self._told(self.margin)} is allowed")
        return ", ".join(parts)

    @property
    def sentence(self) -> str:
        """All of it on one line but the command."""
        size = self.size
        return f"{self.title}: {f'{size}: ' if size else ''}{self.why}"

    def _told(self, change: float) -> str:
        return f"{100 * (change - 1):+.1f} %" if self.ratio else f"{change:+.4g}"


@dataclass(frozen=True)
class GateResult:
    """All findings, and what else is to be known.

    Attributes:
        notes: what is named and decides nothing, such as a changed training set.
    """

    against: str
    judged: str
    findings: tuple[GateFinding, ...]
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> GateOutcome:
        """A regression if there is one, else what cannot be judged; nothing to judge is no pass either."""
        outcomes = {finding.outcome for finding in self.findings}
        if "regression" in outcomes:
            return "regression"
        return "pass" if outcomes == {"pass"} else "cannot judge"

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.outcome]

    def of(self, outcome: GateOutcome) -> tuple[GateFinding, ...]:
        return tuple(finding for finding in self.findings if finding.outcome == outcome)

    @property
    def headline(self) -> str:
        """The result in a sentence."""
        counts = [
            f"{len(those)} {word}"
            for outcome, word in (("regression", "worse"), ("cannot judge", "cannot be judged"), ("pass", "passed"))
            if (those := self.of(outcome))  # type: ignore[arg-type]
        ]
        word = {"pass": "pass", "regression": "regression", "cannot judge": "cannot judge"}[self.outcome]
        return f"gate: {word} ({', '.join(counts) or 'nothing was compared'}): {self.judged} against {self.against}"


def not_judged(against: str, judged: str, why: str) -> GateResult:
    """What is said where nothing of a run could be looked at."""
    return GateResult(against, judged, (GateFinding("", (), "cell", "comparison", "cannot judge", why),))


def number(value: float) -> str:
    """A value in four digits."""
    return f"{value:.4g}"


def in_order(findings: Iterable[GateFinding]) -> tuple[GateFinding, ...]:
    """Regressions first, then what cannot be judged, then what passed; otherwise as they were."""
    places: Sequence[GateOutcome] = ("regression", "cannot judge", "pass")
    return tuple(sorted(findings, key=lambda finding: places.index(finding.outcome)))
