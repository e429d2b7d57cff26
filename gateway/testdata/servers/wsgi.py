"""Answers with the number of requests that it has seen."""
seen = 0


def app(environ, start_response):
    global seen
    seen += 1
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(str(seen))))])
    return [str(seen).encode()]
