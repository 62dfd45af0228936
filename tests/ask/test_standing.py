"""A row's rank in every group, against a plain sort, with ties and rows that are no candidates."""

import numpy as np
import pytest

from dataselect.ask.score_blocks import read_row
from dataselect.ask.standing import Chosen, standing
from dataselect.data.scores import SingleGroup
from tests.ask import NO, ranked, write_scores, write_single

rng = np.random.default_rng(0)
#: Few different scores, so that many are equal; a tenth is −∞.
DENSE = np.where(
    rng.random((500, 3)) < 0.1, NO, rng.integers(0, 40, (500, 3)) / 8
).astype(np.float32)  # fmt: skip
CHOSEN = Chosen(np.arange(0, 500, 7), np.arange(72) % 3)


@pytest.mark.parametrize("row", [0, 1, 63, 64, 250, 499])
@pytest.mark.parametrize("block", [7, 128, 500])
def test_ranks_are_those_of_a_plain_sort(tmp_path, row, block):
    path = write_scores(tmp_path, DENSE, block)
    found = standing(path, row, 3, CHOSEN, lambda b: b.max(axis=1))
    assert found.scores.tolist() == DENSE[row].tolist()
    for group in range(3):
        if DENSE[row, group] == NO:
            continue
        before = ranked(DENSE[:, group])[: ranked(DENSE[:, group]).index(row)]
        by = dict(zip(CHOSEN.rows.tolist(), CHOSEN.groups.tolist(), strict=True))
        assert found.before[group] == len(before)
        assert found.chosen[group] == len([r for r in before if r in by])
        assert found.chosen_by[group] == len([r for r in before if by.get(r) == group])
    best = DENSE.max(axis=1)
    assert found.order == best[row]
    assert found.order_before == ranked(best).index(row)
    assert found.sample.tolist() == DENSE[::64].tolist()


@pytest.mark.parametrize("row", [0, 99, 199])
def test_a_row_that_is_in_one_group_only(tmp_path, row):
    groups, scores = rng.integers(0, 5, 200), DENSE[:200, 0]
    path = write_single(tmp_path, groups, scores, 30)
    known = Chosen(np.arange(0, 200, 3), groups[::3])
    found = standing(path, row, 5, known, lambda b: b.score)
    own = int(groups[row])
    members = np.where(groups == own, scores, NO)
    assert found.sizes.tolist() == [int((scores[groups == g] > NO).sum()) for g in range(5)]
    assert np.delete(found.scores, own).tolist() == [NO] * 4
    if scores[row] > NO:
        before = ranked(members)[: ranked(members).index(row)]
        assert found.before[own] == len(before)
        assert found.chosen[own] == found.chosen_by[own] == len([r for r in before if r % 3 == 0])
        assert found.order_before == ranked(scores).index(row)


def test_a_row_is_read_from_its_part_of_the_file(tmp_path):
    path = write_scores(tmp_path, DENSE, 128)
    group, scores = read_row(path, 300)
    assert group is None
    assert scores.tolist() == DENSE[300].tolist()
    path = write_single(tmp_path, np.arange(10) % 2, DENSE[:10, 0], 4)
    group, scores = read_row(path, 9)
    assert (group, scores.tolist()) == (1, [DENSE[9, 0]])
    with pytest.raises(ValueError, match="no row 10"):
        read_row(path, 10)


def test_an_order_sees_blocks_as_they_are_stored(tmp_path):
    path = write_single(tmp_path, np.arange(10) % 2, np.arange(10, dtype=np.float32), 4)
    seen = []
    standing(path, 3, 2, Chosen(np.arange(0), np.arange(0)), lambda b: seen.append(b) or b.score)
    assert all(isinstance(block, SingleGroup) for block in seen)


def test_scores_are_kept_by_groups_where_they_are_few(tmp_path, monkeypatch):
    path = write_scores(tmp_path, DENSE, 128)
    kept = standing(path, 3, 3, CHOSEN, None, keep=True).kept
    assert kept.tolist() == DENSE.T.tolist()
    monkeypatch.setattr("dataselect.ask.standing.KEPT_NUMBERS", 1_499)
    assert standing(path, 3, 3, CHOSEN, None, keep=True).kept is None


def test_a_table_that_is_replaced_is_read_anew(tmp_path):
    path = write_scores(tmp_path, DENSE, 128)
    assert read_row(path, 499)[1].tolist() == DENSE[499].tolist()
    write_scores(tmp_path, DENSE[::-1], 90)
    assert read_row(path, 499)[1].tolist() == DENSE[0].tolist()
