"""The Python side of 24_shared_memory_python.cpp: python3 24_shared_memory_python.py <name of a block> <name of a list>"""
import sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import ShareableList, SharedMemory

# Python removes every block that it has attached to when it ends, unless it is told not to: from 3.13 on by track=False, but
# not for a ShareableList. The blocks belong to the C++ program.
resource_tracker.register = lambda name, kind: None

block = SharedMemory(sys.argv[1])
numbers = block.buf[:32].cast("d")
print("Python finds", *numbers)
for i in range(4):
    numbers[i] *= 10
numbers.release()
block.close()

items = ShareableList(name=sys.argv[2])
print("Python finds", *items, flush=True)
items[0] = "from Py"
items[1] += 1
items[2] = 7
items[3] = None
items.shm.close()
