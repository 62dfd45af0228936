"""The optimiser of a recipe: AdamW with its moments in the weights' type, in float32, or in 8 bits.

With weights in bfloat16, moments of the same type are what the published code has. They keep 8
bits: the second moment's decay, by 1/1000 a step, is lost to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataselect.train.fit import Recipe

#: The parts of AdamW's state that are held in float32.
MOMENTS = ("exp_avg", "exp_avg_sq")


def optimizer_class(recipe: Recipe) -> tuple[type, dict[str, Any]] | None:
    """The class of a recipe's optimiser with its arguments; None where transformers has it."""
    if recipe.optimizer != "adamw_float32":
        return None
    # The constants that transformers sets for its own AdamW.
    return float32_adamw(), {"lr": recipe.learning_rate, "betas": (0.9, 0.999), "eps": 1e-8}


def float32_adamw() -> type:
    """AdamW whose moments and arithmetic are in float32, whatever the weights' type.

    A step is that of `torch.optim.AdamW` on a float32 copy of one weight at a time; the result is
    rounded to the weight's type. Its state has the names of that class.
    """
    import torch
    from torch.optim.adamw import adamw

    class Float32AdamW(torch.optim.AdamW):
        @torch.no_grad()
        def step(self, closure: Any = None) -> None:  # ty: ignore[incompatible-method-override]
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._update(parameter, group)

        def _update(self, parameter: Any, group: dict[str, Any]) -> None:
            state, weight = self.state[parameter], parameter.float()
            if not state:
                state["step"] = torch.tensor(0.0)
                state |= {name: torch.zeros_like(weight) for name in MOMENTS}
            lists = ([weight], [parameter.grad.float()], *([state[name]] for name in MOMENTS))
            beta1, beta2 = group["betas"]
            adamw(
                *lists, [], [state["step"]], foreach=False, amsgrad=False, beta1=beta1,
                beta2=beta2, lr=group["lr"], weight_decay=group["weight_decay"],
                eps=group["eps"], maximize=False,
            )  # fmt: skip
            parameter.copy_(weight)

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            super().load_state_dict(state_dict)
            # torch casts a state to its parameter's type, which would round the moments.
            stored = [number for group in state_dict["param_groups"] for number in group["params"]]
            own = [parameter for group in self.param_groups for parameter in group["params"]]
            for number, parameter in zip(stored, own, strict=True):
                for name in MOMENTS if number in state_dict["state"] else ():
                    moment = state_dict["state"][number][name]
                    self.state[parameter][name] = moment.to(parameter.device, torch.float32)

    return Float32AdamW
