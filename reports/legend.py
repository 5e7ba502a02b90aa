"""How to read the tables of a panel: intervals, marks and their rule, and what favours whom."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.stats import FEWEST
from reports.columns import EntryScore
from reports.names import display_system, entry_name
from reports.numbers import NOTHING, counted, listed
from reports.panels import Entry, Panel
from reports.quantities import LEVEL
from reports.significance import ColumnMarks
from reports.tuned_recipes import TUNED_ON, is_tuned

_MANY = 200  # of so many texts, two in a hundred are seen in all samples but 2 %
_FAR = 1.0  # lowest scores lie farther from 0 than this many times their range
_TWO_SEEDS = (
    " Two seeds tell little of others: where trainings differ much, intervals from two hold the truth in about nine of "
    "ten cases only, not in 95 %."
)

SPEED_COVERED = "speed over the timed batches and single texts, not over machines or days"


def has_intervals(panel: Panel) -> bool:
    """Whether a score of a panel has an interval, of which something is to be said."""
    return any(score.quantity.low is not None for column in panel.columns for score in column.scores.values())


def _times_have_intervals(panel: Panel) -> bool:
    return any(
        quantity.low is not None
        for entry in panel.trained
        for quantity in (entry.latency, entry.throughput, *entry.sweep.values())
    )


def scores_covered(panel: Panel) -> str:
    """Over the choice of what the intervals of scores are."""
    if not panel.trained or panel.seeds == (1,):
        alone = " alone, not over training seeds, of which each entry has one" if panel.trained else ""
        return f"scores over the choice of test texts{alone}"
    some = "" if min(panel.seeds) > 1 else " where an entry has several"
    return f"scores over the choice of test texts and over training seeds{some}"


def over(panel: Panel) -> tuple[str, ...]:
    """How many texts and seeds the scores of a panel are over, in few words; nothing where it has none."""
    texts = {score.total for column in panel.columns for score in column.scores.values()}
    seeds = {len(entry.records) for entry in panel.trained}
    told = [_range(counts, noun) for counts, noun in ((texts, "test text"), (seeds, "training seed")) if counts]
    return (f"Over {listed(told)}.",) if texts else ()


def _range(counts: Collection[int], noun: str) -> str:
    least = f"{min(counts):,} to " if len(counts) > 1 else ""
    return least + counted(max(counts), noun)


def covered(panel: Panel) -> str:
    """Over the choice of what all intervals are, as a sentence; "" where there are none."""
    told = [scores_covered(panel)] if has_intervals(panel) else []
    told += [SPEED_COVERED] if _times_have_intervals(panel) else []
    return f"Intervals ({_percent(LEVEL)}): {'; '.join(told)}." if told else ""


def legend(panel: Panel, judgements: Mapping[str, ColumnMarks]) -> tuple[str, ...]:
    """How to read the tables: intervals, marks and their rule, seeds, what the tests do not cover."""
    tested = [column.title for column in panel.columns if judgements[column.title].pairs]
    untested = [
        column.title
        for column in panel.columns
        if column.direction != "none"
        and any(score.quantity.value is not None for score in column.scores.values())
        and not any(score.per_text for score in column.scores.values())
    ]
    scored = any(score.quantity.value is not None for column in panel.columns for score in column.scores.values())
    lines = [*_brackets(panel), *((_counted(panel),) if scored else ()), *_unseen(panel)]
    if tested:
        lines.append(
            "Bold: significantly better than every other trained entry of the column and track. Dagger (†), where none "
            "is: the best value and those that cannot be told from it. Rule: paired sign-flip test and paired "
            "interval over the texts both have, 5 % level, Holm's correction over all pairs of the column, of p-values "
            "and of the intervals of differences alike."
        )
    if len(panel.tracks) > 1 and scored:
        every = "both" if len(panel.tracks) == 2 else "all"
        lines.append(
            f"Scores are marked within a track: {_apart(panel)}. Speed is marked over {every}. What is said of "
            "intervals below holds within a track for scores."
        )
    lines.append(
        f"Speed and {listed(untested)} (which have no score per text) are bold only where the best interval overlaps "
        "no other, and carry no other mark."
        if untested
        else "Speed is bold only where the best interval overlaps no other, and carries no other mark."
    )
    lines += _imported(panel)
    if panel.trained:
        lines += [_seeds(panel)] if scored else []
        lines += _tuned(panel)
    if any(_without_interval(score) for column in panel.columns for score in column.scores.values()):
        lines.append(
            f"A score without an interval is of one text, of a corpus of fewer than {FEWEST} texts, or of texts that "
            "are all alike to it, which do not say how others would differ."
        )
    lines.append(
        "Parameters are those of the networks that generating calls, each counted once; what serves training alone is "
        "not among them."
    )
    lines += _rounding(panel)
    lines += _tokenizers(panel)
    lines += [*_learnt_elsewhere(panel), *_first_stages(panel), *_other_corpora(panel), *_judged_by_its_own(panel)]
    if panel.for_scale:
        lines.append(
            f"{_for_scale(panel)}: they are never marked, enter no test of the columns, and have no speed worth giving "
            f"({NOTHING}), for they run no network."
        )
    lines.append(f"{NOTHING} with a note means there is no number; the note says why.")
    return tuple(lines)


def _brackets(panel: Panel) -> Iterator[str]:
    """What the intervals of scores and of times are, of those that the panel has."""
    scores, times = has_intervals(panel), _times_have_intervals(panel)
    told = [scores_covered(panel)] if scores else []
    told += ["latency around the median of single texts; throughput over batches, those of all seeds together"] * times
    how = (
        " Scores per text: Clopper and Pearson's, at the effective number of texts where they are not 0 or 1, and of "
        "the share of texts above 0 where a few have 0. Corpus metrics: a bootstrap over texts."
    )
    if told:
        yield f"Brackets hold intervals ({_percent(LEVEL)}): {'; '.join(told)}.{how if scores else ''}"


def _apart(panel: Panel) -> str:
    """Who is never ranked with whom."""
    first, *others = panel.tracks
    return f"entries {first} are never ranked with those {listed(others)}" + (
        ", nor these with each other" if len(others) > 1 else ""
    )


def _imported(panel: Panel) -> tuple[str, ...]:
    """Where texts from elsewhere came from, and what nobody here knows of them."""
    entries = [entry for entry in panel.trained if entry.imported]
    if not entries:
        return ()
    files = [f"{entry.name} ({_files(entry)})" for entry in entries]
    return (
        f"Texts from elsewhere: {listed(files)}. What they were trained on, under which budget and on which weights, "
        "nobody here knows, and so neither whether they saw the test documents. Seconds are those that were said with "
        "the texts, and rank nothing.",
    )


def _files(entry: Entry) -> str:
    """The files of an entry's seeds, each with its hash."""
    imported = [record.header.imported for record in entry.records]
    return ", ".join(f"{about['file']}, SHA-256 {about['sha256'][:12]}" for about in imported)


