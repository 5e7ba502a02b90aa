"""Plots of stories about what somebody has to master: to find, to repair, to win, to build."""

from __future__ import annotations

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.lexicon import phrases, words
from benchmarks.data.world.plots.plot import Plot


def finding() -> Plot:
    """last year lucy wanted to find her lost white rabbit."""
    dark, deep = "but it was too dark outside .", "but the snow was too deep ."
    unseen, chased = "but nobody had seen the {pet} .", "but a big goose chased {him} away ."
    return Plot(
        "finding",
        3,
        {
            "look": lex.LOOKS,
            "pet": words("dog cat rabbit parrot turtle kitten puppy goat duck pony lizard hen"),
            "place": phrases(
                "in the park / near the river / in the forest / behind the barn / on the hill / near the lake / "
                "in the old mill / across the road / in the market / behind the church / in the meadow / "
                "near the station / on the beach / at the farm"
            ),
            "time": lex.HOURS,
        },
        "{when} {hero} wanted to find {his} lost {look} {pet} . / "
        "{hero} wanted {his} {look} {pet} back when it ran away {when} .",
        {
            "{he} looked for it {place} {time} .": (dark, deep, chased),
            "{he} searched {place} {time} .": (dark, deep, unseen),
            "{he} called its name {place} {time} .": (unseen, chased),
            "{he} asked the people {place} {time} .": (unseen, deep),
        },
        {
            dark: ("so {his} {kin} brought a bright lamp .", "then {his} {kin} heard it under a bush ."),
            deep: ("so {his} {kin} came with a horse .", "so {he} followed its tracks with {his} {kin} ."),
            unseen: ("so {he} and {his} {kin} put up a poster .", "then {his} {kin} found it under the bed ."),
            chased: ("so {his} {kin} fed the goose some bread .", "so {his} {kin} came with a long stick ."),
        },
        ("{his} {kin} looked too , but found nothing .", "even {his} {kin} gave up after a week ."),
        {
            "well": (
                "{hero} was {feeling} to have the {pet} back .",
                "{he} felt {feeling} and fed the {look} {pet} .",
                "in the end {hero} held the {pet} and was {feeling} .",
            ),
            "badly": (
                "{hero} was {feeling} without the {look} {pet} .",
                "{he} felt {feeling} and never saw the {pet} again .",
                "in the end the {pet} was gone and {hero} was {feeling} .",
            ),
        },
    )


def repairing() -> Plot:
    """one morning tom wanted to repair the clock in the kitchen."""
    snapped, missing = "but the {tool} broke in two .", "but one small part was missing ."
    cut, worse = "but {he} cut {his} hand .", "but {he} only made it worse ."
    return Plot(
        "repairing",
        3,
        {
            "thing": words("radio clock lamp fan printer camera guitar door window chair table oven sink bed"),
            "place": phrases(
                "in the kitchen / in the garage / in the cellar / in the hall / in the bathroom / in the bedroom / "
                "in the attic / in the office / in the studio / in the library"
            ),
            "tool": words("hammer saw knife brush drill rope ladder file screw spring"),
            "shop": lex.SHOPS,
            "time": lex.HOURS,
        },
        "{when} {hero} wanted to repair the {thing} {place} . / {hero} wanted to repair the {thing} {place} {when} .",
        {
            "{he} bought a {tool} in the {shop} {time} .": (snapped, missing, worse),
            "{he} borrowed a {tool} from the {shop} {time} .": (snapped, cut),
            "{he} got a {tool} from the {shop} {time} .": (missing, cut, worse),
        },
        {
            snapped: ("so {his} {kin} gave {him} a better one .", "so {he} used the {tool} of {his} {kin} ."),
            missing: ("so {his} {kin} made one out of wood .", "luckily {his} {kin} found it on the floor ."),
            cut: ("so {his} {kin} finished the work .", "so {his} {kin} held the {thing} for {him} ."),
            worse: ("so {his} {kin} explained how it works .", "so {he} read the book of {his} {kin} first ."),
        },
        ("{his} {kin} could not help , so {he} stopped .", "{his} {kin} looked at it and said no ."),
        {
            "well": (
                "now the {thing} works and {hero} is {feeling} .",
                "{hero} was {feeling} when the {thing} worked again .",
                "{he} felt {feeling} and put the {tool} away .",
            ),
            "badly": (
                "the {thing} is still broken and {hero} is {feeling} .",
                "{hero} was {feeling} and threw the {thing} away .",
                "{he} felt {feeling} and hid the {tool} .",
            ),
        },
    )


