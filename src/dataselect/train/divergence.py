"""Training that diverges: it ends at the first loss, gradient or weight that is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect import report
from dataselect.compute import distributed
from dataselect.errors import InputError
from dataselect.models.weights import is_finite, non_finite_weight

if TYPE_CHECKING:
    from torch import Tensor

ADVICE = (
    "Lower `learning_rate`, or raise `warmup` or `batch_size`: in `train` of params.yaml or, where "
    "a reference is fitted, in its settings in methods.yaml. `skip_steps` allows some such steps."
)
FIRST_STEP = (
    "This is the first step, so training did not cause it. Set `train.dtype: float32`, or check "
    "the model's weights."
)


def check_step(trainer: Any, net: Any, grad_norm: Tensor, allowed: int) -> Tensor | None:
    """Checks a step's loss and gradient norm, in all processes at once, before it is taken.

    A step that may be skipped loses its gradients, so that the optimiser changes nothing, and its
    loss.

    Args:
        trainer: transformers' Trainer, within a step.
        grad_norm: of the whole step, before clipping.
        allowed: how many steps of the run may be skipped.

    Returns:
        The norm; None for a step that is skipped.

    Raises:
        InputError: it is not finite, and no more steps may be skipped.
    """
    wrong = _what_is_not_finite(trainer._tr_loss, grad_norm)
    if wrong is None:
        return grad_norm
    step, skipped = trainer.state.global_step + 1, skipped_steps(trainer.state)
    if skipped >= allowed:
        rate = trainer.optimizer.param_groups[0]["lr"]
        raise InputError(
            f"training diverged: at step {step} of {trainer.state.max_steps} (learning rate "
            f"{rate:.2g}) the {wrong} is NaN or infinite"
            + (f", after {skipped} skipped steps. " if skipped else ". ")
            + (FIRST_STEP if step == 1 else ADVICE + _kept(trainer.args.output_dir))
        )
    net.zero_grad(set_to_none=True)  # the optimiser passes over parameters without a gradient
    trainer._tr_loss.zero_()
    if distributed.is_main_process():
        report.console.print(
            f"step {step}: the {wrong} is NaN or infinite; skipped ({skipped + 1} of {allowed} "
            "allowed)"
        )
    return None


def skipped_steps(state: Any) -> int:
    """How many steps of a run were skipped, from the Trainer's state."""
    return sum("skipped" in entry for entry in state.log_history)


def step_log(logs: dict[str, float]) -> dict[str, Any]:
    """What is logged of a step: a skipped one, which has no gradient norm, has no loss either."""
    if "loss" in logs and "grad_norm" not in logs:
        return {**{name: logs[name] for name in logs if name != "loss"}, "skipped": True}
    return logs


def check_weights(net: Any, step: int) -> None:
    """Checks the weights that a step left, before they are kept.

    Raises:
        InputError: one is NaN or infinite.
    """
    if name := non_finite_weight(net):
        raise InputError(
            f"training diverged: after step {step} the weight `{name}` has NaN or infinite "
            f"numbers; nothing of it is kept. {ADVICE}"
        )


def check_finished(trainer: Any) -> None:
    """Checks a finished run: its weights, and that it did not skip every step.

    Raises:
        InputError: a weight is not finite, or nothing was learned.
    """
    check_weights(trainer.model, trainer.state.global_step)
    if trainer.state.global_step and skipped_steps(trainer.state) >= trainer.state.global_step:
        raise InputError(
            f"training diverged: all {trainer.state.global_step} steps were skipped, because their "
            "loss or gradient norm was NaN or infinite. " + FIRST_STEP
        )


def has_finite_weights(folder: Path) -> bool:
    """Whether all numbers in a checkpoint's safetensors files are finite."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if not all(is_finite(file.get_tensor(name)) for name in file.keys()):  # noqa: SIM118
                return False
    return True


def _what_is_not_finite(loss: Tensor, grad_norm: Tensor) -> str | None:
    """`loss`, `gradient norm`, or None where both are finite in every process."""
    import torch

    norm = torch.as_tensor(grad_norm, device=loss.device).detach()
    wrong = torch.stack([~torch.isfinite(loss.detach()), ~torch.isfinite(norm)]).float()
    if distributed.world_size() > 1:
        torch.distributed.all_reduce(wrong, op=torch.distributed.ReduceOp.MAX)
    in_loss, in_norm = wrong.tolist()
    return "loss" if in_loss else "gradient norm" if in_norm else None


def _kept(home: str) -> str:
    """A sentence on the last checkpoint, if there is one."""
    kept = max(Path(home).glob("checkpoint-*"), key=lambda p: int(p.name[11:]), default=None)
    if kept is None:
        return ""
    return f" The checkpoint after step {kept.name[11:]} is kept, until you remove it: {kept}."
