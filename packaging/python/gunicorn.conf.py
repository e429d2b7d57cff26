"""What gunicorn is given by fnctl: the address of the client as REMOTE_ADDR, which no connection over a unix socket has.

A gunicorn.conf.py of the app is read first, as gunicorn would by itself.
"""

import os
import shlex

_own = os.path.abspath("gunicorn.conf.py")
# gunicorn itself looks there only if its command line names no configuration, and this one is named there.
_arguments = shlex.split(os.environ.get("GUNICORN_CMD_ARGS", ""))
for _i, _argument in enumerate(_arguments):
    if _argument in ("-c", "--config") and _i + 1 < len(_arguments):
        _own = os.path.abspath(_arguments[_i + 1])
    elif _argument.startswith("--config="):
        _own = os.path.abspath(_argument.removeprefix("--config="))
if os.path.exists(_own):
    __file__ = _own
    with open(_own, "rb") as _text:
        exec(compile(_text.read(), _own, "exec"))
_own_hook = globals().get("post_worker_init")


def post_worker_init(worker):
    if _own_hook:
        _own_hook(worker)
    app = worker.wsgi

    def with_client(environ, start_response):
        # The gateway sets it, and nobody else can.
        client = environ.get("HTTP_X_REAL_IP")
        if client:
            environ["REMOTE_ADDR"] = client
        return app(environ, start_response)

    worker.wsgi = with_client
