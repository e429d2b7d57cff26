"""What hypercorn runs for fnctl: the app that FNCTL_APP names, with the address and the scheme of the client, which no connection over a
unix socket has."""

import importlib
import inspect
import os
import sys


def load(name):
    module, _, attribute = name.partition(":")
    attribute, factory = attribute.removesuffix("()"), attribute.endswith("()")
    # The directory of this file comes first in sys.path, and the app's own modules before that.
    sys.path.insert(0, os.getcwd())
    found = importlib.import_module(module)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise SystemExit(f'Attribute "{attribute}" not found in module "{module}".')
        found = getattr(found, part)
    return found() if factory else found


def takes_asgi(app):
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))


inner = load(os.environ["FNCTL_APP"])


async def with_client(scope, receive, send):
    if scope["type"] in ("http", "websocket"):
        fields = dict(scope["headers"])
        # The gateway sets both, and nobody else can.
        client, scheme = fields.get(b"x-real-ip"), fields.get(b"x-forwarded-proto")
        if client:
            scope = {**scope, "client": (client.decode("latin-1"), 0)}
        if scheme == b"https":
            scope = {**scope, "scheme": "wss" if scope["type"] == "websocket" else "https"}
    await inner(scope, receive, send)


# hypercorn makes one of ASGI of an application of WSGI by itself.
app = with_client if takes_asgi(inner) else inner
