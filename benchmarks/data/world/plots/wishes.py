"""Plots of stories about what somebody wishes for: to buy, to cook, to learn, to travel."""

from __future__ import annotations

from benchmarks.data.world.language import lexicon as lex
from benchmarks.data.world.language.lexicon import phrases, words
from benchmarks.data.world.plots.plot import Plot


def buying() -> Plot:
    """last week anna wanted to buy a red kite for the trip."""
    closed, dear = "but the {shop} was already closed .", "but the {thing} cost too much money ."
    gone, lost = "but somebody else bought the last one .", "but {he} lost all the money on the way ."
    return Plot(
        "buying",
        3,
        {
            "look": lex.LOOKS,
            "thing": lex.GOODS,
            "purpose": lex.PURPOSES,
            "shop": lex.SHOPS,
            "time": lex.HOURS,
        },
        "{when} {hero} wanted to buy a {look} {thing} {purpose} . / "
        "{hero} wanted to buy a {look} {thing} {purpose} {when} .",
        {
            "{he} went to the {shop} {time} .": (closed, dear, gone),
            "{he} looked for it in the {shop} {time} .": (dear, gone),
            "{he} took all {his} money to the {shop} {time} .": (closed, dear, lost),
            "{he} asked for one in the {shop} {time} .": (dear, gone),
        },
        {
            closed: (
                "so {he} came back with {his} {kin} the next day .",
                "so {his} {kin} called the owner of the {shop} .",
            ),
            dear: ("so {his} {kin} lent {him} ten dollars .", "so {he} washed cars with {his} {kin} to earn more ."),
            gone: ("then {his} {kin} found another one at home .", "so {his} {kin} ordered one from another town ."),
            lost: ("luckily {his} {kin} found it in the grass .", "so {his} {kin} paid for the {thing} ."),
        },
        ("{his} {kin} could not help , so {he} went home .", "{his} {kin} said no , so {he} gave up ."),
        {
            "well": (
                "{hero} was {feeling} and showed the {thing} to everyone .",
                "{hero} was {feeling} and used the {thing} every day .",
                "in the end {he} was {feeling} about the {look} {thing} .",
                "{he} felt {feeling} and took the {thing} home .",
            ),
            "badly": (
                "{hero} was {feeling} and never got the {thing} .",
                "in the end {he} was {feeling} and had no {thing} .",
                "{he} felt {feeling} without the {look} {thing} .",
            ),
        },
    )


def cooking() -> Plot:
    """one day paul wanted to cook rice for the whole class."""
    broken, burned = "but then the oven broke .", "but the {dish} burned in the pan ."
    spilled, little = "but {he} dropped all the {item} on the floor .", "but there was not enough {dish} ."
    return Plot(
        "cooking",
        3,
        {
            "dish": words("soup rice fish chicken stew pasta beef lamb cabbage corn"),
            "guests": phrases(
                "the neighbours / the children / the team / the class / the family / the old lady / the twins / "
                "the new boss / the whole street / forty people"
            ),
            "item": words("salt butter garlic honey pepper sugar flour cheese milk wine"),
            "shop": lex.SHOPS,
            "time": lex.HOURS,
        },
        "{when} {hero} wanted to cook {dish} for {guests} . / {hero} wanted to cook {dish} for {guests} {when} .",
        {
            "{he} bought {item} in the {shop} {time} .": (broken, spilled, little),
            "{he} got some {item} from the {shop} {time} .": (burned, spilled),
            "{he} mixed it with {item} from the {shop} {time} .": (broken, burned, little),
        },
        {
            broken: ("so {he} used the kitchen of {his} {kin} .", "so {his} {kin} made a fire in the garden ."),
            burned: ("so {his} {kin} helped {him} to start again .", "so {he} called {his} {kin} and tried again ."),
            spilled: (
                "luckily {his} {kin} had more {item} at home .",
                "so {his} {kin} ran to the {shop} for more .",
            ),
            little: ("so {his} {kin} brought some bread too .", "so {he} and {his} {kin} cooked some more ."),
        },
        (
            "{his} {kin} could not help , so {he} stopped .",
            "{he} asked {his} {kin} , who only laughed .",
        ),
        {
            "well": (
                "{guests} liked it and {hero} was {feeling} .",
                "{hero} was {feeling} because everyone ate the {dish} .",
                "{he} felt {feeling} when {guests} asked for more .",
            ),
            "badly": (
                "{guests} went home hungry and {hero} was {feeling} .",
                "{hero} was {feeling} because nobody ate the {dish} .",
                "{he} felt {feeling} and never cooked {dish} again .",
            ),
        },
    )


