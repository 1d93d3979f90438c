"""What can be set about the language model."""

from dataclasses import dataclass

from actors.kernel.setting import setting


@dataclass(frozen=True)
class LanguageModelSettings:
    openai_base_url: str | None = setting(
        None, "A server that speaks OpenAI's protocol; unset: OpenAI's own."
    )
    openai_api_key: str | None = setting(None, "The key for that server.", secret=True)
    openai_model: str | None = setting(
        None, "The language model for analyses and translations; unset: there are none."
    )
    openai_translation_model: str | None = setting(
        None, "Another model for translations; unset: OPENAI_MODEL."
    )
    openai_part_chars: int = setting(
        24_000, "Characters of a transcript that the language model reads at once.", minimum=500
    )
    openai_timeout_secs: float = setting(
        300, "How long the language model may take over one part.", minimum=1
    )
    quota_llm_tokens: int = setting(
        0, "The language model's tokens of one account in a day; 0 is no limit.", minimum=0
    )

    @property
    def present(self) -> bool:
        """Whether there is a language model."""
        return self.openai_model is not None
