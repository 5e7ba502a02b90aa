"""The names that the package offers are there, whichever file they lie in."""

from __future__ import annotations

import pytest

import cosmos


@pytest.mark.parametrize("name", cosmos.__all__)
def test_a_public_name_is_loaded_on_first_use(name: str) -> None:
    assert getattr(cosmos, name) is not None and name in dir(cosmos)


def test_any_other_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        cosmos.Nonsense  # noqa: B018
