"""Answers with what it was asked, and remembers each request that it has read to the end. /seen lists and forgets them."""
seen = []


def app(environ, start_response):
    size = len(environ["wsgi.input"].read())
    if size != int(environ.get("CONTENT_LENGTH") or size):
        raise EOFError("the client went away before the end")
    target = environ["RAW_URI"]
    if target == "/seen":
        answer = "\n".join(seen)
        seen.clear()
    else:
        answer = f"{environ['REQUEST_METHOD']} {target} {size}"
        seen.append(answer)
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer.encode("latin-1")]
