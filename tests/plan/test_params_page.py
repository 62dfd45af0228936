"""docs/params.md lists every setting, and is what the schemas say today."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Lt

from dataselect.models.settings import ModelSettings
from dataselect.plan import params_page
from dataselect.plan.method import PARTS
from dataselect.plan.params import TOP_LEVEL_KEYS
from dataselect.settings import part_function, part_names, settings_of
from dataselect.train.fit import Recipe
from tests.helpers import ROOT


def test_the_committed_page_is_current():
    printed = subprocess.run(
        [sys.executable, "-m", "dataselect.cli", "params"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    committed = (ROOT / "docs/params.md").read_text()
    assert printed == committed, "dataselect params > docs/params.md"


def test_every_setting_has_a_line_with_a_meaning():
    cells = [line.strip("| \n").split(" | ") for line in params_page.page().splitlines()
             if line.startswith("| `")]  # fmt: skip
    assert all(len(line) == 4 and all(line) for line in cells)
    names = [line[0].strip("`") for line in cells]
    assert len(names) == len(set(names))
    assert {name.split(".")[0] for name in names} >= set(TOP_LEVEL_KEYS)
    assert {f"train.{name}" for name in settings_of(Recipe)} <= set(names)
    assert {f"model.{name}" for name in settings_of(ModelSettings)} <= set(names)
    for folder in (*PARTS.values(), "compute"):
        for part in part_names(folder):
            settings = settings_of(part_function(folder, part, "test"))
            assert {f"{part}.{name}" for name in settings} <= set(names)


@dataclass(frozen=True, kw_only=True)
class Example:
    """A block.

    Attributes:
        size: how many; `large` is
            many.
        first, second: shares. None: no share.
    """

    size: Annotated[int, Ge(1), Lt(5_000)] | Literal["large"] = "large"
    first: float
    second: list[str] | None = None


def test_a_line_by_hand():
    assert list(params_page._lines(Example, "block")) == [
        "| `block.size` | whole number, at least 1 and below 5,000; `large` | `large` | "
        "how many; `large` is many |\n",
        "| `block.first` | number | – | shares. `null`: no share |\n",
        "| `block.second` | list of texts; `null` | `null` | shares. `null`: no share |\n",
    ]


def test_a_setting_without_a_meaning_is_an_error():
    def part(*, undescribed: int = 1) -> None:
        """A part."""

    with pytest.raises(KeyError, match="undescribed"):
        list(params_page._lines(part, "part"))
