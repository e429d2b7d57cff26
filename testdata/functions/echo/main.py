import asyncio
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect


async def ws(socket: WebSocket):
    """Sends back each message, text or binary."""
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        pass


async def events(request: Request):
    """Server-sent events, `count` of them, one every `interval` seconds."""
    count, interval = int(request.query_params.get("count", 3)), float(request.query_params.get("interval", 0.1))

    async def stream():
        for i in range(count):
            yield f"data: {i}\n\n"
            await asyncio.sleep(interval)

    return StreamingResponse(stream(), media_type="text/event-stream")


class Echo:
    """Sends the body of a request back while it arrives."""

    # Plain ASGI: Starlette's StreamingResponse waits for the client to disconnect by reading from it,
    # and so takes parts of the body away from whoever reads that.
    async def __call__(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


async def headers(request: Request):
    """The headers and the client address as the app sees them."""
    client = request.client.host if request.client else None
    return JSONResponse({"headers": dict(request.headers), "client": client, "scheme": request.url.scheme})


async def sleep(request: Request):
    """Answers after some `seconds`, without computing."""
    seconds = float(request.query_params.get("seconds", 1))
    await asyncio.sleep(seconds)
    return JSONResponse({"slept": seconds})


def env(request: Request):
    """The environment of the app."""
    return JSONResponse(dict(os.environ))


def write(request: Request):
    """Writes `text` to a `file`; names in the path like $JCLOUD_WORKSPACE are expanded."""
    with open(os.path.expandvars(request.query_params["file"]), "w") as f:
        f.write(request.query_params["text"])
    return Response()


def read(request: Request):
    """Reads a `file`."""
    with open(os.path.expandvars(request.query_params["file"])) as f:
        return PlainTextResponse(f.read())


# Starlette alone, which starts in half the time of FastAPI; ping, load and workers are written with that.
app = Starlette(
    routes=[
        WebSocketRoute("/ws", ws),
        Route("/events", events),
        Route("/echo", Echo(), methods=["POST"]),
        Route("/headers", headers),
        Route("/sleep", sleep),
        Route("/env", env),
        Route("/write", write),
        Route("/read", read),
    ]
)
