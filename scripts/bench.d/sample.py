"""Prints the highest RssAnon of process PID, in bytes, when it is told to end."""

import signal
import sys
import time

ended = False


def end(_signal, _frame):
    global ended
    ended = True


signal.signal(signal.SIGTERM, end)
highest = 0
while not ended:
    try:
        with open(f"/proc/{sys.argv[1]}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    highest = max(highest, int(line.split()[1]) * 1024)
    except OSError:
        break
    time.sleep(0.02)
print(highest)
