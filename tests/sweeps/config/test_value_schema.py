"""The type and range of a value in words, and values that its schema allows."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, NonNegativeFloat, PositiveInt, TypeAdapter

from sweeps.config.value_schema import examples, range_in_words, type_in_words


@pytest.mark.parametrize(
    ("annotation", "words", "bounds"),
    [
        (int, "whole number", None),
        (PositiveInt | None, "whole number", "above 0"),
        (NonNegativeFloat | tuple[NonNegativeFloat, ...], "number or list of numbers", "at least 0"),
        (NonNegativeFloat | Literal["auto"], "number or auto", "at least 0"),
        (tuple[PositiveInt, PositiveInt], "list of 2 whole numbers", "above 0"),
        (tuple[tuple[float, ...], ...], "list of lists of numbers", None),
        (Annotated[tuple[int, ...], Field(min_length=1)], "list of whole numbers", "at least 1 value"),
        (Literal["mse", "bce"], "one of mse, bce", None),
        (tuple[Literal["a", "b"], ...], "list, each one of a, b", None),
        (Literal[False], "always false", None),
        (Annotated[float, Field(ge=0.5, lt=1)], "number", "at least 0.5 and below 1"),
        (Annotated[float, Field(ge=0, le=0)], "number", "only 0"),
        (bool, "true or false", None),
    ],
)
def test_type_and_range_in_words(annotation: Any, words: str, bounds: str | None) -> None:
    schema = TypeAdapter(annotation).json_schema()
    assert (type_in_words(schema), range_in_words(schema)) == (words, bounds)


@given(low=st.integers(-3, 20), width=st.integers(0, 5), default=st.one_of(st.none(), st.integers(-3, 25)))
def test_examples_of_a_number_are_within_its_bounds(low: int, width: int, default: int | None) -> None:
    bounded = TypeAdapter(Annotated[int, Field(ge=low, le=low + width)])
    for value in examples(bounded.json_schema(), "n", default):
        assert bounded.validate_python(value, strict=True) == value


def test_the_examples_of_a_field_come_first() -> None:
    schema = TypeAdapter(Annotated[float, Field(gt=0, examples=[3600])]).json_schema()
    assert next(examples(schema, "seconds", None)) == 3600


def test_an_example_differs_from_the_default_if_another_value_is_possible() -> None:
    assert next(examples({"type": "boolean"}, "tied", True)) is False
    assert next(examples({"enum": ["a", "b"], "type": "string"}, "kind", "a")) == "b"
    assert next(examples({"const": "a", "type": "string"}, "kind", "a")) == "a"
