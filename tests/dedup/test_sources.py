"""Sources under new names: the first entry that matches, and entries that match nothing."""

import pytest

from dataselect.dedup.sources import REMEMBERED, SourceNames, check_sources
from tests.helpers import mistake

#: As the balanced random of arXiv 2503.01807 takes the sources of Tülu 2: science as one, and
#: none of the hard-coded rows.
PAPERS = {"science*": "science", "hard_coded": None}


def test_the_papers_balanced_random():
    names = SourceNames(PAPERS)
    sources = ["science.evidence", "flan_v2", "science", "hard_coded", "science.scierc_ner"]
    renamed = [names.rename(source) for source in sources]
    assert renamed == ["science", "flan_v2", "science", None, "science"]
    names.check()


def test_the_first_entry_that_matches_counts():
    names = SourceNames({"web/[ab]": "ab", "web/*": "rest", "*": None})
    sources = ["web/a", "web/c", "web/ab", "other", "web/a"]
    assert [names.rename(source) for source in sources] == ["ab", "rest", "rest", None, "ab"]
    names.check()


def test_a_name_matches_itself_whatever_its_letters_mean_in_a_pattern():
    names = SourceNames({"[red]": "blue", "what?": "that"})
    sources = ["[red]", "r", "what?", "what", "Whats", "whats"]
    renamed = [names.rename(source) for source in sources]
    assert renamed == ["blue", "blue", "that", "what", "Whats", "that"]


def test_an_entry_that_matches_no_source():
    names = SourceNames({"sciense*": "science", "hard_coded": None})
    for source in ("science", "flan", "hard_coded"):
        names.rename(source)
    assert mistake(names.check) == (
        "pool.sources: `sciense*` matches no source of the pool. Did you mean `science`? There "
        "are: flan, hard_coded, science. Fix or remove it."
    )


def test_an_entry_after_others_that_match_all_of_its_sources():
    names = SourceNames({"science*": "science", "science.ner": None})
    names.rename("science.ner")
    assert mistake(names.check) == (
        "pool.sources: `science.ner`: entries before it match all of its sources, and the first "
        "that matches counts. Set it before them, or remove it."
    )


def test_a_source_for_every_row_is_renamed_too():
    names = SourceNames({"*7": "seven"})
    renamed = [names.rename(str(i)) for i in range(3 * REMEMBERED)]
    assert renamed == ["seven" if i % 10 == 7 else str(i) for i in range(3 * REMEMBERED)]


@pytest.mark.parametrize(("entries", "found"), [({"": "x"}, "'': 'x'"), ({"x": ""}, "'x': ''")])
def test_names_that_are_empty(entries, found):
    assert mistake(check_sources, entries) == (
        f"params.yaml: pool.sources: expected names; found `{found}`. Set a name, or `null` to "
        "leave the source's rows out."
    )
