"""Writing systems."""

import re

UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of Thai, Lao, Burmese, Khmer, kana and Han, which are written without spaces."""


def joined(left: str, right: str) -> str:
    """Two texts as one, with a space between them where their writing has spaces."""
    left, right = left.strip(), right.strip()
    spaced = left and right and not (UNSPACED.match(left[-1]) and UNSPACED.match(right[0]))
    return f"{left}{' ' if spaced else ''}{right}"
