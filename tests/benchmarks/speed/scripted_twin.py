"""A side that takes the time it is told to, `scripted_twin.py NOTES SECONDS [fails]`; NOTES gets what it was asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

notes, each = Path(sys.argv[1]), float(sys.argv[2])
for line in sys.stdin:
    row = json.loads(line)
    with notes.open("a") as file:
        file.write(line)
    if "fails" in sys.argv:
        sys.exit("RuntimeError: no such kernel")
    answer = {"seconds": each * row["size"] * row["calls"]} if "size" in row else {"ready": True}
    print(json.dumps(answer), flush=True)
