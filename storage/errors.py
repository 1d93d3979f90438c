"""Exceptions: refusals, which are sent to the asker, and failures that end the process."""


class Refusal(Exception):
    """A request is refused. This is expected, and nothing was changed.

    ``message`` is one sentence, which may be shown to the client.
    """

    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(Refusal):
    """The request is wrong, and it would be wrong at any time."""

    code = "invalid"


class NotFound(Refusal):
    code = "not_found"


class Conflict(Refusal):
    """The thing exists, but its current state does not allow the request."""

    code = "conflict"


class Busy(Refusal):
    """The server has too much to do, or is shutting down: the client may try again later."""

    code = "busy"


class OverQuota(Refusal):
    """The account has used up its quota for now."""

    code = "over_quota"


class NoSpace(Refusal):
    """The disk has too little free space for what is to be stored."""

    code = "no_space"


class NotReady(Refusal):
    """The model is not loaded; a load has begun if that is possible.

    ``state`` is the model's state, for example ``loading``. ``retry_after`` is in whole seconds.
    """

    code = "model_not_ready"

    def __init__(self, state: str, retry_after: int) -> None:
        super().__init__("model_not_ready")
        self.state, self.retry_after = state, retry_after


class Unusable(Exception):
    """The server cannot start; the message says why and what to do about it."""


class Fatal(Exception):
    """The database or its disk failed: the process must end, and recovers at its next start."""
