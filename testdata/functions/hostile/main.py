"""Tries all that one function must not be able to do to another, or to the machine.

GET /?victim=NAME&pid=PID answers with what came of each attempt: the name of an error, or "done".
python3 main.py NAME PID prints the same, for whom everything is allowed: in a container only, for what it does to a machine it does
as root.
"""

import ctypes
import errno
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
from urllib.parse import parse_qs

libc = ctypes.CDLL(None, use_errno=True)

# Numbers of system calls that libc has no function for: they are the same on all architectures since 2011.
CLOCK_SETTIME = {"x86_64": 227, "aarch64": 112}[os.uname().machine]
KEYCTL = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}[os.uname().machine]
IO_URING_SETUP = 425
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000
PTRACE_ATTACH, ADDR_NO_RANDOMIZE = 16, 0x0040000


def call(name, *args):
    """Calls a function of libc, or a system call by its number."""
    ctypes.set_errno(0)
    result = libc.syscall(name, *args) if isinstance(name, int) else getattr(libc, name)(*args)
    if result == -1:
        raise OSError(ctypes.get_errno(), "")


def read(path):
    with open(path, "rb") as f:
        f.read(1)


def write(path, text="x"):
    with open(path, "w") as f:
        f.write(text)


def connect(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)


def bind(address, family=socket.AF_INET):
    with socket.socket(family) as s:
        if family == socket.AF_INET:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(address)


def change_interface():
    """Takes the loopback interface up, where it is."""
    head = struct.pack("=LHHLL", 32, 16, 5, 1, 0)  # RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as s:
        s.send(head + struct.pack("=BxHiII", 0, 0, 1, 1, 1))  # the first interface, IFF_UP
        failed = -struct.unpack_from("=i", s.recv(4096), 16)[0]
    if failed:
        raise OSError(failed, "")


def netlink_bind(protocol, groups):
    """Listens to what the kernel tells administrators: NETLINK_NETFILTER, NETLINK_AUDIT."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
        s.bind((0, groups))


def see_processes():
    """Looks for a process of another user."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if os.stat(f"/proc/{pid}").st_uid != os.getuid():
            return
    raise OSError(errno.ENOENT, "")


def gain_root(path):
    """Runs a set-user-ID program, which must not make it root."""
    out = subprocess.run([path, "-u"], capture_output=True, text=True)
    if out.stdout.split() != ["0"]:
        raise OSError(errno.EPERM, out.stderr)


def become_another():
    try:
        os.setresuid(1, 1, 1)
    except OSError as e:
        # In a user namespace there is no such user.
        raise OSError(errno.EPERM if e.errno == errno.EINVAL else e.errno, "")


def make_setuid():
    path = "mine"
    write(path)
    os.chmod(path, 0o4755)
    if not os.stat(path).st_mode & stat.S_ISUID:
        raise OSError(errno.EPERM, "")


def find_writable():
    """Looks for a place to write to that is not its own."""
    own = [os.getcwd(), os.environ.get("JCLOUD_WORKSPACE", "/nowhere"), "/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/proc", "/sys"]
    # Empty ones of its own are in the place of these.
    own += [path for path in ("/home", "/root", "/run/user") if os.access(path, os.R_OK) and not os.listdir(path)]
    own = [os.path.realpath(path) for path in own] + own
    for place, places, files in os.walk("/"):
        places[:] = [name for name in places if os.path.join(place, name) not in own]
        for path in [place] + [os.path.join(place, name) for name in files]:
            # Devices such as /dev/null are for everybody, and sockets are tried below.
            if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFDIR) and os.access(path, os.W_OK):
                print("can write to", path, file=sys.stderr)
                return
    raise OSError(errno.EACCES, "")


def reach_sockets():
    """Looks for a socket in /run that takes a connection."""
    for place, _, files in os.walk("/run"):
        for name in files:
            path = os.path.join(place, name)
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                continue
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
                with socket.socket(socket.AF_UNIX, kind) as s:
                    try:
                        s.connect(path)
                        return
                    except OSError:
                        pass
    raise OSError(errno.ENOENT, "")


