"""dataselect: choose the instruction rows that teach a language model your task."""

import os

__version__ = "0.1.0"

# OpenMP's threads sleep while they wait for each other, and do not spin: spinning takes the cores
# from whatever else runs. OpenMP reads this once, when torch is loaded; so it stands here, before
# anything of ours, in every stage and every worker.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
