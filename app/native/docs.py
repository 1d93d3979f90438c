"""What the interactive documentation says of errors."""

from litestar.openapi import ResponseSpec

from app.native.wire import Fault, NotReadyFault

_MEANING = {
    204: "You have the last event already",
    400: "Something in the request is wrong; the sentence says what",
    404: "There is no such job",
    408: "Nothing was received for 30 s",
    409: "The job's state does not allow it",
    503: "The model is not loaded, or the server is shutting down: see Retry-After",
    507: "The disk has too little free space",
}


def faults(*codes: int) -> dict[int, ResponseSpec]:
    return {
        code: ResponseSpec(
            data_container={204: None, 503: NotReadyFault}.get(code, Fault),
            generate_examples=False,
            description=_MEANING[code],
        )
        for code in codes
    }