def send(path, text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.sendto(text, path)


def perf():
    call(PERF_EVENT_OPEN, ctypes.create_string_buffer(112), 0, -1, -1, 0)


def attempts(victim, pid):
    instance = f"{victim}-00001@1"
    group = f"/sys/fs/cgroup/fn.slice/fn-{victim}.slice/fn-{instance}.service"
    revision = f"/var/lib/fnctl/functions/{victim}/revisions/00001"
    return {
        # what is another's
        "read its snapshot": lambda: read(f"{revision}/app/main.py"),
        "read its secrets": lambda: read(f"{revision}/credentials/TOKEN"),
        "read its variables": lambda: read(f"{revision}/env"),
        "read its working copy": lambda: read(f"/var/cache/fnctl/{instance}/main.py"),
        "read its private working copy": lambda: read(f"/var/cache/private/fnctl/{instance}/main.py"),
        "read its data": lambda: read(f"/var/lib/fnctl-data/{victim}/data"),
        "read its private data": lambda: read(f"/var/lib/private/fnctl-data/{victim}/data"),
        "write its data": lambda: write(f"/var/lib/fnctl-data/{victim}/x"),
        "read its environment": lambda: read(f"/proc/{pid}/environ"),
        "read its command line": lambda: read(f"/proc/{pid}/cmdline"),
        "read its memory": lambda: read(f"/proc/{pid}/mem"),
        "list its files": lambda: os.listdir(f"/proc/{pid}/fd"),
        "see processes of others": see_processes,
        "signal it": lambda: os.kill(pid, signal.SIGCONT),
        "trace it": lambda: call("ptrace", PTRACE_ATTACH, pid, 0, 0),
        "connect to its socket": lambda: connect(f"/run/fnctl/instances/{instance}.sock"),
        "join its control group": lambda: write(f"{group}/cgroup.procs", str(os.getpid())),
        "kill its control group": lambda: write(f"{group}/cgroup.kill", "1"),
        "see its name": lambda: os.stat(f"/var/lib/fnctl/functions/{victim}"),
        "read its description": lambda: read(f"{revision}/revision.json"),
        "read its project": lambda: read(f"/srv/{victim}/.env"),
        # what is the platform's
        "connect to the gateway": lambda: connect("/run/fnctl/gateway.sock"),
        "connect to the activator": lambda: connect("/run/fnctl/activator.sock"),
        "connect to PID 1": lambda: connect("/run/systemd/private"),
        "connect to D-Bus": lambda: connect("/run/dbus/system_bus_socket"),
        "bind an instance's socket": lambda: bind("/run/fnctl/instances/evil-00001@1.sock", socket.AF_UNIX),
        "bind the gateway's socket": lambda: bind("/run/fnctl/gateway.sock", socket.AF_UNIX),
        "bind the gateway's port": lambda: bind(("127.0.0.1", 8080)),
        "reach the gateway's port": lambda: socket.create_connection(("127.0.0.1", 8080)).close(),
        "bind a low port": lambda: bind(("127.0.0.1", 81)),
        "write a unit": lambda: write("/etc/systemd/system/fn-evil.service"),
        "write a route": lambda: write(f"/var/lib/fnctl/functions/{victim}/route.json"),
        "write the binary": lambda: write("/usr/bin/fnctl"),
        "write to /": lambda: write("/x"),
        "write to /var/tmp of all": lambda: os.stat("/var/tmp/marker"),
        "read the shadow": lambda: read("/etc/shadow"),
        "read a home": lambda: os.stat("/root/marker"),
        "read an open home": lambda: read("/home/somebody/marker"),
        # what all functions share
        "write elsewhere": find_writable,
        "lock for all": lambda: write("/run/lock/evil"),
        "read shared memory": lambda: read("/dev/shm/marker"),
        "read the queue of another": lambda: call("mq_open", b"/marker", os.O_RDONLY),
        "read a shared segment": lambda: call("shmget", 0x666E, 0, 0),
        "notify PID 1": lambda: send("/run/systemd/notify", b"STATUS=evil"),
        "forge fields of the journal": lambda: send("/run/systemd/journal/socket", b"MESSAGE=evil\nUNIT=fn-ping-00001@1.service\n"),
        "take streams of the journal": lambda: connect("/run/systemd/journal/stdout"),
        "reach a socket in /run": reach_sockets,
        # privileges
        "become root": lambda: os.setuid(0),
        "become another": become_another,
        "run a set-user-ID program": lambda: gain_root("/usr/local/bin/whoami-root"),
        "make a set-user-ID program": make_setuid,
        "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "leave its root": lambda: os.chroot("/tmp"),
        "make a user namespace": lambda: call("unshare", CLONE_NEWUSER),
        "make a mount namespace": lambda: call("unshare", CLONE_NEWNS),
        "make a device": lambda: os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3)),
        "read the memory of the machine": lambda: read("/dev/mem"),
        "read the kernel's log": lambda: call("klogctl", 3, ctypes.create_string_buffer(64), 64),
        "set the host name": lambda: call("sethostname", b"evil", 4),
        "set the clock": lambda: call(CLOCK_SETTIME, 0, (ctypes.c_long * 2)(1, -1)),  # which nobody can
        "set a kernel parameter": lambda: write("/proc/sys/kernel/domainname"),
        "write to /sys": lambda: write("/sys/kernel/mm/transparent_hugepage/enabled", "never"),
        "load a module": lambda: call("init_module", b"", 0, b""),
        "use a key": lambda: call(KEYCTL, 0, -4, 1),
        "load a BPF program": lambda: call(BPF, 0, ctypes.create_string_buffer(128), 128),
        "measure others": perf,
        "make an io_uring": lambda: call(IO_URING_SETUP, 4, ctypes.create_string_buffer(120)),
        "change an interface": change_interface,
        "change the firewall": lambda: netlink_bind(12, 1),
        "hear the audit": lambda: netlink_bind(9, 1),
        "see every packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "send raw packets": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close(),
        "have real-time priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "have a higher priority": lambda: os.setpriority(os.PRIO_PROCESS, 0, -5),
        "switch off address randomization": lambda: call("personality", ADDR_NO_RANDOMIZE),
        "raise its memory limit": lambda: write(own_group() + "/memory.max", "max"),
    }


def own_group():
    with open("/proc/self/cgroup") as f:
        return "/sys/fs/cgroup" + f.read().rpartition("0::")[2].strip()


def attack(victim, pid):
    return {name: came_of(attempt) for name, attempt in attempts(victim, pid).items()}


def came_of(attempt):
    """Makes an attempt in a process of its own, so that none spoils the next."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            attempt()
            code = 0
        except OSError as e:
            code = e.errno
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return "done" if code == 0 else errno.errorcode.get(code, str(code))


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    query = parse_qs(scope["query_string"].decode())
    body = b"ready"
    if "victim" in query:
        body = json.dumps(attack(query["victim"][0], int(query["pid"][0]))).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    if not os.path.exists("/run/systemd/container"):
        sys.exit("this harms the machine that it runs on: run it in a container")
    print(json.dumps(attack(sys.argv[1], int(sys.argv[2]))))
