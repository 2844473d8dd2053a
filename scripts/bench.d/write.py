"""Puts the table of file TABLE between the markers of BENCHMARKS.md."""

import sys

BEGIN, END = "<!-- table: made by scripts/bench --write -->", "<!-- end of the table -->"
table, page = sys.argv[1:]
text = open(page).read()
before, rest = text.split(BEGIN, 1)
_, after = rest.split(END, 1)
with open(page, "w") as out:
    out.write(f"{before}{BEGIN}\n{open(table).read()}{END}{after}")
