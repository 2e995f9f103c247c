"""Plans: what one execution does to the data plane, as data that can be printed and made smaller.

Client bytes and upstream bytes begin as the cases of the hygiene tables and are then cut, spliced
and changed with an eye to the grammar; everything follows from one number.
"""

import itertools
import random
import re
from dataclasses import dataclass, field

from tests.support.hygiene import ANSWER_CASES, REQUEST_CASES

Event = tuple[str, int, bytes]


@dataclass
class Plan:
    """One execution.

    `events` are (what, number, bytes), see `World`; `turn` of them fall into one turn of the loop.
    With `eager`, connections open and upstreams answer as soon as they can, else only at events.
    `answers` are given to requests in turn, in pieces of the sizes in `pace`, 0 for all there is;
    `early` ones once the head is there. With `dies`, the request of that place on a connection is
    answered by its end, or by a reset where the place is negative. `rooms` are what client and
    upstream take unread, 0 for everything; `half` is whether sending can be ended alone.
    """

    events: list[Event] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    pace: list[int] = field(default_factory=lambda: [0])
    most: int = 2
    eager: bool = True
    early: bool = False
    dies: int = 0
    turn: int = 1
    rooms: tuple[int, int] = (0, 0)
    half: bool = True


_PATHS = (b"/x", b"/x", b"/x", b"/judged", b"/wait", b"/denied", b"/deny")
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_SOUND = [case.sent for case in ANSWER_CASES if not case.code and not case.cut and not case.ends]
_ANSWERS = sorted({case.sent for case in ANSWER_CASES if len(case.sent) < 2000})
_UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def _seeds() -> tuple[list[bytes], list[bytes]]:
    sound: set[bytes] = set()
    all_of_them: set[bytes] = set()
    for case in REQUEST_CASES:
        sent = b"".join(step for step, _ in case.steps)
        if len(sent) < 1500:
            all_of_them.add(sent)
            if not case.closes:
                sound.add(sent)
    return sorted(sound), sorted(all_of_them)


_SOUND_REQUESTS, _REQUESTS = _seeds()
_LINES = (
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"transfer-encoding:chunked \r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n", b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"Host: b\r\n",
    b"X: y\r\n", b"Trailer: X\r\n", b"TE: trailers\r\n", b"Connection: X\r\n",
)  # fmt: skip
_BYTES = (
    b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"5", b"f", b"+", b"-",
    b"_", b"%2e", b"/", b"\\", b"#", b"?", b"\x0b", b"\x7f", b"\x80", b"\xff", b'"', b"=", b"*",
    b"HTTP/1.0", b"HTTP/1.1", b"0\r\n\r\n", b"5\r\nhello\r\n", b"\r\n\r\n", b"http://api.example",
)  # fmt: skip
_NUMBER = re.compile(rb"[0-9]+")
# Cut behind each head, and behind each line.
_JOINTS = (re.compile(rb"(?s).+?(?:\r\n\r\n|$)"), re.compile(rb"(?s).+?(?:\n|$)"))


def _mutated(data: bytes, dice: random.Random, seeds: list[bytes]) -> bytes:
    """One change, most of them where the grammar has a joint."""
    kind = dice.randrange(12)
    at = dice.randrange(len(data) + 1)
    if kind == 0:
        return data[:at] + dice.choice(_BYTES) + data[at:]
    if kind == 1:
        return data[:at] + dice.choice(_BYTES) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at + dice.randrange(1, 9) :]
    if kind == 3 and at < len(data):
        return data[:at] + bytes((data[at] ^ (1 << dice.randrange(8)),)) + data[at + 1 :]
    lines = data.split(b"\r\n")
    row = dice.randrange(len(lines))
    if kind == 4:
        lines[row:row] = [dice.choice(_LINES)[:-2]]
    elif kind == 5:
        lines[row:row] = [lines[dice.randrange(len(lines))]]
    elif kind == 6:
        del lines[row]
    elif kind == 7:
        lines[row] = lines[row].swapcase()
    elif kind == 8:
        other = dice.choice(seeds)
        return data[:at] + other[dice.randrange(len(other) + 1) :]
    elif kind == 9:
        numbers = list(_NUMBER.finditer(data))
        if numbers:
            found = dice.choice(numbers)
            new = dice.choice((b"0", b"1", b"4", b"6", b"00", b"-1", b"99", b"5, 5", b"0x5", b"a"))
            return data[: found.start()] + new + data[found.end() :]
    elif kind == 10:
        row = min(row, len(lines) - 2) if len(lines) > 1 else 0
        ending = dice.choice((b"\n", b"\r", b"\r\r\n", b"\n\r"))
        return b"\r\n".join(lines[: row + 1]) + ending + b"\r\n".join(lines[row + 1 :])
    else:
        return data[:at]
    return b"\r\n".join(lines)


