"""Upload the Space without a model of your own; with one: `edgeconnect push MODEL USER/MODEL --space USER/SPACE`.

    python space/deploy.py USER/SPACE [--model USER/MODEL] [--private]

Log in first (`hf auth login`, or `HF_TOKEN`).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: the package is the one beside it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from edgeconnect_hf.hub import push_space


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", metavar="USER/SPACE", help="made where it does not exist, else updated")
    parser.add_argument(
        "--model", action="append", default=[], metavar="USER/MODEL", help="in place of the bundled one; repeatable"
    )
    parser.add_argument("--private", action="store_true", help="for your eyes only, where the Space is new")
    args = parser.parse_args(arguments)
    try:
        print(push_space(args.space, args.model, private=args.private or None))
    except OSError as error:
        raise SystemExit(f"deploy.py: error: {error}") from error


if __name__ == "__main__":
    main()
