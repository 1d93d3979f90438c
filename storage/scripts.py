"""Writing systems."""

import re

UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Letters of Thai, Lao, Burmese, Khmer, kana and Han, which are written without spaces."""


_UNSPACED_MARKS = re.compile(r"[\u3000-\u303f\uff00-\uff60]")
"""The stops and brackets of Chinese and Japanese, which have their space in them."""


def joined(left: str, right: str) -> str:
    """Two texts as one, with a space between them where their writing has spaces."""
    left, right = left.strip(), right.strip()
    spaced = left and right and not (_is_unspaced(left[-1]) and _is_unspaced(right[0]))
    return f"{left}{' ' if spaced else ''}{right}"


def _is_unspaced(character: str) -> bool:
    return bool(UNSPACED.match(character) or _UNSPACED_MARKS.match(character))
