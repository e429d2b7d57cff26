import asyncio
import os
import signal

# All instances write to one file; a short line is written whole.
ledger = os.open(os.environ["JCLOUD_WORKSPACE"] + "/ledger", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


async def app(scope, receive, send):
    """Writes the query of each POST down, and answers a moment later. Plain ASGI, because that starts soonest."""
    assert scope["type"] == "http"
    # Told to end it drops what it works on: who tells it had better know that there is nothing.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while (await receive()).get("more_body"):
        pass
    if scope["method"] == "POST":
        os.write(ledger, scope["query_string"] + b"\n")
    await asyncio.sleep(1 if scope["query_string"].endswith(b"slow") else 0.02)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})
