"""A link that plays a datasheet: (command, reply) pairs in order, all of them consumed."""

from cimlab.core.errors import LinkTimeout


class Script:
    """A Link; a reply of None is no reply, an exception is raised in its place."""

    def __init__(self, *pairs):
        self._pairs = list(pairs)
        self._replies, self._further = [], []
        self.closed = False
        self.waits = []

    def write(self, message):
        assert not self.closed
        assert self._pairs, f"{message!r} is beyond the end of the script"
        command, reply = self._pairs.pop(0)
        assert message == command
        if reply is not None:
            self._replies += [reply, *self._further]
            self._further = []

    def read(self):
        if not self._replies:
            raise LinkTimeout("nothing to read")
        reply = self._replies.pop(0)
        if isinstance(reply, BaseException):
            raise reply
        return reply

    @property
    def patience(self):
        return self.waits[-1]

    @patience.setter
    def patience(self, seconds):
        self.waits.append(seconds)

    def clear(self):
        """A device clear, which empties what is on the way."""
        self.write("<clear>")
        self._replies, self._further = [], []

    def close(self):
        self.closed = True

    def more(self, *pairs):
        """What follows; what was before must be consumed."""
        self.done()
        self._pairs += pairs

    def late_reply(self, reply):
        """A further reply to what was or will be sent before."""
        self._further.append(reply)

    def late(self, *pairs):
        """What follows while a reply has not been read."""
        self._pairs += pairs

    def done(self):
        assert not self._pairs, f"never sent: {self._pairs}"
        assert not self._replies, f"never read: {self._replies}"
