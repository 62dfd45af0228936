"""What is measured of every row: one file a kind of feature.

A feature is a function of its settings that loads what it needs and returns a `Compute`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

#: (conversations: lists of role and content; "pool" or "queries"; a function to be told of every
#: few rows done) → arrays by name, each with one entry a row. No row's values may depend on the
#: other rows.
Compute = Callable[[list[list[dict[str, str]]], str, Callable[[int], None]], dict[str, np.ndarray]]
