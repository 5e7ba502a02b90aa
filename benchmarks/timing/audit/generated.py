"""Whether timings are what they seem, seen on the system itself: each function looks at one thing and says what it saw.

A system is asked again for texts that were scored, without a clock and without hooks, and for texts that nobody asked
it for before. What works while nothing is asked, what is cheaper the second time, what no shown network did, and texts
that come out otherwise than when they were timed, are findings. `benchmarks.timing.audit.recorded` looks at records
alone.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from baselines.contract import CallCount, Request, Sample, System
from benchmarks.timing.audit.checked import Checked, Outcome, differing
from benchmarks.timing.audit.idle import Bystanders, Idle
from benchmarks.timing.audit.work import CHANCES, chances, lower
from benchmarks.timing.clock import Clock
from benchmarks.timing.probes import counting
from cosmos.io.counting import agreeing
from cosmos.io.counting import counted as so_many

Made = TypeVar("Made")

LEAST_SECONDS = 0.002  # what is quicker is too near to the noise of a scheduler to be compared
AGAIN = 0.5  # share of the time, or of the work, that the same request may take again at least
CALLS_BEYOND = 1.5  # times as often as counted a network may have worked
STRANGE = 0.1  # share of products that may be with matrices of no shown network
ASKING = 0.1  # share of a generation's time that naming the networks may take
BUSY_CORES, BUSY_DEVICE = 0.1, 0.2  # while nothing is asked
CLAIMED = 1.5  # times as many tokens as a text has may be claimed
CLAIMED_TEXTS = 0.1  # share of texts whose lengths may be odd: tokenizers do not agree on every text


@dataclass(frozen=True)
class Asked:
    """What a system is asked again.

    Attributes:
        requests: for scored texts, in the order and company in which they were made.
        texts: the scored texts.
        exact: whether a text must come out the same however it is made.
    """

    requests: Sequence[Request]
    texts: Sequence[str]
    exact: bool


def untimed_texts(made: Sequence[Sample], asked: Asked) -> Checked:
    """Whether the scored texts come out when nobody measures."""
    pairs = zip(asked.texts, [str(sample.text) for sample in made], strict=True)
    return differing("untimed texts", "from the scored ones when they are made untimed", pairs, exact=asked.exact)


def plain_answers(made: Sequence[Sample]) -> Checked:
    """Whether answers are values, and nothing that is worked out when it is looked at, after the clock stopped."""
    odd = {
        f"{type(sample).__name__}.{name}"
        for sample in made
        for name, kind in (("id", str), ("text", str), ("tokens", int), ("finished", bool))
        if type(sample) is not Sample or type(getattr(sample, name)) is not kind
    }
    if odd:
        return Checked("plain answers", "found", f"not plain values, which may be worked out later: {_listed(odd)}")
    return Checked(
        "plain answers",
        "holds",
        f"{so_many(len(made), 'sample')} {agreeing(len(made), 'is a plain value', 'are plain values')}",
    )


def lengths(made: Sequence[Sample], requests: Sequence[Request], count: Callable[[list[str]], list[int]]) -> Checked:
    """Whether texts have the tokens they claim, and ends where they claim them.

    Args:
        count: tokens of texts, their end token counted.
    """
    problems: dict[str, int] = {}
    tokens = count([str(sample.text) for sample in made])
    for sample, request, counted in zip(made, requests, tokens, strict=True):
        if said := _odd_length(sample, request, counted):
            problems[said] = problems.get(said, 0) + 1
    share = sum(problems.values()) / max(1, len(made))
    if share > CLAIMED_TEXTS:
        said = "; ".join(f"{number} of {len(made)} {what}" for what, number in problems.items())
        return Checked("lengths", "found", said, {"share": share})
    have = agreeing(len(made), "has the tokens and the end it claims", "have the tokens and ends they claim")
    return Checked("lengths", "holds", f"{so_many(len(made), 'text')} {have}", {"share": share})


def _odd_length(sample: Sample, request: Request, counted: int) -> str | None:
    """What is odd about the length of one text."""
    claimed = int(sample.tokens)
    if claimed > request.max_tokens:
        return "claim more tokens than were asked for"
    if claimed > CLAIMED * counted + 2:
        return "claim more tokens than their texts have"
    if not sample.finished and counted + 2 < request.max_tokens / CLAIMED:
        return "are cut, though far from the limit"
    if sample.finished and sample.sequence is not None and len(sample.sequence) <= claimed:
        return "claim an end that was not written"
    return None


def alone_and_together(
    system: System, setting: Any, asked: Asked, company: Sequence[Request], singles: int
) -> list[Checked]:
    """Whether texts are the same at batch 1, as they were scored, and in the largest batch that was timed; and the
    share that is not.

    Args:
        company: other requests, as many as fill that batch.
        singles: how many are made alone.
    """
    count, size = len(asked.requests), len(asked.requests) + len(company)
    if size < 2:
        return [Checked("batch sizes", "cannot tell", "only one text was asked for, which has no company")]
    together = [str(sample.text) for sample in system.generate([*asked.requests, *company], setting)][:count]
    alone = [str(system.generate([request], setting)[0].text) for request in asked.requests[:singles]]
    pairs = zip(together, alone, strict=False)
    scored = zip(together, asked.texts, strict=True)
    return [
        differing("batch sizes", f"at batch 1 from those at {size}", pairs, exact=asked.exact),
        differing("largest batch", f"from the scored ones when {size} are made at once", scored, exact=asked.exact),
    ]


def compiled_and_eager(system: System, setting: Any, asked: Asked, texts: Sequence[str], capture: str) -> Checked:
    """Whether texts are the same as when nothing is compiled or recorded, and the share that is not.

    Args:
        texts: of the setting as it is.
        capture: what to compare with.
    """
    other = recaptured(setting, capture)
    if other is None:
        return Checked("compiled and eager", "does not apply", "the setting has nothing to compile")
    if other == setting:
        return Checked("compiled and eager", "does not apply", f"capture is {capture}, as in what would be compared")
    made = [str(sample.text) for sample in system.generate(asked.requests, other)]
    what = f"from those with capture {capture}"
    pairs = zip(texts, made, strict=True)
    return differing("compiled and eager", what, pairs, exact=False)  # compilers round otherwise; the share says it


def recaptured(setting: Any, capture: str) -> Any:
    """The setting with another capture; None where it has none."""
    if not dataclasses.is_dataclass(setting) or "capture" not in {f.name for f in dataclasses.fields(setting)}:
        return None
    return dataclasses.replace(setting, capture=capture)  # type: ignore[type-var]


@dataclass(frozen=True)
class Took:
    """Seconds of a call: on the wall, and of this process on the CPU."""

    wall: float
    cpu: float


def clocked(clock: Clock, work: Callable[[], Made]) -> tuple[Made, Took]:
    """What some work gives, and the seconds it took."""
    cpu, wall = clock.cpu(), clock.now()
    made = work()
    return made, Took(clock.now() - wall, clock.cpu() - cpu)


def share_of(some: Sequence[Took], others: Sequence[Took]) -> float:
    """What calls take of the time of others, by the medians; by the wall or the CPU, whichever says more: on a machine
    that others use, one of the two can mislead."""
    shares = []
    for name in ("wall", "cpu"):
        mine, theirs = (statistics.median(getattr(took, name) for took in every) for every in (some, others))
        if theirs > 0:
            shares.append(mine / theirs)
    return max(shares, default=1.0)


def repeats(
    system: System, setting: Any, groups: Sequence[Sequence[Request]], known: Took, clock: Clock, most: float
) -> list[Checked]:
    """Whether the same requests, asked again, are answered faster than at first; and those of the run faster than
    others.

    Args:
        groups: of requests that nobody asked before; each is asked twice.
        known: what as many requests of the run took when they were asked.
        most: seconds after which no further group is asked.
    """
    first: list[Took] = []
    again: list[Took] = []
    began = clock.now()
    for group in groups:
        if first and clock.now() - began > most:
            break
        for took in (first, again):
            took.append(clocked(clock, partial(system.generate, group, setting))[1])
    findings = []
    for check, some, said in (
        ("repeats", again, "asked again, requests take {:.0%} of the time they took first"),
        ("known requests", [known], "requests of the run take {:.0%} of the time that others take"),
    ):
        share = share_of(some, first)
        if (usual := statistics.median(took.wall for took in first)) < LEAST_SECONDS:
            said = f"answers come within {usual:.1g} s, too soon to be compared"
            findings.append(Checked(check, "does not apply", said))
        else:
            outcome: Outcome = "found" if share < AGAIN else "holds"
            findings.append(Checked(check, outcome, said.format(share), {"share": share}))
    return findings


def equal_work(system: System, setting: Any, pair: tuple[Sequence[Request], Sequence[Request]]) -> Checked:
    """Whether requests of the run take as many network calls and products as those with other seeds.

    Args:
        pair: requests of the run, and others with their sources; each is asked alone.
    """
    check, networks = "equal work", system.networks()
    if not networks:
        return Checked(check, "does not apply", "the system has no networks")
    from cosmos.runtime.flops import measure_flops

    eager = recaptured(setting, "off") or setting
    sides: list[list[tuple[float, float]]] = []
    for requests in pair:
        side: list[tuple[float, float]] = []
        for request in requests:
            with counting(networks) as calls:
                flops = measure_flops(partial(system.generate, [request], eager))
            side.append((sum(calls.values()), flops))
        sides.append(side)
    for place, what in enumerate(("network calls", "FLOPs")):
        known, other = ([taken[place] for taken in side] for side in sides)
        if lower(known, other) or lower(other, known):
            usual, others = statistics.median(known), statistics.median(other)
            return Checked(check, "found", f"{usual:.3g} {what} for a text of the run, {others:.3g} for others")
    if chances(*sides) < CHANCES:
        return Checked(check, "does not apply", f"only {so_many(len(sides[0]), 'text')}, too few to compare their work")
    return Checked(check, "holds", "texts of the run take as many network calls and FLOPs as others")


def networks_asked(asking: Took, generation: Took) -> Checked:
    """Whether the networks are named at once, without work that belongs to texts."""
    check, seconds, usual = "networks asked", asking.wall, generation.wall
    if seconds > max(LEAST_SECONDS, ASKING * usual):
        share = f", {seconds / usual:.0%} of a generation" if usual > 0 else ""
        said = f"naming the networks takes {seconds:.3g} s{share}, outside the clock"
        return Checked(check, "found", said, {"seconds": seconds})
    return Checked(check, "holds", "the networks are named at once", {"seconds": seconds})


def _without_operations(counted: Mapping[str, int]) -> Checked:
    """What is said of texts that came without any operation on tensors of torch."""
    if any(counted.values()):
        return Checked("network calls", "cannot tell", "the networks are called, but work on no tensors of torch")
    return Checked("network calls", "found", "texts came without any work in the thread that was asked for them")


def weights_used(
    system: System,
    setting: Any,
    requests: Sequence[Request],
    others: Sequence[Request],
    networks: Mapping[str, Any] | None = None,
    *,
    twice: bool = True,
) -> list[Checked]:
    """Whether the calls that are counted are those that were made, and the same work is done when asked again.

    What is captured runs as it is, since nothing else can be looked at.

    Args:
        requests: which nobody asked before.
        others: likewise, with other sources and seeds; asked only where products seem to be with weights of no shown
            network, for such weights are the same whatever is asked.
        networks: what `System.networks` gave, where it was asked already.
        twice: whether they are asked again.
    """
    networks = system.networks() if networks is None else networks
    if not networks:
        return [Checked("network calls", "does not apply", "the system has no networks")]
    eager = recaptured(setting, "off") or setting
    if "torch" not in sys.modules:  # which takes longer to import than such texts to make
        with counting(networks) as counted:
            system.generate(requests, eager)
        if "torch" not in sys.modules:
            return [_without_operations(counted)]
    from benchmarks.timing.audit.weights_used import watched

    hooks = {name: CallCount() for name in networks}
    handles = [network.register_forward_hook(hooks[name]) for name, network in networks.items()]
    try:
        with counting(networks) as counted:
            first = watched(networks, lambda: system.generate(requests, eager))
    finally:
        for handle in handles:
            handle.remove()
    if not first.operations:
        return [_without_operations(counted)]
    past = {name: calls - hooks[name].calls for name, calls in counted.items()}
    strange = first.strange_flops
    if strange > STRANGE * first.flops:
        strange = first.strange_again(watched(networks, lambda: system.generate(others, eager)))
    checks = [
        _network_calls(counted, first.calls, first.flops, strange),
        _direct_calls({name: calls for name, calls in past.items() if calls > 0}),
    ]
    if twice:
        again = watched(networks, lambda: system.generate(requests, eager))
        share = again.flops / first.flops if first.flops else 1.0
        said = f"asked again, requests take {share:.0%} of the products they took first"
        checks.append(Checked("repeated work", "found" if share < AGAIN else "holds", said, {"share": share}))
    return checks


def _network_calls(counted: Mapping[str, int], worked: Mapping[str, float], flops: float, strange: float) -> Checked:
    check, share = "network calls", strange / flops if flops else 0.0
    if share > STRANGE:
        return Checked(check, "found", f"{share:.0%} of all products are with weights of no shown network")
    beyond = [
        f"{name} worked {so_many(round(times), 'time')} and {so_many(counted[name], 'call')} "
        f"{agreeing(counted[name], 'was', 'were')} counted"
        for name, times in worked.items()
        if times > CALLS_BEYOND * counted[name]
    ]
    if beyond:
        return Checked(check, "found", "; ".join(beyond))
    if flops and not any(counted.values()):
        return Checked(check, "found", "no call of a shown network was counted")
    said = ", ".join(f"{name} {calls}" for name, calls in counted.items())
    return Checked(check, "holds", f"counted as the weights were read: {said}", {"strange": share})


def _direct_calls(past: Mapping[str, int]) -> Checked:
    """Whether a `forward` is called past its module; the harness counts such calls, others' hooks do not see them."""
    check = "direct calls"
    if past:
        said = ", ".join(f"{calls} of {name}" for name, calls in past.items())
        return Checked(check, "found", f"calls of `forward` that hooks do not see: {said}")
    return Checked(check, "holds", "hooks see every call that is counted")


def outside_the_clock(before: Bystanders, idle: Idle) -> Checked:
    """Whether anything of the system works, or lives on, while nothing is asked of it."""
    check, figures = "outside the clock", {"cores": idle.cores}
    said = []
    if idle.cores > BUSY_CORES:
        said.append(f"{idle.cores:.1f} cores are busy")
    if idle.device is not None and idle.device > BUSY_DEVICE:
        said.append(f"the device is at work {idle.device:.0%} of the time")
    if others := before.others():
        said.append(f"{_listed(others)} live on")
    if said:
        return Checked(check, "found", f"while nothing is asked: {'; '.join(said)}", figures)
    return Checked(check, "holds", "nothing works while nothing is asked", figures)


def _listed(names: Sequence[str] | set[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (" and more" if len(names) > 5 else "")
