"""The guide: its form, and its statements that the document or the settings could contradict."""

import re

import pytest

from persistence.schema import KEY_HOURS
from server.contract.document import load_document
from server.formats.markdown import render
from server.middleware.cors import IGNORED_FIELDS
from server.settings import Settings
from tests.support.service import ROOT, Service

DOCUMENT = load_document()
GUIDE = (ROOT / "openapi" / "guide.md").read_text()


def test_the_description_leaves_details_to_the_guide() -> None:
    assert len(DOCUMENT["info"]["description"].splitlines()) <= 25
    assert DOCUMENT["externalDocs"]["url"] == "/guide"


def test_sections_have_ids_and_a_table_of_contents() -> None:
    assert render("# Title\n\ntext\n\n## Rate limits\n\n| a |\n|---|\n| `b<c` |\n") == (
        '<h1>Title</h1>\n<nav><ul><li><a href="#rate-limits">Rate limits</a></li></ul></nav>\n<p>text</p>\n'
        '<h2 id="rate-limits">Rate limits</h2>\n<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n'
        "<td><code>b&lt;c</code></td>\n</tr>\n</tbody>\n</table>\n"
    )


def test_html_in_a_page_is_shown_as_text() -> None:
    assert "<script>" not in render("<script>alert(1)</script>\n\n`<b>` <i>")


def test_every_section_of_the_guide_is_linked(service: Service) -> None:
    page = service.client().get("/guide").text
    sections = re.findall(r"^## (.*)$", GUIDE, re.MULTILINE)
    assert re.findall(r'<h2 id="[a-z-]+">(.*)</h2>', page) == sections
    assert re.findall(r'<a href="#[a-z-]+">(.*?)</a>', page) == sections
    linked = set(re.findall(r'href="#([a-z-]+)"', page))
    assert linked == set(re.findall(r'<h2 id="([a-z-]+)">', page))


def test_addresses_in_the_guide_are_those_of_the_document() -> None:
    addresses = set(re.findall(r"`(?:[A-Z]+ )?(/api/[^`]*)`", GUIDE))
    assert "/api/{user_id}/tasks/{task_id}" in addresses
    assert addresses <= set(DOCUMENT["paths"])


def test_header_fields_in_the_guide_are_those_of_the_document() -> None:
    parameters = DOCUMENT["components"]["parameters"].values()
    known = {parameter["name"] for parameter in parameters if parameter["in"] == "header"}
    known |= set(DOCUMENT["components"]["headers"])
    known |= {"Accept-Encoding", "X-Request-ID", "Allow", "Access-Control-Allow-Origin", *IGNORED_FIELDS}
    named = set(re.findall(r"`((?:[A-Z][A-Za-z]*-)+[A-Za-z]+|ETag|Link|Allow|RateLimit)(?:: [^`]*)?`", GUIDE))
    assert {"If-Match", "Retry-After", "RateLimit-Policy"} <= named <= known


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        (r"After (\d+) days", Settings.model_fields["trash_retention_days"].default),
        (r"For (\d+) hours", KEY_HOURS),
    ],
)
def test_numbers_in_the_guide_are_those_of_the_code(statement: str, value: int) -> None:
    assert re.findall(statement, GUIDE) == [str(value)]
