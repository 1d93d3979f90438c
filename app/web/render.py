"""Templates to pages, with the headers that every page has."""

import re
import secrets
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Response
from markupsafe import Markup, escape

from app.services.progress import human
from app.transcripts.export import short_clock
from app.transcripts.formats import clock
from app.web.presenters import browser
from storage.search import MARK

READING = (
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; media-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of a page that only shows something: no scripts at all."""
HEADERS = {
    "Content-Security-Policy": READING,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "private, no-store",
}


def serve_under(base_path: str) -> None:
    """Put ``base_path`` before every address of ours that a page has; empty for none."""
    _templates.globals["base"] = base_path


def page(
    template: str, status: int = 200, *, scripts: bool = False, **values: Any
) -> Response[str]:
    """A page without scripts, or with ``scripts`` those of ours."""
    policy = f"{READING}; script-src 'self'" if scripts else READING
    headers = HEADERS | {"Content-Security-Policy": policy}
    return Response(html(template, **values), status_code=status, media_type=HTML, headers=headers)


def app_page(template: str, status: int = 200, **values: Any) -> Response[str]:
    """A page of ours for who has signed in, with scripts of ours and of nobody else."""
    nonce = secrets.token_urlsafe(16)  # for the styles that wavesurfer writes
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; "
        "connect-src 'self'; manifest-src 'self'; img-src 'self' data:; media-src 'self'; "
        "font-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    # The origin alone, since forms say by it where they come from.
    headers = HEADERS | {"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}
    return Response(
        html(template, nonce=nonce, **values),
        status_code=status,
        media_type=HTML,
        headers=headers,
    )


def fragment(template: str, status: int = 200, **values: Any) -> Response[str]:
    """A piece of a page, for a page that has the rest."""
    return page(template, status, **values)


def html(template: str, **values: Any) -> str:
    return _templates.get_template(template).render(**values)


@cache
def icon(name: str) -> Markup:
    """The icon of that name from Lucide, to stand in the page; its text is beside it."""
    file = resources.files("app") / "vendor" / "lucide" / f"{name}.svg"
    drawing = _DRAWING.search(file.read_text())
    assert drawing
    inner = " ".join(drawing[1].split())
    return Markup(f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{inner}</svg>')


def exact_clock(seconds: float) -> str:
    """``1:02:03.45``, as a field for a time has it."""
    return clock(round(seconds, 2))[:-1].removeprefix("00:")


def breakable(name: str) -> Markup:
    """``A_LONG_NAME``, which may be broken after its underscores alone."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def marked(excerpt: str) -> Markup:
    """An excerpt of a search, with what was found in ``<mark>``."""
    begin, end = MARK
    return Markup(str(escape(excerpt)).replace(begin, "<mark>").replace(end, "</mark>"))


def bytes_label(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


HTML = "text/html"
_DRAWING = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
_templates = Environment(
    loader=PackageLoader("app.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals |= {"base": "", "icon": icon}
_templates.filters |= {
    "clock": short_clock,
    "exact_clock": exact_clock,
    "human": human,
    "breakable": breakable,
    "marked": marked,
    "bytes": bytes_label,
    "browser": browser,
}
