"""Settings: values that the operator may set. Each is defined once, in the package that uses it.

A package's settings are a frozen dataclass of such fields. Each field is an environment variable:
``max_speakers`` is MAX_SPEAKERS, for example. `app.settings` reads the variables. The descriptions
given here are also used for the guide, the error messages and the Server page.
"""

from collections.abc import Callable
from dataclasses import field
from typing import Any


def setting(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    choices: tuple[str, ...] = (),
    parse: Callable[[str], Any] | None = None,
    secret: bool = False,
) -> Any:
    """A dataclass field that is a setting.

    Args:
        default: the value if the variable is not set.
        description: one sentence for the guide; Markdown.
        minimum: the smallest number allowed.
        choices: the allowed texts; empty: any text.
        parse: makes the value from the variable's text, if the field's type is not enough for that.
            For a wrong text it raises ValueError; the message continues a sentence that begins with
            the variable's name, for example "is not a list of networks".
        secret: the value is never shown to anybody.
    """
    metadata = {
        "about": description,
        "minimum": minimum,
        "choices": choices,
        "parse": parse,
        "secret": secret,
    }
    return field(default=default, metadata=metadata)
