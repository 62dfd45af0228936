"""Runs a stage that fails at every point where it changes files, and goes on after each.

    python tests/crash_points.py STAGE EVERY    in a project's folder, with all that the stage reads

A run is a fork of this process, which has imported what the stage imports and run nothing. At every
point the process ends, and at each EVERY-th the call fails too: as on a full disk, and as on one
that fails. Once signals come all the time. Prints a line of JSON: `points`, `runs`, and `failures`,
each a sentence.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import shutil
import sys
import tempfile
import traceback
from functools import partial
from pathlib import Path

#: What a run leaves, and what decides how it goes on.
FOLDERS = ("out", "metrics", ".dvc/tmp/scratch")

#: What must be equal whatever happened: the rest of `metrics` tells of seconds.
COMPARED = ("out/", "metrics/plots/", "metrics/live/plots/")

#: What is written line by line in training: a run that fails leaves it as far as it got.
GROWING = "metrics/live/"

#: What a message says of each failure.
MESSAGES = {"ENOSPC": "the disk is full", "EIO": "the disk fails"}

#: More points than any stage of a small run has.
MOST_POINTS = 3_000


def load_stage(name):
    """What runs a stage's script, as the command line does."""
    return partial(runpy.run_path, f"stages/{name}.py", run_name="__main__")


def attempt(main, setting="", note_modules=None):
    """Runs the stage in a fork; its exit status and what it printed on both streams.

    Args:
        note_modules: a file for the names of the modules that are imported at its end.
    """
    with tempfile.TemporaryFile() as printed:
        pid = os.fork()
        if pid == 0:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            os.environ["DATASELECT_FAIL_AT"] = setting
            status = run(main)
            if note_modules:
                Path(note_modules).write_text("\n".join(sys.modules))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        printed.seek(0)
        return status, printed.read().decode()


def run(main):
    """Runs the stage; its exit status."""
    try:
        main()
    except SystemExit as end:
        return end.code
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def import_what_it_imports(main):
    """Imports what a run of the stage imports, which takes most of its time."""
    with tempfile.NamedTemporaryFile() as names:
        status, printed = attempt(main, note_modules=names.name)
        assert status == 0, printed
        for name in Path(names.name).read_text().splitlines():
            with contextlib.suppress(Exception):  # what only its own package can import
                importlib.import_module(name)


def contents():
    """Every file of the folders, and its bytes."""
    paths = (path for folder in FOLDERS for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in paths}


def restore(files):
    """Makes the folders what they were."""
    for folder in FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)


def compared(files):
    return {name: content for name, content in files.items() if name.startswith(COMPARED)}


def differing(files, expected):
    """The names of files that are missing, too many, or of other bytes."""
    return sorted(name for name in files.keys() | expected.keys()
                  if files.get(name) != expected.get(name))  # fmt: skip


def after_failure(kind, status, printed, before, expected):
    """What is wrong with a run whose call failed; None where nothing is."""
    found = compared(contents())
    if status == 0:  # it did without, or had no need
        return None
    if "Traceback" in printed or MESSAGES[kind] not in printed or status != 1:
        return f"status {status}: {printed[-2000:]}"
    if ": os.remove " in printed or ": os.rmdir " in printed:  # the next run does it
        found = {name: content for name, content in found.items() if "/." not in name}
    found = {name: content for name, content in found.items() if not name.startswith(GROWING)}
    allowed = [name for name in found if found[name] in (expected.get(name), before.get(name))]
    if half := sorted(found.keys() - allowed):
        return f"half-written: {half}"
    return None


def try_point(main, number, kind, before, expected):
    """Lets one run fail at a point and another go on: whether it failed, and what is wrong."""
    restore(before)
    status, printed = attempt(main, f"{number}:{kind}" if kind else str(number))
    if "crash point" not in printed:
        return False, f"point {number} {kind}: not reached, status {status}" if status else None
    where = next(line for line in printed.splitlines() if line.startswith("crash point"))
    wrong = None
    if kind:
        wrong = after_failure(kind, status, printed, before, expected)
    elif status != 137:
        wrong = f"status {status}"
    if wrong is None:
        status, printed = attempt(main)
        different = differing(compared(contents()), expected)
        if status:
            wrong = f"went on with status {status}: {printed[-2000:]}"
        elif different:
            wrong = f"went on, and wrote other bytes: {different}"
    return True, f"{where} {kind or 'KILL'}: {wrong}" if wrong else None


def main():
    """Tries all points of the stage that the command line names."""
    stage, every = load_stage(sys.argv[1]), int(sys.argv[2])
    os.fsync = lambda handle: None  # its place counts, as `dataselect.sync`; no power is cut here
    before = contents()
    import_what_it_imports(stage)
    gc.collect()
    gc.freeze()
    restore(before)
    status, printed = attempt(stage)
    assert status == 0, printed
    expected = compared(contents())
    failures, runs, reached, number = [], 0, True, 0
    while reached and number < MOST_POINTS:
        number += 1
        reached = False
        for kind in ("", *(MESSAGES if number % every == 0 else ())):
            was_reached, wrong = try_point(stage, number, kind, before, expected)
            runs += 1
            reached |= was_reached
            failures += [wrong] if wrong else []
    restore(before)
    status, printed = attempt(stage, "1:EINTR")  # signals from the first point on
    if status or differing(compared(contents()), expected):
        failures.append(f"EINTR: status {status}: {printed[-2000:]}")
    print(json.dumps({"points": number - 1, "runs": runs + 1, "failures": failures}))


if __name__ == "__main__":
    main()
