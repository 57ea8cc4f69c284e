"""Shared memory of this Python and C++: shared_memory.py <peer program>

Each side creates a block and a list, which the other reads and changes. The bytes of both lists are the same, and who only
attaches removes nothing. Python 3.8 wrote lists in another form: with it only blocks are tested.
"""
import subprocess
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import ShareableList, SharedMemory

PROGRAM = sys.argv[1]
PATIENCE = 50
LISTS = sys.version_info >= (3, 9)

# The same as in shared_memory_peer.cpp.
EVERYTHING = [42, 2.5, True, False, None, "hi", "exactly8", b"\x01\x00\xff", "", -2**63, "h\u00e9llo", b"12345678"]
CHANGED = [-1, True, 0.25, None, 7, "bye", "shorter", b"\xfe", "was none", 0, b"bytes", "text"]


def attach(kind, name):
    """Attaches without becoming the one who removes the block in the end."""
    if kind is SharedMemory and sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    register = resource_tracker.register
    resource_tracker.register = lambda name, kind: None
    try:
        return kind(name=name)
    finally:
        resource_tracker.register = register


def same(items, expected):
    items = list(items)
    assert items == expected and list(map(type, items)) == list(map(type, expected)), items


def is_gone(name):
    try:
        attach(SharedMemory, name).close()
        return False
    except FileNotFoundError:
        return True


def unused_name():
    block = SharedMemory(create=True, size=1)
    block.close()
    block.unlink()
    return block.name


def cpp_creates():
    names = [unused_name(), unused_name() if LISTS else "none"]
    peer = subprocess.Popen([PROGRAM, "create"] + names, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            universal_newlines=True)
    try:
        line = peer.stdout.readline()
        assert line == "ready\n", line
        block = attach(SharedMemory, names[0])
        assert block.size == 1000 and bytes(block.buf[:9]) == b"from c++\0" and not any(block.buf[9:])
        block.buf[:11] = b"from python"
        block.close()
        if LISTS:
            theirs = attach(ShareableList, names[1])
            same(theirs, EVERYTHING)
            ours = ShareableList(EVERYTHING)
            assert theirs.format == ours.format
            assert bytes(theirs.shm.buf) == bytes(ours.shm.buf)
            for i, item in enumerate(CHANGED):
                theirs[i] = item
            theirs.shm.close()
            ours.shm.close()
            ours.shm.unlink()
        # Another Python that attaches and ends removes nothing either.
        subprocess.run([sys.executable, __file__, PROGRAM, "attach"] + names, check=True, timeout=PATIENCE)
        output, _ = peer.communicate("\n", timeout=PATIENCE)
        assert output == "ok\n", output
    finally:
        peer.kill()
        peer.wait()
    assert all(is_gone(name) for name in names if name != "none")


def python_creates():
    block = SharedMemory(create=True, size=1000)
    block.buf[:11] = b"from python"
    items = ShareableList(EVERYTHING) if LISTS else None
    names = [block.name, items.shm.name if LISTS else "none"]
    try:
        peer = subprocess.run([PROGRAM, "attach"] + names, stdout=subprocess.PIPE, universal_newlines=True, timeout=PATIENCE)
        assert peer.stdout == "ok\n", peer.stdout
        assert not any(is_gone(name) for name in names if name != "none")
        assert bytes(block.buf[:8]) == b"from c++"
        if LISTS:
            same(items, CHANGED)
            ours = ShareableList(EVERYTHING)
            for i, item in enumerate(CHANGED):
                ours[i] = item
            assert ours.format == items.format
            ours.shm.close()
            ours.shm.unlink()
    finally:
        for memory in [block] + ([items.shm] if LISTS else []):
            memory.close()
            memory.unlink()


if sys.argv[2:3] == ["attach"]:
    attach(SharedMemory, sys.argv[3]).close()
    if LISTS:
        attach(ShareableList, sys.argv[4]).shm.close()
else:
    cpp_creates()
    python_creates()
    print("blocks and lists" if LISTS else "blocks", "in both directions, Python", sys.version.split()[0])