def _tuned(panel: Panel) -> tuple[str, ...]:
    """Whose learning rate, batch and dropout come from the protocol, and whose do not."""
    entries = {entry.system: entry.records[0].header for entry in panel.trained if not entry.imported}
    tuned = {
        system: TUNED_ON[header.cell.preset]
        for system, header in entries.items()
        if is_tuned(system, header.cell.preset, header.cell.recipe)
    }
    called = {system: entry_name(display_system(header)) for system, header in entries.items()}
    others = [system for system in entries if system not in tuned]
    lines = []
    for documents in dict.fromkeys(tuned.values()):
        named = listed(called[system] for system in tuned if tuned[system] == documents)
        lines.append(
            f"Learning rate, batch and dropout of {named} are those that one protocol chose, before this run or after "
            f"it, {documents} (docs/tuning.md: what was tried of whom, and what is left)."
        )
    if others:
        named = listed(called[system] for system in others)
        whose = (
            f"Those of {named} were not tuned by it"
            if tuned
            else (f"Learning rate, batch and dropout of {named} were not tuned by the protocol of docs/tuning.md")
        )
        lines.append(f"{whose}: they follow papers, a few trials, or this run.")
    return tuple(lines)


def _seeds(panel: Panel) -> str:
    """What intervals and tests say of other trainings."""
    if panel.seeds == (1,):
        return (
            "Every trained entry is from one training seed: intervals and tests say nothing of how another training "
            "would end."
        )
    some = "" if min(panel.seeds) > 1 else ", and where one of two entries has one seed a test knows only the other's"
    return (
        "Where an entry has several seeds its value is their mean, and its interval and tests are over texts and "
        "seeds: the variance of seeds by Student's t, for a few say little of all, and of p-values the larger of that "
        f"of sign flips of texts and that of a t-test over both{some}. What seeds alone move stands in a table of its "
        "own." + (_TWO_SEEDS if 2 in panel.seeds else "")
    )


