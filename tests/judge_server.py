"""A server that judges in OpenAI's form by a rule of its own, for tests of `mllm.eval.judge`.

In: the rule, a function of the last message. Out: its address, and all that was asked of it.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator

Rule = Callable[[str], str]
"""The last message to the text of the verdict; "" makes the server fail."""


class JudgeServer:
    """Answers every chat by a rule."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[str] = []
        self._lock = threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][-1]["content"]
                with server._lock:
                    server.asked.append(text)
                said = server.rule(text)
                choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
                content = json.dumps({"choices": [choice]}).encode() if said else b"no"
                with contextlib.suppress(ConnectionError):
                    self.send_response(200 if said else 400)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named so by the base class
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


@contextlib.contextmanager
def serving(rule: Rule) -> Iterator[JudgeServer]:
    """The server, while it runs."""
    judge = JudgeServer(rule)
    thread = threading.Thread(target=judge.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield judge
    finally:
        judge.server.shutdown()
        judge.server.server_close()
        thread.join()


def part(text: str, name: str) -> str:
    """What stands between the marks of a name."""
    found = re.search(rf"\[{name}\]\n(.*?)\n\[/{name}\]", text, re.DOTALL)
    return found[1] if found is not None else ""
