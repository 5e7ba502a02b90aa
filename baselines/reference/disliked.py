"""Words that a judge of profanity dislikes, asked in a process of its own.

What trains, generates and times imports no metric library (and this one brings pandas): so the judge is asked once,
while a baseline is fitted.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys

from baselines.contract import UserError

JUDGE = "alt-profanity-check"
THRESHOLD = 0.5  # probability of profanity of a word alone
_ASK = """
import json, sys
from profanity_check import predict_prob
json.dump([float(chance) for chance in predict_prob(json.load(sys.stdin))], sys.stdout)
"""


def judge() -> str | None:
    """The judge with its version, or None where it is not installed; imports nothing of it."""
    from importlib import metadata

    return f"{JUDGE} {metadata.version(JUDGE)}" if importlib.util.find_spec("profanity_check") else None


@functools.lru_cache(maxsize=8)
def disliked(words: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the words that the judge gives a probability of profanity of at least `THRESHOLD`, each by itself.

    Raises:
        UserError: the judge is installed and does not work.
    """
    if not words:
        return ()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _ASK], input=json.dumps(words), capture_output=True, text=True
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise UserError(f"{judge()} is installed and does not work ({said}); mend it, or uninstall it.")
    chances = json.loads(done.stdout)
    return tuple(word for word, chance in zip(words, chances, strict=True) if chance >= THRESHOLD)
