"""`imagestore-sim`, and `python -m imagestore_sim`: what has to be so before anything else is imported."""

import os
import signal
import sys


def main() -> None:
    """Run the program.

    Until a command handles Ctrl-C, that ends the process at once: an import that it interrupts would print a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may have set it to be ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_standard_files()
    from imagestore_sim.cli.quick_help import show_page

    if not show_page(sys.argv):
        from imagestore_sim.cli.program import main as run

        run()


def _open_standard_files() -> None:
    """Open /dev/null in place of a closed standard file, whose number a socket would get otherwise.

    Python has None in the place of such a file, which has no `isatty` and no `write`.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


if __name__ == "__main__":
    main()
