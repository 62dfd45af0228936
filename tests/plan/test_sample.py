"""A sample of the raw pool reads rows as the pool does."""

from dataselect.dedup.settings import PoolRules
from dataselect.plan.sample import sample_pool
from tests.dedup import row, write


def test_a_sample_follows_the_rules_of_the_pool(in_scratch):
    rows = [
        {"question": "x", "answer": 1, "origin": "science.a"},
        {"question": "y", "answer": 2, "origin": "hard_coded"},
        {"question": "no answer", "origin": "science.b"},
        {"answer": "no question", "origin": "science.b"},
        {"question": "z", "answer": 3, "origin": "web", "output": "not read", "instruction": "no"},
    ]
    columns = {"prompt": "question", "response": "answer", "source": "origin"}
    rules = PoolRules(columns=columns, sources={"science*": "science", "hard_coded": None})
    progress = []
    count, drawn = sample_pool([write("p.jsonl", rows)], 10, progress.append, rules)
    assert (count, sum(progress)) == (4, 5)  # rows of sources left out are not counted
    assert drawn == [
        [0, "p.jsonl:1", "science", row("x", "1")["messages"], None],
        [1, "p.jsonl:5", "web", row("z", "3")["messages"], None],
    ]
    count, drawn = sample_pool(["p.jsonl"], 2, progress.append, rules)
    assert count == 4
    assert len(drawn) <= 2
