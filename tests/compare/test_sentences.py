"""What is said of a difference: only what is shown."""

from dataclasses import replace

from dataselect.compare.estimate import Estimate
from dataselect.compare.scores import MEAN
from dataselect.compare.sentences import NATS, notes, sentence, sentences
from dataselect.compare.statistics import Difference

BETTER = Difference(
    task="gsm8k", method=("rds", 300), baseline=("random", 300), seeds=(3, 3), tests=500,
    units=500, left_out=0, level=0.95, estimate=Estimate(0.042, 1e-4, 1e-4, 1e-4, 9.0),
    interval=(0.011, 0.073), p=0.01, resampled=None, p_holm=0.01, minimum_detectable=0.04,
)  # fmt: skip
TIED = replace(
    BETTER, estimate=Estimate(-0.004, 1e-4, 1e-4, 1e-4, 9.0), interval=(-0.02, 0.012), p=0.6,
    p_holm=0.6, minimum_detectable=0.021,
)  # fmt: skip


def test_a_difference_that_is_shown():
    assert sentence(BETTER) == (
        "task gsm8k: rds at 300 is better than random at 300: +4.2 points, 95% interval +1.1 to "
        "+7.3."
    )
    several = replace(BETTER, task=MEAN, compared=4, p_holm=0.04)
    assert sentence(several).startswith("mean over tasks: rds at 300 is better")
    assert sentence(several).endswith("+7.3 after Holm's correction for 4 comparisons.")


def test_a_tie_says_what_would_have_been_seen():
    assert sentence(TIED) == (
        "task gsm8k: rds at 300 and random at 300 are tied: −0.4 points, 95% interval −2.0 to "
        "+1.2; could have seen 2.1 points."
    )


def test_what_the_correction_takes_away_is_a_tie():
    text = sentence(replace(BETTER, compared=6, p_holm=0.06))
    assert "are tied" in text
    assert "leaves 0 out, but not after Holm's correction for 6 comparisons" in text
    assert "could have seen 4.0 points" in text


def test_a_lower_loss_is_better():
    text = sentence(BETTER, NATS)
    assert "has a higher loss than random at 300: +0.042 nats per token" in text
    lower = replace(BETTER, estimate=Estimate(-0.042, 0, 0, 1e-4, 9.0), interval=(-0.07, -0.01))
    assert "has a lower loss than random at 300: −0.042" in sentence(lower, NATS)


def test_without_an_interval_nothing_is_claimed():
    unknown = {"interval": None, "p": None, "p_holm": None, "minimum_detectable": None}
    text = sentence(replace(BETTER, **unknown))
    assert text.endswith("nothing more is known: the difference is the same in every test.")
    single = replace(BETTER, estimate=Estimate(0.0, 0.0, None, 0.0, None), **unknown)
    assert sentence(single).endswith("a task has a single test, or a single cluster of tests.")
    assert "is +0.0 points" in sentence(single)


def test_one_seed_is_about_models():
    one = replace(BETTER, estimate=replace(BETTER.estimate, seeds=None), seeds=(1, 3))
    (note,) = notes([one, replace(one, task="squad")])
    assert "is about these models, not about the methods" in note
    assert notes([BETTER, TIED]) == []


def test_two_seeds_and_tests_left_out_are_said():
    first, second = notes([replace(BETTER, seeds=(2, 3), left_out=1200)])
    assert "only two seeds" in first
    assert "1,200 others are left out" in second
    assert notes([replace(BETTER, seeds=(3, 0))]) == []  # a fixed model needs no seeds


def test_a_note_on_seeds_is_said_once_with_all_methods():
    pairs = [replace(BETTER, method=(name, 300), seeds=(2, 2)) for name in ("rds", "less")]
    (note,) = notes(pairs)
    assert note.startswith("only two seeds: rds at 300, random at 300, less at 300.")
    one = replace(BETTER, estimate=replace(BETTER.estimate, seeds=None))
    (note,) = notes([replace(one, baseline=("base model", None), seeds=(1, 0))])
    assert note.startswith("a single seed: rds at 300. ")


def test_tasks_that_are_equal_in_every_test_are_said_once_and_the_mean_first():
    unknown = {"interval": None, "p": None, "p_holm": None, "minimum_detectable": None}
    equal = replace(BETTER, estimate=Estimate(0.0, 0.0, 0.0, 0.0, None), **unknown)
    given = [replace(equal, task="a"), BETTER, replace(equal, task="b"), replace(TIED, task=MEAN)]
    scores = {(task, c): 0.0 for task in "ab" for c in (BETTER.method, BETTER.baseline)}
    (first, tied), (_, better), (shown, text) = sentences(given, scores)
    assert tied.startswith(MEAN)
    assert better == sentence(BETTER)
    assert not first
    assert not shown
    assert text == (
        "rds at 300 and random at 300 are equal in every test of the tasks a, b (both score 0)."
    )
    ((_, text),) = sentences([replace(equal, task=MEAN)], {}, NATS)
    assert text == "rds at 300 and random at 300 are of equal loss in every test."
