"""Runs the language child and reads its answers."""

import sys
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

import anyio
import msgspec

from actors.engine.languages import LANGUAGES
from actors.kernel.json_lines import run_json_child
from actors.kernel.processes import Killed, retry_if_killed
from actors.llm.child import Answer, TextTask
from actors.llm.settings import LanguageModelSettings
from storage.records import TextKind

RETRIES = 5
"""How often a failed request is sent again, after a pause of half a second to eight seconds."""
SLACK_S = 120.0
"""Seconds added for the pauses between retries and for the start of the child."""


BROKE_OFF = "the language model's text broke off"


class LanguageModel:
    """The language model that the settings name. It asks ``retries`` times again if that fails.

    Its methods raise nothing if the model fails: they return an Answer with an ``error``.
    """

    def __init__(self, settings: LanguageModelSettings, retries: int = RETRIES) -> None:
        assert settings.openai_model is not None
        self._settings, self._retries = settings, retries
        self._model = settings.openai_model
        self._translation_model = settings.openai_translation_model or settings.openai_model

    async def write(self, kind: TextKind, language: str, lines: Sequence[str]) -> Answer:
        """Have a text written from a transcript's lines, in the language with this ISO code."""
        settings = self._settings
        task = TextTask(
            kind=kind.value,
            language=LANGUAGES.get(language, language),
            lines=list(lines),
            model=self._translation_model if kind is TextKind.TRANSLATION else self._model,
            part_chars=settings.openai_part_chars,
            timeout_secs=settings.openai_timeout_secs,
            retries=self._retries,
            base_url=settings.openai_base_url,
            api_key=settings.openai_api_key,
        )
        spent: list[int] = []
        try:
            answer = await retry_if_killed(partial(self._written, task, spent))
        except Killed:
            answer = Answer(error=BROKE_OFF)
        return msgspec.structs.replace(answer, tokens=answer.tokens + sum(spent))

    async def _written(self, task: TextTask, spent: list[int]) -> Answer:
        """One try. If its child is killed, the tokens it used are added to ``spent``, because
        the provider charges for them anyway."""
        answer = Answer(error=BROKE_OFF)
        command = [sys.executable, "-m", "actors.llm.child"]
        async with aclosing(
            run_json_child(command, Answer, stdin_data=msgspec.json.encode(task))
        ) as answers:
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
        """The longest time for one part with all its retries; normally the child gives up first."""
        return self._settings.openai_timeout_secs * (self._retries + 1) + SLACK_S
