"""Answers with the number of requests that it has seen."""
seen = 0


async def app(scope, receive, send):
    global seen
    if scope["type"] != "http":
        return
    seen += 1
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(seen).encode()})
