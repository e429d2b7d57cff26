import asyncio
import os

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.websockets import WebSocketDisconnect

app = FastAPI()


@app.websocket("/ws")
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


@app.get("/events")
async def events(count: int = 3, interval: float = 0.1):
    """Server-sent events, one every interval seconds."""

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


app.router.routes.append(Route("/echo", Echo(), methods=["POST"]))


@app.get("/headers")
async def headers(request: Request):
    """The headers and the client address as the app sees them."""
    client = request.client.host if request.client else None
    return {"headers": dict(request.headers), "client": client, "scheme": request.url.scheme}


@app.get("/sleep")
async def sleep(seconds: float = 1):
    """Answers after some seconds, without computing."""
    await asyncio.sleep(seconds)
    return {"slept": seconds}


@app.get("/env")
def env():
    """The environment of the app."""
    return dict(os.environ)


@app.get("/write")
def write(file: str, text: str):
    """Writes a file; names in the path like $JCLOUD_WORKSPACE are expanded."""
    with open(os.path.expandvars(file), "w") as f:
        f.write(text)


@app.get("/read", response_class=PlainTextResponse)
def read(file: str):
    """Reads a file."""
    with open(os.path.expandvars(file)) as f:
        return f.read()
