"""How much of what was written the peer has not taken: tells a slow reader from none."""

import asyncio
import fcntl
import struct
import termios
from typing import Final

_COUNT: Final = struct.Struct("i")
_NOTHING: Final = _COUNT.pack(0)
_STEP: Final = 4096


def unsent(transport: asyncio.Transport) -> int:
    """Bytes in the transport's buffer, and in the kernel's that the peer has not acknowledged, to
    the next 4 KiB: whoever takes single bytes is not seen to take anything.

    Both shrink while the peer reads, however slowly; the first alone may stand still for minutes,
    since a kernel takes megabytes before it asks for more (tcp(7), SIOCOUTQ). Costs a system call:
    for deadlines, not for each request.
    """
    count = transport.get_write_buffer_size()
    raw = transport.get_extra_info("socket")
    if raw is not None:
        try:
            answer = fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, bytes(_COUNT.size))
        except (OSError, ValueError):
            answer = _NOTHING  # closed already, or a kernel that does not tell
        count += _COUNT.unpack(answer)[0]
    return -(-count // _STEP) * _STEP
