"""Looks names up in cached SIBLINGS until it is told to end, and prints when and how long each took.

A name in a view that is asked for once and is not there is a request that the daemon must answer; a
view's own name is one every second, when the kernel's answer expires.
"""

import os
import signal
import sys
import time

ended = False


def end(_signal, _frame):
    global ended
    ended = True


signal.signal(signal.SIGTERM, end)
siblings = sys.argv[1:]
lines = []
number = 0
while not ended:
    number += 1
    sibling = siblings[number % len(siblings)]
    for path in (sibling, f"{sibling}/missing-{os.getpid()}-{number}"):
        start = time.monotonic()
        try:
            os.stat(path)
        except FileNotFoundError:
            if path == sibling:
                raise
        lines.append(f"{start:.6f} {time.monotonic() - start:.6f}")
    time.sleep(0.002)
print("\n".join(lines))
