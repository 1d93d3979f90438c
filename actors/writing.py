"""Runs the language child and takes what it says."""

import sys
from collections.abc import Sequence
from contextlib import aclosing

import anyio
import msgspec

from actors.engine.languages import LANGUAGES
from actors.lines import said
from actors.llm import Answer, Task
from storage.records import TextKind


class Provider(msgspec.Struct, frozen=True):
    """A server that speaks OpenAI's protocol."""

    base_url: str | None
    api_key: str | None
    model: str
    translation_model: str
    part_chars: int
    timeout_secs: float


class Writer:
    """None of its failures is an exception: they are answers with an ``error``."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def write(self, kind: TextKind, language: str, lines: Sequence[str]) -> Answer:
        """A text in the language of that ISO 639-1 code, from a transcript's lines."""
        provider = self._provider
        task = Task(
            kind=kind.value,
            language=LANGUAGES.get(language, language),
            lines=list(lines),
            model=provider.translation_model if kind is TextKind.TRANSLATION else provider.model,
            part_chars=provider.part_chars,
            timeout_secs=provider.timeout_secs,
            base_url=provider.base_url,
            api_key=provider.api_key,
        )
        answer = Answer(error="the language model's text broke off")
        with anyio.move_on_after(provider.timeout_secs * 4) as patience:
            command = [sys.executable, "-m", "actors.llm"]
            async with aclosing(said(command, Answer, given=msgspec.json.encode(task))) as answers:
                answer = await anext(answers, answer)
        if patience.cancelled_caught:
            return Answer(error="the language model did not answer in time")
        return answer
