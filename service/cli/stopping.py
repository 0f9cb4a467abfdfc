"""How a process hears that it is to end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_LOOK_SECONDS: Final = 1.0


def hold_signals() -> None:
    """Keeps SIGTERM and SIGINT (Ctrl-C) for `until_told`, in this thread and in those that it starts from now on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def until_told(is_alive: Callable[[], bool] = lambda: True) -> bool:
    """Return at the first of these signals, also one that came before; False when what `is_alive` tells of is not.

    The next signal ends the process at once.
    """
    while (told := signal.sigtimedwait(_SIGNALS, _LOOK_SECONDS)) is None and is_alive():
        pass
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return told is not None
