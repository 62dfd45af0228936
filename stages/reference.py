"""Fits the model that looks at the data, where a method needs one; else writes only a note."""

from pathlib import Path

from dataselect import scratch
from dataselect.stage import stage

with stage("reference") as section:
    scratch.write_json(Path("out/reference/reference.json"), section)
