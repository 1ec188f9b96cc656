"""The command line: ``python -m cuprum``."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from typing import NoReturn

from cuprum._doctor import examine
from cuprum._run_command import run


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(os.EX_USAGE, f"{self.format_usage()}{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m cuprum", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    doctor = commands.add_parser(
        "doctor",
        help="say what would pump, and how fast",
        epilog="Exit status: 0 the helper would be used, 1 the Python pump, 78 "
        "pipelines would be refused, 74 the self-test failed.",
    )
    doctor.add_argument("--json", dest="as_json", action="store_true")
    doctor.set_defaults(call=examine)

    run_ = commands.add_parser(
        "run",
        help="run a pipeline, and show which stage is slow",
        epilog="Exit status: 0, or that of the last stage that failed (128+N: "
        "signal N); 127 no such program, 126 not one; 64 not understood; 74 the "
        "data did not get through; 78 no usable pump.",
    )
    run_.add_argument("line", metavar="PIPELINE", help="as in: 'zcat x.gz | sort'")
    run_.add_argument(
        "--json", dest="as_json", action="store_true", help="a summary for programs"
    )
    run_.add_argument("--quiet", action="store_true", help="no table, no summary")
    run_.add_argument(
        "--no-progress",
        dest="progress",
        action="store_false",
        help="no table until the end",
    )
    run_.set_defaults(call=run)
    return parser


def main() -> int:
    """Do what the arguments say; return the exit status."""
    options = vars(_parser().parse_args())
    try:
        return options.pop("call")(**options)
    except OSError as error:
        with suppress(OSError), open(2, "w", closefd=False) as stderr:
            print(f"cuprum: {error}", file=stderr)
        return os.EX_IOERR
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
