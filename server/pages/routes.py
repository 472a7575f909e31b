"""The pages by path: overview, guide, document, Swagger UI, problem types and metrics."""

import html
import mimetypes
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from string import Template
from typing import Any, Final

import orjson
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from server.contract.document import to_yaml
from server.formats.markdown import render
from server.pages.metrics import MetricsPage
from server.pages.problem_types import problem_types
from server.pages.static import StaticPage
from server.problems import PAGE

_ASSETS: Final = ("swagger-ui.css", "swagger-ui-bundle.js")
_REFERENCE: Final = '<li><a href="docs">Reference</a>: all operations, to read and to try</li>'
_METRICS: Final = ',\n      <a href="metrics"><code>metrics</code></a>'
_ICON: Final = "favicon-32x32.png"
_DEMO_TOKEN: Final = "docs/demo-token"  # noqa: S105  a path, relative to /docs
_NOT_KEPT: Final = {"cache-control": "no-store"}

MakeToken = Callable[[], Awaitable[tuple[str, str]]]
"""Makes the id of a user and a token of that user."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the pages have."""

    metrics: MetricsPage | None
    """The metrics; None for none."""
    demo_token: MakeToken | None
    """Makes the token that /docs offers; None for none."""
    reference: bool = True
    """Whether /docs is there."""
    notices: Sequence[str] = ()
    """Sentences for the operator, on the page `/`."""


def pages(document: Mapping[str, Any], options: Options) -> dict[str, ASGIApp]:
    """Return the pages by path."""
    demo_token = options.demo_token if options.reference else None
    title, version = document["info"]["title"], document["info"]["version"]
    attribute = f'data-demo-token="{_DEMO_TOKEN}"' if demo_token else ""
    found: dict[str, ASGIApp] = {
        "/": _html(
            "index.html",
            title=title,
            version=version,
            reference=_REFERENCE if options.reference else "",
            metrics=_METRICS if options.metrics else "",
            notices=_paragraphs(options.notices),
        ),
        "/status.js": StaticPage(_template("status.js").encode(), "text/javascript"),
        "/pages.css": StaticPage(_template("pages.css").encode(), "text/css"),
        f"/docs/{_ICON}": _asset(_ICON),
        # Browsers look here where no page names an icon, such as beside a JSON document.
        "/favicon.ico": _asset(_ICON),
        "/guide": _html("guide.html", title=title, content=_guide()),
        "/openapi.json": StaticPage(orjson.dumps(document), "application/json"),
        "/openapi.yaml": StaticPage(to_yaml(document), "application/yaml"),
        PAGE: _html("problems.html", title=title, content=problem_types()),
    }
    if options.metrics is not None:
        found["/metrics"] = options.metrics
    if options.reference:
        found |= {
            "/docs": _html("docs.html", title=title, attribute=attribute),
            "/docs/start.js": StaticPage(_template("docs.js").encode(), "text/javascript"),
            "/docs/page.css": StaticPage(_template("docs.css").encode(), "text/css"),
            **{f"/docs/{name}": _asset(name) for name in _ASSETS},
        }
    if demo_token is not None:
        found[f"/{_DEMO_TOKEN}"] = partial(_demo_token, demo_token)
    return found


def _html(name: str, **values: str) -> StaticPage:
    return StaticPage(Template(_template(name)).substitute(values).encode(), "text/html")


def _paragraphs(notices: Sequence[str]) -> str:
    return "\n".join(f'<p class="notice" role="alert">{html.escape(notice)}</p>' for notice in notices)


def _template(name: str) -> str:
    return files("server.pages").joinpath("templates", name).read_text(encoding="utf-8")


def _asset(name: str) -> StaticPage:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return StaticPage(files("server.pages").joinpath("swagger_ui", name).read_bytes(), media_type)


def _guide() -> str:
    return render(files("openapi").joinpath("guide.md").read_text(encoding="utf-8"))


async def _demo_token(make: MakeToken, scope: Scope, receive: Receive, send: Send) -> None:
    user_id, token = await make()
    await JSONResponse({"user_id": user_id, "token": token}, headers=_NOT_KEPT)(scope, receive, send)
