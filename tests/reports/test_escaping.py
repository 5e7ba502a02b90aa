"""Every writer shows any text as it is: no text becomes markup."""

import random
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from reports import latex, markdown

PIECES = [
    *"\\`*_{}[]<>|~&$#%^\"'!?-+=.:;@()/, \t\n\r",
    *("a", "Z", "7", "é", "ß", "–", "—", "“", "中", "🎉", "\x00", "\x07", "\u200b", "\u202e", "\u00a0", "\ud800"),
    *("--", "''", "``", "<<", ">>", "{{", "}}", "{%", "%}", "<%", "%>", "\\\\", "\\input{x}", "|x|", "1. ", "- ", "# "),
    *("</td>", "<script>alert(1)</script>", "&amp;", "&#60;", ":tada:", "\\end{document}", "$x$", "```", "](x)"),
]


def nasty(count: int) -> list[str]:
    rng = random.Random(20250102)
    made = ["".join(rng.choice(PIECES) for _ in range(rng.randint(1, 12))) for _ in range(count)]
    return [*PIECES, *made]


def one_line(text: str) -> str:
    return " ".join(text.split())


def shown_by_markdown(escaped: str) -> str:
    """What CommonMark shows of a line without markup: backslashes before punctuation go, and so do empty comments."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped.replace(markdown.NOTHING, ""))


def test_markdown_shows_the_text():
    for text in nasty(3000):
        visible = "".join(c if c.isprintable() else "�" for c in one_line(text))
        assert shown_by_markdown(markdown.escape(text)) == one_line(visible)


def test_markdown_leaves_no_live_character():
    for text in nasty(3000):
        escaped = markdown.escape(text).replace(markdown.NOTHING, "")
        bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", escaped)
        assert not set(bare) & set("\\`*_{}[]<>|~&$#\n")
        assert not re.match(r"[-+=]|\d+[.)](\s|$)", escaped)


LINKED = re.compile(r"(?i)(https?|ftp)://\S|www\.\S|[\w.+-]+@[\w-]|@\w|#\d")
"""What GitHub makes a link of within one piece of text: addresses, mail, names, numbers of issues."""


@pytest.mark.parametrize(
    "text",
    [
        "see https://evil.example/x", "HTTP://EVIL.example", "ftp://a.b", "www.evil.example", "Www.evil.example",
        "mail me@evil.example", "thank @torvalds", "(@a/b)", "as in #12", "mailto:me@evil.example", "a/b#7",
    ],
)  # fmt: skip
def test_markdown_makes_no_link_of_a_text(text):
    escaped = markdown.escape(text)
    assert shown_by_markdown(escaped) == text
    pieces = [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", piece) for piece in escaped.split(markdown.NOTHING)]
    assert LINKED.search(text)
    assert not any(LINKED.search(piece) for piece in pieces), escaped


def test_markdown_holds_no_control_character(nasty_report):
    text = nasty_report["markdown"].read_text()
    assert all(character.isprintable() or character in "\n\t" for character in text)
    assert "\x1b" not in markdown.code("a \x1b[31m b") + markdown.fenced("a \x1b[31m b")


def test_markdown_leaves_numbers_and_times_alone():
    assert markdown.escape("0.133") == "0.133"
    assert markdown.escape("14:55:30") == "14:55:30"


def test_markdown_code_holds_anything():
    for text in nasty(500):
        span = markdown.code(text)
        fence = re.match("`+", span).group()
        body = span[len(fence) : -len(fence)]
        assert span.endswith(fence)
        assert fence not in re.findall("`+", body)
        assert not re.search(r"(?<!\\)\|", body)


LATEX_SHOWN = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\char34{}": '"',
    r"\char96{}": "`",
    r"$\$$": "$",
    **{rf"\{c}": c for c in "{}&%#_"},
    **{f"{{{c}}}": c for c in "[*"},
    "{}": "",
}


def shown_by_latex(escaped: str) -> str:
    pattern = "|".join(re.escape(key) for key in sorted(LATEX_SHOWN, key=len, reverse=True))
    return re.sub(pattern, lambda match: LATEX_SHOWN[match.group()], escaped)


def test_latex_shows_ascii_text():
    for text in nasty(3000):
        ascii_only = "".join(c for c in text if " " <= c <= "~")
        assert shown_by_latex(latex.escape(ascii_only)) == one_line(ascii_only)


def test_latex_leaves_no_live_character():
    for text in nasty(3000):
        escaped = latex.escape(text)
        assert escaped.isascii()
        known = re.sub(
            r"\$\\\$\$|\\[a-zA-Z]+\d*\{\}|\\[`'^~=.\"urHvdc]\{\\?[A-Za-z]\}|\\[{}&%$#_]|\$\S+?\$", "", escaped
        )
        assert not set(known) & set('\\%&#_$^~<>|"\n'), escaped
        typed = re.sub("[–—“”]", "", text)  # so that a dash, a quote or a mark that joins was not meant
        assert not re.search(r"--|``|''|[?!](`|\\char96)|<<|>>|,,", re.sub(r"\$.*?\$", "", latex.escape(typed)))
        depth = 0
        for character in known:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0
        assert depth == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50% & $3_a#", r"50\% \& $\$$3\_a\#"),
        ("naïve Šárka", r"na\"{\i}ve \v{S}\'{a}rka"),
        ("中", "{[}U+4E2D]"),
        ("[0.671, 0.709]", "{[}0.671, 0.709]"),
        ("seeds, 1,024 - what's that?", "seeds, 1,024 - what's that?"),
        ("a--b ,, ''", "a-{}-b ,{}, '{}'"),
        ("– - –- ?`", r"-- - --{}- ?{}\char96{}"),
        ("a\nb", "a b"),
        ("−1", "$-$1"),
    ],
)
def test_latex_examples(text, expected):
    assert latex.escape(text) == expected


class Page(HTMLParser):
    """Collects the tags and the text of a page, and checks that tags nest."""

    VOID = frozenset({"meta", "wbr", "br", "input", "path", "use", "rect", "image"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text, self.open = set(), [], []
        self.attributes = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_shows_nasty_records_as_text(nasty_report, run_report):
    plain = Page(run_report["html"].read_text())
    page = Page(nasty_report["html"].read_text())
    assert page.tags <= plain.tags | {"abbr", "wbr"}
    assert not any(name.startswith("on") for name, _ in page.attributes)
    text = "".join(page.text)
    for expected in ('<b>"cosmos" & $x_1$ | \\end{document}</b>', "<script>alert('reason')</script> {{ 7*7 }}"):
        assert expected in text


def test_markdown_tables_keep_their_shape(nasty_report):
    """No text adds a column or a line to a table."""
    width = None
    for line in nasty_report["markdown"].read_text().splitlines():
        bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert bars == width or width is None or bars is None
        width = bars


def test_svg_is_well_formed(nasty_report):
    root = ElementTree.parse(nasty_report["figure"]).getroot()
    text = "".join(root.itertext())
    assert "$x_1$" in text
