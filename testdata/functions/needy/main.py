"""Does what a strict sandbox takes from it, and says what came of each."""

import errno
import json
import mmap
import os
import socket


def network():
    socket.create_connection(("127.0.0.1", 8080)).close()


def memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def devices():
    os.close(os.open("/dev/loop-control", os.O_RDWR))


def came_of(need):
    try:
        need()
        return "done"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = json.dumps({need.__name__: came_of(need) for need in (network, memory, devices)}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
