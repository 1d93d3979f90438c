import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.engine.evidence import compression_ratio, speech_share
from storage.records import RATE, Segment, Span


@given(text=st.text(min_size=1, max_size=300))
def test_a_text_compresses_the_better_the_more_often_it_is_repeated(text: str) -> None:
    assert compression_ratio(text * 8) > compression_ratio(text)


@pytest.mark.parametrize(
    ("start", "end", "share"),
    [
        (0, 1, 0.0),
        (1, 2, 1.0),
        (0.5, 1.5, 0.5),
        (1, 5, 0.5),
        (0, 8, 0.25),
        (1.5, 1.5, 1.0),
        (3, 3, 0.0),
    ],
)
def test_the_share_of_speech_is_what_lies_in_speech(start: float, end: float, share: float) -> None:
    segment = Segment(index=0, start=start, end=end, text="said")
    speech = [Span(RATE, 2 * RATE), Span(4 * RATE, 5 * RATE)]
    assert speech_share(segment, speech) == pytest.approx(share)
