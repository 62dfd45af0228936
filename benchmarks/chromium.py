"""Chromium without a window or a network, driven over a pipe by its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND"
#: Keys that are pressed in tests, with the codes that Chromium wants.
KEYS = {"ArrowDown": 40, "ArrowUp": 38, "End": 35, "Home": 36, "Enter": 13, "Escape": 27, "Tab": 9}


class Chromium:
    """A page in a browser of its own; close it in the end.

    Attributes:
        events: what the browser has reported so far.
    """

    def __init__(self, profile: Path, width: int = 1400, height: int = 1000) -> None:
        """Starts it.

        Args:
            profile: an empty folder for it.
            width, height: of the window, in CSS pixels.
        """
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        # The protocol's pipes are the file descriptors 3 and 4.
        line = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
        size = f"--window-size={width},{height}"
        options = (*OPTIONS, NO_NETWORK, size, f"--user-data-dir={profile}")
        self._process = subprocess.Popen(
            ["bash", "-c", line, "bash", str(PROGRAM), *options, "about:blank"],
            pass_fds=(read_commands, write_answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        self.events: list[dict[str, Any]] = []
        self._number, self._unread, self._session = 0, b"", None
        pages = self.call("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **screen)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method of the protocol, and waits for its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answered := self._read()).get("id") != self._number:
            self.events.append(answered)
        if "error" in answered:
            raise RuntimeError(f"{method}: {answered['error']}")
        return answered["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path) -> None:
        """Opens a file."""
        self.call("Page.navigate", url=page.resolve().as_uri())

    def js(self, expression: str) -> Any:
        """The value of an expression in the page; awaited, if it is a promise."""
        options = {"awaitPromise": True, "returnByValue": True, "userGesture": True}
        done = self.call("Runtime.evaluate", expression=expression, **options)
        if "exceptionDetails" in done:
            raise RuntimeError(f"{expression}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def until(self, expression: str, seconds: float = 60) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while not self.js(expression):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            time.sleep(0.02)

    def press(self, key: str, times: int = 1) -> None:
        """Presses a key of `KEYS`."""
        for _ in range(times):
            for kind in ("rawKeyDown", "keyUp"):
                code = KEYS[key]
                self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def write(self, text: str) -> None:
        """Types a text where the focus is."""
        self.call("Input.insertText", text=text)

    def click(self, x: float, y: float) -> None:
        """Clicks at a place of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {"button": "none"} if kind == "mouseMoved" else {"button": "left"}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1, **button)

    def screenshot(self, path: Path) -> None:
        """Writes what is in the window as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def requests(self) -> list[str]:
        """The addresses that the page has asked for, other than its own file and inline data."""
        self.js("1")  # what was reported before is read
        sent = [e["params"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        urls = [event["request"]["url"] for event in sent]
        return [url for url in urls if not url.startswith(("file:", "data:", "blob:"))]

    def errors(self) -> list[str]:
        """What went wrong in the page: exceptions, and what its policy refused."""
        self.js("1")
        found = [e for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        logged = [e for e in self.events if e["method"] == "Log.entryAdded"]
        found += [e for e in logged if e["params"]["entry"]["level"] == "error"]
        return [json.dumps(event["params"])[:400] for event in found]

    def close(self) -> None:
        """Ends the browser."""
        try:
            self._session = None
            self.call("Browser.close")
        except RuntimeError:
            pass
        finally:
            self._process.wait(30)
            os.close(self._commands)
            os.close(self._answers)