def winning() -> Plot:
    """last spring kate wanted to win the long race in oslo."""
    knee, ill = "but {he} hurt {his} knee .", "but {he} was ill on that day ."
    late, nerves = "but {he} came an hour late .", "but {he} was much too nervous ."
    return Plot(
        "winning",
        3,
        {
            "contest": phrases(
                "the long race / the chess game / the song contest / the tennis match / the quiz / the boat race / "
                "the dance contest / the golf cup / the baking contest / the football match / the art prize / "
                "the poetry prize"
            ),
            "city": lex.CITIES,
            "often": phrases(
                "every monday / every tuesday / every wednesday / every thursday / every friday / every saturday / "
                "every sunday / every morning / every evening / every night / twice a week / all winter / all summer"
            ),
            "coach": tuple(word for word in lex.ROLES if word not in ("guest", "coach", "engineer")),
        },
        "{when} {hero} wanted to win {contest} in {city} . / {hero} wanted to win {contest} in {city} {when} .",
        {
            "{he} trained with a {coach} {often} .": (knee, ill, nerves),
            "{he} worked hard with a {coach} {often} .": (ill, late, nerves),
            "a {coach} helped {him} {often} .": (knee, late),
        },
        {
            knee: ("so {his} {kin} bound it with a scarf .", "so {his} {kin} carried {him} to the start ."),
            ill: ("so {his} {kin} made {him} hot tea .", "but {his} {kin} sat beside {him} all day ."),
            late: ("luckily {his} {kin} made them wait .", "so {his} {kin} asked for one more chance ."),
            nerves: ("so {his} {kin} told {him} a joke .", "so {his} {kin} held {his} hand ."),
        },
        ("{his} {kin} sent {him} home at once .", "{his} {kin} won it instead ."),
        {
            "well": (
                "{hero} won {contest} and was {feeling} .",
                "{he} felt {feeling} with the gold medal in {his} hand .",
                "in the end {hero} came first and was {feeling} .",
            ),
            "badly": (
                "{hero} lost {contest} and was {feeling} .",
                "{he} felt {feeling} and never went to {city} again .",
                "in the end {hero} came last and was {feeling} .",
            ),
        },
    )


def building() -> Plot:
    """two years ago henry wanted to build a small boat behind the house."""
    wind, short = "but a strong wind blew it down .", "but {he} did not have enough {stuff} ."
    wrong, banned = "but it looked all wrong .", "but the mayor did not allow it ."
    return Plot(
        "building",
        3,
        {
            "look": lex.LOOKS,
            "thing": words("boat shed fence barn bridge tower cabin wall gate stable bench stage"),
            "place": phrases(
                "behind the house / in the garden / near the river / beside the road / on the hill / near the lake / "
                "in the yard / under the big tree / next to the school / at the farm"
            ),
            "stuff": words("wood stone steel glass clay straw paper rope"),
            "shop": lex.SHOPS,
            "time": lex.HOURS,
        },
        "{when} {hero} wanted to build a {look} {thing} {place} . / "
        "{hero} wanted to build a {look} {thing} {place} {when} .",
        {
            "{he} bought {stuff} in the {shop} {time} .": (wind, short, banned),
            "{he} got old {stuff} from the {shop} {time} .": (wind, short, wrong),
            "{he} began with {stuff} from the {shop} {time} .": (wind, wrong, banned),
        },
        {
            wind: ("so {his} {kin} helped {him} to build it again .", "so {he} and {his} {kin} used more nails ."),
            short: ("luckily {his} {kin} had some more .", "so {his} {kin} brought a truck full of {stuff} ."),
            wrong: ("so {his} {kin} drew a better plan .", "so {his} {kin} painted it for {him} ."),
            banned: ("so {his} {kin} wrote a long letter .", "so {his} {kin} asked the whole town to sign ."),
        },
        ("{his} {kin} burned the rest of the {stuff} .", "{he} asked {his} {kin} , who only laughed ."),
        {
            "well": (
                "{hero} was {feeling} when the {thing} was done .",
                "now the {look} {thing} stands there and {hero} is {feeling} .",
                "{he} felt {feeling} and slept beside the {thing} .",
            ),
            "badly": (
                "{hero} was {feeling} and never built a {thing} again .",
                "in the end there was no {thing} and {hero} was {feeling} .",
                "{he} felt {feeling} and went to bed .",
            ),
        },
    )
