"""Puts the rows of file TABLE between the markers of BENCHMARKS.md.

With --only, rows of it that TABLE does not have stay as they are, and so does what is said of them.
"""

import sys

BEGIN, END = "<!-- table: made by scripts/bench --write -->", "<!-- end of the table -->"


def name(line):
    """The first cell of a row; empty if it is none, or a head."""
    cells = line.split(" | ")
    return cells[0].removeprefix("| ") if len(cells) > 2 and cells[0] not in ("|", "") else ""


def merged(old, new):
    """The lines of `old`, with the rows that `new` has in their place, and its others at the end."""
    rows = {}
    for line in new:
        rows.setdefault(name(line), []).append(line)
    rows.pop("", None)
    names = [name(line) for line in old]
    last = max(at for at, row in enumerate(names) if row)
    lines, written = [], set()
    for at, line in enumerate(old):
        row = names[at]
        if row not in rows:
            lines.append(line)
        elif row not in written:
            written.add(row)
            lines += rows[row]
        if at == last:
            lines += [line for row in rows if row not in names for line in rows[row]]
    return lines


only = "--only" in sys.argv
table, page = sys.argv[1:3]
text = open(page).read()
before, rest = text.split(BEGIN, 1)
old, after = rest.split(END, 1)
new = "\n" + open(table).read()
if only:
    new = "".join(merged(old.splitlines(keepends=True), new.splitlines(keepends=True)))
with open(page, "w") as out:
    out.write(f"{before}{BEGIN}{new}{END}{after}")
