"""What systems and their settings are called where people read of them: in reports, figures and tables.

Identifiers stay in records and on the command line. A title is words, made from an identifier and from the values that
it was run with, so that it stays true of what a command changed: `nucleus-0.9` with `top_p=0.8` is "nucleus 0.8". Its
parts stand between commas, the method first, so that a figure can leave out those that all entries share.

The built-in ones are declared here, where nothing heavy is imported: a report needs the code of no system, and records
that are older than titles are called by the same rule. A class of another package may have class attributes `title`,
for itself, and `setting_titles`, by the names of its settings; without, its identifiers are made readable. Braces hold
keys of the recipe or the setting, as in "my sampler, {passes} passes". Runs write titles into their records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SYSTEMS = {
    "cosmos": "Cosmos",
    "cosmos-joint": "Cosmos, trained in one stage",
    "gpt2": "GPT-2",
    "hf": "Hugging Face",
    "mdlm": "MDLM",
    "sedd": "SEDD",
    "duo": "Duo",
    "tencdm": "TEncDM",
    "ld4lg": "LD4LG",
    "diffuseq": "DiffuSeq",
    "copy": "Copy of the source",
    "delete": "Source without rude words",
    "lead": "First sentence of the source",
    "unigram": "Unigram",
    "retrieval": "Retrieval",
    "reference": "Reference",
    "oracle": "Oracle",
    "null": "Nothing",
}

# By the name of a setting without its number of steps, or by "system:name" where a system means something of its own.
# What is not said is the default of the family: DPM-Solver++ of second order, no guidance. Steps, and a temperature
# that is not 1, are added by rule.
SETTINGS = {
    "dpmpp_2m": "",
    "dpmpp_2m_sde": "stochastic solver",
    "release": "released sampler",
    "release-guided": "released sampler, guidance {guidance}",
    "guided": "guidance {guidance}",
    "no_estimate": "no self-conditioning",
    "optimised": "own time grid",
    "optimised_sde": "own time grid, stochastic solver",
    "distilled": "distilled",
    "euler": "Euler",
    "euler-guided": "Euler, guidance {guidance}",
    "euler-ode": "Euler without noise",
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "mbr5-dpmpp_2m": "best of {candidates}",
    "mbr5-ddpm-guided": "DDPM, guidance {guidance}, best of {candidates}",
    "beam4-dpmpp_2m": "{beams} beams",
    "beam4-mbr5-ddpm-guided": "DDPM, guidance {guidance}, best of {candidates}, {beams} beams",
    "mbr10-dpmpp_2m": "best of {candidates}",
    "greedy": "greedy",
    "sample": "sampled",
    "nucleus": "nucleus {top_p}",
    "beam": "{beams} beams",
    "generate-greedy": "greedy, Hugging Face generate",
    "generate-sample": "sampled, Hugging Face generate",
    "confidence": "by confidence",
    "cached": "ancestral, cached",
    "ancestral": "ancestral",
    "first_hitting": "first hitting",
    "threshold": "confidence above {threshold}",
    "remdm_cap": "ReMDM-cap",
    "remdm_rescale": "ReMDM-rescale",
    "remdm_conf": "ReMDM-conf",
    "remdm_loop": "ReMDM-loop",
    "analytic": "analytic",
    "greedy_tail": "greedy tail",
}

# What a setting's values are where its name says nothing of them. One that differs is said, by the words in `_WORDS`,
# unless the words above say it: between braces, or by what the name means (`_OWN`).
_USUAL: dict[str, Any] = {
    "guidance": 1.0,
    "self_guidance": 1.0,
    "self_conditioned": True,
    "temperature": 1.0,
    "method": None,
    "top_p": 1.0,
    "greedy": False,
    "candidates": 1,
    "beams": 1,
    "length_penalty": 1.0,
}
_OWN: dict[str, dict[str, Any]] = {
    "no_estimate": {"self_conditioned": False},
    "greedy": {"greedy": True},
    "generate-greedy": {"greedy": True},
    "remdm_cap": {"top_p": 0.9},
    "remdm_rescale": {"top_p": 0.9},
    "remdm_conf": {"top_p": 0.9},
    "remdm_loop": {"top_p": 0.9},
}
_WORDS = {
    "steps": "{} steps",
    "candidates": "best of {}",
    "beams": "{} beams",
    "self_guidance": "self-guidance {}",
    "method": "by {}",
    "self_conditioned": "self-conditioning",
    "top_p": "nucleus {}",
    "final_x0": "final clean estimate",
    "rounded": "rounding",
}

_SIZED = re.compile(r"cosmos(?:-(?:(?P<latents>\d+)|full)(?:x(?P<width>\d+))?)?")


def system_title(name: str, recipe: Mapping[str, Any], declared: str | None = None) -> str:
    """What a system is called, such as "Cosmos, 16 latents" or "GPT-2".

    Args:
        recipe: as plain values, whole.
        declared: the `title` of its class, which goes before everything else.
    """
    if declared:
        return _filled(declared, recipe) or name.replace("_", " ")
    if released := recipe.get("released"):  # its sizes are not the recipe's
        return f"{SYSTEMS.get(name, name.replace('_', ' '))}, released weights {weights_name(str(released))}"
    if name == "hf" and (model := weights_name(str(recipe.get("model", "")))):
        return model if recipe.get("tuned", True) else f"{model}, not tuned"
    sized = _SIZED.fullmatch(name)
    if sized is None and name != "cosmos-joint":
        return SYSTEMS.get(name, name.replace("_", " "))
    title, width = SYSTEMS[name if sized is None else "cosmos"], sized and sized["width"]
    model = recipe.get("model", recipe)
    autoencoder = model.get("autoencoder") if isinstance(model, Mapping) else None
    latents = autoencoder.get("latents") if isinstance(autoencoder, Mapping) else None
    latents = latents or (sized and sized["latents"])
    if recipe.get("full") is True or "-full" in name:
        return f"{title}, uncompressed" + (f", width {width}" if width else "")
    elif latents is None:
        return title
    else:
        size = "1 latent" if latents == 1 else f"{latents} latents"
    return f"{title}, {size} of width {width}" if width else f"{title}, {size}"


def weights_name(folder: str) -> str:
    """What weights are called: their folder without its parents, or the model that a snapshot in a cache of the Hugging
    Face Hub is of, whose own name is a hash: ".../models--A--B/snapshots/HASH" is "B"."""
    cached = re.search(r"(?:^|/)models--(?:[^/]*?--)?([^/]+)/snapshots/[^/]+/*$", folder)
    return (cached[1] if cached else folder.rstrip("/").rpartition("/")[2]).replace(", ", " ")


def setting_title(
    system: str,
    name: str,
    values: Mapping[str, Any],
    declared: Mapping[str, str] | None = None,
    usual: Mapping[str, Any] | None = None,
) -> str:
    """What a setting is called, such as "20 steps" or "nucleus 0.9"; "" where there is nothing to set.

    A value that a command changed is said, such as "solver ddim, 20 steps"; but not how calls are captured, which
    decides no text.

    Args:
        values: what the setting says, as plain values.
        declared: the `setting_titles` of the system's class.
        usual: what the system declares under that name, as plain values. Where it is not known, as of a record alone,
            the values that most settings share stand in for it.
    """
    if not values and name in ("default", ""):
        return ""
    steps = values.get("steps")
    if not values and (said := re.search(r"-(\d+)$", name)) and "{" not in SETTINGS.get(name[: said.start()], "{"):
        steps = int(said[1])  # a record that has the name alone
    stem = name.removesuffix(f"-{steps}")
    short = re.sub(r"-[\d.]+$", "", stem)
    tables = [(declared or {}, key) for key in (name, stem)]
    tables += [(SETTINGS, key) for key in (f"{system}:{stem}", stem, short)]
    template = next((table[key] for table, key in tables if key in table), None)
    filled = None if template is None else _filled(template, values)
    parts = [readable(stem) if filled is None else filled]
    own = next((_OWN[key] for key in (stem, short) if key in _OWN), {})
    for key, value in values.items():
        if key in ("steps", "capture") or (filled is not None and f"{{{key}}}" in (template or "")):
            continue
        expected = {**_USUAL, **own, **(usual or {})}.get(key, value)
        if value != expected:
            parts.append(_value_said(key, value))
    if steps is not None:
        parts.append("1 step" if steps == 1 else f"{steps} steps")
    return ", ".join(part for part in parts if part)


def range_title(key: str, low: float, high: float) -> str:
    """What a number of a setting is called that goes from one value to another: "5 to 20 steps", "nucleus 0.9 to 1"."""
    return _value_said(key, [low, high])


def _value_said(key: str, value: Any) -> str:
    """One value in words: "guidance 2", "no self-conditioning"."""
    words = _WORDS.get(key, readable(key))
    if isinstance(value, bool):
        return words.replace(" {}", "") if value else "no " + words.replace(" {}", "")
    template = words if "{}" in words else f"{words} {{}}"
    return template.format(_plainly(value))


def _plainly(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return " to ".join(map(_plainly, value))
    return readable(str(value))


def entry_name(system: str, *details: str) -> str:
    """One name for a sentence, in which commas must not fall apart: "Cosmos (16 latents, 20 steps)"."""
    first, *more = system.split(", ")
    said = ", ".join(part for part in (*more, *details) if part)
    return f"{first} ({said})" if said else first


def readable(identifier: str) -> str:
    """A setting's name as words, where nobody declared any: "fast_path" is "fast path", "top-0.9" is "top 0.9"."""
    return re.sub(r"-(?=\d)", " ", identifier.replace("_", " "))


def _filled(template: str, values: Mapping[str, Any]) -> str | None:
    """The template with its values, six digits of a number; None where one of them is not there."""
    short = {key: f"{value:g}" if isinstance(value, float) else value for key, value in values.items()}
    try:
        return template.format_map(short)
    except KeyError:
        return None
