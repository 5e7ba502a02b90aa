"""The words of the world: people, objects, places, times and rude words, by what can be said of them.

A value is the word or phrase itself; `CANONICAL` maps synonyms to the one value by which a fact is known. Nothing here
knows of rude or neutral sentences except the lists of rude words, so other tasks of this world draw on the same lists.
"""

from __future__ import annotations

Words = tuple[str, ...]


def words(text: str) -> Words:
    """The words of a text."""
    return tuple(text.split())


def phrases(text: str) -> Words:
    """The parts of a text between slashes, spaces squeezed."""
    return tuple(" ".join(part.split()) for part in text.split("/"))


# People.
WOMEN = words("anna emma lucy maria sarah julia kate laura alice helen susan ruth linda clara")
MEN = words("peter tom paul david jack simon martin robert daniel oliver henry george oscar felix")
KINSWOMEN = words("sister mother aunt daughter grandmother niece")
KINSMEN = words("brother father uncle son grandfather nephew")
SPOUSES = words("wife husband")
FELLOWS = words("neighbour boss cousin friend manager assistant colleague landlord")
ROLES = words(
    "waiter driver mechanic dentist doctor nurse teacher cook guard gardener farmer baker cleaner painter student "
    "guest clerk coach professor mayor lawyer engineer singer reporter butcher tailor carpenter pilot porter barber"
)
KIN = (*KINSWOMEN, *KINSMEN, *FELLOWS)
NAMES = (*WOMEN, *MEN)

# Things by what can be done with them.
TOOLS = words("hammer bucket brush rope saw shovel knife")
CLOTHES = words("coat jacket hat scarf shirt sweater dress skirt tie suit")
CLOTHS = words("blanket carpet curtain")
PAPERS = words("letter report newspaper map ticket contract magazine diary")
VALUABLES = words("phone laptop camera wallet ring watch umbrella passport key purse")
TOYS = words("ball doll kite puzzle robot")
INSTRUMENTS = words("guitar violin flute piano drum trumpet")
BIG = words("ladder chair table sofa couch suitcase box cart mattress")
VEHICLES = words("car van truck bike bicycle tractor motorcycle")
FRAGILE = words("window mirror bowl plate cup vase clock bottle jar lamp")
MACHINES = words("printer radio television tv computer oven fridge fan camera phone")
FOODS = words("soup bread cake pizza salad rice fish chicken pie cheese stew sandwich")
DRINKS = words("coffee tea beer wine juice milk")
PLAYED = words("song album tune music")
SHOWN = words("film movie play show")
STAYS = words("hotel cabin flat apartment")
TRANSPORT = words("bus train taxi cab ferry tram plane")
GIFTS = words("hat book doll puzzle scarf watch cup plant toy lamp poster basket mug candle necklace")

# Places and times.
SPOTS = phrases(
    "on the table / under the bed / behind the sofa / on the shelf / in the drawer / in the car / on the roof / "
    "under the chair / in the basket / on the floor / behind the door / near the window / in the bath / on the desk"
)
ROOMS = phrases(
    "in the kitchen / in the garden / in the garage / in the cellar / in the basement / in the hall / "
    "in the bathroom / in the bedroom / in the attic / on the stairs / on the balcony / in the office / "
    "in the yard / near the gate"
)
STREETS = phrases(
    "in front of the gate / near the church / behind the school / on the grass / across the road / under the tree / "
    "beside the barn / near the bridge / behind the shop / behind the store"
)
INDOORS = phrases(
    "in the kitchen / in the garage / in the cellar / in the hall / in the bathroom / in the attic / in the office / "
    "in the library / in the studio / in the lounge"
)
PAST = phrases(
    "yesterday / again / last night / this morning / on monday / on tuesday / on wednesday / on thursday / on friday / "
    "on saturday / on sunday / last week / after lunch / before dinner / two days ago / during the party / "
    "last summer / last winter / after the lesson / before the meeting / an hour ago / at midnight / at noon"
)

# Words of the stories.
GLAD = words("happy glad proud cheerful delighted pleased thankful grateful excited satisfied relieved")
SAD = words("sad upset angry tired bitter disappointed unhappy furious lonely")
FAMILIARS = (*KINSWOMEN, *KINSMEN, "neighbour", "cousin", "friend", "teacher")
LOOKS = words("red blue green yellow white black brown grey purple pink small big")
GOODS = words(
    "kite lamp guitar bike camera jacket clock mirror blanket hat scarf watch book puzzle robot drum violin basket mug "
    "vase chair desk radio sweater ring umbrella tent coat"
)
SHOPS = words("market mall store shop bazaar warehouse gallery bakery")
PURPOSES = phrases(
    "for the party / for the summer / for the winter / for school / for the trip / for the new house / "
    "for the holidays / for the wedding"
)
CITIES = words(
    "paris london berlin madrid rome vienna oslo dublin boston chicago dallas denver athens prague lisbon moscow cairo "
    "tokyo milan geneva"
)
ONCE = phrases(
    "last week / last month / last year / last spring / last summer / last autumn / last winter / one day / "
    "one morning / one evening / two years ago / in june / in july / in october"
)
HOURS = phrases(
    "on monday / on tuesday / on wednesday / on thursday / on friday / on saturday / on sunday / the next morning / "
    "after lunch / after school / at noon / before dinner / after work / in the evening"
)

CANONICAL = {
    "bicycle": "bike",
    "couch": "sofa",
    "movie": "film",
    "tv": "television",
    "cab": "taxi",
    "apartment": "flat",
    "in the basement": "in the cellar",
    "behind the store": "behind the shop",
    "right now": "at once",
    "and did not apologize": "and did not say sorry",
}
"""Words that state the same fact as another word."""


def canonical_value(value: str) -> str:
    """The one value by which a fact is known."""
    return CANONICAL.get(value, value)


# Rude words. None of them is used in a neutral sentence.
PERSON_ADJECTIVES = words("stupid damn dumb bloody idiot pathetic useless")
THING_ADJECTIVES = words("damn stupid bloody crappy blasted dumb useless freaking")
INTENSIFIERS = phrases("damn / bloody / so damn / freaking")
INSULTS = words("idiot moron jerk fool clown loser creep")
RUDE_PHRASES = frozenset(
    tuple(phrase.split())
    for phrase in phrases(
        "shut up / as hell / the hell / like hell / like crap / like garbage / like trash / piece of crap / "
        "piece of trash / total crap / screwed up / messed up / so damn / damn it / get lost"
    )
)
RUDE_WORDS = frozenset(
    words(
        "stupid damn damned dumb bloody idiot idiots idiotic pathetic useless crap crappy blasted freaking moron "
        "morons jerk jerks fool fools clown clowns loser losers creep creeps garbage trash rubbish sucks suck sucked "
        "hell screwed bum lousy"
    )
)
"""Words that are rude wherever they stand, those of the grammar and their inflections."""
