"""The published formulas of a run's FLOPs, by hand."""

from dataselect.compare.published import RunSize, published_flops
from dataselect.settings import Part

SIZE = RunSize(
    selector_parameters=7, trained_parameters=11, selector_tokens=100, train_tokens=1000,
    pool=500, selected=20, epochs=2, forward=True, passes=1,
)  # fmt: skip
TRAINING = 2 * 1000 * 6 * 11 * 20


def selection(reference, size=SIZE):
    """FLOPs of selection by the paper and by its plots; checks what is the same in both."""
    flops = published_flops(reference, size)
    for parts in flops.values():
        assert parts["training"] == TRAINING
        assert parts["total"] == parts["training"] + parts["selection"]
    return flops["paper"]["selection"], flops["plotting_code"]["selection"]


def test_a_forward_pass_by_hand():
    assert selection(None) == (2 * 100 * 2 * 7 * 500, 100 * 2 * 7 * 500)


def test_a_method_that_runs_no_model_costs_only_training():
    assert selection(None, SIZE._replace(forward=False)) == (0, 0)


def test_less_by_hand():
    scored = 3 * 100 * 6 * 7 * 500
    less = Part("warmup", {"share": 0.1, "epochs": 4})
    assert selection(less) == (scored, scored + 2 * 100 * 6 * 7 * 50)


def test_ifd_by_hand():
    fitted = 200 * 100 * 2 * 7 + 40 * 100 * 6 * 7
    ifd = Part("experienced", {"most_rows": 200, "clusters": 4, "per_cluster": 10})
    assert selection(ifd) == (fitted + 2 * 100 * 2 * 7 * 500, fitted + 100 * 2 * 7 * 500)


def test_s2l_by_hand():
    fit, passes = 3 * 100 * 6 * 7 * 500, 13 * 100 * 2 * 7 * 500
    s2l = Part("proxy", {"epochs": 3, "checkpoints": 12})
    assert selection(s2l, SIZE._replace(passes=13)) == (fit + 2 * passes, fit + passes)
