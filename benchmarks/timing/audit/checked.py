"""What an audit says: of each thing it looked at whether it holds, and in a sentence why. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cosmos.io.counting import agreeing, counted

Outcome = Literal["holds", "found", "cannot tell", "does not apply"]
EXIT_CODES: Mapping[Outcome, int] = {"holds": 0, "does not apply": 0, "found": 1, "cannot tell": 2}


@dataclass(frozen=True)
class Checked:
    """What one check says.

    Attributes:
        check: which, by name.
        outcome: "found" where timings are not what they seem.
        said: what was seen, in a sentence without its full stop.
        figures: what the sentence rests on.
    """

    check: str
    outcome: Outcome
    said: str
    figures: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.outcome}: {self.check}: {self.said}"


def exit_code(findings: Iterable[Checked]) -> int:
    """1 if anything was found; else 2 if something cannot be told, or nothing was looked at; else 0."""
    codes = {EXIT_CODES[finding.outcome] for finding in findings} or {2}
    return 1 if 1 in codes else max(codes)


def differing(check: str, what: str, pairs: Iterable[tuple[str, str]], *, exact: bool) -> Checked:
    """Whether pairs of texts are equal, and the share that is not.

    Args:
        what: of which texts, as the end of "N of M texts differ".
        exact: whether a text must come out the same. Where rounding depends on how texts are made, as in bfloat16,
            only the share is told, but at least one of all must be the same.
    """
    every = list(pairs)
    if not every:
        return Checked(check, "cannot tell", "there are no texts to compare")
    unequal = sum(one != other for one, other in every)
    share = unequal / len(every)
    wrong = unequal > 0 if exact else unequal == len(every)
    said = f"{unequal:,} of {counted(len(every), 'text')} {agreeing(unequal, 'differs', 'differ')} ({share:.0%}) {what}"
    return Checked(check, "found" if wrong else "holds", said, {"share": share, "texts": len(every)})
