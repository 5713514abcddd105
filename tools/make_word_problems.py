"""Makes the arithmetic word problems of the offline suite: `python tools/make_word_problems.py`.

Every problem comes from one of the templates below: an everyday situation with quantities to draw and the steps that
solve it. All results are positive whole numbers within sensible limits, no two quantities of a problem are equal, and
the answer is none of them. Every template makes equally many problems, and any first 3n problems hold n with one, n
with two and n with three steps. A sum of several numbers and a share in percent each count as one step; in the
equations, `//` and `%` stand for the whole part and the remainder of a division.

The output is the same on every Python: it depends on nothing but `random.Random.random`, whose sequence Python
promises not to change.
"""

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import TypeVar

SEED = 0
PER_TEMPLATE = 4
OUT = Path(__file__).parents[1] / "tasks" / "offline" / "word_problems.jsonl"

WOMEN = (
    "Adaeze Amina Anouk Chiara Eleni Ewa Fatou Ingrid Katya Leilani Linh Maren Mei Nayeli Noor Paloma Priya Ruth "
    "Shirin Siobhan Soraya Tamar Thandi Ximena Yuna Zanele"
)
MEN = (
    "Bogdan Diego Dmitri Emeka Farid Henrik Hiroshi Ibrahim Joaquin Kofi Kwame Liam Luca Minh Omid Pavel Ravi Rohan "
    "Sanjay Sione Tariq Tomasz Viktor Wei Winston Yannick"
)
PEOPLE = [(name, "she", "her") for name in WOMEN.split()] + [(name, "he", "his") for name in MEN.split()]

