"""Connections between this Python and C++: connection.py <peer program> [big | ipv6]

Both are listener and client, with and without keys, over every family; each sends what the other has to send back. Prints
how many sessions were held; exit status 0 only if all went as they should, 77 if this machine has no IPv6.
"""
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from multiprocessing import AuthenticationError, Pipe, reduction
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge

PATIENCE = 100
sessions = 0


def pattern(size):
    return bytes((i * 31 + size) & 255 for i in range(min(size, 256))) * (size // 256 + 1)


def echo(connection):
    while True:
        message = connection.recv_bytes()
        if message == b"quit":
            break
        connection.send_bytes(message)
    connection.close()


def drive(connection):
    for size in (0, 1, 100, 16383, 16384, 16385, 65536, 70000, 3000000):
        message = pattern(size)[:size]
        connection.send_bytes(message)
        assert connection.poll(PATIENCE)
        assert connection.recv_bytes() == message, size
    connection.send_bytes(b"quit")
    try:
        connection.recv_bytes()
        assert False, "it should have ended"
    except EOFError:
        pass


def objects(connection):
    connection.send(42)
    try:
        connection.recv()
        assert False, "an object of C++ is no pickle"
    except pickle.UnpicklingError:
        pass
    assert connection.recv_bytes() == b"and now bytes"
    connection.send_bytes(b"bytes too")


def handles(connection):
    reader, writer = os.pipe()
    reduction.send_handle(connection, writer, 0)
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == b"from c++"
    descriptor = reduction.recv_handle(connection)
    assert os.write(descriptor, b"from python") == 11
    os.close(descriptor)
    assert connection.recv_bytes() == b"done"


def big(connection):
    message = connection.recv_bytes()
    assert len(message) == 2**31 + 10 and message.endswith(b"bbe"), len(message)
    connection.send_bytes(message)


COUNTERPART = {"echo": drive, "drive": echo, "objects": objects, "handles": handles, "big": big}


class Peer:
    """The C++ program, with one task."""

    def __init__(self, role, task, address, key, **options):
        self.process = subprocess.Popen(
            [PROGRAM, role, task, address, "none" if key is None else "key:" + key.decode()],
            stdout=subprocess.PIPE, universal_newlines=True, **options)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self.process.kill()
        self.process.stdout.close()
        self.process.wait()

    def address(self):
        return self.process.stdout.readline().strip()

    def outcome(self):
        text = self.process.stdout.read().strip()
        assert self.process.wait(PATIENCE) == 0, self.process.returncode
        return text.splitlines()[-1] if text else "nothing"


def text_of(address):
    if isinstance(address, tuple):
        return "tcp:%s:%d" % address[:2]
    if isinstance(address, bytes):
        address = os.fsdecode(address)
    return "abstract:" + address[1:] if address[0] == "\0" else "unix:" + address


def connect(address, key):
    """What Client does; which knows no IPv6, although Listener does."""
    if not isinstance(address, tuple) or ":" not in address[0]:
        return Client(address, authkey=key)
    with socket.socket(socket.AF_INET6) as stream:
        stream.connect(address)
        connection = Connection(stream.detach())
    if key is not None:
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
    return connection


def python_listens(address, task, key, family=None):
    global sessions
    with Listener(address, family, authkey=key) as listener:
        with Peer("connect", task, text_of(listener.address), key) as peer:
            with listener.accept() as connection:
                COUNTERPART[task](connection)
            assert peer.outcome() == "ok"
    sessions += 1


def python_connects(address, task, key):
    global sessions
    with Peer("listen", task, text_of(address), key) as peer:
        where = peer.address()
        if isinstance(address, tuple):
            host, port = where.rsplit(":", 1)
            address = (host.strip("[]"), int(port))
        with connect(address, key) as connection:
            COUNTERPART[task](connection)
        assert peer.outcome() == "ok"
    sessions += 1


def wrong_keys(address):
    """Both sides see an AuthenticationError, whoever listens."""
    global sessions
    with Listener(address, authkey=b"right") as listener:
        with Peer("connect", "echo", text_of(listener.address), b"wrong") as peer:
            try:
                listener.accept()
                assert False, "accepted with a wrong key"
            except AuthenticationError:
                pass
            assert peer.outcome() == "AuthenticationError"
    with Peer("listen", "echo", text_of(address), b"right") as peer:
        peer.address()
        try:
            Client(address, authkey=b"wrong")
            assert False, "accepted with a wrong key"
        except AuthenticationError:
            pass
        assert peer.outcome() == "AuthenticationError"
    sessions += 2


def inherited(task):
    global sessions
    ours, theirs = Pipe()
    os.set_inheritable(theirs.fileno(), True)
    with Peer("connect", task, "fd:%d" % theirs.fileno(), None, pass_fds=[theirs.fileno()]) as peer:
        theirs.close()
        COUNTERPART[task](ours)
        ours.close()
        assert peer.outcome() == "ok"
    sessions += 1


def over_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        print("no IPv6 here:", error)
        sys.exit(77)
    for key in (None, b"secret"):
        for task in ("echo", "drive", "objects"):
            python_listens(("::1", 0), task, key, "AF_INET6")
            python_connects(("::1", 0), task, key)


def main():
    if sys.argv[2:] == ["ipv6"]:
        over_ipv6()
        return
    with tempfile.TemporaryDirectory() as folder:
        local = os.path.join(folder, "socket")
        if sys.argv[2:] == ["big"]:
            python_listens(local, "big", None)
            return
        for address in (local, ("127.0.0.1", 0), "\0multiprocessing-interop-%d" % os.getpid()):
            for key in (None, b"secret", b"k" * 200):
                for task in ("echo", "drive"):
                    python_listens(address, task, key)
                    python_connects(address, task, key)
        for task in ("objects", "handles"):
            python_listens(local, task, b"secret")
            python_connects(local, task, b"secret")
            inherited(task)
        if sys.version_info >= (3, 13):  # before that an empty key is none for a Listener, but one for a Client
            python_listens(local, "echo", b"")
            python_connects(local, "echo", b"")
        wrong_keys(local)


PROGRAM = os.path.abspath(sys.argv[1])
main()
print("Python %s: %d sessions" % (sys.version.split()[0], sessions))
