"""What goes wrong with answers of a stand-in of the Hub, as data: in a list, or drawn by a seed."""

import hashlib
import threading
from dataclasses import dataclass, field


@dataclass
class Fault:
    """What goes wrong with the next `times` answers to a request whose line has `where` in it ("GET /api/models/...").

    "status": answered with `status`, and with `retry_after` (seconds, in Retry-After) where it isn't None.
    "cut": the answer's body ends after `after` bytes and the connection with it.
    "corrupted": one bit of the body's byte `after` (counted from the end where it is shorter) is another.
    "dropped": the connection ends without an answer.
    """

    kind: str
    where: str = ""
    times: int = 1
    status: int = 503
    retry_after: int | None = None
    after: int = 0

    def __post_init__(self):
        assert self.kind in ("status", "cut", "corrupted", "dropped"), self.kind


@dataclass
class Faults:
    """Faults to come: those of a list, first come first served; and, of the rest, a share drawn by a seed.

    Whether a drawn one strikes depends on the seed, the request's line and how often it came, so that the order in
    which threads ask makes no difference. No request is struck more than `in_a_row` times one after another: a client
    that tries again gets there.
    """

    listed: list[Fault] = field(default_factory=list)
    drawn: tuple[Fault, ...] = ()
    share: float = 0.0
    seed: int = 0
    in_a_row: int = 2
    struck: int = 0

    def __post_init__(self):
        self.lock, self.came, self.rows = threading.Lock(), {}, {}

    def next(self, line: str) -> Fault | None:
        """Return what goes wrong with the answer to a request, or None."""
        with self.lock:
            fault = self._listed(line) or self._drawn(line)
            self.struck += fault is not None
            return fault

    def _listed(self, line: str) -> Fault | None:
        for fault in self.listed:
            if fault.times > 0 and fault.where in line:
                fault.times -= 1
                return fault
        return None

    def _drawn(self, line: str) -> Fault | None:
        count = self.came[line] = self.came.get(line, 0) + 1
        numbers = hashlib.sha256(f"{self.seed} {count} {line}".encode()).digest()
        fits = [fault for fault in self.drawn if fault.where in line]
        row = self.rows.get(line, 0)
        if not fits or row >= self.in_a_row or int.from_bytes(numbers[:4]) / 2**32 >= self.share:
            self.rows[line] = 0
            return None
        self.rows[line] = row + 1
        return fits[int.from_bytes(numbers[4:8]) % len(fits)]