OPERATORS: dict[str, Callable[[Fraction, int], Fraction | int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
POSITIVE = range(1, 1_000_000)

Item = TypeVar("Item")


@dataclass(frozen=True)
class Template:
    """A situation to make problems of.

    Attributes:
        text: The question, with places for quantities, words and people ({name}, {she}, {She}, {her}, {friend}).
        quantities: The values each quantity is drawn from.
        steps: The results by name, in order, each an expression over quantities and earlier results. It is worked out
            from left to right, so that no step mixes + or - with the other operators.
        limits: The results that are sensible, where not all positive whole numbers are.
        words: Alternatives for parts of the wording.
    """

    text: str
    quantities: Mapping[str, Sequence[int]]
    steps: Mapping[str, str]
    limits: Mapping[str, range] = field(default_factory=dict)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A question with the equations that solve it; the answer is the result of the last one."""

    question: str
    answer: str
    steps: list[str]


ONE_STEP = [
    Template(
        "A beekeeper looks after {hives} hives and gets {jars} jars of honey from each of them. "
        "How many jars of honey is that in all?",
        {"hives": range(4, 16), "jars": range(9, 25)},
        {"total": "hives * jars"},
    ),
    Template(
        "{name} is climbing {tower} with {stairs} stairs and takes a rest after {climbed} of them. "
        "How many stairs are still ahead of {name}?",
        {"stairs": range(110, 291), "climbed": range(30, 106)},
        {"ahead": "stairs - climbed"},
        words={"tower": ("a lighthouse", "a bell tower", "an old castle tower", "a lookout tower")},
    ),
    Template(
        "The {place} choir is made up of {sopranos} sopranos, {altos} altos and {basses} basses. "
        "How many singers does it have?",
        {"sopranos": range(11, 27), "altos": range(9, 23), "basses": range(6, 18)},
        {"singers": "sopranos + altos + basses"},
        words={"place": ("village", "university", "cathedral", "opera")},
    ),
    Template(
        "{name} is doing a jigsaw puzzle of {large} pieces, and {friend} is doing one of {small} pieces. "
        "How many more pieces does {name}'s puzzle have?",
        {"large": (500, 750, 1000, 1500, 2000), "small": (120, 180, 200, 260, 300, 350, 400, 450)},
        {"more": "large - small"},
    ),
    Template(
        "If a florist ties {flowers} {kind} into bunches of {size} and no flower is left over, "
        "how many bunches are there?",
        {"flowers": range(48, 201), "size": range(5, 13)},
        {"bunches": "flowers / size"},
        {"bunches": range(7, 25)},
        {"kind": ("roses", "tulips", "carnations", "daisies")},
    ),
    Template(
        "A {kind} game comes with {cards} cards. {name} deals them to {players} players. Everyone gets the same number "
        "of cards, as many as possible. How many cards are left over?",
        {"cards": range(41, 111), "players": range(4, 10)},
        {"left": "cards % players"},
        words={"kind": ("memory", "trivia", "fantasy", "travel")},
    ),
    Template(
        "The pool in {name}'s town is {pool} meters long. This morning {she} swims from one end to the other {lengths} "
        "times. How far does {she} swim, in meters?",
        {"pool": (20, 25, 50), "lengths": range(8, 45)},
        {"meters": "pool * lengths"},
        {"meters": range(300, 1601)},
    ),
    Template(
        "Of the {trees} trees in a park, {share} percent are {kind}. How many {kind} grow there?",
        {"trees": range(60, 401, 20), "share": (5, 10, 15, 20, 25, 30, 35, 40, 45, 55, 60)},
        {"count": "trees * share / 100"},
        words={"kind": ("oaks", "maples", "birches", "chestnut trees")},
    ),
    Template(
        "At the beginning of June, a {plant} is {height} centimeters tall. By the end of July it has grown by another "
        "{growth} centimeters. How tall is it then, in centimeters?",
        {"height": range(32, 96), "growth": range(38, 115)},
        {"tall": "height + growth"},
        words={"plant": ("sunflower", "corn plant", "hollyhock")},
    ),
    Template(
        "On the day {name} was born, {her} {elder} was {then} years old. Today {name} turns {age}. "
        "How old is {her} {elder} today?",
        {"then": range(46, 68), "age": range(6, 20)},
        {"now": "then + age"},
        words={"elder": ("grandmother", "grandfather", "great-aunt", "great-uncle")},
    ),
    Template(
        "How many {freight} does a freight train carry if it has {wagons} wagons and there are {load} {freight} on "
        "each of them?",
        {"wagons": range(18, 47), "load": range(3, 7)},
        {"total": "wagons * load"},
        words={"freight": ("tractors", "vans", "steel pipes", "tree trunks")},
    ),
    Template(
        "{name} teaches the {instrument} and charges ${fee} a lesson. In {month}, {her} lessons brought in ${income}. "
        "How many lessons did {she} give that month?",
        {"fee": range(18, 39), "income": range(200, 901)},
        {"lessons": "income / fee"},
        {"lessons": range(8, 29)},
        {"instrument": ("guitar", "cello", "accordion", "harp"), "month": ("March", "June", "October", "November")},
    ),
    Template(
        "On {name}'s flight, a {bag} may weigh at most {limit} kilograms. {name}'s {bag} weighs {weight} kilograms. "
        "By how many kilograms is it too heavy?",
        {"limit": (20, 23, 25, 30, 32), "weight": range(24, 44)},
        {"excess": "weight - limit"},
        {"excess": range(2, 14)},
        {"bag": ("suitcase", "duffel bag", "travel bag")},
    ),
    Template(
        "A documentary about {subject} lasts {length} minutes. {name} has watched {seen} minutes of it so far. "
        "How many minutes of the documentary are still to come?",
        {"length": range(78, 137), "seen": range(17, 65)},
        {"rest": "length - seen"},
        words={"subject": ("volcanoes", "whales", "the Vikings", "jazz")},
    ),
    Template(
        "How many words does {name} type in {minutes} minutes at a speed of {speed} words per minute?",
        {"speed": range(32, 79), "minutes": range(4, 19)},
        {"total": "speed * minutes"},
    ),
    Template(
        "In {hours} hours, {train} covers {distance} kilometers at a constant speed. "
        "What is its speed in kilometers per hour?",
        {"hours": range(3, 8), "distance": range(240, 1101, 10)},
        {"speed": "distance / hours"},
        {"speed": range(80, 181)},
        {"train": ("an express train", "a night train", "a mail train")},
    ),
    Template(
        "On Saturday {saturday} people visited {place}, and on Sunday {sunday} people did. "
        "How many fewer people came on Sunday than on Saturday?",
        {"saturday": range(640, 1901), "sunday": range(380, 1201)},
        {"fewer": "saturday - sunday"},
        {"fewer": range(60, 901)},
        {"place": ("the city aquarium", "an art fair", "the space museum", "a garden show")},
    ),
    Template(
        "A rectangular {floor} is {length} meters long and {width} meters wide. What is its area in square meters?",
        {"length": range(9, 20), "width": range(5, 9)},
        {"area": "length * width"},
        words={"floor": ("stage", "dance floor", "terrace", "barn floor")},
    ),
    Template(
        "On the beach, {name} finds {found} {things}. {friend} finds {times} times as many. "
        "How many {things} does {friend} find?",
        {"found": range(8, 27), "times": range(3, 6)},
        {"more": "found * times"},
        words={"things": ("shells", "smooth pebbles", "pieces of sea glass", "tiny crabs")},
    ),
    Template(
        "{name} gives {given} of {her} {things} to {friend} and then has {kept} left. "
        "How many {things} did {name} have at first?",
        {"given": range(12, 46), "kept": range(25, 141)},
        {"first": "given + kept"},
        words={"things": ("foreign stamps", "old postcards", "trading cards", "comic books")},
    ),
]

TWO_STEPS = [
    Template(
        "{name} knits {scarves} scarves and a blanket. Each scarf takes {each} balls of {wool}, and the blanket takes "
        "{blanket} balls. How many balls of {wool} does {she} need in all?",
        {"scarves": range(3, 9), "each": range(2, 5), "blanket": range(11, 22)},
        {"for_scarves": "scarves * each", "total": "for_scarves + blanket"},
        words={"wool": ("wool", "cotton yarn", "alpaca wool")},
    ),
    Template(
        "{name} is translating a {book} of {pages} pages. {She} has finished {done} pages and from now on "
        "translates {pace} pages a day. How many days will the rest take?",
        {"pages": range(110, 281), "done": range(25, 101), "pace": range(6, 15)},
        {"rest": "pages - done", "days": "rest / pace"},
        {"days": range(5, 21)},
        {"book": ("cookbook", "travel guide", "computer manual", "crime novel")},
    ),
    Template(
        "On three clear nights, {name} counts {first}, {second} and {third} {things} in the sky. "
        "What is the average number of {things} per night?",
        {"first": range(8, 41), "second": range(8, 41), "third": range(8, 41)},
        {"total": "first + second + third", "average": "total / 3"},
        words={"things": ("shooting stars", "satellites", "bats", "blinking airplanes")},
    ),
    Template(
        "A candle maker melts {blocks} blocks of {wax} weighing {block} grams each and uses all of it for candles of "
        "{candle} grams each. How many candles does this give?",
        {
            "blocks": range(4, 13),
            "block": (450, 500, 600, 750, 800, 900),
            "candle": (60, 75, 90, 120, 125, 150, 180, 200, 250),
        },
        {"total": "blocks * block", "candles": "total / candle"},
        {"candles": range(12, 81)},
        {"wax": ("beeswax", "soy wax", "white wax", "old wax")},
    ),
    Template(
        "For a folk dance, {dancers} dancers form {circles} circles of the same size. In each circle, {dressed} "
        "dancers wear {item}. How many dancers in each circle do not wear one?",
        {"dancers": range(40, 141), "circles": range(4, 10), "dressed": range(3, 8)},
        {"size": "dancers / circles", "others": "size - dressed"},
        {"size": range(8, 19), "others": range(2, 15)},
        {"item": ("a red sash", "a straw hat", "a white apron", "a flower crown")},
    ),
    Template(
        "The copier in a {place} prints {pages} pages in {minutes} minutes. "
        "How many pages does it print in {longer} minutes at the same speed?",
        {"pages": range(60, 301), "minutes": range(3, 9), "longer": range(9, 26)},
        {"speed": "pages / minutes", "total": "speed * longer"},
        {"speed": range(14, 46)},
        {"place": ("library", "town hall", "school office", "travel agency")},
    ),
    Template(
        "{name} sews {trim} along all the edges of a rectangular tablecloth that is {length} centimeters long and "
        "{width} centimeters wide. How many centimeters of {trim} does {she} use?",
        {"length": range(160, 261, 10), "width": range(90, 151, 10)},
        {"half": "length + width", "total": "2 * half"},
        words={"trim": ("lace", "gold braid", "blue ribbon", "fringe")},
    ),
    Template(
        "A rectangular lawn is {length} meters long and {width} meters wide. {feature} in the middle takes up {area} "
        "square meters of it. How many square meters of grass are left?",
        {"length": range(14, 29), "width": range(8, 14), "area": range(6, 31)},
        {"whole": "length * width", "grass": "whole - area"},
        words={"feature": ("A pond", "A flower bed", "A fountain", "A pavilion")},
    ),
    Template(
        "Last year, {learners} people were learning {language} at an evening school. This year their number has grown "
        "by {growth} percent. How many people are learning {language} there now?",
        {"learners": range(80, 401, 20), "growth": (5, 10, 15, 20, 25, 30, 35, 40, 60)},
        {"new": "learners * growth / 100", "now": "learners + new"},
        words={"language": ("Portuguese", "Korean", "Arabic", "sign language")},
    ),
    Template(
        "A hotel near the {place} has {rooms} rooms, but {closed} of them are closed for repairs. Each of the other "
        "rooms has {beds} beds. How many beds are there in the rooms that are open?",
        {"rooms": range(34, 91), "closed": range(5, 20), "beds": range(2, 5)},
        {"open": "rooms - closed", "total": "open * beds"},
        words={"place": ("station", "harbor", "airport", "ski lift")},
    ),
    Template(
        "In the morning, {boats} {kind} lie in a bay. During the day, {left} of them sail away and {came} others "
        "arrive. How many {kind} lie in the bay in the evening?",
        {"boats": range(28, 81), "left": range(9, 26), "came": range(5, 25)},
        {"stayed": "boats - left", "evening": "stayed + came"},
        words={"kind": ("yachts", "fishing boats", "sailboats")},
    ),
    Template(
        "Each of the {people} people in an origami class is given {white} sheets of white paper and {other} sheets of "
        "{color} paper. How many sheets of paper are handed out?",
        {"people": range(8, 25), "white": range(4, 11), "other": range(2, 7)},
        {"each": "white + other", "total": "each * people"},
        words={"color": ("red", "gold", "silver", "green")},
    ),
    Template(
        "{doctor} sees {patients} patients one right after another, each for {minutes} minutes, and then spends "
        "{writing} minutes on paperwork. How long does all of this take, in minutes?",
        {"patients": range(4, 12), "minutes": (12, 15, 20, 25, 30), "writing": range(35, 61, 5)},
        {"visits": "patients * minutes", "total": "visits + writing"},
        words={"doctor": ("A dentist", "An eye doctor", "A skin doctor", "A foot doctor")},
    ),
    Template(
        "{name} wants to take {goal} steps today. So far {she} has taken {before} steps on the way to {work} and "
        "{noon} steps during the lunch break. How many more steps does {she} have to take?",
        {"goal": range(8000, 12001, 500), "before": range(1250, 3401, 50), "noon": range(850, 2601, 50)},
        {"taken": "before + noon", "more": "goal - taken"},
        words={"work": ("work", "the office", "school", "the clinic")},
    ),
    Template(
        "{name}'s flight to {city} takes {hours} hours and {minutes} minutes. How long is the flight in minutes?",
        {"hours": range(3, 12), "minutes": range(15, 56, 5)},
        {"in_hours": "hours * 60", "total": "in_hours + minutes"},
        words={"city": ("Nairobi", "Lima", "Toronto", "Seoul")},
    ),
    Template(
        "At a flea market, {name} pays ${stall} for a stall and sells {sold} old {things} for ${price} each. "
        "How many dollars has {she} earned after the cost of the stall is subtracted?",
        {"stall": range(15, 36), "sold": range(12, 37), "price": range(3, 9)},
        {"sales": "sold * price", "earned": "sales - stall"},
        words={"things": ("comics", "records", "board games", "toy cars")},
    ),
    Template(
        "{name} picks {first} {fruit} from one tree and {second} from another. {She} packs them into bags of {size}. "
        "How many bags can {she} fill completely?",
        {"first": range(38, 110), "second": range(38, 110), "size": range(6, 15)},
        {"total": "first + second", "bags": "total // size"},
        words={"fruit": ("apples", "pears", "lemons", "peaches")},
    ),
    Template(
        "{name} is {age} years old, and {her} {elder} is {times} times as old. "
        "How many years older is {her} {elder} than {name}?",
        {"age": range(7, 15), "times": range(3, 7)},
        {"old": "age * times", "older": "old - age"},
        {"old": range(27, 53)},
        {"elder": ("mother", "father", "aunt", "uncle")},
    ),
    Template(
        "A tram with {passengers} passengers stops at {place}. Half of them get off, and {boarding} new passengers get "
        "on. How many passengers are in the tram when it moves on?",
        {"passengers": range(24, 91, 2), "boarding": range(7, 30)},
        {"stayed": "passengers / 2", "now": "stayed + boarding"},
        words={"place": ("the zoo", "the old market", "the stadium", "the university")},
    ),
    Template(
        "There are two {kind}s in a town. The old {kind} is {old} meters long, and the new {kind} is {more} meters "
        "longer. What is the total length of the two {kind}s in meters?",
        {"old": range(120, 481), "more": range(35, 191)},
        {"new": "old + more", "both": "old + new"},
        words={"kind": ("bridge", "tunnel", "pier")},
    ),
]

THREE_STEPS = [
    Template(
        "A zoo keeps {large} elephants and {small} {kind}s. Every day, each elephant eats {much} kilograms of hay and "
        "each {kind} eats {little} kilograms. How many kilograms of hay do all these animals eat in a day?",
        {"large": range(3, 8), "small": range(8, 16), "much": range(60, 111, 5), "little": range(6, 11)},
        {"for_large": "large * much", "for_small": "small * little", "total": "for_large + for_small"},
        words={"kind": ("zebra", "camel", "wild horse")},
    ),
    Template(
        "{name} buys {cloth} meters of {fabric}. {She} sews {curtains} curtains, using {each} meters for each of them, "
        "and a {item}, using {other} meters. How many meters of {fabric} are left?",
        {"cloth": range(24, 61), "curtains": range(4, 11), "each": range(2, 5), "other": range(5, 9)},
        {"for_curtains": "curtains * each", "rest": "cloth - for_curtains", "left": "rest - other"},
        {"left": range(2, 20)},
        {"item": ("bedspread", "sofa cover", "stage costume"), "fabric": ("cloth", "linen", "velvet", "cotton")},
    ),
    Template(
        "{group} buys {count} plain {things} for ${cost} each, paints them and sells all of them for ${price} each. "
        "The paint costs ${paint} in all. What is the profit in dollars?",
        {"count": range(20, 61), "cost": range(2, 6), "price": range(7, 13), "paint": range(18, 66)},
        {"each": "price - cost", "gain": "count * each", "profit": "gain - paint"},
        words={
            "group": ("A youth club", "A school band", "A drama class", "A choir"),
            "things": ("mugs", "tote bags", "flower pots", "wooden boxes"),
        },
    ),
    Template(
        "{name} delivered {monday} {parcels} on Monday and {tuesday} on Tuesday. On Wednesday {she} delivered twice as "
        "many as on Monday. How many {parcels} did {she} deliver per day on average on these three days?",
        {"monday": range(18, 51), "tuesday": range(20, 91)},
        {"wednesday": "monday * 2", "total": "monday + tuesday + wednesday", "average": "total / 3"},
        words={"parcels": ("parcels", "magazines", "newspapers", "packages")},
    ),
    Template(
        "For every {piece}, a potter needs {shaping} minutes for shaping and {glazing} minutes for glazing. "
        "How many hours does the potter need for {count} {piece}s?",
        {"shaping": range(15, 46, 5), "glazing": range(5, 26, 5), "count": range(6, 31)},
        {"each": "shaping + glazing", "minutes": "count * each", "hours": "minutes / 60"},
        {"hours": range(4, 17)},
        {"piece": ("bowl", "vase", "teapot", "plate")},
    ),
    Template(
        "Of the {students} students at a school, {share} percent come by bicycle, {walkers} come on foot, and all the "
        "others take the {vehicle}. How many students take the {vehicle}?",
        {"students": range(200, 641, 20), "share": (5, 10, 15, 20, 25, 30, 35), "walkers": range(45, 181)},
        {"cyclists": "students * share / 100", "without": "cyclists + walkers", "riders": "students - without"},
        {"riders": range(40, 400)},
        {"vehicle": ("bus", "tram", "train", "subway")},
    ),
    Template(
        "A carpenter gives a rectangular {surface} two coats of {finish}. The {surface} is {length} meters long and "
        "{width} meters wide, and one can of {finish} is enough to coat {can} square meters once. How many cans does "
        "the carpenter use up?",
        {"length": range(6, 19), "width": range(3, 9), "can": (6, 8, 9, 10, 12, 14, 15, 16)},
        {"area": "length * width", "coated": "area * 2", "cans": "coated / can"},
        {"cans": range(5, 31)},
        {"surface": ("deck", "stage", "wooden bridge"), "finish": ("varnish", "wood oil", "paint")},
    ),
    Template(
        "{name} picks {fruit} for {long} hours at {fast} kilograms an hour. {friend} picks {fruit} for {short} hours "
        "at {slow} kilograms an hour. How many kilograms more does {name} pick than {friend}?",
        {"long": range(4, 10), "fast": range(4, 10), "short": range(3, 10), "slow": range(4, 10)},
        {"by_name": "long * fast", "by_friend": "short * slow", "more": "by_name - by_friend"},
        {"more": range(3, 50)},
        {"fruit": ("strawberries", "cherries", "plums", "apricots")},
    ),
    Template(
        "Renting a {thing} costs ${start} for the first day and ${later} for each day after that. {name} rents one for "
        "{days} days. How much does {she} pay, in dollars?",
        {"start": range(25, 46), "later": range(9, 21), "days": range(4, 13)},
        {"more_days": "days - 1", "for_more": "more_days * later", "total": "for_more + start"},
        words={"thing": ("kayak", "mountain bike", "motor scooter", "surfboard")},
    ),
    Template(
        "{name} is walking a trail of {trail} kilometers through {region}. On each of the first {days} days {she} "
        "covers {pace} kilometers. {She} wants to spread the rest evenly over {more} more days. "
        "How far is that per day, in kilometers?",
        {"trail": range(130, 321), "days": range(3, 9), "pace": range(14, 25), "more": range(4, 10)},
        {"covered": "days * pace", "rest": "trail - covered", "per_day": "rest / more"},
        {"per_day": range(12, 24)},
        {"region": ("the mountains", "a desert", "a national park", "the countryside")},
    ),
    Template(
        "{name} has {count} {pets}, and each of them eats {grams} grams of dry food a day. "
        "For how many days will a bag of {bag} kilograms last?",
        {"count": range(2, 6), "grams": range(40, 96, 5), "bag": range(3, 13)},
        {"daily": "count * grams", "food": "bag * 1000", "days": "food / daily"},
        {"days": range(8, 61)},
        {"pets": ("cats", "small dogs", "kittens")},
    ),
    Template(
        "{name} works {hours} hours a week {place} and earns ${wage} an hour, but {tax} percent of this pay goes to "
        "taxes. How much is left of each week's pay, in dollars?",
        {"hours": range(12, 41), "wage": range(14, 26), "tax": (5, 10, 15, 20, 25)},
        {"pay": "hours * wage", "taxes": "pay * tax / 100", "left": "pay - taxes"},
        words={"place": ("in a garden center", "at a pharmacy", "in a bookshop", "at a car wash")},
    ),
    Template(
        "In {name}'s city, the {hall} is {low} meters tall. The clock tower is {more} meters taller than the {hall}, "
        "and the television tower is {times} times as tall as the clock tower. How many meters taller is the "
        "television tower than the {hall}?",
        {"low": range(18, 41), "more": range(8, 31), "times": range(3, 6)},
        {"clock": "low + more", "television": "clock * times", "taller": "television - low"},
        {"television": range(110, 331)},
        {"hall": ("town hall", "opera house", "post office", "main station")},
    ),
    Template(
        "A museum shop has {stock} {things}. It sells {daily} of them a day for {days} days and then gets a delivery "
        "of {delivery} more. How many {things} does it have after that?",
        {"stock": range(180, 501), "daily": range(12, 36), "days": range(4, 10), "delivery": range(60, 201, 10)},
        {"sold": "daily * days", "rest": "stock - sold", "now": "rest + delivery"},
        words={"things": ("posters", "postcards", "calendars", "key rings")},
    ),
    Template(
        "{name} has {first} {color} beads and {second} white beads and turns all of them into bracelets of {size} "
        "beads each. One bracelet takes {minutes} minutes to make. How many minutes do all the bracelets take?",
        {"first": range(40, 151), "second": range(40, 151), "size": range(14, 25), "minutes": range(6, 14)},
        {"beads": "first + second", "bracelets": "beads / size", "total": "bracelets * minutes"},
        {"bracelets": range(5, 15)},
        {"color": ("red", "green", "purple", "yellow")},
    ),
    Template(
        "A rectangular {place} is {length} meters long and {width} meters wide. {name} jogs all the way around it "
        "{rounds} times. How far does {she} jog, in meters?",
        {"length": range(220, 481, 10), "width": range(110, 201, 10), "rounds": range(3, 8)},
        {"half": "length + width", "round": "2 * half", "total": "rounds * round"},
        words={"place": ("park", "meadow", "campground")},
    ),
    Template(
        "Two {riders} set off on their bicycles at the same time from two towns that are {distance} kilometers apart. "
        "They ride toward each other on the same road, one at {slow} kilometers per hour and the other at {fast} "
        "kilometers per hour. How many kilometers are still between them after {hours} hours?",
        {"distance": range(90, 221, 5), "slow": range(14, 20), "fast": range(20, 28), "hours": range(2, 5)},
        {"together": "slow + fast", "ridden": "together * hours", "between": "distance - ridden"},
        {"between": range(8, 100)},
        {"riders": ("brothers", "sisters", "cousins", "friends")},
    ),
    Template(
        "A phone plan costs ${fee} a month and includes {included} gigabytes of data. Every further gigabyte costs "
        "${extra}. In {month}, {name} uses {used} gigabytes. How much is {her} bill for that month, in dollars?",
        {"fee": range(12, 31), "included": range(5, 21), "extra": range(2, 5), "used": range(12, 35)},
        {"further": "used - included", "surcharge": "further * extra", "total": "surcharge + fee"},
        {"further": range(3, 13)},
        {"month": ("January", "April", "May", "August")},
    ),
    Template(
        "A sports club orders {dozens} dozen {balls}. It keeps {kept} of them for tournaments and shares the others "
        "equally among its {teams} teams. How many {balls} does each team get?",
        {"dozens": range(6, 21), "kept": range(18, 49), "teams": range(5, 10)},
        {"all": "dozens * 12", "others": "all - kept", "each": "others / teams"},
        {"each": range(8, 31)},
        {"balls": ("tennis balls", "golf balls", "baseballs")},
    ),
    Template(
        "A laundry has to fold {piles} piles of {size} {things}. One machine folds {fast} {things} a minute, and "
        "another folds {slow} a minute. How many minutes do they need when both work at the same time?",
        {"piles": range(6, 16), "size": range(30, 81, 5), "fast": range(9, 15), "slow": range(5, 9)},
        {"all": "piles * size", "together": "fast + slow", "minutes": "all / together"},
        {"minutes": range(15, 61)},
        {"things": ("towels", "napkins", "pillowcases", "T-shirts")},
    ),
]

TEMPLATES = [*ONE_STEP, *TWO_STEPS, *THREE_STEPS]


def main() -> None:
    """Writes the problems."""
    lines = [json.dumps({"id": f"word-{i:03}"} | vars(problem)) for i, problem in enumerate(make_problems(), 1)]
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    print(f"{OUT}: {len(lines)} problems of {len(TEMPLATES)} templates")


def make_problems() -> list[Problem]:
    """All problems, in their order."""
    random = Random(SEED)  # noqa: S311
    return arrange([make_of(template, random) for template in TEMPLATES], random)


def arrange(made: list[list[Problem]], random: Random) -> list[Problem]:
    """Shuffles the problems of all templates: round by round, each round in triples of one, two and three steps."""
    problems: list[Problem] = []
    for one_of_each in zip(*made, strict=True):
        groups = [shuffled([p for p in one_of_each if len(p.steps) == count], random) for count in (1, 2, 3)]
        for triple in zip(*groups, strict=True):
            problems += shuffled(triple, random)
    return problems


def make_of(template: Template, random: Random) -> list[Problem]:
    """The problems of a template, which differ in quantities and people and, as far as possible, in words."""
    people = shuffled(PEOPLE, random)
    words = {place: shuffled(options, random) for place, options in template.words.items()}
    problems: list[Problem] = []
    for i, (quantities, steps) in enumerate(draw(template, random)):
        wording = {place: options[i % len(options)] for place, options in words.items()}
        wording |= {name: f"{value:,}" for name, value in quantities.items()}
        wording |= people_words(*people[2 * i : 2 * i + 2])
        problems.append(Problem(template.text.format(**wording), steps[-1].split()[-1], steps))
    return problems


def draw(template: Template, random: Random) -> list[tuple[dict[str, int], list[str]]]:
    """Quantities for the problems of a template, all different, each with the equations."""
    drawn: list[tuple[dict[str, int], list[str]]] = []
    while len(drawn) < PER_TEMPLATE:
        quantities = {name: pick(values, random) for name, values in template.quantities.items()}
        solved = quantities, solve(template, quantities)
        if solved[1] and solved not in drawn:
            drawn.append(solved)
    return drawn


def people_words(person: tuple[str, str, str], friend: tuple[str, str, str]) -> dict[str, str]:
    """The words of a template that depend on people."""
    name, she, her = person
    return {"name": name, "she": she, "She": she.capitalize(), "her": her, "friend": friend[0]}


def solve(template: Template, quantities: Mapping[str, int]) -> list[str]:
    """The equations that solve a problem; none if a quantity is given twice or a result is not sensible."""
    values = dict(quantities)
    equations: list[str] = []
    for name, step in template.steps.items():
        expression = " ".join(str(values.get(token, token)) for token in step.split())
        result = evaluate(expression)
        if result.denominator != 1 or int(result) not in template.limits.get(name, POSITIVE):
            return []
        values[name] = int(result)
        equations.append(f"{expression} = {result}")
    given = set(quantities.values())
    return equations if len(given) == len(quantities) and values[name] not in given else []


def evaluate(expression: str) -> Fraction:
    """The value of an expression of numbers and operators between spaces, worked out from left to right."""
    first, *rest = expression.split()
    value = Fraction(first)
    for symbol, number in zip(rest[::2], rest[1::2], strict=True):
        value = Fraction(OPERATORS[symbol](value, int(number)))
    return value


def pick(values: Sequence[Item], random: Random) -> Item:
    """One of the values."""
    return values[int(random.random() * len(values))]


def shuffled(items: Sequence[Item], random: Random) -> list[Item]:
    """The items in a random order."""
    return sorted(items, key=lambda _: random.random())


if __name__ == "__main__":
    main()
