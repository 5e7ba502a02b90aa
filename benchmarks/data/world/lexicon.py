"""The words of the world: people, objects, places, times and rude words, with their attributes.

A value is the word itself; what two words have in common is said by `CANONICAL` (synonyms state one fact). Other tasks of
this world draw on the same lists.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("/"))


WOMEN = _words("anna emma lucy maria sarah julia kate laura alice helen susan ruth linda clara")
MEN = _words("peter tom paul david jack simon martin robert daniel oliver henry george oscar felix")
RELATIVES = {
    "she": _words("sister mother aunt daughter wife grandmother niece"),
    "he": _words("brother father uncle son husband grandfather nephew"),
    "": _words("neighbour boss cousin friend manager assistant partner landlord"),
}
ROLES = _words(
    "waiter driver mechanic dentist doctor nurse teacher cook guard gardener farmer baker cleaner painter student guest "
    "clerk coach professor mayor lawyer engineer singer reporter butcher tailor carpenter pilot"
)

# Objects by what can be done with them.
TOOLS = _words("hammer bucket brush rope saw drill shovel torch knife broom")
CLOTHES = _words("coat jacket hat scarf shirt sweater dress skirt blanket towel")
PAPERS = _words("letter report book newspaper map ticket contract magazine notebook diary")
VALUABLES = _words("phone laptop camera wallet ring watch umbrella passport key purse")
TOYS = _words("ball doll guitar drum kite puzzle violin flute")
BIG = _words("ladder bike bicycle chair table sofa couch suitcase box cart lamp carpet")
FRAGILE = _words("window mirror bowl plate cup vase clock bottle jar lamp glass chair")
DEVICES = _words("printer radio television computer heater lamp oven fridge toaster speaker fan camera phone laptop")
FOODS = _words("soup bread cake pizza salad rice fish chicken pie cheese sauce stew pasta sandwich pudding")
DRINKS = _words("coffee tea beer wine juice milk cider")
SHOWS = _words("film movie play concert book novel song album game speech")
STAYS = _words("hotel restaurant cafe pub bar hostel campsite")
VEHICLES = _words("bus train taxi ferry tram plane")

SPOTS = _phrases(
    "on the table / under the bed / behind the sofa / on the shelf / in the drawer / in the car / on the roof / "
    "under the chair / in the basket / on the floor / behind the door / near the window / in the bath / on the desk"
)
ROOMS = _phrases(
    "in the kitchen / in the garden / in the garage / in the cellar / in the hall / in the bathroom / in the bedroom / "
    "in the attic / on the stairs / on the balcony / in the office / in the street / in the yard / near the gate"
)
TOWN = _phrases(
    "at the station / at the airport / in the library / at the bank / in the museum / at the market / at the cinema / "
    "in the park / at the beach / at school / in the hospital / at the pool / near the church / near the bridge"
)
TIMES = _phrases(
    "yesterday / again / last night / this morning / on monday / on tuesday / on wednesday / on thursday / on friday / "
    "on saturday / on sunday / last week / after lunch / before dinner / two days ago / during the party / "
    "last summer / last winter / after the lesson / before the meeting / an hour ago / at midnight / at noon"
)

CANONICAL = {
    "bicycle": "bike",
    "couch": "sofa",
    "movie": "film",
   
}
"""Words that state the same fact as another word."""

# Rude words. None of them is ever used in a neutral sentence.
PERSON_ADJECTIVES = _words("stupid damn dumb bloody idiot pathetic useless")
THING_ADJECTIVES = _words("damn stupid bloody shitty blasted dumb rotten")
INTENSIFIERS = _phrases("damn / bloody / so damn")
INSULTS = _words("idiot moron jerk fool clown loser creep")
TRASH = _words("crap garbage trash rubbish")
RUDE_WORDS = frozenset(
    (*PERSON_ADJECTIVES, *THING_ADJECTIVES, "damn", *INSULTS, *TRASH, "sucks", "sucked", "hell", "bastard", "crappy")
)
RUDE_PHRASES = frozenset({("shut", "up"), ("get", "lost"), ("as", "hell"), ("the", "hell"), ("like", "crap"), ("like", "hell")})


def canonical_value(value: str) -> str:
    """The one name of a value that has synonyms."""
    return CANONICAL.get(value, value)
