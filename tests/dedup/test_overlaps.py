"""Rows against tests: the rule, by hand, and against the same rule in plain Python."""

import random
import re

import polars as pl
import pytest

from dataselect.data import tables
from dataselect.dedup import overlaps, questions
from dataselect.dedup.overlaps import find_overlaps
from dataselect.dedup.questions import COMMON_SHARE, index_questions
from tests.dedup import turns

#: 20 words.
LONG = (
    "the quick brown fox jumps over a lazy dog while "
    "seven small cats sleep under my old green garden table"
)
WORDS = LONG.split()


def table(*tests):
    """A table of (task, messages, answers); a text stands for the messages of a question."""
    schema = tables.schema("tests")
    rows = []
    for number, (task, messages, *answers) in enumerate(tests):
        if isinstance(messages, str):
            messages = turns(("user", messages), ("assistant", "x"))
        filled = {"task": task, "id": f"t{number}", "messages": messages}
        several = list(answers) if len(answers) > 1 else None
        filled |= {"answer": answers[0] if answers else "x", "answers": several}
        rows.append({**dict.fromkeys(schema), **filled})
    return pl.DataFrame(rows, schema=schema)


def pool(*rows):
    """Rows of messages; a text stands for a question and its response."""
    made = [
        turns(("user", row), ("assistant", "fine")) if isinstance(row, str) else row for row in rows
    ]
    return pl.DataFrame({"messages": made}, schema={"messages": tables.MESSAGES})


def overlap(rows, tests, ngram=8, share=0.5):
    """All pairs as row, test, share, text, question_found, answer_found."""
    return find_overlaps(rows, index_questions(tests, ngram), share).rows()


def pairs(rows, tests, **settings):
    return [row[:2] for row in overlap(rows, tests, **settings)]


def test_a_copy_in_other_case_with_other_punctuation_within_a_longer_turn():
    copy = f"Please say: {',  '.join(WORDS).upper()}?! Thanks."
    text = ",  ".join(WORDS).upper()
    assert overlap(pool("Hello", copy), table(("a", LONG))) == [(1, 0, 1.0, text, True, False)]


def test_more_than_the_share_must_match():
    half, more = " ".join(WORDS[:10]), " ".join(WORDS[5:16])
    rows = pool(f"{half} nothing more", f"so: {more}!", "no")
    tests = table(("a", LONG))
    assert overlap(rows, tests) == [(1, 0, 11 / 20, more, True, False)]
    assert pairs(rows, tests, share=0.49) == [(0, 0), (1, 0)]
    assert pairs(rows, tests, share=0.55) == []


def test_only_words_in_an_n_gram_match():
    seven = " ".join(WORDS[:7])
    text = f"{seven} or {' '.join(WORDS[7:14])} or {' '.join(WORDS[14:])}"
    assert overlap(pool(text), table(("a", LONG))) == []
    assert [row[2] for row in overlap(pool(text), table(("a", LONG)), ngram=7)] == [14 / 20]


def test_matches_are_of_one_row_but_may_be_of_several_turns():
    first, second = " ".join(WORDS[:9]), " ".join(WORDS[11:])
    two_turns = turns(("user", first), ("assistant", "Yes?"), ("user", second))
    rows = pool(two_turns, first, second)
    assert overlap(rows, table(("a", LONG))) == [
        (0, 0, 18 / 20, f"{first} … {second}", True, False)
    ]


def test_no_n_gram_spans_two_turns():
    split = turns(("user", " ".join(WORDS[:7])), ("user", " ".join(WORDS[7:14])))
    assert overlap(pool(split), table(("a", LONG)), share=0.0) == []


def test_only_user_turns_are_compared():
    others = turns(("system", LONG), ("user", "Hi"), ("assistant", LONG))
    assert overlap(pool(others), table(("a", LONG))) == []


# ---- what of a test is compared


def test_shots_and_prefill_are_no_part_of_the_question():
    shots = turns(("user", LONG), ("assistant", LONG), ("user", "Who wrote it?"))
    tests = table(("a", [*shots, *turns(("assistant", "Ann"))]))
    tests = tests.with_columns(prefill=pl.lit(LONG))
    rows = pool(LONG, turns(("user", "Now: who WROTE it"), ("assistant", LONG)))
    assert overlap(rows, tests) == [(1, 0, 1.0, "who WROTE it", True, False)]


def test_n_grams_that_many_tests_share_do_not_count():
    """One row with the exemplars of a task would overlap every test."""
    template = "read these examples with care and then reply to the last one of all"
    tests = table(*(("a", f"{template}: q{i} r{i} s{i} t{i}") for i in range(40)))
    assert pairs(pool(f"{template}: and so on"), tests, share=0.0) == []
    # 14 words of the template are no part of it; the last 7 stand in n-grams of the test's own.
    copy = overlap(pool(f"{' '.join(template.split()[7:])}: q7 r7 s7 t7"), tests)
    assert [(test, share) for _, test, share, *_ in copy] == [(7, 1.0)]


