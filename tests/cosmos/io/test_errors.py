"""An unknown name is answered with the nearest ones."""

from cosmos.io.errors import unknown


def test_near_names_are_proposed() -> None:
    assert str(unknown("system", "cosmo", ["cosmos", "gpt2"])) == "Unknown system 'cosmo'; did you mean cosmos?"


def test_without_a_near_name_all_are_listed() -> None:
    assert str(unknown("task", "xyz", ["story", "detox"])) == "Unknown task 'xyz'; known: detox, story."
