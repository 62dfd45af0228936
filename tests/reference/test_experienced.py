"""IFD's pre-experienced model: which rows it is fitted on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dataselect.models.chat import load_chat
from dataselect.models.load import load_causal
from dataselect.numerics.draws import derived_seed, shuffled_rows
from dataselect.numerics.kmeans import kmeans
from dataselect.reference.experienced import experienced, pick_evenly
from tests.helpers import MODEL, mistake
from tests.reference import write_pool

SHORT = replace(MODEL, max_tokens=256)
FEW = {"clusters": 4, "per_cluster": 3, "batch_size": 4, "learning_rate": 5e-3}


def test_rows_are_evenly_spaced_between_the_percentiles_of_their_cluster():
    # Cluster 0: losses 0…8, the middle half is 2…6 (five rows); two of them: every second: 2, 4.
    # Cluster 1: one row, fewer than two: whole.
    nll = np.asarray([8, 0, 7, 1, 6, 2, 5, 3, 4, 50], dtype=np.float32)
    cluster = np.asarray([0] * 9 + [1])
    chosen = pick_evenly(cluster, nll, 2, 25, 75)
    assert nll[chosen].tolist() == [2, 4, 50]
    assert nll[pick_evenly(cluster, nll, 9, 25, 75)].tolist() == [2, 3, 4, 5, 6, 50]
    assert nll[pick_evenly(cluster, nll, 9, 0, 100)].tolist() == [*range(9), 50]
    assert nll[pick_evenly(cluster, nll, 10, 25, 75)].tolist() == [*range(9), 50]  # fewer than ten


def test_percentiles_that_leave_nothing_are_refused_by_the_plan_already():
    message = mistake(experienced, seed=0, low=75, high=25)
    assert "low (75) is above high (25)" in message


def instructions(rows):
    """Mean last hidden state and mean loss of what is outside the responses, row by row."""
    net = load_causal(MODEL)
    vectors, nll = [], []
    for row in load_chat(SHORT).encode(rows):
        ids = torch.from_numpy(row.ids.astype(np.int64))[None]
        with torch.no_grad():
            found = net(ids, output_hidden_states=True)
        prompt = torch.from_numpy(~row.response)
        vectors.append(found.hidden_states[-1][0][prompt].mean(0).numpy())
        each = torch.nn.functional.cross_entropy(found.logits[0, :-1], ids[0, 1:], reduction="none")
        nll.append(each[prompt[1:]].mean().item())
    return np.stack(vectors), np.asarray(nll, dtype=np.float32)


@pytest.mark.slow
def test_it_is_fitted_on_a_few_rows_of_every_cluster(in_scratch):
    table = in_scratch / "pool.parquet"
    pool = write_pool(table, 40)
    done = experienced(seed=0, micro_batch_size=4, **FEW).fit(SHORT, table, in_scratch / "all")
    # The same rows from plain numbers: raw means of the prompt's states, losses of its tokens.
    vectors, nll = instructions(pool["messages"].to_list())
    seed = derived_seed(0, "pre-experienced model")
    order = shuffled_rows(pool["id"].to_list(), seed, "rows that IFD measures")
    cluster_seed = derived_seed(seed, "clusters of instructions")
    cluster = kmeans(vectors[order], 4, cluster_seed, iterations=300)
    chosen = order[pick_evenly(cluster, nll[order], 3, 25, 75)]
    encoded = load_chat(SHORT).encode(pool["messages"].to_list())
    kept = [row for row in chosen if encoded[row].has_response]
    assert done.rows == len(kept)
    measured = sum(len(row.ids) for row in encoded)
    assert done.tokens == 2 * measured + sum(len(encoded[row].ids) for row in kept)
    assert len(done.checkpoints) == 1
    assert done.steps == -(-done.rows // 4)
    some = experienced(seed=0, micro_batch_size=4, most_rows=6, **FEW)
    few = some.fit(SHORT, table, in_scratch / "few")
    assert few.rows <= 6
    assert few.tokens < done.tokens


def test_its_contract():
    reference = experienced(seed=2, epochs=2, clusters=3, per_cluster=2, most_rows=50)
    assert (reference.produces, reference.checkpoints) == ("models", 1)
    # 50 rows measured in two passes; six fitted, a step being some three passes.
    assert reference.rows_passed(100) == 2 * 50 + 3 * 2 * 6
    assert reference.rows_passed(4) == 2 * 4 + 3 * 2 * 4
    assert reference.recipe.seed == derived_seed(2, "pre-experienced model")
