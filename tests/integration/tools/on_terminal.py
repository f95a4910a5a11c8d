"""Runs a command on a pseudo terminal and prints the terminal's output; ends with the command's exit code.

usage: on_terminal.py COMMAND…
"""

import os
import pty
import sys


def main():
    process, terminal = pty.fork()
    if process == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    while True:
        try:
            shown = os.read(terminal, 65536)
        except OSError:
            # On Linux, the error after the last process has closed the terminal.
            break
        if not shown:
            break
        sys.stdout.buffer.write(shown)
    _, status = os.waitpid(process, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
