"""An app that holds what only one process can: a port of the machine. With BROKEN in its environment it does not start."""

import http.server
import os
import threading

if os.environ.get("BROKEN"):
    raise SystemExit("broken on purpose")

metrics = http.server.ThreadingHTTPServer(("127.0.0.1", 9100), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=metrics.serve_forever, daemon=True).start()


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b"alone\n"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
