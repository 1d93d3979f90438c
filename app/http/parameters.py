"""Parameters of routes that several surfaces have."""

from typing import Annotated

from litestar.params import PathParameter

Number = Annotated[int, PathParameter(ge=1, le=2**62)]
"""A job's number."""
