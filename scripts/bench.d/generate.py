"""Writes a git fast-import stream of FILES text files, the same for the same SEED."""

import random
import sys

files, seed = int(sys.argv[1]), int(sys.argv[2])
words = "static int return struct void const unsigned long pointer needle lock page node entry next".split()
source = random.Random(seed)
out = sys.stdout.buffer
out.write(b"commit refs/heads/main\ncommitter bench <bench@example.org> 1700000000 +0000\ndata 5\nfirst\n")
for number in range(files):
    lines = source.randrange(5, 200)
    text = "".join(
        f"{source.choice(words)} {source.choice(words)}_{source.randrange(9999)};\n" for _ in range(lines)
    ).encode()
    # One in two hundred is larger than what one read request carries.
    if number % 200 == 7:
        text *= 60
    out.write(b"M 100644 inline d%03d/f%05d.c\ndata %d\n%s\n" % (number // 40, number, len(text), text))
out.write(b"\n")
