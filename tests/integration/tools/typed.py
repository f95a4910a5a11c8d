"""Runs a command on a pseudo terminal of a size, types keys when a text is shown, and prints the terminal's output.

usage: typed.py COLUMNSxROWS SCRIPT COMMAND…

SCRIPT is JSON: a list of [text, keys]. The keys are typed when the text was shown behind the one of the step before; keys
of the form "signal:TERM" are a signal to the command. Ends with the command's exit code.
"""

import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios


def main():
    columns, rows = (int(number) for number in sys.argv[1].split("x"))
    script = json.loads(sys.argv[2])
    process, terminal = pty.fork()
    if process == 0:
        # As a shell at a terminal has them: `nohup` and jobs in the background leave some ignored.
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(sys.argv[3], sys.argv[3:])
    shown = b""
    seen = 0
    while True:
        while script and (at := shown.find(script[0][0].encode(), seen)) >= 0:
            seen = at + len(script[0][0].encode())
            keys = script.pop(0)[1]
            if keys.startswith("signal:"):
                os.kill(process, getattr(signal, "SIG" + keys.removeprefix("signal:")))
            else:
                os.write(terminal, keys.encode())
        try:
            block = os.read(terminal, 65536)
        except OSError:
            # On Linux, the error after the last process has closed the terminal.
            break
        if not block:
            break
        shown += block
    sys.stdout.buffer.write(shown)
    sys.stdout.buffer.flush()
    _, status = os.waitpid(process, 0)
    if script:
        print(f"\nnever shown: {script[0][0]!r}", file=sys.stderr)
        sys.exit(99)
    sys.exit(os.waitstatus_to_exitcode(status))


main()
