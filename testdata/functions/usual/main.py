"""Does what usual apps do, which no sandbox may take from them, and says what came of each."""

import asyncio
import concurrent.futures
import ctypes
import json
import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import ssl
import struct
import subprocess
import tempfile
import threading


def threads():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(abs, range(-9, 0))) == 45


def processes():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
        # Who forks a server inherits its signal handlers and the socket behind them: a worker that still runs when the pool
        # is terminated would hand its SIGTERM on to the server, which would shut down.
        pool.close()
        pool.join()


def spawned_processes():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(abs, [-1]) == [1]


def shared_memory():
    from multiprocessing import shared_memory as shm

    block = shm.SharedMemory(create=True, size=4096)
    block.close()
    block.unlink()


def programs():
    assert subprocess.run(["sh", "-c", "echo $((1 + 1))"], capture_output=True, check=True).stdout == b"2\n"


def own_programs():
    with open("own", "w") as f:
        f.write("#!/bin/sh\nexit 0\n")
    os.chmod("own", 0o755)
    subprocess.run(["./own"], check=True)


def signals():
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(signal.SIGTERM)
    assert child.wait(5) == -signal.SIGTERM


def callbacks():
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 3)(3, 1, 2)
    ctypes.CDLL(None).qsort(numbers, 3, ctypes.sizeof(ctypes.c_int), compare(lambda a, b: a[0] - b[0]))
    assert list(numbers) == [1, 2, 3]


def temporary_files():
    with tempfile.TemporaryDirectory() as d:
        shutil.copytree(".", d + "/copy")


def own_ownership():
    with open("mine", "w"):
        os.chown("mine", os.getuid(), os.getgid())


def workspace():
    path = os.environ["JCLOUD_WORKSPACE"] + "/db"
    with sqlite3.connect(path) as db:
        db.execute("create table if not exists t (n int)")
    with open(path + ".moved", "w"):
        os.rename(path + ".moved", path + ".there")


def loopback():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def interfaces():
    assert "lo" in [name for _, name in socket.if_nameindex()]
    head = struct.pack("=LHHLLB3x", 20, 18, 0x301, 1, 0, 0)  # RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as s:
        s.send(head)
        assert len(s.recv(65536)) > 100


def many_descriptors():
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(5000)]
    for file in files:
        os.close(file)


def names():
    socket.getaddrinfo("localhost", 80)
    ssl.create_default_context()
    os.path.expanduser("~")


def own_name():
    assert pwd.getpwuid(os.getuid()).pw_name == os.environ["USER"]


def machine():
    assert os.cpu_count() and len(os.sched_getaffinity(0)) > 0
    with open("/proc/self/status") as f:
        f.read()


def came_of(need):
    result = []

    def run():
        try:
            need()
            result.append("done")
        except Exception as e:
            result.append(repr(e))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return result[0] if result else "hangs"


NEEDS = (threads, processes, spawned_processes, shared_memory, programs, own_programs, signals, callbacks, temporary_files,
         own_ownership, workspace, loopback, interfaces, many_descriptors, names, own_name, machine)  # fmt: skip


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    results = {need.__name__: await asyncio.to_thread(came_of, need) for need in NEEDS}
    body = json.dumps(results).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
