import itertools, json, os

counts = itertools.count(1)


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), "count": next(counts)}).encode()]
