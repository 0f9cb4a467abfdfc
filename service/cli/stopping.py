"""How a process hears that it is to end."""

from __future__ import annotations

import os
import signal
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def hold_signals() -> None:
    """Keeps SIGTERM and SIGINT (Ctrl-C) for `until_told`, in this thread and in those that it starts from now on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def until_told() -> None:
    """Return at the first of these signals, also one that came before. The next one ends the process at once."""
    signal.sigwait(_SIGNALS)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def tell() -> None:
    """Tell this process to end, from a thread without which it is of no use."""
    os.kill(os.getpid(), signal.SIGTERM)