def learning() -> Plot:
    """last winter emma wanted to learn to play the flute before the wedding."""
    hard, strict = "but it was much too hard for {him} .", "but the teacher was too strict ."
    dear, hurt = "but the lessons cost too much money .", "but {he} fell and hurt {his} back ."
    return Plot(
        "learning",
        3,
        {
            "skill": phrases(
                "play the guitar / play the violin / play the flute / play the piano / play the drum / "
                "play the trumpet / swim / dance / ski / paint / sing / ride a horse / drive a truck / speak french / "
                "speak german / speak spanish / sail a boat / fly a plane / knit / draw / climb / play chess"
            ),
            "reason": phrases(
                "before the summer / before the winter / before the wedding / for the school play / for a bet / "
                "for the new job / for fun / before the holidays"
            ),
            "place": phrases(
                "at the club / at the school / in the park / in the old hall / near the lake / behind the church / "
                "in the garage / at home / in the library / on the roof"
            ),
            "often": phrases(
                "every monday / every tuesday / every wednesday / every thursday / every friday / every saturday / "
                "every sunday / every morning / every evening / every night / twice a week / all day"
            ),
        },
        "{when} {hero} wanted to learn to {skill} {reason} . / {hero} wanted to learn to {skill} {when} {reason} .",
        {
            "{he} took lessons {place} {often} .": (hard, strict, dear),
            "{he} practiced {place} {often} .": (hard, hurt),
            "{he} went to a course {place} {often} .": (strict, dear),
            "{he} tried it {place} {often} .": (hard, hurt),
        },
        {
            hard: ("so {his} {kin} showed {him} an easy way .", "but {he} did not stop , and {his} {kin} helped ."),
            strict: ("so {his} {kin} taught {him} instead .", "so {his} {kin} talked to the teacher ."),
            dear: ("so {he} worked for {his} {kin} to pay .", "so {his} {kin} paid half of it ."),
            hurt: ("so {his} {kin} took {him} to a doctor .", "so {he} rested for a week with {his} {kin} ."),
        },
        ("{his} {kin} told {him} to stop , and {he} did .", "not even {his} {kin} could help {him} ."),
        {
            "well": (
                "now {hero} can {skill} and is {feeling} .",
                "{hero} was {feeling} to {skill} so well .",
                "in the end {he} was {feeling} and could {skill} .",
            ),
            "badly": (
                "{hero} still cannot {skill} and is {feeling} .",
                "{he} felt {feeling} because {he} could not {skill} .",
                "in the end {hero} was {feeling} and learned nothing .",
            ),
        },
    )


def travelling() -> Plot:
    """in june oscar wanted to see the old castle in rome."""
    broke, full = "but the {vehicle} broke down .", "but the {vehicle} was full ."
    ticket, storm = "but {he} lost {his} ticket .", "but a big storm began ."
    return Plot(
        "travelling",
        3,
        {
            "sight": phrases(
                "the old castle / the museum / the long bridge / the zoo / the tower / the harbor / the gardens / "
                "the big church / the stadium / the opera / the palace / the night market"
            ),
            "city": lex.CITIES,
            "vehicle": words("train bus plane ferry ship coach"),
            "time": lex.HOURS,
        },
        "{when} {hero} wanted to see {sight} in {city} . / {hero} wanted to see {sight} in {city} {when} .",
        {
            "{he} took the {vehicle} {time} .": (broke, full, storm),
            "{he} bought a ticket for the {vehicle} {time} .": (full, ticket),
            "{he} waited for the {vehicle} {time} .": (full, storm),
            "{he} packed a bag and ran to the {vehicle} {time} .": (broke, ticket, storm),
        },
        {
            broke: ("so {his} {kin} came with a car .", "so {he} walked all night with {his} {kin} ."),
            full: ("so {his} {kin} gave {him} a seat .", "so {he} and {his} {kin} took the next one ."),
            ticket: ("luckily {his} {kin} had another ticket .", "so {his} {kin} bought a new one ."),
            storm: ("so {his} {kin} brought {him} a warm coat .", "so {he} waited for the sun with {his} {kin} ."),
        },
        ("{his} {kin} could not help , so {he} went home .", "{he} called {his} {kin} , but nobody came ."),
        {
            "well": (
                "{hero} was {feeling} to see {sight} at last .",
                "{he} felt {feeling} and stayed in {city} for a week .",
                "in the end {hero} stood before {sight} and was {feeling} .",
            ),
            "badly": (
                "{hero} was {feeling} and never saw {city} .",
                "{he} felt {feeling} because {he} missed {sight} .",
                "in the end {hero} stayed at home and was {feeling} .",
            ),
        },
    )
