"""`dvc` that holds a lock while it works itself: `python -m dataselect.sweep.locked_dvc LOCK …`.

Two processes of DVC may add the same file to one cache at a time; one of them then finds it half
written, and hands a stage an empty file. The lock is released only while a stage's command runs.
"""

from __future__ import annotations

import sys
from typing import Any

from filelock import FileLock


def main(lock_file: str, arguments: list[str]) -> int:
    """Runs DVC's command line.

    Args:
        lock_file: held while DVC reads or writes its cache.
        arguments: of `dvc`.

    Returns:
        DVC's exit status.
    """
    import dvc.stage.run as stage_run
    from dvc.cli import main as run_dvc

    lock = FileLock(lock_file)
    run_command = stage_run.cmd_run

    def unlocked(*args: Any, **kwargs: Any) -> Any:
        lock.release()
        try:
            return run_command(*args, **kwargs)
        finally:
            lock.acquire()

    vars(stage_run)["cmd_run"] = unlocked  # DVC looks it up there for each stage
    with lock:
        return run_dvc(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
