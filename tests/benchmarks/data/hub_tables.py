"""Small tables shaped like those of the hub."""

from __future__ import annotations

from typing import Any


def columns(*rows: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def story(prompt: str | None, rest: str = "They ran. They sat. They ate. They slept.") -> dict[str, Any]:
    return {"prompt": prompt, "continuation": rest}


STORIES = {
    "train": columns(story("Ann woke. "), story("Tom woke."), story("Ann woke."), story(None), story("Eve woke.")),
    "validation": columns(story("Bob woke."), story("Eve woke.")),
    "test": columns(story("Tom woke.", " They ran. They sat. They ate. They slept.\n"), story("Ida woke.")),
}


def asked(name: str, title: str, context: str, question: str, *answers: str) -> dict[str, Any]:
    return {
        "id": name,
        "title": title,
        "context": context,
        "question": question,
        "answers": {"text": list(answers), "answer_start": [0] * len(answers)},
    }


SQUAD = {
    "train": columns(
        asked("1", "University_of_Rome", "Rome is old.", "What is old?", "Rome", "rome"),
        asked("2", "University_of_Rome", "Rome is old.", "Which city is old?", "Rome"),
        asked("3", "University_of_Rome", "Rome is old.", "How is Rome?", "old"),
        asked("4", "Beyonc%C3%A9", "She sings.", "Who sings?", "She"),
        asked("5", "Beyonc%C3%A9", "She sings.", "Why?"),
        asked("6", "Tea", "Tea is hot.", "What is hot?", "Tea"),
    ),
    "validation": columns(asked("7", "Ice", "Ice is cold.", "What is cold?", "Ice", "ice")),
}
