"""A schema registry that answers what the captured one answered.

A request that the capture holds gets the capture's answers to it, in their order and the last one again and
again; so refusals come where they came, and ids are the captured ones. Any other schema is accepted under an
id made of its text, so that what differs is seen in the comparison and not here. Every exchange is kept.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

MARK = "oracle_mark"


class ReplayRegistry:
    """`log` holds the exchanges as the captures have them, with whole texts; `url` is its address."""

    def __init__(self, capture):
        self._answers = defaultdict(list)
        self.log = []
        for e in capture["registry"]["http"]:
            self._answers[e["method"], e["path"], whole(capture, e.get("body"))].append(
                (e["status"], whole(capture, json.dumps(e["response"], ensure_ascii=False)))
            )
        self._latest = {}
        registry = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode() if length else None
                status, answer = registry.answer(self.command, self.path, body, dict(self.headers.items()))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer.encode())))
                self.end_headers()
                self.wfile.write(answer.encode())

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def answer(self, method, path, body, headers):
        answers = self._answers.get((method, path, body))
        if answers:
            status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        elif method == "GET" and self.log and self.log[-1]["status"] == 409:
            # what explains a refusal: asked for by pycdc alone (docs/differences.md), so it is no part of the comparison
            return 404, json.dumps({"error_code": 40408, "message": "not captured"})
        else:
            status, answer = 200, json.dumps(self._accepted(path, body))
        self.log.append({"method": method, "path": path, "headers": headers, "body": body, "status": status, "response": answer})
        return status, answer

    def _accepted(self, path, body):
        subject = unquote(path.split("?")[0].split("/")[2])
        text = json.loads(body)["schema"] if body else self._latest[subject]
        self._latest[subject] = text
        return {"id": 900_000 + zlib.crc32(text.encode()) % 90_000, "subject": subject, "version": 1, "schema": text}

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def whole(capture, text):
    """A captured body with the schemas it names written out."""
    if text is None:
        return None
    for name, schema in sorted(capture["schemas"].items(), reverse=True):
        text = text.replace(f"\u00a7{name}\u00a7", json.dumps(schema["text"], ensure_ascii=False)[1:-1])
    return text