def test_up_to_the_common_share_n_grams_count():
    assert COMMON_SHARE == 0.05
    others = [("a", f"alone {i}") for i in range(40)]
    two, three = [("a", f"{LONG} {i}") for i in range(2)], [("a", f"{LONG} {i}") for i in range(3)]
    assert pairs(pool(LONG), table(*two, *others)) == [(0, 0), (0, 1)]  # 2 of 42
    assert pairs(pool(LONG), table(*three, *others)) == []  # 3 of 43
    # Two tasks do not add up, and one test is never many.
    assert pairs(pool(LONG), table(("a", LONG), ("b", LONG))) == [(0, 0), (0, 1)]


def test_a_question_of_which_nothing_is_left_matches_whole():
    tests = table(("a", LONG), ("a", f"{LONG}!"), ("a", "What else is there to say?"))
    assert pairs(pool(f"So {LONG}.", " ".join(WORDS[:19])), tests) == [(0, 0), (0, 1)]


def test_a_question_that_many_tests_have_is_none():
    """Every row that holds it would be paired with every one of them."""
    others = [("a", f"thing {i}") for i in range(90)]
    assert pairs(pool("Please continue."), table(*[("a", "Continue.")] * 9, *others)) == [
        (0, test) for test in range(9)
    ]
    assert pairs(pool("Please continue."), table(*[("a", "Continue.")] * 10, *others)) == []
    assert pairs(pool(LONG), table(*[("a", LONG)] * 10)) == []


@pytest.mark.parametrize("ngram", [4, 8, 50])
def test_a_short_question_matches_where_it_stands_whole(ngram):
    rows = pool("Well: ADD 2, and 3!", "add 2 and 35", "add 2 or 3", "2 and 3 add")
    assert overlap(rows, table(("a", "Add 2 and 3.")), ngram=ngram) == [
        (0, 0, 1.0, "ADD 2, and 3", True, False)
    ]


def test_a_short_question_does_not_span_turns():
    split = turns(("user", "Add 2"), ("user", "and 3."))
    assert overlap(pool(split), table(("a", "Add 2 and 3."))) == []


def test_scripts_without_spaces_are_compared_by_character():
    chinese, thai = "请把下面这句话翻译成英文", "ประเทศไทยมีกี่จังหวัด"
    tests = table(("a", chinese), ("b", thai), ("c", "你好吗"))
    rows = pool(f"你好!{chinese}。", f"คำถาม:{thai}", "他说你好吗", "你 好")
    found = overlap(rows, tests)
    assert [(row, test, text) for row, test, _, text, *_ in found] == [
        (0, 0, chinese),
        (1, 1, thai),
        (2, 2, "你好吗"),
    ]


def test_a_test_without_words_matches_nothing():
    no_user = turns(("system", "Hi"), ("assistant", "x"))
    tests = table(("a", "?!"), ("a", ""), ("a", no_user))
    assert overlap(pool("?!", "", "Hi", no_user), tests, share=0.0) == []


def test_a_pool_that_holds_every_test():
    tests = table(*((f"t{i % 3}", f"{LONG} {i} {i + 1}") for i in range(90)))
    rows = pool(*(f"{LONG} {i} {i + 1}" for i in reversed(range(90))))
    found = pairs(rows, tests, share=0.9)
    assert {(89 - i, i) for i in range(90)} <= set(found)


# ---- answers


def test_a_long_answer_in_a_response_is_found_and_is_no_match_of_the_question():
    gold = " ".join(WORDS[:9])
    rows = pool(
        turns(("user", "Go"), ("assistant", f"Well, {gold.upper()}.")),
        turns(("user", gold), ("assistant", "Go")),
        turns(("user", "Go"), ("assistant", " ".join(WORDS[:8]))),
        turns(("user", "Name one thing"), ("assistant", f"{gold}!")),
    )
    tests = table(("a", "Name one thing", "short", gold), ("a", "Else?", "fine"))
    assert overlap(rows, tests) == [
        (0, 0, 0.0, gold.upper(), False, True),
        (3, 0, 1.0, "Name one thing", True, True),
    ]


def test_the_share_is_given_where_only_the_answer_is_found():
    row = turns(("user", " ".join(WORDS[:10])), ("assistant", "it is " + LONG))
    tests = table(("a", LONG, LONG))
    assert overlap(pool(row), tests) == [(0, 0, 0.5, LONG, False, True)]


def test_answers_that_many_tests_share_are_not_looked_for():
    refusal = "I am sorry but I cannot help you with that"
    tests = table(*(("a", f"Question {i}", refusal) for i in range(30)))
    row = turns(("user", "Go"), ("assistant", refusal))
    assert overlap(pool(row), tests) == []
    assert len(overlap(pool(row), tests[:1])) == 1


# ---- laws


