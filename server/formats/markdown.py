"""Markdown pages as HTML, with an id for each section and a table of contents."""

import itertools
import re
from collections.abc import Sequence
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token


def render(text: str) -> str:
    """Render CommonMark with tables. A table of contents with the second-level headings follows the title."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    entries = list(_identify(tokens))
    html = str(parser.renderer.render(tokens, parser.options, {}))
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title in entries)
    return html.replace("</h1>", f"</h1>\n<nav><ul>{links}</ul></nav>", 1)


def render_inline(text: str) -> str:
    """Render the words of one paragraph, without an element around them."""
    return str(MarkdownIt("commonmark", {"html": False}).renderInline(text))


def _identify(tokens: Sequence[Token]) -> list[tuple[str, str]]:
    """Give each heading of the second level an id, and return ids and titles."""
    entries = []
    for heading, content in itertools.pairwise(tokens):
        if heading.type == "heading_open" and heading.tag == "h2":
            name = re.sub(r"[^a-z0-9]+", "-", content.content.lower()).strip("-")
            heading.attrSet("id", name)
            entries.append((name, content.content))
    return entries
