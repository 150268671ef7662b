import pytest

from efficient360.runtimes import catalogue
from efficient360.runtimes.cards import Card, card


@pytest.mark.parametrize("name", catalogue.names())
def test_a_card_says_what_the_class_says(name: str) -> None:
    found = catalogue.runtime(name)
    assert card(name) == Card(name, found.title, found.converts_with, catalogue.how_to_get(found))
    assert card(name).missing == catalogue.missing(found)
