"""The Python side of 34_python_client.cpp: python3 34_python_client.py <host> <port>"""
import sys
from array import array
from multiprocessing.connection import Client

with Client((sys.argv[1], int(sys.argv[2])), authkey=b"open sesame") as connection:
    for numbers in ([1, 2, 3], [], [0.5] * 1000):
        connection.send_bytes(array("d", numbers).tobytes())
        print(connection.recv_bytes().decode())
