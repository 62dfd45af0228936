"""A copy of the project in which a sweep runs one run after the other.

DVC's own temporary experiments change the user's folder while they start: killed then, they leave
it without its changes. Here a kill at any moment leaves a copy to throw away; an experiment
appears in the user's repository at the end of its run, in one step of git's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from dataselect.compare.find_runs import cache_folder
from dataselect.data import locks
from dataselect.errors import InputError
from dataselect.plan.params import read_yaml
from dataselect.sweep.log import was_stopped, why_failed
from dataselect.sweep.order import Planned
from dataselect.sweep.repository import HOME, Repository, dvc_environment, git
from dataselect.sweep.settings import put


class RunFailed(RuntimeError):
    """A run ended with an error; its first line."""


class Workspace:
    """A clone of the repository at one commit, with the user's DVC cache.

    Args:
        number: of the copy, for its folder.
        repository: the user's.
        lock: a descriptor that DVC inherits, so that it is not let go before DVC has ended.
        shared: whether other copies work beside this one.
    """

    def __init__(self, number: int, repository: Repository, lock: int, *, shared: bool) -> None:
        self.repository = repository
        self.folder = (HOME / f"copy-{number}").resolve()
        self.project = self.folder / repository.below
        self._lock = lock
        self._dvc = [sys.executable, "-m", "dvc"]
        if shared:
            cache_lock = str((HOME / "cache.lock").resolve())
            self._dvc = [sys.executable, "-m", "dataselect.sweep.locked_dvc", cache_lock]
        self.process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._starts = threading.Lock()  # `stop` comes from another thread than `run`

    def make(self, log: Path) -> None:
        """Clones the repository; its folder must not be there.

        Args:
            log: what DVC prints.

        Raises:
            InputError: DVC cannot be set up there.
        """
        root, _, head = self.repository
        git(root, "clone", "--quiet", "--shared", "--no-checkout", str(root), str(self.folder))
        for name in ("user.name", "user.email"):
            given = subprocess.run(
                ["git", "config", name], cwd=root, capture_output=True, check=False, text=True
            ).stdout.strip()
            git(self.folder, "config", name, given or "dataselect")
        git(self.folder, "checkout", "--quiet", "--detach", head)
        local = Path(".dvc/config.local")  # remotes and what logs in there
        if local.exists():
            shutil.copy(local, self.project / local)
        cache = str(cache_folder().parents[1].resolve())
        try:
            self._call(log, "config", "--local", "cache.dir", cache)
            self._call(log, "checkout", "--force", "--allow-missing")
        except RunFailed as error:
            raise InputError(
                f"DVC does not work in a copy of the last commit: {error}. Fix that; {log} has all "
                "that it printed."
            ) from None

    def run(self, planned: Planned, log: Path) -> None:
        """Runs the pipeline and brings the experiment into the user's repository.

        Args:
            log: what DVC and the stages print.

        Raises:
            RunFailed: the pipeline ended with an error.
            KeyboardInterrupt: the user stopped it.
        """
        head = self.repository.head
        git(self.folder, "checkout", "--quiet", "--force", "--detach", head)
        git(self.folder, "clean", "--quiet", "--force", "-d")
        write_params(self.project / "params.yaml", planned.member.changes)
        self._call(log, "repro")
        self._save(planned.name)

    def _save(self, name: str) -> None:
        """Commits what git holds of the run, and brings the commit over as an experiment.

        It is what `dvc exp save` does, which would save the unfinished pipelines of other folders
        too.
        """
        root, _, head = self.repository
        kept = [path for path in recorded_files(self.project) if (self.project / path).is_file()]
        # DVC writes git's index as if no file had changed that has its old size, and was written in
        # the second of the checkout, as params.yaml is: so git must compare what files hold.
        git(self.folder, "read-tree", head)
        git(self.project, "add", "--update")
        git(self.project, "add", "--force", "--", *kept)
        own = ["-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "--allow-empty"]
        git(self.project, *own, "--message", f"dataselect sweep: {name}")
        reference = f"refs/exps/{head[:2]}/{head[2:]}/{name}"
        # Of a git that was killed here; only one sweep at a time writes references of this name.
        Path(root, git(root, "rev-parse", "--git-path", f"{reference}.lock").strip()).unlink(
            missing_ok=True
        )
        git(root, "fetch", "--quiet", "--no-tags", "--no-auto-gc", "--no-write-fetch-head",
            str(self.folder), f"+HEAD:{reference}")  # fmt: skip

    def _call(self, log: Path, *arguments: str) -> None:
        """Runs DVC in the copy; what it prints is added to the log."""
        with log.open("ab") as printed, self._starts:
            if self._stopped:
                raise KeyboardInterrupt
            self.process = subprocess.Popen(
                [*self._dvc, *arguments], cwd=self.project, env=dvc_environment(),
                stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
                pass_fds=[self._lock],
            )  # fmt: skip
        status = self.process.wait()
        if status:
            text = log.read_text(errors="replace")
            if self._stopped or was_stopped(text):
                raise KeyboardInterrupt
            raise RunFailed(why_failed(text, status))

    def stop(self) -> None:
        """Ends the DVC that works in the copy, and its stage; no other starts there."""
        import psutil

        with self._starts:
            self._stopped = True
        if self.process is None or self.process.poll() is not None:
            return
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.process.pid)
            for process in [*found.children(recursive=True), found]:
                with suppress(psutil.NoSuchProcess):  # the same Ctrl-C has ended it
                    process.terminate()


def recorded_files(project: Path) -> list[str]:
    """The files that the pipeline writes and that are in git: DVC does not keep them."""
    found = ["dvc.lock"]
    for stage in read_yaml(project / "dvc.yaml")["stages"].values():
        for kind in ("outs", "metrics", "plots"):
            for out in stage.get(kind, []):
                if isinstance(out, dict):
                    found += [path for path, rules in out.items() if rules.get("cache") is False]
    return found


def write_params(path: Path, changes: dict[str, Any]) -> None:
    """Changes settings in a params.yaml; its comments stay.

    Raises:
        InputError: a block is a plain value there.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    content = yaml.load(path.read_text(encoding="utf-8-sig"))
    put(content, changes)
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def remove_workspaces(below: str) -> None:
    """Removes the workspaces of a sweep that has ended; waits for a stage that still runs in one.

    Args:
        below: the project's folder in the repository.
    """
    for folder in HOME.glob("copy-*"):
        _wait_for_stage(folder / below / ".dvc/tmp")
        shutil.rmtree(folder)


def _wait_for_stage(home: Path) -> None:
    """Waits until the stage's lock in a `.dvc/tmp` is free: only its sweep may have been killed."""
    if not home.is_dir():
        return
    note = home / "stage.json"

    def message(_: locks.Holder | None) -> str:
        process = json.loads(note.read_text())["process"] if note.exists() else "unknown"
        return (
            f"a stage of a sweep that was killed still runs, as process {process}; waiting for "
            f"it. To stop it instead: kill {process}"
        )

    with locks.exclusive(home / "stage.lock", message, patience=0):
        pass
