"""Answers with what it was asked, and remembers each request that it has read to the end. /seen lists and forgets them."""
seen = []


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    size = await read(receive)
    if size is None:
        return
    target = scope["raw_path"].decode("latin-1")
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode("latin-1")
    if target == "/seen":
        answer = "\n".join(seen)
        seen.clear()
    else:
        answer = f"{scope['method']} {target} {size}"
        seen.append(answer)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(answer)).encode())]})
    await send({"type": "http.response.body", "body": answer.encode("latin-1")})


async def read(receive):
    """Returns the size of the body, or None if the client went away before its end."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return size
