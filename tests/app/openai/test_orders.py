"""What a request asks for."""

import pytest

from app.openai.orders import Format, means_default, split
from app.services.order_form import LONGEST_PROMPT
from storage.errors import Invalid
from storage.records import Task


@pytest.mark.parametrize(
    "name",
    ["whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize",
     "gpt-4o-mini-transcribe-2025-12-15"],
)  # fmt: skip
def test_a_model_of_openais_means_the_servers_own(name: str) -> None:
    assert means_default(name)


@pytest.mark.parametrize("name", ["whisper-2", "large-v3", "gpt-4o", "whisper-1 "])
def test_other_names_mean_themselves(name: str) -> None:
    assert not means_default(name)


def test_an_empty_request_wants_the_text_in_json() -> None:
    wanted, order = split({}, Task.TRANSCRIBE, default_model=True)
    assert (wanted.format, wanted.stream, wanted.segments, wanted.words) == (
        Format.JSON, False, True, False,
    )  # fmt: skip
    assert order == {
        "task": Task.TRANSCRIBE, "prompt": None, "word_timestamps": False, "speakers": False,
    }  # fmt: skip


def test_keywords_are_added_to_the_prompt() -> None:
    values = {"prompt": "A talk about", "keywords": ("Whisperbox", "anyio")}
    assert split(values, Task.TRANSCRIBE, True)[1]["prompt"] == "A talk about, Whisperbox, anyio"
    with pytest.raises(Invalid, match="longer than 2000 characters together"):
        split({"keywords": ("x" * LONGEST_PROMPT, "y")}, Task.TRANSCRIBE, True)


@pytest.mark.parametrize(
    "values",
    [{"granularities": ("word",)}, {"include": ("logprobs",)}, {"format": "diarized_json"}],
)
def test_words_get_their_times_where_the_answer_needs_them(values: dict[str, object]) -> None:
    assert split(values, Task.TRANSCRIBE, True)[1]["word_timestamps"]


def test_only_a_model_that_means_itself_is_ordered() -> None:
    assert "model" not in split({"model": "whisper-1"}, Task.TRANSCRIBE, True)[1]
    assert split({"model": "tiny"}, Task.TRANSCRIBE, False)[1]["model"] == "tiny"
