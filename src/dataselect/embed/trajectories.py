"""A row's losses while a proxy model learns: one number per checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dataselect.compute.memory import free_memory
from dataselect.data.checkpoints import Checkpoint
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.models.batches import Batches
from dataselect.models.chat import load_chat
from dataselect.models.settings import ModelSettings
from dataselect.report import Progress, part_of

#: On a GPU: tokens of a batch.
TOKENS = 8_192


def trajectories() -> Feature:
    """Measures a row's loss before a model is fitted, and at each of c of its checkpoints.

    They are all, or those that the method's word `checkpoints` chooses.

    Gives, float32, NaN where a row has no response token:
    `nll` (b c): mean loss of the response tokens at every checkpoint in training order, nats per
    token.
    `probability` (b c): their mean probability.
    `before_nll`, `before_probability` (b): the same before the first step.

    Source: arXiv 2403.07384; BigML-CS-UCLA/S2L@2bc84dd, where a row without a response is all
    zeros, and may be chosen.
    """
    return Feature(
        load=_load,
        outputs=("nll", "probability", "before_nll", "before_probability"),
        bytes_per_row=lambda hidden_size, checkpoints: 8 * (checkpoints + 1),
        needs_reference="models",
        per_checkpoint=("nll", "probability"),
        other_passes=1,  # of the model before its first step
    )


def _load(model: ModelSettings, checkpoints: list[Checkpoint]) -> Featurizer:
    from dataselect.models.load import device, load_causal
    from dataselect.models.nll import token_losses
    from dataselect.models.packed import packed

    chat = load_chat(model)
    batches = {packs: Batches.on(device(), gpu=TOKENS, packed=packs) for packs in (False, True)}
    own = {"revision": None, "md5": None}
    fitted = [replace(model, name=str(point.folder), **own) for point in checkpoints]
    models = [model, *fitted]

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        encoded = chat.encode(rows)
        nll = np.zeros((len(rows), len(models)), dtype=np.float32)
        probability = np.zeros_like(nll)
        for number, settings in enumerate(models):
            net = load_causal(settings, spread=True)
            packed_net = packed(net)
            measured = token_losses(
                packed_net or net,
                encoded,
                part_of(progress, len(models)),
                batches=batches[packed_net is not None],
            )
            nll[:, number] = measured.response
            probability[:, number] = measured.probability
            del net, packed_net
            free_memory()  # before the next one comes
        return {
            "nll": nll[:, 1:].copy(),
            "probability": probability[:, 1:].copy(),
            "before_nll": nll[:, 0].copy(),
            "before_probability": probability[:, 0].copy(),
        }

    return featurize
