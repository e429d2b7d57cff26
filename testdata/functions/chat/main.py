"""Sends back each message, until one says "close CODE". /closed tells the codes that clients have closed with."""
closed = []


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await chat(receive, send)
    elif scope["type"] == "http":
        body = " ".join(map(str, closed)).encode()
        closed.clear()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def chat(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            closed.append(message["code"])
            return
        text = message.get("text")
        if text and text.startswith("close "):
            await send({"type": "websocket.close", "code": int(text.split()[1]), "reason": "as told"})
            return
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
