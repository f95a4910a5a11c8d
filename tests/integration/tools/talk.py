"""Talks with a command on a pseudo terminal and prints what it showed, without colours; ends with the command's exit code.

usage: talk.py COMMAND… < STEPS

STEPS is a JSON array of pairs: a text to wait for in what is shown behind the step before, and the keys to press then.
Behind the last step it waits for the command's end. A text that does not come ends the talk with 99 after a minute and more.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time

LONGEST = 300
# Colours, moves of the cursor, modes, titles.
MARKS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[=>()][A-Z0-9]?")


class Talk:
    def __init__(self, command):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execvp(command[0], command)
        size = struct.pack("HHHH", 40, 120, 0, 0)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)
        self.raw = b""
        self.seen = 0

    def shown(self):
        return MARKS.sub(b"", self.raw).decode("utf-8", "replace").replace("\r", "")

    def read(self):
        """Reads what comes within a moment; false at the end."""
        readable, _, _ = select.select([self.terminal], [], [], 0.1)
        if not readable:
            return True
        try:
            part = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.raw += part
        return bool(part)

    def wait_for(self, text):
        end = time.monotonic() + LONGEST
        while True:
            shown = self.shown()
            place = shown.find(text, self.seen)
            if place >= 0:
                self.seen = place + len(text)
                return
            if time.monotonic() > end or not self.read():
                print(shown)
                print(f"talk.py: {text!r} was not shown behind {shown[:self.seen][-200:]!r}")
                sys.exit(99)

    def finish(self):
        end = time.monotonic() + LONGEST
        while self.read():
            if time.monotonic() > end:
                print(self.shown())
                print("talk.py: the command does not end")
                sys.exit(99)
        _, status = os.waitpid(self.process, 0)
        return os.waitstatus_to_exitcode(status)


def main():
    steps = json.load(sys.stdin)
    talk = Talk(sys.argv[1:])
    for text, keys in steps:
        talk.wait_for(text)
        os.write(talk.terminal, keys.encode())
    code = talk.finish()
    print(talk.shown())
    sys.exit(code)


main()
