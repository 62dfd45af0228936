"""What a run cost: the published formulas by hand, counted tokens, and the room features take."""

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from dataselect.eval.cost import RunSize, published_flops
from dataselect.models.flops import forward_flops, training_flops
from dataselect.models.load import parameter_count
from dataselect.plan import disk
from dataselect.train.fit import add_adapters
from tests.helpers import GOLDEN, MODEL

RUN = RunSize(
    looker=7, trained=11, look_tokens=100, train_tokens=1000, pool=500, rows=20, epochs=2,
    forward=True,
)  # fmt: skip
TRAINING = 2 * 1000 * 6 * 11 * 20


def selection(reference, shape=RUN):
    answer = published_flops(reference, shape)
    for one in answer.values():
        assert one["training"] == TRAINING
        assert one["total"] == one["training"] + one["selection"]
    return answer["paper"]["selection"], answer["plotting_code"]["selection"]


def test_a_forward_pass_by_hand():
    assert selection(None) == (2 * 100 * 2 * 7 * 500, 100 * 2 * 7 * 500)


def test_a_method_that_runs_no_model_costs_only_training():
    assert selection(None, RUN._replace(forward=False)) == (0, 0)


def test_less_by_hand():
    less = {"name": "warmup", "settings": {"share": 0.1, "epochs": 4}}
    scored = 3 * 100 * 6 * 7 * 500
    assert selection(less) == (scored, scored + 2 * 100 * 6 * 7 * 50)


def test_ifd_by_hand():
    settings = {"most_rows": 200, "clusters": 4, "per_cluster": 10}
    fitted = 200 * 100 * 2 * 7 + 40 * 100 * 6 * 7
    ifd = {"name": "experienced", "settings": settings}
    assert selection(ifd) == (fitted + 2 * 100 * 2 * 7 * 500, fitted + 100 * 2 * 7 * 500)


def test_s2l_by_hand():
    s2l = {"name": "proxy", "settings": {"epochs": 3, "checkpoints": 12}}
    fit, passes = 3 * 100 * 6 * 7 * 500, 13 * 100 * 2 * 7 * 500
    assert selection(s2l) == (fit + 2 * passes, fit + passes)


@pytest.mark.parametrize("tied", [True, False])
def test_flops_of_a_token_count_what_is_multiplied_with(tied):
    shape = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    net = LlamaForCausalLM(
        LlamaConfig(vocab_size=50, tie_word_embeddings=tied, **shape, **heads)
    )  # fmt: skip
    body = 2 * (4 * 8 * 8 + 3 * 8 * 16 + 2 * 8) + 8  # two layers, norms, the last norm
    assert forward_flops(net, head=False) == 2 * body
    assert forward_flops(net, head=True) == 2 * (body + 50 * 8)
    assert training_flops(net, 10) == 10 * 6 * (body + 50 * 8)
    lora = add_adapters(net, {
        "method": "lora", "lora_rank": 2, "lora_alpha": 4, "lora_dropout": 0.0,
        "lora_modules": ["q_proj"], "gradient_checkpointing": False,
    })  # fmt: skip
    adapters = 2 * (2 * 8 + 8 * 2)  # two layers, down and up
    assert training_flops(lora, 10) == 10 * (4 * (body + 50 * 8) + 6 * adapters)


def test_a_models_size_is_read_from_its_configuration():
    from dataselect.models.load import load_causal

    assert parameter_count(MODEL) == sum(p.numel() for p in load_causal(MODEL).parameters())


def test_of_an_encoder_and_decoder_only_the_encoder_counts(tmp_path):
    from transformers import T5Config, T5EncoderModel

    config = T5Config(d_model=16, d_ff=32, num_layers=2, num_heads=2, d_kv=8, vocab_size=40)
    config.save_pretrained(tmp_path)
    encoder = T5EncoderModel(config)
    assert parameter_count({**MODEL, "name": str(tmp_path)}) == sum(
        p.numel() for p in encoder.parameters()
    )


def told(name, settings, reference=None, path="pool.jsonl"):
    part = {"name": name, "settings": settings}
    return disk.features_size(
        {
            "embed": {"features": part, "model": {**MODEL, "name": str(GOLDEN / "tiny-llama")}},
            "reference": {"reference": reference} if reference else {},
            "dedup": {"pool": [{"path": path}]},
        }
    )


LESS = {"name": "warmup", "settings": {"epochs": 4}}
GRADIENTS = {"dims": 8192, "projection": "rademacher"}


def test_the_room_that_features_take_is_said_before_it_is_spent():
    pool = str(GOLDEN / "pool.parquet")
    assert told("gradients", GRADIENTS, LESS, pool) == (
        "features: gradients, 65,536 bytes a row × 202 rows: at most 13.2 MB"
    )
    line = told("hidden_states", {"pooling": "mean", "over": "all"}, path=pool)
    assert line == "features: hidden_states, 256 bytes a row × 202 rows: at most 51.7 kB"
    proxy = {"name": "proxy", "settings": {"checkpoints": 12}}
    assert told("trajectories", {}, proxy) == "features: trajectories, 104 bytes a row"
    assert told("losses", {"direct": True}) == "features: losses, 21 bytes a row"
    nothing = told("gradients", {**GRADIENTS, "projection": "none"}, LESS)
    assert nothing == "features: gradients; their size is not known before the model is read"
    assert disk.features_size({"embed": {"features": None}}) is None
