"""What can be refused, and what ends the process."""


class Refusal(Exception):
    """An expected no: it goes back to whoever asked, and harms nothing.

    ``message`` is one sentence that may be shown to a client.
    """

    code = "refused"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Invalid(Refusal):
    """The request cannot be right, whatever the state of the server."""

    code = "invalid"


class NotFound(Refusal):
    code = "not_found"


class Conflict(Refusal):
    """The thing exists but its state forbids what was asked."""

    code = "conflict"


class Busy(Refusal):
    """Too much waits already, or the server is on its way down: later will do."""

    code = "busy"


class OverQuota(Refusal):
    """This account has had its share for now."""

    code = "over_quota"


class NoSpace(Refusal):
    """The disk has no room left for what would be stored."""

    code = "no_space"


class NotReady(Refusal):
    """The model is not loaded; a load has begun where one can.

    ``state`` is the lifecycle's, ``retry_after`` in whole seconds.
    """

    code = "model_not_ready"

    def __init__(self, state: str, retry_after: int) -> None:
        super().__init__("model_not_ready")
        self.state, self.retry_after = state, retry_after


class Unusable(Exception):
    """The server cannot start here; the message says why and what to do about it."""


class Fatal(Exception):
    """The disk failed under us: the process must end, and recover at its next start."""
