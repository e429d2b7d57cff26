"""Takes as much as it gets, of what it is asked to take."""

import array
import errno
import fcntl
import json
import os
import socket
import struct
import threading
import time

FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR = 0x801C581F, 0x401C5820


def memory():
    """Takes memory until it is killed."""
    taken = []
    while True:
        taken.append(bytearray(os.urandom(1 << 20)))


def processor(seconds=4):
    """Computes, and says for how much of a core."""
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() < began + seconds:
        pass
    return {"cores": (time.process_time() - used) / (time.monotonic() - began)}


def processes():
    """Forks until that fails."""
    children = []
    try:
        while len(children) < 5000:
            child = os.fork()
            if child == 0:
                time.sleep(600)
                os._exit(0)
            children.append(child)
        failed = "never"
    except OSError as e:
        failed = errno.errorcode[e.errno]
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return {"children": len(children), "failed": failed}


def threads():
    """Starts threads until that fails."""
    threading.stack_size(1 << 16)
    end, started = threading.Event(), []
    failed = "never"
    try:
        while len(started) < 5000:
            thread = threading.Thread(target=end.wait)
            thread.start()
            started.append(thread)
    except RuntimeError as e:
        failed = str(e)
    end.set()
    for thread in started:
        thread.join()
    return {"started": len(started), "failed": failed}


def disk():
    """Writes until that fails."""
    written = 0
    try:
        with open(os.environ["JCLOUD_WORKSPACE"] + "/fill", "wb", buffering=0) as f:
            while written < 1 << 30:
                written += f.write(bytes(1 << 16))
        failed = "never"
    except OSError as e:
        failed = errno.errorcode[e.errno]
    return {"written": written, "failed": failed}


def files():
    """Makes empty files until that fails."""
    made = 0
    try:
        while made < 100000:
            open(f"{os.environ['JCLOUD_WORKSPACE']}/{made}", "w").close()
            made += 1
        failed = "never"
    except OSError as e:
        failed = errno.errorcode[e.errno]
    for i in range(made):
        os.unlink(f"{os.environ['JCLOUD_WORKSPACE']}/{i}")
    return {"made": made, "failed": failed}


def project():
    """Leaves the project that its files are counted in."""
    path = os.environ["JCLOUD_WORKSPACE"] + "/leave"
    with open(path, "w") as f:
        attributes = array.array("B", bytes(28))
        fcntl.ioctl(f, FS_IOC_FSGETXATTR, attributes)
        before = struct.unpack_from("5I", attributes)[3]
        struct.pack_into("I", attributes, 12, 0)
        try:
            fcntl.ioctl(f, FS_IOC_FSSETXATTR, attributes)
            failed = "never"
        except OSError as e:
            failed = errno.errorcode[e.errno]
    return {"project": before, "failed": failed}


def write():
    """Writes a little to its disk."""
    with open(os.environ["JCLOUD_WORKSPACE"] + "/little", "wb") as f:
        f.write(bytes(1 << 16))
        os.fsync(f.fileno())
    return {}


def serve(connection):
    with connection, connection.makefile("rb") as requests:
        while line := requests.readline():
            while requests.readline().strip():
                pass
            if len(line.split()) < 3:
                return  # who connected only wanted to know whether it is there
            path = line.split()[1].decode()
            take = {f.__name__: f for f in (memory, processor, threads, processes, disk, files, project, write)}.get(path[1:], dict)
            body = json.dumps(take()).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


# Without a framework: it starts with a tenth of a core, under emulation.
listener = socket.socket(fileno=3)
while True:
    threading.Thread(target=serve, args=[listener.accept()[0]], daemon=True).start()