def _unseen(panel: Panel) -> tuple[str, ...]:
    """What no interval of few texts can know, where scores that lie close together are shown."""
    for column in panel.columns:
        for score in column.scores.values():
            values = score.per_text.values()
            if 0 < len(values) < _MANY and min(values) > _FAR * (max(values) - min(values)) > 0:
                return (
                    "Where no text of an entry has 0 in a score and few would, as blank texts have, its interval does "
                    f"not know of them: when one text in fifty has 0, {len(values)} texts without any come in "
                    f"{100 * 0.98 ** len(values):.0f} % of samples, and their interval lies above the truth.",
                )
    return ()


def _without_interval(score: EntryScore) -> bool:
    return score.quantity.value is not None and score.quantity.low is None


def _for_scale(panel: Panel) -> str:
    """Who was not trained here, and who of them is a floor, as the beginning of a sentence."""
    floors = list(dict.fromkeys(entry.title for entry in panel.floors))
    others = list(dict.fromkeys(entry.title for entry in panel.for_scale if entry.title not in floors))
    named = [f"the floors {listed(floors)}"] if floors else []
    if others:
        named.append(f"{listed(others)}, which {'is' if len(others) == 1 else 'are'} none of the floors")
    return f"For scale there are {', and '.join(named)}"


def _counted(panel: Panel) -> str:
    """How many texts are behind a score."""
    totals = sorted({score.total for column in panel.columns for score in column.scores.values()})
    said = f"all {totals[0]:,} texts" if len(totals) == 1 else "all texts"
    return f"A score is over {said} of its entry, blank ones too, unless a note says over how many."


def _tokenizers(panel: Panel) -> tuple[str, ...]:
    """What was done to texts before they were scored, and who does not write the tokens of the others."""
    forms = {column.signature.form for column in panel.columns} - {"", "as written"}
    headers = [record.header for entry in panel.entries for record in entry.records if record.header.tokenizer]
    if not forms or not headers:
        return ()
    name = listed(dict.fromkeys(str(header.tokenizer["name"]) for header in headers))
    said = (
        f"All texts, references, sources and training texts went through the tokenizer of the run ({name}) before they "
        "were scored: letter case, accents and spacing that no system can write with it make no difference.",
    )
    own = {entry.name: str(e["own"]) for entry in panel.trained if "own" in (e := entry.records[0].header.tokenizer)}
    return said + tuple(
        f"{entry} writes with a tokenizer of its own, that of {model}: its limits are counted in other tokens, and "
        "what only that one can write is not seen."
        for entry, model in own.items()
    )


def _rounding(panel: Panel) -> tuple[str, ...]:
    """How many texts came out the same alone, where rounding depends on how many are made at once."""
    verdicts = [
        record.header.verdict
        for entry in panel.trained
        for record in entry.records
        if record.header.cell.dtype == "bfloat16" and record.header.verdict.get("singles")
    ]
    if not verdicts:
        return ()
    alone, equal = (sum(verdict[key] for verdict in verdicts) for key in ("singles", "singles_equal"))
    return (
        f"In bfloat16 rounding depends on how many texts are made at once: of {counted(alone, 'text')} made alone, to "
        f"time them, {equal} are those that are scored.",
    )


def _learnt_elsewhere(panel: Panel) -> tuple[str, ...]:
    """Who uses weights whose training is in no budget here, and which."""
    users: dict[tuple[str, ...], list[Entry]] = {}
    for entry in panel.trained:
        if entry.elsewhere:
            users.setdefault(entry.weights, []).append(entry)
    return tuple(
        f"Weights learnt elsewhere, from other data, which no budget here contains, are an advantage of "
        f"{listed(_called(panel, entries))} over systems that have none: {listed(weights)}, frozen or to begin with."
        for weights, entries in users.items()
    )


