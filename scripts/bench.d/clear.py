"""Clears KEY again and again: each time materialized, read whole, and with a file held open.

Prints a line a round: when the clear began, when it was seen by new processes and the verb had ended,
and the seconds until each of the two.
"""

import os
import subprocess
import sys
import time

srcfs, mount, key, rounds, pattern, log = sys.argv[1:]
view = f"{mount}/{key}"


def inode_for_a_new_process():
    """What a process that did not exist before sees under the name."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, str(os.stat(view).st_ino).encode())
        finally:
            os._exit(0)
    os.close(write)
    answer = os.read(read, 64)
    os.close(read)
    os.waitpid(child, 0)
    return answer


for _ in range(int(rounds)):
    subprocess.run(["rg", "-uu", "-c", "--", pattern, view], stdout=subprocess.DEVNULL, check=True)
    before = inode_for_a_new_process()
    name = next(os.path.join(path, files[0]) for path, _, files in os.walk(view) if files)
    with open(name, "rb") as held, open(log, "ab") as errors:
        expected = held.read()
        start = time.monotonic()
        verb = subprocess.Popen(
            [srcfs, "clear", key],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, "SRCFS_LOG": "warn,srcfs::cache::key_lock=debug"},
        )
        seen = ended = None
        while seen is None or ended is None:
            if seen is None and inode_for_a_new_process() not in (before, b""):
                seen = time.monotonic() - start
            if ended is None and verb.poll() is not None:
                ended = time.monotonic() - start
            if time.monotonic() - start > 60:
                sys.exit(f"the clear of {key} was not seen in a minute")
            time.sleep(0.002)
        if verb.returncode != 0:
            sys.exit(f"srcfs clear ended with {verb.returncode}")
        held.seek(0)
        if held.read() != expected:
            sys.exit(f"{name} changed under its reader")
    print(f"{start:.6f} {start + max(seen, ended):.6f} {seen:.6f} {ended:.6f}")
