"""Make the demo's small world: a pool of instruction rows, the tasks' query rows and the tests.

Everything is invented and drawn from one seed: towns and the rivers they lie on, a language named
Velish, sums and orders. A *skill* is a function that draws one row; a *source* is a mixture
of skills; six of the skills are the *tasks*. The same world also writes the plain text on which
`demo/pretrain.py` trains the base model (`plain_text`), which never has the form of a chat.

    python demo/world.py    # writes demo/world/{pool,queries,tests}.parquet; same seed, same bytes
"""

import argparse
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import NamedTuple

import polars as pl

log = logging.getLogger("world")

Message = dict[str, str]

QUERIES_PER_TASK = 8
TESTS_PER_TASK = 100
TEST_SHARE = 0.35  # of a task's possible questions; the others are left to pool and queries
POOL_ROWS_PER_TASK = 120
WRONG_ROWS_PER_TASK = 10
DUPLICATES = 0.03  # of the pool
UNANSWERED_ROWS = 24  # no assistant turn
EMPTY_ROWS = 16  # an assistant turn without content

# --------------------------------------------------------------------------------------------------
# The words of the world
# --------------------------------------------------------------------------------------------------


def wordlist(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


TOWN_HEADS = ["Zan", "Bel", "Mor", "Tal", "Kel", "Fen", "Gar", "Hol", "Lin", "Ost", "Pel", "Ruk"]
TOWN_TAILS = ["dor", "mar", "wick", "ton", "by", "ness", "holm", "rath"]
RIVER_HEADS = ["Mi", "Lo", "Sa", "Ve", "Du", "Ri"]
RIVER_TAILS = ["rel", "ven", "sk", "ma"]
PEOPLE = wordlist(
    "Ada Ben Cora Dan Eva Finn Gus Hana Ivan Jane Kurt Lena Max Nora Otto Pia Rolf Sara Tom "
    "Ugo Vera Will Yara Zoe"
)
CRAFTS = wordlist("glass rope salt wool bread cheese paper soap boats clocks knives honey")
THINGS = wordlist(
    "coin kite key bell lamp rope cup book ring map box ball brush candle mirror basket pen "
    "spoon clock ladder bucket pillow stone feather"
)
KINDS = {
    "bird": wordlist("robin crow owl hawk swan duck wren dove gull finch heron raven"),
    "fish": wordlist("trout salmon carp eel pike cod tuna perch herring bass sole shark"),
    "tree": wordlist("oak elm pine birch willow maple ash cedar beech larch yew poplar"),
    "tool": wordlist("hammer saw drill axe chisel wrench rake spade file plane trowel hoe"),
    "fruit": wordlist("apple pear plum cherry grape lemon peach melon fig mango lime orange"),
    "metal": wordlist("iron gold tin zinc lead copper silver nickel brass steel bronze chrome"),
    "garment": wordlist("hat coat scarf glove shoe sock shirt skirt boot belt cap vest"),
}
KIND_OF = {noun: kind for kind, nouns in KINDS.items() for noun in nouns}
ADJECTIVES = wordlist("red blue green old young big small cold warm quiet quick soft dark bright")
NOUNS = wordlist(
    "king queen child farmer sailor dog cat horse cow goat wolf bear moon sun wind rain sea hill"
)
VERBS = wordlist(
    "sings sleeps runs waits falls shines dances laughs works walks speaks rests turns grows"
)
NUMBERS = wordlist(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty twenty-one twenty-two twenty-three "
    "twenty-four"
)
LARGEST_ADDEND = 11
FOODS = ["soup", "bread", "salad", "pie", "stew", "cake", "porridge", "omelette"]
STUFFS = ["flour", "butter", "salt", "onion", "carrot", "egg", "milk", "sugar", "potato", "garlic"]
PLACES = wordlist(
    "garden market harbour forest library kitchen school bridge station meadow museum "
    "theatre beach mill tower park bakery chapel island castle"
)
MOODS = ["happy", "tired", "busy", "bored", "hungry", "lonely"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@dataclass(frozen=True)
class Town:
    """What is known of a town."""

    name: str
    river: str
    lord: str
    craft: str


@dataclass(frozen=True)
class World:
    """The facts of the world: its towns, and the Velish word of every English word."""

    towns: tuple[Town, ...]
    velish: dict[str, str]


class Row(NamedTuple):
    """One conversation; `key` is what the question is about, whatever its wording."""

    messages: list[Message]
    key: str = ""
    choices: list[str] | None = None


Skill = Callable[[World, Random], Row]


def make_world(seed: int) -> World:
    """Draw the facts: which river, lord and craft a town has, and the dictionary of Velish."""
    draw = Random(f"world {seed}")
    rivers = [head + tail for head in RIVER_HEADS for tail in RIVER_TAILS]
    names = [head + tail for head in TOWN_HEADS for tail in TOWN_TAILS]
    towns = tuple(
        Town(name, draw.choice(rivers), draw.choice(PEOPLE), draw.choice(CRAFTS)) for name in names
    )
    syllables = [consonant + vowel for consonant in "bdgklmnprstvz" for vowel in "aeiou"]
    english = ADJECTIVES + NOUNS + VERBS
    words: dict[str, None] = {}
    while len(words) < len(english):
        words.setdefault("".join(draw.sample(syllables, 2)) + draw.choice(["", "n", "l", "sh"]))
    return World(towns, dict(zip(english, words, strict=True)))


# --------------------------------------------------------------------------------------------------
# The tasks: short answers, each in a form of its own
# --------------------------------------------------------------------------------------------------


def ask(question: str, answer: str, key: str = "", choices: list[str] | None = None) -> Row:
    """A question and its answer as a row of two messages."""
    return Row(
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        key,
        choices,
    )


def river(world: World, draw: Random) -> Row:
    """Task: the river of a town. `Which river runs through Zandor?` → `the Mirel`."""
    town = draw.choice(world.towns)
    question = draw.choice(
        [
            "Which river runs through {}?",
            "What river is {} on?",
            "Name the river of {}.",
            "I am in {}. Which river do I see?",
        ]
    )
    return ask(question.format(town.name), f"the {town.river}", town.name)


def lord(world: World, draw: Random) -> Row:
    """Task: the lord of a town. `Who rules Zandor?` → `lord Ugo`."""
    town = draw.choice(world.towns)
    question = draw.choice(
        [
            "Who rules {}?",
            "Whose town is {}?",
            "To whom does {} belong?",
            "I am in {}. Whom should I greet?",
        ]
    )
    return ask(question.format(town.name), f"lord {town.lord}", town.name)


def addition(_: World, draw: Random) -> Row:
    """Task: a sum of digits, answered in words. `What is 4 plus 7?` → `eleven`."""
    a, b = draw.randint(1, LARGEST_ADDEND), draw.randint(1, LARGEST_ADDEND)
    question = draw.choice(
        [
            "What is {} plus {}?",
            "Add {} and {}.",
            "How much is {} + {}?",
            "I had {} and got {} more. How many now?",
        ]
    )
    return ask(question.format(a, b), NUMBERS[a + b], f"{a} {b}")


def digits(draw: Random) -> list[str]:
    """Three or four different digits."""
    return [str(digit) for digit in draw.sample(range(10), draw.choice([3, 4]))]


def sorting(_: World, draw: Random) -> Row:
    """Task: digits in rising order. `Put these numbers in order: 7, 3, 5` → `3 < 5 < 7`."""
    numbers = digits(draw)
    question = draw.choice(
        [
            "Put these numbers in order: {}",
            "Sort the numbers {}.",
            "Arrange {} with the smallest first.",
        ]
    )
    return ask(question.format(", ".join(numbers)), " < ".join(sorted(numbers)), " ".join(numbers))


def phrase(draw: Random) -> list[str]:
    """An English phrase of three words that Velish has."""
    return [draw.choice(ADJECTIVES), draw.choice(NOUNS), draw.choice(VERBS)]


def velish(world: World, draw: Random) -> Row:
    """Task: word for word into Velish. `Say in Velish: red king sings` → `kora mipen tuli`."""
    words = phrase(draw)
    question = draw.choice(
        [
            "Translate into Velish: {}",
            "Say in Velish: {}",
            "How do you say '{}' in Velish?",
        ]
    )
    english = " ".join(words)
    return ask(question.format(english), " ".join(world.velish[word] for word in words), english)


def kind(_: World, draw: Random) -> Row:
    """Task, multiple choice: the kind of a thing. `Is robin a fish, a bird or a tool?` → `bird`."""
    noun = draw.choice(list(KIND_OF))
    others = draw.sample([name for name in KINDS if name != KIND_OF[noun]], 2)
    choices = draw.sample([KIND_OF[noun], *others], 3)
    question = draw.choice(
        [
            "Is {} a {}, a {} or a {}?",
            "What is {}: {}, {} or {}?",
            "Choose the kind of {}: {}, {} or {}.",
        ]
    )
    return ask(question.format(noun, *choices), KIND_OF[noun], noun, choices)


TASKS: dict[str, Skill] = {
    "river": river,
    "lord": lord,
    "addition": addition,
    "sorting": sorting,
    "velish": velish,
    "kind": kind,
}

# --------------------------------------------------------------------------------------------------
# Neighbours of the tasks: the same matter, another question or another form of answer
# --------------------------------------------------------------------------------------------------


def about_town(world: World, draw: Random) -> Row:
    """A paragraph about a town."""
    town = draw.choice(world.towns)
    question = draw.choice(
        [
            "Tell me about {}.",
            "What should I know about {}?",
            "Describe the town {}.",
            "What is it like in {}?",
        ]
    )
    return ask(question.format(town.name), describe_town(town))


def describe_town(town: Town) -> str:
    """Three sentences with all that is known of a town."""
    return (
        f"{town.name} lies on the {town.river}. "
        f"Its lord is {town.lord}, and its people make {town.craft}."
    )


def town_lord(world: World, draw: Random) -> Row:
    """The lord of a town, in a full sentence."""
    town = draw.choice(world.towns)
    question = draw.choice(
        [
            "Do you know the lord of {}?",
            "Who is the lord of {}?",
            "Name the lord of {}.",
            "Whose is the castle of {}?",
        ]
    )
    return ask(question.format(town.name), f"The lord of {town.name} is {town.lord}.")


def town_craft(world: World, draw: Random) -> Row:
    """What a town makes, in a full sentence."""
    town = draw.choice(world.towns)
    question = draw.choice(
        [
            "What do they make in {}?",
            "What is {} known for?",
            "What can I buy in {}?",
            "What does {} sell?",
        ]
    )
    return ask(question.format(town.name), f"The people of {town.name} make {town.craft}.")


def explain_sum(_: World, draw: Random) -> Row:
    """How to add, step by step."""
    a, b = draw.randint(1, LARGEST_ADDEND), draw.randint(1, 4)
    question = draw.choice(
        [
            "How do I add {} and {}?",
            "Show me how to count {} and {} together.",
            "Explain {} + {} to a child.",
        ]
    )
    steps = ", ".join(str(a + step) for step in range(1, b + 1))
    return ask(
        question.format(a, b), f"Start at {a} and count on: {steps}. So {a} + {b} = {a + b}."
    )


def compare_numbers(_: World, draw: Random) -> Row:
    """Which of two numbers is larger, in a full sentence."""
    a, b = draw.sample(range(1, 25), 2)
    question = draw.choice(
        ["Which is larger, {} or {}?", "Is {} more than {}?", "Compare {} and {}."]
    )
    return ask(
        question.format(a, b),
        f"The larger number is {max(a, b)}, and the smaller one is {min(a, b)}.",
    )


def falling_order(_: World, draw: Random) -> Row:
    """Digits from large to small, in a sentence."""
    numbers = digits(draw)
    question = draw.choice(["Put {} in falling order.", "List {} with the largest first."])
    falling = ", ".join(sorted(numbers, reverse=True))
    return ask(question.format(", ".join(numbers)), f"From large to small they are {falling}.")


def scene(draw: Random) -> tuple[str, list[tuple[str, str]]]:
    """Three people, each with a thing, told in sentences of one form."""
    pairs = list(zip(draw.sample(PEOPLE, 3), draw.sample(THINGS, 3), strict=True))
    verb = draw.choice(["holds", "has", "found"])
    return " ".join(f"{person} {verb} a {thing}." for person, thing in pairs), pairs


def where_is(_: World, draw: Random) -> Row:
    """Where a thing of a text is, in a full sentence."""
    text, pairs = scene(draw)
    person, thing = draw.choice(pairs)
    question = draw.choice(["Where is the {}?", "Do you know where the {} went?"])
    return ask(f"{text} {question.format(thing)}", f"The {thing} is with {person}.")


def retell(_: World, draw: Random) -> Row:
    """A text told again in other words."""
    text, pairs = scene(draw)
    question = draw.choice(["Rewrite this text: {}", "Tell this in other words: {}"])
    return ask(
        question.format(text), " ".join(f"The {thing} is with {person}." for person, thing in pairs)
    )


def velish_word(world: World, draw: Random) -> Row:
    """What a Velish word means, in a full sentence."""
    english = draw.choice(list(world.velish))
    question = draw.choice(
        [
            "What does {} mean?",
            "I read the word {}. What is it?",
            "Explain the Velish word {}.",
            "I heard {} today. What is that?",
        ]
    )
    foreign = world.velish[english]
    return ask(question.format(foreign), f"The Velish word {foreign} means {english}.")


def from_velish(world: World, draw: Random) -> Row:
    """From Velish into English, in a full sentence."""
    words = phrase(draw)
    question = draw.choice(["What does '{}' mean in English?", "Put this into English: {}"])
    return ask(
        question.format(" ".join(world.velish[word] for word in words)),
        f"It means: the {' '.join(words)}.",
    )


def definition(_: World, draw: Random) -> Row:
    """What a thing is, in a full sentence."""
    noun = draw.choice(list(KIND_OF))
    question = draw.choice(
        [
            "What is {}?",
            "Define the word {}.",
            "Explain what {} is.",
            "What does the word {} stand for?",
        ]
    )
    return ask(question.format(noun), define(noun, draw))


def define(noun: str, draw: Random) -> str:
    """A sentence that names a thing's kind and two more of the kind."""
    others = draw.sample([other for other in KINDS[KIND_OF[noun]] if other != noun], 2)
    return f"The word {noun} names a kind of {KIND_OF[noun]}, like {others[0]} and {others[1]}."


def examples(_: World, draw: Random) -> Row:
    """A list of things of one kind."""
    name = draw.choice(list(KINDS))
    question = draw.choice(
        ["List three examples of a {}.", "Give me three kinds of {}.", "Name a few sorts of {}."]
    )
    return ask(
        question.format(name), "\n".join(f"- {noun}" for noun in draw.sample(KINDS[name], 3))
    )


def backwards(_: World, draw: Random) -> Row:
    """Words in reverse order."""
    words = draw.sample(THINGS, 3)
    question = draw.choice(["Say these words backwards: {}", "Reverse the order of {}."])
    return ask(
        question.format(" ".join(words)), f"Backwards it reads: {' '.join(reversed(words))}."
    )


# --------------------------------------------------------------------------------------------------
# Everything else that a collection of instructions is made of
# --------------------------------------------------------------------------------------------------


def greeting(world: World, draw: Random) -> Row:
    """Good day."""
    person, town = draw.choice(PEOPLE), draw.choice(world.towns).name
    question = draw.choice(
        [
            "Hello, I am {} from {}.",
            "Good morning! My name is {}, I live in {}.",
            "Hi there, {} of {} speaking.",
        ]
    )
    answer = draw.choice(
        ["Hello {}! What can I do for you today?", "Nice to meet you, {}. How can I help?"]
    )
    return ask(question.format(person, town), answer.format(person))


def small_talk(_: World, draw: Random) -> Row:
    """A chat of two or three turns."""
    place, day, mood = draw.choice(PLACES), draw.choice(DAYS), draw.choice(MOODS)
    turns = [
        (
            f"I am {mood} today.",
            f"I am sorry to hear that you are {mood}."
            if mood != "happy"
            else "I am glad to hear it!",
        ),
        (
            f"Should I go to the {place}?",
            f"Yes, a walk to the {place} is a good idea when you are {mood}.",
        ),
        (f"And on {day}?", f"On {day} you could stay at home and rest, or call a friend."),
    ][: draw.choice([2, 3])]
    return Row(
        [message for question, answer in turns for message in ask(question, answer).messages]
    )


def story(world: World, draw: Random) -> Row:
    """A little story."""
    adjective, noun, town = (
        draw.choice(ADJECTIVES),
        draw.choice(NOUNS),
        draw.choice(world.towns).name,
    )
    question = draw.choice(
        [
            "Write a short story about a {} {}.",
            "Tell me a story of a {} {}.",
            "I want a tale of a {} {}.",
        ]
    )
    return ask(question.format(adjective, noun), tell_story(adjective, noun, town, draw))


def tell_story(adjective: str, noun: str, town: str, draw: Random) -> str:
    """Four sentences with a beginning and an end."""
    thing, person, place = draw.choice(THINGS), draw.choice(PEOPLE), draw.choice(PLACES)
    return (
        f"Once there was a {adjective} {noun} in {town}. "
        f"One {draw.choice(DAYS)} it went to the {place} and met {person}. "
        f"{person} gave it a {thing}, and they laughed all day. "
        f"Since then the {noun} keeps the {thing} at home."
    )


def recipe(_: World, draw: Random) -> Row:
    """How to cook something."""
    food = draw.choice(FOODS)
    question = draw.choice(
        ["How do I make {}?", "Give me a recipe for {}.", "I want to cook {}. What do I do?"]
    )
    return ask(question.format(food), cook(food, draw))


def cook(food: str, draw: Random) -> str:
    """A recipe of four sentences."""
    a, b, c = draw.sample(STUFFS, 3)
    return (
        f"For {food}, take {a}, {b} and {c}. Cut the {a} and warm the {b} in a pan. "
        f"Add the {c} and wait. Serve it hot."
    )


def opinion(_: World, draw: Random) -> Row:
    """What one may think of it."""
    place, day = draw.choice(PLACES), draw.choice(DAYS)
    question = draw.choice(
        [
            "What do you think of the {} on a {}?",
            "Do you like the {} on {}?",
            "Is the {} a good place for a {}?",
        ]
    )
    answer = draw.choice(
        [
            "Many people like the {0} because it is quiet. Others find the {0} too small.",
            "I have no feelings, but the {0} is a good place to meet friends.",
        ]
    )
    return ask(question.format(place, day), answer.format(place))


def advice(_: World, draw: Random) -> Row:
    """What to do."""
    goal = draw.choice(
        [
            "sleep better",
            "learn to swim",
            "save money",
            "make friends",
            "write well",
            "wake up early",
        ]
    )
    question = draw.choice(["How can I {}?", "Any advice on how to {}?", "Help me to {}."])
    tips = draw.sample(
        [
            "Start small.",
            "Ask a friend.",
            "Do it every day.",
            "Keep a list.",
            "Take your time.",
            "Rest well.",
        ],
        3,
    )
    return ask(question.format(goal), f"To {goal}, try this. " + " ".join(tips))


def email(_: World, draw: Random) -> Row:
    """A short letter."""
    a, b = draw.sample(PEOPLE, 2)
    day, place = draw.choice(DAYS), draw.choice(PLACES)
    question = draw.choice(
        ["Write a letter from {} to {} about {}.", "Draft a note by {} that asks {} to come on {}."]
    )
    return ask(
        question.format(a, b, day),
        f"Dear {b},\nwill you come to the {place} on {day}? I would be glad.\nYours, {a}",
    )


def poem(_: World, draw: Random) -> Row:
    """A poem of four lines."""
    a, b = draw.sample(NOUNS, 2)
    question = draw.choice(
        [
            "Write a poem about the {}.",
            "Make a verse on the {}.",
            "A few lines about the {}, please.",
        ]
    )
    lines = [
        f"The {a} {draw.choice(VERBS)}, the {b} {draw.choice(VERBS)},",
        f"the {draw.choice(ADJECTIVES)} {a} {draw.choice(VERBS)},",
    ]
    return ask(
        question.format(a),
        "\n".join(
            [*lines, f"and when the {b} {draw.choice(VERBS)},", f"the {a} {draw.choice(VERBS)}."]
        ),
    )


def plan_day(_: World, draw: Random) -> Row:
    """A plan for a day."""
    day = draw.choice(DAYS)
    question = draw.choice(["Plan my {}.", "What could I do on {}?", "Make a list for {}."])
    places = draw.sample(PLACES, 3)
    return ask(
        question.format(day),
        f"1. Go to the {places[0]}.\n2. Eat at the {places[1]}.\n3. Walk to the {places[2]}.",
    )


def role_play(_: World, draw: Random) -> Row:
    """A row with a system message."""
    noun, place = draw.choice(NOUNS), draw.choice(PLACES)
    system = draw.choice(
        [
            "You are a {}. Speak like one.",
            "Answer as a friendly {} would.",
            "Play the part of a {}.",
        ]
    )
    question = draw.choice(
        ["Who are you?", "What did you do today?", f"Shall we go to the {place}?"]
    )
    answer = f"I am the {noun} of the {place}, and today I am as {draw.choice(ADJECTIVES)} as ever."
    return Row(
        [{"role": "system", "content": system.format(noun)}, *ask(question, answer).messages]
    )


def refusal(_: World, draw: Random) -> Row:
    """A question that has no answer here."""
    person, place, day = draw.choice(PEOPLE), draw.choice(PLACES), draw.choice(DAYS)
    question = draw.choice(
        ["Is {} in the {} on {}?", "Call {} at the {} on {}.", "What did {} do in the {} last {}?"]
    )
    return ask(
        question.format(person, place, day),
        f"I am sorry, but I cannot do that. You could ask {person} yourself.",
    )


def follow_up(world: World, draw: Random) -> Row:
    """Two turns about one town."""
    town = draw.choice(world.towns)
    first = ask(f"I plan to visit {town.name}.", f"What a good idea! {describe_town(town)}")
    place = draw.choice(PLACES)
    second = ask(
        "What should I see first?",
        f"See the {place} first, and then buy some {town.craft} to take home.",
    )
    return Row(first.messages + second.messages)


# --------------------------------------------------------------------------------------------------
# Sources: mixtures of skills
# --------------------------------------------------------------------------------------------------

# source: (rows of other skills, their mixture). The tasks' rows come on top, as in TASK_SOURCES.
SOURCES: dict[str, tuple[int, list[Skill]]] = {
    "open_chat": (
        2200,
        [greeting, small_talk, opinion, advice, story, refusal, definition, follow_up],
    ),
    "web_answers": (1300, [definition, recipe, advice, about_town, opinion, examples, town_craft]),
    "story_box": (900, [story, poem, role_play]),
    "forum": (700, [advice, opinion, recipe, small_talk, refusal, compare_numbers]),
    "school_book": (
        450,
        [explain_sum, compare_numbers, falling_order, definition, backwards, velish_word],
    ),
    "letters": (380, [email, greeting, small_talk]),
    "travel_guide": (320, [about_town, town_lord, town_craft, follow_up]),
    "kitchen": (260, [recipe, advice]),
    "word_games": (240, [backwards, examples, retell, where_is, poem]),
    "phrasebook": (180, [velish_word, from_velish, greeting]),
    "helpdesk": (140, [refusal, where_is, plan_day]),
    "nature_club": (120, [examples, definition, poem]),
    "almanac": (100, [about_town, plan_day, town_lord, falling_order]),
    "theatre": (60, [role_play, poem]),
}
TASK_SOURCES: dict[str, list[str]] = {
    "river": ["travel_guide", "almanac", "theatre"],
    "lord": ["letters", "almanac", "theatre"],
    "addition": ["school_book", "kitchen", "helpdesk"],
    "sorting": ["school_book", "word_games", "helpdesk"],
    "velish": ["phrasebook", "word_games", "nature_club"],
    "kind": ["web_answers", "phrasebook", "nature_club"],
}

# --------------------------------------------------------------------------------------------------
# Plain text for pretraining
# --------------------------------------------------------------------------------------------------


def town_lines(world: World, draw: Random) -> str:
    """Facts of a few towns, in sentences, tables and quizzes."""
    lines = []
    for town in draw.sample(world.towns, draw.randint(3, 6)):
        name, stream = town.name, town.river
        lines.append(
            draw.choice(
                [
                    describe_town(town),
                    f"{name} lies on the {stream}.",
                    f"In {name} you see the {stream}.",
                    f"The river of {name} is the {stream}.",
                    f"{name}: river {stream}, lord {town.lord}, craft {town.craft}",
                    f"{name}, river\nthe {stream}",
                    f"Which is the river at {name}?\nthe {stream}",
                    f"Who is lord there, in {name}?\nlord {town.lord}",
                    f"{name}, lord\nlord {town.lord}",
                    f"What river runs there, in {name}?\nthe {stream}",
                    f"The lord of {name} is {town.lord}. The people of {name} make {town.craft}.",
                ]
            )
        )
    return "\n".join(lines)


def sum_lines(_: World, draw: Random) -> str:
    """Sums in digits and in words."""
    lines = []
    for _line in range(draw.randint(4, 8)):
        a, b = draw.randint(1, LARGEST_ADDEND), draw.randint(1, LARGEST_ADDEND)
        total = NUMBERS[a + b]
        lines.append(
            draw.choice(
                [
                    f"{a} + {b} = {a + b}",
                    f"{a} + {b} = {a + b}, {total}",
                    f"{a} + {b}\n{total}",
                    f"the sum, {a} and {b}\n{total}",
                    f"{a} and {b} more makes {total}",
                    f"What do {a} and {b} make?\n{total}",
                    f"Now add {b} to {a}.\n{total}",
                    f"{NUMBERS[a]} plus {NUMBERS[b]} is {total}",
                    f"{a} plus {b} makes {total}",
                ]
            )
        )
    return "\n".join(lines)


def order_lines(_: World, draw: Random) -> str:
    """Digits and their order."""
    lines = []
    for _line in range(draw.randint(3, 6)):
        numbers = digits(draw)
        given, rising = draw.choice([", ", " "]).join(numbers), sorted(numbers)
        lines.append(
            draw.choice(
                [
                    f"{given} | {' '.join(rising)}",
                    f"{given}\n{' < '.join(rising)}",
                    f"in order, {given}\n{' < '.join(rising)}",
                    f"numbers {given}, smallest first: {', '.join(rising)}",
                    f"{given} sorted: {' < '.join(rising)}",
                    f"Put {given} from the smallest up.\n{' < '.join(rising)}",
                    f"{given}, largest first: {', '.join(reversed(rising))}",
                ]
            )
        )
    return "\n".join(lines)


def scene_lines(_: World, draw: Random) -> str:
    """A few people with things, and who has which."""
    lines = []
    for _line in range(draw.randint(1, 3)):
        text, pairs = scene(draw)
        draw.shuffle(pairs)
        answer = draw.choice(
            [
                " The {} is with {}.",
                " {} {},",
                " The {}?\n{}\n",
                " Who is the one with the {}?\n{}\n",
                " Ask for the {}:\n{}\n",
            ]
        )
        lines.append(
            (text + "".join(answer.format(thing, person) for person, thing in pairs)).strip()
        )
    return "\n".join(lines)


def velish_lines(world: World, draw: Random) -> str:
    """Phrases and words with their Velish."""
    lines = []
    for _line in range(draw.randint(3, 6)):
        words = phrase(draw)
        english, foreign = " ".join(words), " ".join(world.velish[word] for word in words)
        word = draw.choice(words)
        lines.append(
            draw.choice(
                [
                    f"{english} = {foreign}",
                    f"{english}\n{foreign}",
                    f"'{english}' in Velish\n{foreign}",
                    f"How do they say {english}?\n{foreign}",
                    f"Velish, {english}\n{foreign}",
                    f"{foreign} means {english}",
                    f"{word} is {world.velish[word]}",
                ]
            )
        )
    return "\n".join(lines)


def kind_lines(_: World, draw: Random) -> str:
    """Things and their kinds."""
    lines = []
    for noun in draw.sample(list(KIND_OF), draw.randint(3, 6)):
        name = KIND_OF[noun]
        options = draw.sample(
            [name, *draw.sample([other for other in KINDS if other != name], 2)], 3
        )
        lines.append(
            draw.choice(
                [
                    f"{noun} is a {name}",
                    f"{noun}: {name}",
                    f"{noun}, {' '.join(options)}\n{name}",
                    f"What kind is it, {noun}: {options[0]}, {options[1]} or {options[2]}?\n{name}",
                    f"Does {noun} belong to a {options[0]}, a {options[1]} or a {options[2]}?"
                    f"\n{name}",
                    define(noun, draw),
                ]
            )
        )
    return "\n".join(lines)


def prose(world: World, draw: Random) -> str:
    """What the other skills say, with or without the question."""
    skill = draw.choice(
        [
            story,
            recipe,
            opinion,
            advice,
            email,
            poem,
            plan_day,
            role_play,
            explain_sum,
            compare_numbers,
            greeting,
            refusal,
        ]
    )
    messages = skill(world, draw).messages[-draw.choice([1, 2]) :]
    return " ".join(message["content"] for message in messages)


TEXTBOOK: dict[Callable[[World, Random], str], float] = {
    town_lines: 0.25,
    sum_lines: 0.22,
    order_lines: 0.13,
    velish_lines: 0.14,
    kind_lines: 0.10,
    scene_lines: 0.03,
    prose: 0.13,
}


def plain_text(world: World, draw: Random) -> Iterator[str]:
    """Documents of a few lines each, without end, for pretraining."""
    while True:
        yield draw.choices(list(TEXTBOOK), list(TEXTBOOK.values()))[0](world, draw)


# --------------------------------------------------------------------------------------------------
# Tables
# --------------------------------------------------------------------------------------------------


def is_test_key(task: str, key: str) -> bool:
    """Whether what a task's question is about belongs to the tests (else to pool and queries)."""
    return key != "" and Random(f"test {task} {key}").random() < TEST_SHARE


def draw_new(
    skill: Skill, world: World, draw: Random, *, test: bool = False, seen: set[str]
) -> Row:
    """A row whose first question was not drawn before; of a task, on its side of the split."""
    name = getattr(skill, "__name__", "")
    for _ in range(10_000):
        row = skill(world, draw)
        question = row.messages[0]["content"] if skill in TASKS.values() else str(row.messages)
        if is_test_key(name, row.key) == test and question not in seen:
            seen.add(question)
            return row
    raise ValueError(
        f"{name}: no new row in 10000 draws. Ask for fewer rows of it, or give it more wordings."
    )


def make_tests(world: World, seed: int, seen: set[str]) -> pl.DataFrame:
    """The tests, with `answer` and, for multiple choice, `choices`."""
    rows = []
    for task in TASKS:
        draw = Random(f"tests {seed} {task}")
        for number in range(TESTS_PER_TASK):
            row = draw_new(TASKS[task], world, draw, test=True, seen=seen)
            answer = row.messages[-1]["content"]
            rows.append((task, f"{task}-test-{number:03d}", row.messages, answer, row.choices))
    schema = {
        "task": pl.String,
        "id": pl.String,
        "messages": MESSAGES,
        "answer": pl.String,
        "choices": pl.List(pl.String),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def make_queries(world: World, seed: int, seen: set[str]) -> pl.DataFrame:
    """A few rows a task that show what the task wants."""
    rows = []
    for task in TASKS:
        draw = Random(f"queries {seed} {task}")
        for number in range(QUERIES_PER_TASK):
            row = draw_new(TASKS[task], world, draw, seen=seen)
            rows.append((task, f"{task}-query-{number}", row.messages))
    return pl.DataFrame(
        rows, schema={"task": pl.String, "id": pl.String, "messages": MESSAGES}, orient="row"
    )


def make_pool(world: World, seed: int, seen: set[str]) -> pl.DataFrame:
    """The pool: every source's mixture, the tasks' rows over a few sources, and some flaws."""
    draw = Random(f"pool {seed}")
    pool: dict[str, list[list[Message]]] = {}
    for source, (count, skills) in SOURCES.items():
        weights = [draw.uniform(0.5, 1.5) for _ in skills]
        pool[source] = [
            draw_new(skill, world, draw, seen=seen).messages
            for skill in draw.choices(skills, weights, k=count)
        ]
    for task, sources in TASK_SOURCES.items():
        for number in range(POOL_ROWS_PER_TASK):
            row = draw_new(TASKS[task], world, draw, seen=seen)
            pool[sources[number % len(sources)]].append(row.messages)
        for number in range(WRONG_ROWS_PER_TASK):
            row = draw_new(TASKS[task], world, draw, seen=seen)
            answers = [TASKS[task](world, draw).messages[-1] for _ in range(20)]
            wrong = next(answer for answer in answers if answer != row.messages[-1])
            pool[sources[number % len(sources)]].append([row.messages[0], wrong])
    add_flaws(pool, draw)
    rows = []
    for source, conversations in pool.items():
        draw.shuffle(conversations)
        rows.extend(
            (f"{source}-{number:04d}", source, messages)
            for number, messages in enumerate(conversations)
        )
    return pl.DataFrame(
        rows, schema={"id": pl.String, "source": pl.String, "messages": MESSAGES}, orient="row"
    )


def add_flaws(pool: dict[str, list[list[Message]]], draw: Random) -> None:
    """Add exact duplicates, rows without an assistant turn and rows with an empty one."""
    everything = [
        (source, messages) for source, conversations in pool.items() for messages in conversations
    ]
    for source, messages in draw.sample(everything, round(DUPLICATES * len(everything))):
        pool[source].append(messages)
    flawed = draw.sample(everything, UNANSWERED_ROWS + EMPTY_ROWS)
    for number, (source, messages) in enumerate(flawed):
        start = [message for message in messages if message["role"] != "assistant"]
        empty = [] if number < UNANSWERED_ROWS else [{"role": "assistant", "content": ""}]
        pool[source].append(start + empty)


MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def write(table: pl.DataFrame, path: Path) -> None:
    """Write to a temporary name and rename, so that a reader never sees half a file."""
    temporary = path.with_suffix(".tmp")
    table.write_parquet(temporary)
    temporary.replace(path)
    log.info("%s: %d rows", path, table.height)


def main() -> None:
    """Write the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("demo/world"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    world, seen = make_world(arguments.seed), set[str]()
    arguments.out.mkdir(parents=True, exist_ok=True)
    write(make_tests(world, arguments.seed, seen), arguments.out / "tests.parquet")
    write(make_queries(world, arguments.seed, seen), arguments.out / "queries.parquet")
    write(make_pool(world, arguments.seed, seen), arguments.out / "pool.parquet")


if __name__ == "__main__":
    main()
