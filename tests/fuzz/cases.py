"""Runs so many cases of a kind, and counts how they end."""

from collections import Counter

from hypothesis import HealthCheck, Phase, given, settings

#: hypothesis measures how long drawing takes, which a busy machine decides.
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def run_cases(strategy, check, count, *, fresh=False):
    """Checks so many examples of a strategy: how they end → how often.

    Args:
        check: an example → how it ends; it raises an error where the example shows a fault.
        fresh: draws other examples each time; else always the same.
    """
    ends = Counter()

    @settings(
        max_examples=count,
        derandomize=not fresh,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=QUIET,
        phases=[Phase.generate, Phase.shrink],
    )
    @given(strategy)
    def cases(example):
        ends[check(example)] += 1

    cases()
    return ends
