"""Runs the language child and takes what it says."""

import sys
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

import anyio
import msgspec

from actors.engine.languages import LANGUAGES
from actors.kernel.processes import Killed, persistently
from actors.lines import said
from actors.llm import RETRIES, Answer, Task
from storage.records import TextKind

SLACK_S = 120.0
"""For the pauses between retries, and for the child to start."""


class Provider(msgspec.Struct, frozen=True):
    """A server that speaks OpenAI's protocol."""

    base_url: str | None
    api_key: str | None
    model: str
    translation_model: str
    part_chars: int
    timeout_secs: float


BROKE_OFF = "the language model's text broke off"


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
        spent: list[int] = []
        try:
            answer = await persistently(partial(self._written, task, spent))
        except Killed:
            answer = Answer(error=BROKE_OFF)
        return msgspec.structs.replace(answer, tokens=answer.tokens + sum(spent))

    async def _written(self, task: Task, spent: list[int]) -> Answer:
        """``spent`` gets the tokens of a try that is killed: they are paid for all the same."""
        answer = Answer(error=BROKE_OFF)
        command = [sys.executable, "-m", "actors.llm"]
        async with aclosing(said(command, Answer, given=msgspec.json.encode(task))) as answers:
            while True:
                with anyio.move_on_after(self._patience_secs) as patience:
                    try:
                        answer = await anext(answers)
                    except StopAsyncIteration:
                        break
                    except Killed:
                        spent.append(answer.tokens)
                        raise
                if patience.cancelled_caught:
                    problem = "the language model did not answer in time"
                    return Answer(error=problem, tokens=answer.tokens)
        if answer.text or answer.error:
            return answer
        return Answer(error=BROKE_OFF, tokens=answer.tokens)

    @property
    def _patience_secs(self) -> float:
        """For one part, with all its retries; the child gives up by itself before that."""
        return self._provider.timeout_secs * (RETRIES + 1) + SLACK_S
