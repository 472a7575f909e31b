"""The content of the page about problem types: for each code its meaning, and what a client does about it."""

import re
from importlib.resources import files

from server.formats.markdown import render_inline
from server.problems import KINDS, Kind


def advice() -> dict[str, str]:
    """Return what a client does about a problem, in Markdown, by code."""
    text = files("server.pages").joinpath("templates", "problems.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    parts = (section.partition("\n") for section in sections)
    return {code: words.strip() for code, _, words in parts}


def problem_types() -> str:
    """Return a section of HTML for each problem type, with its code as the id."""
    known = advice()
    return "\n".join(_section(kind, known[kind.code]) for kind in KINDS)


def _section(kind: Kind, what_to_do: str) -> str:
    return (
        f'<section id="{kind.code}">\n'
        f'<h2><span class="status">{kind.status}</span> <code>{kind.code}</code></h2>\n'
        f"<p><strong>{kind.title}.</strong> {render_inline(kind.detail)}</p>\n"
        f"<p><strong>What to do:</strong> {render_inline(what_to_do)}</p>\n"
        "</section>"
    )