def plain(rows, tests, ngram, share):
    """The same rule in plain Python: row, test, share, question_found, answer_found."""

    def words(text):
        return re.findall(r"\w+", text.lower())

    def grams(texts):
        return [tuple(texts[i : i + ngram]) for i in range(len(texts) - ngram + 1)]

    def stands(run, texts):
        size = len(run)
        return any(text[i : i + size] == run for text in texts for i in range(len(text)))

    def common(count, task):
        return count >= 2 and count > COMMON_SHARE * sum(test[0] == task for test in tests)

    asked = [
        words(next((m["content"] for m in reversed(test[1]) if m["role"] == "user"), ""))
        for test in tests
    ]
    golds = [[words(gold) for gold in test[2:]] for test in tests]
    results = []
    for row, messages in enumerate(rows):
        user, assistant = (
            [words(m["content"]) for m in messages if m["role"] == role]
            for role in ("user", "assistant")
        )
        present = {gram for text in user for gram in grams(text)}
        for test, (task, *_) in enumerate(tests):
            same = [i for i, other in enumerate(tests) if other[0] == task]
            covered, matched = set(), set()
            for i, gram in enumerate(grams(asked[test])):
                if not common(sum(gram in grams(asked[k]) for k in same), task):
                    covered |= set(range(i, i + ngram))
                    matched |= set(range(i, i + ngram)) if gram in present else set()
            value = len(matched) / len(covered) if covered else 0.0
            if asked[test] and not covered:
                value = float(stands(asked[test], user))
            answer = any(
                len(gold) >= ngram
                and not common(sum(gold in golds[k] for k in same), task)
                and stands(gold, assistant)
                for gold in golds[test]
            )
            if value > share or answer:
                results.append((row, test, value, value > share, answer))
    return results


def made_up(seed):
    """Rows and tests of few different words, so that all happens: (rows, tests, settings)."""
    rng = random.Random(seed)
    different = rng.choice([2, 4, 30])

    def text(low, high):
        return " ".join(f"w{rng.randrange(different)}" for _ in range(rng.randint(low, high)))

    template = text(0, 12)
    tests = []
    for _ in range(rng.randint(1, 25)):
        shots = [("user", text(0, 9)), ("assistant", text(0, 5))] * rng.randint(0, 1)
        question = ("user", rng.choice([template, ""]) + " " + text(0, 9))
        golds = [text(1, 8) for _ in range(rng.randint(1, 3))]
        tests.append((f"t{rng.randrange(2)}", turns(*shots, question, ("assistant", "x")), *golds))
    pieces = [m["content"] for test in tests for m in test[1]] + [g for t in tests for g in t[2:]]
    rows = []
    for _ in range(15):
        parts = [
            (
                rng.choice(["user", "assistant", "system"]),
                ", ".join(
                    rng.choice([text(0, 6), rng.choice(pieces).upper(), rng.choice(pieces)[3:]])
                    for _ in range(rng.randint(0, 3))
                ),
            )
            for _ in range(rng.randint(1, 4))
        ]
        rows.append(turns(*parts))
    return rows, tests, {"ngram": rng.choice([1, 2, 3, 4]), "share": rng.choice([0.0, 0.3, 0.5])}


@pytest.mark.parametrize("seed", range(40))
def test_the_same_rule_in_plain_python(seed):
    rows, tests, settings = made_up(seed)
    found = overlap(pool(*rows), table(*tests), **settings)
    assert [(*row[:3], *row[4:]) for row in found] == plain(rows, tests, **settings)
    assert all(row[3] for row in found)


@pytest.mark.parametrize("seed", range(5))
def test_equal_hashes_change_nothing(seed, monkeypatch):
    rows, tests, settings = made_up(seed)
    found = overlap(pool(*rows), table(*tests), **settings)
    codes = questions.word_codes
    for few in (1, 4):
        monkeypatch.setattr(questions, "word_codes", lambda count, few=few: codes(count) % few)
        assert overlap(pool(*rows), table(*tests), **settings) == found


@pytest.mark.parametrize("seed", range(5))
def test_parts_change_nothing(seed, monkeypatch):
    rows, tests, settings = made_up(seed)
    found = overlap(pool(*rows), table(*tests), **settings)
    monkeypatch.setattr(overlaps, "CHARACTERS", 50)
    monkeypatch.setattr(overlaps, "PLACES", 4)
    assert overlap(pool(*rows), table(*tests), **settings) == found


@pytest.mark.parametrize("seed", range(5))
def test_a_permuted_pool_gives_the_same_pairs(seed):
    rows, tests, settings = made_up(seed)
    found = overlap(pool(*rows), table(*tests), **settings)
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    permuted = overlap(pool(*(rows[i] for i in order)), table(*tests), **settings)
    assert sorted((order[row], *rest) for row, *rest in permuted) == found


def test_no_row_and_no_test():
    tests = table(("a", LONG))
    assert overlap(pool(), tests) == []
    assert overlap(pool([]), tests) == []
    assert overlap(pool(LONG), tests[:0]) == []
