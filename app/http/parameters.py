"""Parameters of routes that several surfaces have."""

from typing import Annotated

from litestar.params import HeaderParameter, PathParameter

Number = Annotated[int, PathParameter(ge=1, le=2**62)]
"""A job's number."""

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key", description="A second submit with the same key is the first"
    ),
]
