"""Training in which every process holds a part of weights, gradients and optimiser (FSDP2).

transformers loads each process's part and its Trainer leaves such a model as it is; it does not
save what resuming needs. Checkpoints are torch's distributed ones, in safetensors files: each
process writes its part, and any number of processes can read them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.compute import distributed
from dataselect.errors import InputError
from dataselect.models.sharded import is_sharded

if TYPE_CHECKING:
    from torch import Tensor

    from dataselect.train.fit import Recipe

#: The file, in a checkpoint, with learning rates and the optimiser's counts of steps.
NUMBERS_FILE = "optimizer.json"


def check_sharding(recipe: Recipe, where: str) -> None:
    """Checks that what a recipe shards can be sharded.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: it is held in 4 or 8 bits; or `loss_per: micro_batch` leaves one process.
    """
    if recipe.sharding == "none":
        return
    for name, value in (
        ("weights", "nf4"), ("optimizer", "adamw_8bit"), ("loss_per", "micro_batch"),
    ):  # fmt: skip
        if getattr(recipe, name) == value:
            raise InputError(
                f"{where}.sharding: full: cannot be combined with `{name}: {value}`. Remove one "
                "of the two."
            )


def check_processes(recipe: Recipe, processes: int, where: str) -> None:
    """Checks that there are several processes to share what is sharded.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: there is one.
    """
    if recipe.sharding == "full" and processes == 1:
        raise InputError(
            f"{where}.sharding: full: expected several processes to share the model; found 1. Use "
            "a machine with several GPUs and a `batch_size` of as many micro-batches (see "
            "`processes`), or set `train.sharding: none`."
        )


def check_sharded(net: Any) -> None:
    """Checks that the model about to be trained is sharded, all but the adapters of LoRA.

    Raises:
        InputError: a process holds a weight whole.
    """
    unsharded = (
        name
        for name, weight in net.named_parameters()
        if not is_sharded(weight) and "lora_" not in name
    )
    if (name := next(unsharded, None)) is not None:
        raise InputError(
            f"train.sharding: full: the model was not sharded: `{name}` is whole in every process. "
            "Set `train.sharding: none`."
        )


def full_number(number: Any) -> Any:
    """A number that may be spread over the processes; called in all of them."""
    return number.full_tensor() if hasattr(number, "full_tensor") else number


def sharded_trainer(base: Any) -> Any:
    """A Trainer class for sharded models: it checks that they are, and saves and reads their parts.

    Args:
        base: transformers' Trainer, or a class derived from it.
    """
    import torch

    class ShardedTrainer(base):
        def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
            check_sharded(self.model)
            return super()._prepare_for_training(*args, **kwargs)

        def _sync_replicated_trainable_parameters(self, model: Any) -> None:
            for parameter in model.parameters():
                if parameter.requires_grad and not is_sharded(parameter):
                    parameter.register_post_accumulate_grad_hook(self._share_gradient)

        def _share_gradient(self, adapter: Any) -> None:
            if self.accelerator.sync_gradients:  # after the last micro-batch of a step
                torch.distributed.all_reduce(adapter.grad)
                adapter.grad /= distributed.world_size()

        def save_model(self, output_dir: Any = None, _internal_call: bool = False) -> None:
            save_parts(self.model, self.optimizer, Path(output_dir))
            if distributed.is_main_process():
                torch.save(self.lr_scheduler.state_dict(), Path(output_dir, "scheduler.pt"))
            self._save_rng_state(output_dir)

        def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
            pass  # before there is an optimiser; both are read together

        def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
            load_parts(self.model, self.optimizer, Path(checkpoint))
            state = torch.load(Path(checkpoint, "scheduler.pt"), weights_only=True)
            self.lr_scheduler.load_state_dict(state)

    return ShardedTrainer


def save_parts(net: Any, optimizer: Any, folder: Path) -> None:
    """Saves what training changes: each process its part, into a file of its own.

    Args:
        optimizer: torch's or accelerate's.
        folder: gets `shard-*.safetensors` with `weight.NAME` and `MOMENT.NAME` of every trained
            parameter, and a file of numbers.
    """
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint import HuggingFaceStorageWriter

    optimizer = getattr(optimizer, "optimizer", optimizer)
    tensors: dict[str, Tensor] = {}
    steps: dict[str, float] = {}
    for name, weight in _trained(net):
        tensors[f"weight.{name}"] = weight.detach()
        state = optimizer.state.get(weight, {})  # none where every step was skipped
        steps |= {name: state["step"].item()} if state else {}
        tensors |= {f"{key}.{name}": state[key] for key in state if key != "step"}
    folder.mkdir(parents=True, exist_ok=True)
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    checkpoint.save(tensors, storage_writer=writer)
    if distributed.is_main_process():
        rates = [[group["lr"], group["initial_lr"]] for group in optimizer.param_groups]
        (folder / NUMBERS_FILE).write_text(json.dumps({"rates": rates, "steps": steps}))


def load_parts(net: Any, optimizer: Any, folder: Path) -> None:
    """Reads what `save_parts` wrote, with this number of processes or another, into a model."""
    import torch
    from torch.distributed import checkpoint
    from torch.distributed.checkpoint import HuggingFaceStorageReader

    optimizer = getattr(optimizer, "optimizer", optimizer)
    numbers = json.loads((folder / NUMBERS_FILE).read_text())
    reader = HuggingFaceStorageReader(str(folder))
    stored: dict[str, Any] = reader.read_metadata().state_dict_metadata
    tensors: dict[str, Tensor] = {}
    for name, weight in _trained(net):
        tensors[f"weight.{name}"] = weight.detach()
        if name in numbers["steps"]:
            fused = optimizer.param_groups[0].get("fused")  # torch keeps its counts on the GPU
            step = torch.tensor(numbers["steps"][name], device=weight.device if fused else "cpu")
            state = {"step": step}
            for key in (key.removesuffix(f".{name}") for key in stored if key.endswith(f".{name}")):
                if key != "weight":
                    kind = stored[f"{key}.{name}"].properties.dtype
                    state[key] = torch.zeros_like(weight, dtype=kind).detach()
                    tensors[f"{key}.{name}"] = state[key]
            optimizer.state[weight] = state
    checkpoint.load(tensors, storage_reader=reader)
    for group, (rate, first_rate) in zip(optimizer.param_groups, numbers["rates"], strict=True):
        group.update(lr=rate, initial_lr=first_rate)


def _trained(net: Any) -> list[tuple[str, Any]]:
    return [(name, weight) for name, weight in net.named_parameters() if weight.requires_grad]
