"""A real Chromium without a window, driven over its debugging pipe: real clicks and keys, nothing but the standard
library."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_KEYS = {
    "ArrowRight": 39,
    "ArrowLeft": 37,
    "ArrowDown": 40,
    "ArrowUp": 38,
    "Home": 36,
    "End": 35,
    "Enter": 13,
}


class Page:
    def __init__(self, commands: int, replies: int) -> None:
        self._commands = commands
        self._replies = os.fdopen(replies, "rb", buffering=0)
        self._left = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def open(self, address: str) -> None:
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._keep(self._read())

    def send(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (reply := self._read()).get("id") != self._number:
            self._keep(reply)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        return reply["result"]

    def value(self, expression: str) -> Any:
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def click(self, selector: str) -> None:
        place = self.value(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView();"
            "const r = e.getBoundingClientRect(); return [r.left + 5, r.top + 5]})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.send(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    def press(self, key: str) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=_KEYS[key]
            )

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def _keep(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self.events.append(message)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            block = self._replies.read(2**16)
            if not block:
                raise RuntimeError("Chromium has ended")
            self._left += block
        message, self._left = self._left.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def close(self) -> None:
        os.close(self._commands)
        self._replies.close()


@contextmanager
def chromium_page(file: Path, profile: Path) -> Iterator[Page]:
    """The file opened in a Chromium that ends with the block."""
    assert CHROMIUM is not None
    commands_out, commands_in = os.pipe()
    replies_out, replies_in = os.pipe()
    program = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
    program += [f"--user-data-dir={profile}", "--window-size=1400,900", "--disable-background-networking"]
    # Chromium reads commands from descriptor 3 and writes replies to 4.
    shell = f'exec "$@" 3<&{commands_out} 4>&{replies_in}'
    browser = subprocess.Popen(
        ["bash", "-c", shell, "bash", *program],
        pass_fds=(commands_out, replies_in),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands_out)
    os.close(replies_in)
    page = Page(commands_in, replies_out)
    try:
        page.open(file.as_uri())
        yield page
    finally:
        page.close()
        browser.terminate()
        browser.wait(timeout=30)
