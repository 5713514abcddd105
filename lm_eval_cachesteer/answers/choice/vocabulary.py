"""The vocabulary by which mentions of options are told from other letters and words."""

_NUMBERS = "two three four five six seven eight nine ten eleven twelve"
_VERBS = """
    because since as for which and but so due is was in with by if then that the or rather not would will can't
    cannot can could does doesn't did isn't wasn't must may might should has have only fits fit matches makes says
    seems looks appears sounds works over instead too here best correctly describes explains gives contradicts fails
    remains stands follows while whereas though although when where from than at on to of alone also applies holds
    wins it we i you
"""
_LEADING_WORDS = """
    is was be are am it's that's as with for choose chose choosing pick picked picking select selected selecting say
    said says answer answers so therefore thus hence then not isn't wasn't than and or nor but only to in on either
    neither both like unlike versus vs except eliminate eliminates eliminated exclude excludes excluded discard
    discards reject rejects out remains leaves leaving left means meaning just probably likely clearly definitely
    surely certainly obviously actually indeed simply guess call mark makes make consider check compare while since
    because if though although when whereas about us me gives give now still why how that which against meant mean
    instead perhaps maybe possibly between by yes no circle submit until can could must should would will does do
    did thinking think believe suppose what take favour favor prefer want it this toward towards lean at into
    becomes equals matches match fits fit suits satisfies supports suggests indicates implies yields confirm
    confirms confirmed got get keep write wrote enter
"""
_FUNCTION_WORDS = """
    yes no true false maybe perhaps never alway always sometimes often a an the in on at to of by for from with is
    are was were be am it he she they we i you who whom which what that this these those and or but not none all
    both neither either more less some any many much correct incorrect right wrong same different good bad has have
    had do does did can will would there their them him her his its it's as so than then when where how why because
    since if while
"""

NUMBERS = tuple(_NUMBERS.split())
"""From two on; "one" is a pronoun more often."""

UNITS = {"percent": "%", "hour": "h", "hr": "h", "minut": "min", "second": "s", "sec": "s"} | {
    prefix + unit: short + symbol
    for prefix, short in (("", ""), ("kilo", "k"), ("centi", "c"), ("milli", "m"))
    for unit, symbol in (("metr", "m"), ("meter", "m"), ("gram", "g"), ("litr", "l"), ("liter", "l"))
}
"""Units by their stems, and how they are written in short."""

VERBS = tuple(_VERBS.split())
"""What "A" stands before as a letter; before other words it is the article."""

LEADING_WORDS = frozenset(_LEADING_WORDS.split())
"""What a capital letter stands after as an option: not "vitamin", not "point"."""

FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""What says nothing by itself: not the text of an option, unless where the option stands to be stated."""
