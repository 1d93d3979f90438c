"""A value that the operator may set: stated once, where it is used.

A room's settings are a frozen dataclass of such fields. Each field is the environment variable of
its name in capitals; `app.settings` reads it, and the guide, the error messages and the Server
page are made from what stands here.
"""

from collections.abc import Callable
from dataclasses import field
from typing import Any


def setting(
    default: Any,
    about: str,
    *,
    least: float | None = None,
    choices: tuple[str, ...] = (),
    parse: Callable[[str], Any] | None = None,
    secret: bool = False,
) -> Any:
    """A dataclass field.

    Args:
        default: the value where the variable is not set.
        about: one sentence for the guide; Markdown.
        least: the smallest number allowed.
        choices: the only texts allowed.
        parse: makes the value from the variable's text, where its type alone does not say how;
            raises ValueError with the end of a sentence that begins with the variable's name.
        secret: never shown to anybody.
    """
    metadata = {
        "about": about,
        "least": least,
        "choices": choices,
        "parse": parse,
        "secret": secret,
    }
    return field(default=default, metadata=metadata)
