"""What the edge refuses, besides what `storage.errors` has."""

from collections.abc import Mapping, Sequence

from storage.errors import Refusal


class TooSlow(Refusal):
    """The client stopped sending in the middle of its request."""

    code = "too_slow"


class TooLarge(Refusal):
    """The file is larger than the operator wants."""

    code = "too_large"


class Unauthenticated(Refusal):
    """Whoever asks has not shown who they are."""

    code = "unauthenticated"


class Denied(Refusal):
    """We know who asks, and they may not."""

    code = "denied"


class TooMany(Refusal):
    """Asked too often."""

    code = "too_many"

    def __init__(self, message: str, retry_after: int) -> None:
        """``retry_after`` in whole seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class Unprocessable(Refusal):
    """Fields that cannot be right, each with its sentences."""

    code = "unprocessable"

    def __init__(
        self, errors: Mapping[str, Sequence[str]], typed: Mapping[str, str] | None = None
    ) -> None:
        """``typed``: what the fields had, for a page that shows them again."""
        super().__init__(next(iter(errors.values()))[0])
        self.errors = {field: list(sentences) for field, sentences in errors.items()}
        self.typed = dict(typed or {})
