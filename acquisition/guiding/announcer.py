"""The guider's voice: what state it is in, and everything it tells.

In: changes, in order. Out: events (`events.py`) to one listener.
"""

from __future__ import annotations

import asyncio

from acquisition.guiding.events import Alarm, AlarmKind, Event, Listener, Notice, State, StateChanged


class Announcer:
    """Keeps the state and tells each event once.

    Parameters
    ----------
    listen : callable
        Gets every event, in order, synchronously.
    """

    def __init__(self, listen: Listener) -> None:
        self._listen = listen
        self.state = State.STOPPED

    def tell(self, event: Event) -> None:
        self._listen(event)

    def change(self, state: State, reason: str, anew: bool = False) -> None:
        """Go to a state; nothing is told when it is the same, unless `anew`: for another reason now."""
        if state is not self.state or anew:
            self.state = state
            self._listen(StateChanged(asyncio.get_running_loop().time(), state, reason))

    def alarm(self, kind: AlarmKind, text: str) -> None:
        """Tell that something is wrong, and how to mend it."""
        self._listen(Alarm(asyncio.get_running_loop().time(), kind, text))

    def notice(self, text: str) -> None:
        """Tell a user something in a sentence."""
        self._listen(Notice(asyncio.get_running_loop().time(), text))
