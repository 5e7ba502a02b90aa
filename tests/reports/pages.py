"""A page as a reader's program sees it: its elements in a tree, and the colours that its style sheet gives."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "wbr", "br", "input", "path", "use", "rect", "image"})


@dataclass
class Element:
    """One element: its attributes, children and own text in order."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None = None
    children: list[Element | str] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        """Those below it with these tags (any, if none is given), in reading order."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                found += ([child] if not tags or child.tag in tags else []) + child.all(*tags)
        return found

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def within(self, tag: str) -> bool:
        return self.parent is not None and (self.parent.tag == tag or self.parent.within(tag))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.here = Element("", {})

    def handle_starttag(self, tag, attrs):
        element = Element(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.children.append(element)
        if tag not in VOID:
            self.here = element

    def handle_startendtag(self, tag, attrs):
        self.here.children.append(Element(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.here.tag == tag, f"</{tag}> closes <{self.here.tag}>"
            assert self.here.parent is not None
            self.here = self.here.parent

    def handle_data(self, data):
        self.here.children.append(data)


def parsed(page: str) -> Element:
    """The page as a tree; fails where tags do not nest."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.tag}> is not closed"
    return reader.root


def themes(page: str) -> dict[str, dict[str, str]]:
    """The colours of a page by theme ("light", "dark", "print") and name; what a theme lacks is that of "light"."""
    style = page[page.index("<style>") : page.index("</style>")]
    rules = re.findall(r"(@media ([^{]*)\{\s*)?:root\s*\{([^}]*)\}", style)
    found: dict[str, dict[str, str]] = {}
    for _, condition, body in rules:
        theme = "dark" if "dark" in condition else "print" if "print" in condition else "light"
        found[theme] = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", body))
    printed = re.search(r"@media print\s*\{\s*:root\s*\{([^}]*)\}", style)
    if printed:
        found["print"] = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", printed.group(1)))
    return {theme: {**found["light"], **colours} for theme, colours in found.items()}


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio" and "relative luminance")."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
