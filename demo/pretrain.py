"""Train the demo's base model from scratch, a tokenizer and a small Llama, on plain text.

The model learns the world (towns, sums, Velish, …) from text that never has the form of a chat, so
that fine-tuning on chosen rows is what teaches it to answer. Every batch is drawn from the seed and
its step's number; a run that was stopped goes on from its last checkpoint.

    python demo/pretrain.py     # writes demo/base_model/
"""

import argparse
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from world import World, make_world, plain_text

log = logging.getLogger("pretrain")

SPECIAL_TOKENS = ["<s>", "</s>", "<pad>"]
VOCABULARY = 1536
TOKENIZER_DOCUMENTS = 20_000
MODEL: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 1024,
}
BATCH_ROWS = 32
ROW_TOKENS = 192
LEARNING_RATE = 4e-3
WARMUP_STEPS = 30
DECAY_STEPS = 450  # at the end, linearly to 0
CHECKPOINT_EVERY = 200


def train_tokenizer(world: World, seed: int) -> Tokenizer:
    """A byte-level BPE with single digits; it adds no special token to a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    documents = islice(plain_text(world, Random(f"tokenizer {seed}")), TOKENIZER_DOCUMENTS)
    tokenizer.train_from_iterator(documents, trainer)
    return tokenizer


def make_model(seed: int) -> LlamaForCausalLM:
    """The untrained model; embeddings are tied."""
    torch.manual_seed(seed)
    bos, eos, pad = range(len(SPECIAL_TOKENS))
    config = LlamaConfig(
        **MODEL,
        vocab_size=VOCABULARY,
        tie_word_embeddings=True,
        bos_token_id=bos,
        eos_token_id=eos,
        pad_token_id=pad,
    )
    return LlamaForCausalLM(config)


def make_batch(world: World, tokenizer: Tokenizer, seed: int, step: int) -> torch.Tensor:
    """Documents end to end, each followed by `</s>`: int64 [BATCH_ROWS, ROW_TOKENS + 1]."""
    documents, wanted = (
        plain_text(world, Random(f"batch {seed} {step}")),
        BATCH_ROWS * (ROW_TOKENS + 1),
    )
    tokens: list[int] = []
    while len(tokens) < wanted:
        for encoding in tokenizer.encode_batch(list(islice(documents, 50))):
            tokens += [*encoding.ids, SPECIAL_TOKENS.index("</s>")]
    return torch.tensor(tokens[:wanted]).view(BATCH_ROWS, ROW_TOKENS + 1)


class Muon(torch.optim.Optimizer):
    """Momentum whose direction is made orthogonal (Jordan et al. 2024), for matrices.

    `torch.optim.Muon` of torch 2.13 computes in bfloat16: 1.8 s a step on a processor without it,
    against 0.03 s in float32 with all matrices of a shape at once. The update's root mean square is
    0.2, as AdamW's is about, so that both share a learning rate (Liu et al. 2025).
    """

    def __init__(
        self,
        matrices: Sequence[torch.Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.05,
    ) -> None:
        groups = [
            {"params": [p for p in matrices if p.shape == shape]}
            for shape in dict.fromkeys(p.shape for p in matrices)
        ]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # ty: ignore[incompatible-method-override]
        """One step of every group of matrices of one shape."""
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
            update = torch.stack(
                [p.grad.lerp(self.state[p]["momentum"], group["momentum"]) for p in group["params"]]
            )
            direction = orthogonal(update) * 0.2 * max(update.shape[1:]) ** 0.5
            for p, change in zip(group["params"], direction, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(change, alpha=group["lr"])


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest orthogonal matrices, roughly, by five Newton-Schulz steps: float32 [k, m, n]."""
    x = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if matrices.shape[1] <= matrices.shape[2] else x.mT


def make_optimizers(model: LlamaForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    others = [p for name, p in model.named_parameters() if not (p.ndim == 2 and "layers" in name)]
    return [
        Muon(matrices, lr=LEARNING_RATE),
        torch.optim.AdamW(others, lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate(step: int, steps: int) -> float:
    """The share of the learning rate at a step: up, flat, down to 0."""
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / DECAY_STEPS)


def train(
    model: LlamaForCausalLM,
    tokenizer: Tokenizer,
    world: World,
    *,
    seed: int,
    steps: int,
    checkpoint: Path,
) -> None:
    """Train in place; where the machine has a compiler the loss is compiled: half the time."""

    def loss_of(tokens: torch.Tensor) -> torch.Tensor:
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    compiled = torch.compile(loss_of) if shutil.which("g++") else loss_of
    optimizers = make_optimizers(model)
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        first = state["step"]
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        log.info("going on from step %d of %s", first, checkpoint)
    started, losses = time.monotonic(), []
    for step in range(first, steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * rate(step, steps)
        loss = compiled(make_batch(world, tokenizer, seed, step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - started
            speed = (step + 1 - first) * BATCH_ROWS * ROW_TOKENS / seconds
            mean = sum(losses[-50:]) / len(losses[-50:])
            log.info(
                "step %d of %d, loss %.4f nats a token, %.0f tokens a second, %.0f s",
                step + 1,
                steps,
                mean,
                speed,
                seconds,
            )
        if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == steps:
            save_checkpoint(checkpoint, model, optimizers, step + 1)


def save_checkpoint(
    path: Path, model: LlamaForCausalLM, optimizers: list[torch.optim.Optimizer], step: int
) -> None:
    """Write to a temporary name and rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "step": step,
            "model": model.state_dict(),
            "optimizers": [o.state_dict() for o in optimizers],
        },
        temporary,
    )
    temporary.replace(path)


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, out: Path) -> None:
    """Write model and tokenizer into a new folder and put it in the place of the old one."""
    temporary = out.with_name(out.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    bos, eos, pad = SPECIAL_TOKENS
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        model_max_length=MODEL["max_position_embeddings"],
    ).save_pretrained(temporary)
    shutil.rmtree(out, ignore_errors=True)
    temporary.replace(out)


def fingerprint(seed: int, steps: int) -> str:
    """Settings and code that a checkpoint depends on."""
    settings = json.dumps([seed, steps, torch.__version__])
    code = b"".join(
        Path(__file__).with_name(name).read_bytes() for name in ("world.py", "pretrain.py")
    )
    return hashlib.sha256(settings.encode() + code).hexdigest()[:16]


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--out", type=Path, default=Path("demo/base_model"))
    parser.add_argument("--scratch", type=Path, default=Path(".dvc/tmp/scratch/base_model"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    world = make_world(arguments.seed)
    tokenizer = train_tokenizer(world, arguments.seed)
    model = make_model(arguments.seed)
    log.info(
        "%d tokens in the vocabulary, %d parameters",
        tokenizer.get_vocab_size(),
        model.num_parameters(),
    )
    checkpoint = arguments.scratch / fingerprint(arguments.seed, arguments.steps) / "checkpoint.pt"
    train(
        model, tokenizer, world, seed=arguments.seed, steps=arguments.steps, checkpoint=checkpoint
    )
    save(model, tokenizer, arguments.out)
    log.info("saved %s", arguments.out)


if __name__ == "__main__":
    main()
