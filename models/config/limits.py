"""Whole numbers within limits: a larger one would allocate or loop without end before anybody noticed the mistake."""

from typing import Annotated

from pydantic import Field

# Of epochs, trials and the like.
MAX_COUNT = 1_000_000
MAX_LAYERS = 100

Count = Annotated[int, Field(gt=0, le=MAX_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Units = Annotated[int, Field(gt=0, le=100_000)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