def _pieces(data: bytes, dice: random.Random) -> list[bytes]:
    """The data as packets: whole, byte by byte, or cut at a few places."""
    how = dice.randrange(10)
    if how < 3 or not data:
        return [data]
    if how == 3 and len(data) < 400:
        return [data[at : at + 1] for at in range(len(data))]
    if how < 6:
        return _JOINTS[how - 4].findall(data)
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(1, 5)))
    bounds = [0, *cuts, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds) if a < b]


def _requests(dice: random.Random, *, hostile: bool) -> bytes:
    data = b""
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 5))):
        seeds = _REQUESTS if hostile and dice.randrange(3) == 0 else _SOUND_REQUESTS
        data += dice.choice(seeds).replace(b" /x ", b" %b " % dice.choice(_PATHS))
    if hostile:
        for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 6))):
            data = _mutated(data, dice, _REQUESTS)
    return data


def _answer(dice: random.Random, *, hostile: bool) -> bytes:
    if not hostile:
        return dice.choice(_SOUND)
    kind = dice.randrange(16)
    if kind == 0:
        return _UPGRADED + dice.choice((b"", b"frames"))
    data = _OK if kind == 1 else dice.choice(_ANSWERS)
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 6))):
        data = _mutated(data, dice, _ANSWERS)
    return data


_OTHERS = (
    ("open", 6), ("refuse connection", 1), ("resume", 6), ("resume refused", 1), ("tick", 2),
    ("say", 16), ("client ends", 1), ("client resets", 1), ("upstream ends", 2),
    ("upstream resets", 1), ("client takes", 4), ("upstream takes", 4), ("revoke", 1),
    ("drain", 1), ("garbage", 1),
)  # fmt: skip
_WHAT = [what for what, _ in _OTHERS]
_WEIGHTS = [weight for _, weight in _OTHERS]


def make_plan(number: int, *, kind: str = "both") -> Plan:
    """The plan of this number: hostile `requests`, hostile `answers`, or both with any timing."""
    dice = random.Random(number)
    wild = kind == "both"
    plan = Plan(most=dice.choice((1, 1, 2)), eager=not wild or dice.randrange(4) == 0)
    clients = dice.choice((1, 1, 2, 3)) if wild or kind == "answers" else 1
    for client in range(clients):
        data = _requests(dice, hostile=kind != "answers")
        if dice.randrange(200) == 0:
            data = data.replace(b"hello", b"h" * 70_000).replace(b": 5", b": 70000")
        plan.events += [("client", client, piece) for piece in _pieces(data, dice)]
    hostile = kind != "requests"
    plan.answers = [_answer(dice, hostile=hostile) for _ in range(dice.choice((1, 1, 2, 4)))]
    plan.pace = [dice.choice((0, 0, 0, 1, 7, 40)) for _ in range(dice.choice((1, 1, 3)))]
    plan.early = hostile and dice.randrange(6) == 0
    plan.turn = dice.choice((1, 1, 2, 5))
    if hostile and dice.randrange(5) == 0:
        # A connection can only fail its next request if it was good enough to be kept.
        plan.answers[:0] = [_OK] * dice.randrange(4)
        plan.dies = dice.choice((1, 2, 2, 3, -1, -2, -2, -3))
    if wild:
        plan.half = dice.randrange(4) > 0
        plan.rooms = (dice.choice((0, 0, 64, 300)), dice.choice((0, 0, 64, 300)))
        if clients > 1:
            dice.shuffle(plan.events)
            plan.events.sort(key=lambda _: dice.random())
        for _ in range(dice.randrange(20)):
            at = dice.randrange(len(plan.events) + 1)
            what = dice.choices(_WHAT, _WEIGHTS)[0]
            number = dice.randrange(200)
            plan.events.insert(at, (what, number, b"junk" if what == "garbage" else b""))
    return plan
