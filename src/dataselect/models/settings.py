"""Which model, and how its text is encoded: the block `model` of params.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings:
    """A tokenizer and how conversations become tokens.

    Attributes:
        name: a local folder, or a model's name on the hub.
        revision: a branch, tag or commit on the hub; None for a folder, or the newest.
        chat: `tulu` (the papers' format), `alpaca` (S2L's), or `model` (the tokenizer's own
            template).
        max_tokens: a conversation longer than this loses its end.
        trust_remote_code: whether Python code that comes with the model may run.
        md5: hash of a local folder's content, which plan fills in; None for a hub's model.
    """

    name: str
    revision: str | None = None
    chat: Literal["tulu", "alpaca", "model"] = "tulu"
    max_tokens: Annotated[int, Ge(2)] = 2048
    trust_remote_code: bool = False
    # Not keyword-only, and so not a setting that people may write.
    md5: str | None = field(default=None, kw_only=False)


@dataclass(frozen=True, kw_only=True)
class ModelSettings(TokenizerSettings):
    """A model: its tokenizer's settings, and the type of its weights when it only reads.

    Attributes:
        dtype: `auto` is bfloat16 on a GPU or processor that multiplies in it, else float32.
    """

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    def tokenizer(self) -> TokenizerSettings:
        """The part of the settings that decides tokens."""
        names = TokenizerSettings.__dataclass_fields__
        return TokenizerSettings(**{name: getattr(self, name) for name in names})
