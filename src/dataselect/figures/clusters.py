"""S2L's clusters of a run: the trajectories of its rows, and which cluster each is in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from dataselect.compare.outputs import find_output, find_outputs
from dataselect.compare.recorded import Run
from dataselect.compare.scores import condition_name
from dataselect.data import shards
from dataselect.figures.figure import MissingData
from dataselect.figures.material import Material, output


@dataclass(frozen=True)
class Clusters:
    """The clusters of a run.

    Attributes:
        run: the run.
        trajectories: the rows' losses at each checkpoint, in nats per token (float32, n × c).
        cluster: the number of each row's cluster (int64, n); −1 where its losses are not finite.
        name, parent: of each cluster: its name, and its source.
    """

    run: Run
    trajectories: np.ndarray
    cluster: np.ndarray
    name: list[str]
    parent: list[str]

    @property
    def of_run(self) -> str:
        """What captions call the run."""
        seed = "" if self.run.seed is None else f", seed {self.run.seed}"
        return f"{condition_name((self.run.method or self.run.name, self.run.budget))}{seed}"

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """The number of rows of each cluster (k), and their mean trajectory (float64, k × c)."""
        known = self.cluster >= 0
        count = len(self.name)
        sizes = np.bincount(self.cluster[known], minlength=count)
        sums = [
            np.bincount(self.cluster[known], weights=column[known], minlength=count)
            for column in self.trajectories.T
        ]
        return sizes, np.stack(sums, axis=1) / np.maximum(sizes, 1)[:, None]


def clusters(material: Material) -> Clusters:
    """The clusters of the first run that has any.

    Raises:
        MissingData: no run has clusters of trajectories, or their files are gone.
    """
    run = next((run for run in material.runs if _has_clusters(run)), None)
    if run is None:
        raise MissingData("no run has clusters of trajectories, as those of the method s2l")
    groups = pl.read_parquet(output(run, "groups.parquet"), glob=False)
    paths = find_outputs(run, "features", "pool")
    if not paths:
        raise MissingData(f"out/features of {run.name} is gone from DVC's cache")
    parts = [shards.read_arrays(path, ["nll"])["nll"] for path in paths]
    trajectories = np.concatenate(parts)
    numbers = pl.read_parquet(output(run, "scores.parquet"), columns=["group"], glob=False)["group"]
    cluster = np.where(np.isfinite(trajectories).all(axis=1), numbers.to_numpy(), -1)
    return Clusters(
        run, trajectories, cluster, groups["name"].to_list(), groups["parent"].to_list()
    )


def _has_clusters(run: Run) -> bool:
    path = find_output(run, "groups.parquet")
    return (
        path is not None
        and not pl.read_parquet(path, columns=["parent"], glob=False)["parent"].has_nulls()
    )