def _other_corpora(panel: Panel) -> tuple[str, ...]:
    """Who learnt from texts that its rivals have not seen."""
    users: dict[int, list[Entry]] = {}
    for entry in panel.trained:
        training = entry.records[0].header.training
        if training is not None and training.notes.get("passages"):
            users.setdefault(int(training.notes["passages"]), []).append(entry)
    corpus = panel.cell.data.get("passages", "")
    return tuple(
        f"The first stage of {listed(_called(panel, entries))} learnt from {count:,} pieces of {corpus} too, which "
        "rivals have not seen, and which memorisation is not counted over."
        for count, entries in users.items()
    )


def _judged_by_its_own(panel: Panel) -> tuple[str, ...]:
    """Which scores rest on a model that a contestant is made of: it declares what an evaluator names.

    Short names are left out, for `gpt2` is in the name of other models too.
    """
    users: dict[str, list[Entry]] = {}
    for entry in panel.trained:
        for model in dict.fromkeys(name.lower() for name in entry.weights if len(name) > 8):
            users.setdefault(model, []).append(entry)
    sentences = []
    for model, entries in users.items():
        titles = [column.title for column in panel.columns if model in column.signature.evaluator.lower()]
        if titles:
            rest, called = "rests" if len(titles) == 1 else "rest", _called(panel, entries)
            built, them = ("is", "it") if len(called) == 1 else ("are", "them")
            sentences.append(
                f"{listed(titles)} {rest} on {model}, which {listed(called)} {built} built on too, and may favour "
                f"{them}."
            )
    return tuple(sentences)


def _called(panel: Panel, entries: Sequence[Entry]) -> list[str]:
    """The systems of these entries, but the entries themselves where a system has others too."""
    keys = {entry.key for entry in entries}
    split = {entry.title for entry in panel.trained if entry.key not in keys}
    return list(dict.fromkeys(entry.name if entry.title in split else entry_name(entry.title) for entry in entries))


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def first_stage_note(stage: Mapping[str, Any]) -> str:
    """What one cost, for a note beside what an entry cost here."""
    spent = stage["spent"]
    return (
        f"besides, once and elsewhere, its first stage ({stage['name']}): {spent['flops']:.3g} FLOP in "
        f"{spent['seconds']:,.0f} s on {spent['device']}"
    )


def _first_stages(panel: Panel) -> tuple[str, ...]:
    """A sentence for each first stage of a panel: who uses it, its cost and corpora, and what stood in those."""
    users: dict[str, list[str]] = {}
    about: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for entry in panel.trained:
        if stage := entry.first_stage:
            training = entry.records[0].header.training
            key = repr(stage)
            users.setdefault(key, []).append(entry.name)
            about[key] = (stage, training.notes.get("held_out_read", {}) if training is not None else {})
    return tuple(_first_stage(names, *about[key]) for key, names in users.items())


def _first_stage(names: list[str], stage: Mapping[str, Any], read: Mapping[str, Any]) -> str:
    spent = stage["spent"]
    corpora = [
        f"{corpus['texts']:,} of {corpus['name']} (weight {corpus['weight']:g}, SHA-256 {corpus['sha256'][:12]})"
        for corpus in stage["corpora"]
    ]
    said = (
        f"The first stage of {listed(names)} ({stage['name']}, preset {stage['preset']}, seed {stage['seed']}) was "
        f"trained once, for many tasks: {spent['flops']:.3g} FLOP in {spent['seconds']:,.0f} s on {spent['device']}, "
        f"{spent['texts_seen']:,} texts seen of {listed(corpora)}. No budget here contains it."
    )
    if not read:
        return f"{said} Whether held-out texts stood in these corpora was not looked at."
    few = read["texts"] - read["told"]
    short = f" ({few:,} more are too short to tell)" if few else ""
    return (
        f"{said} Of {read['told']:,} held-out texts{short}, {read['read']:,} stood in these corpora, judged by their "
        "first words."
    )
