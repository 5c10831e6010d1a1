"""The guider's voice: what state it is in, and everything it tells.

In: changes, in order. Out: events (`events.py`) to one listener.
"""

from __future__ import annotations

import asyncio

from acquisition.guiding.events import Event, Listener, Notice, State, StateChanged


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

    def change(self, state: State, reason: str) -> None:
        """Go to a state; nothing is told when it is the same."""
        if state is not self.state:
            self.state = state
            self._listen(StateChanged(asyncio.get_running_loop().time(), state, reason))

    def notice(self, text: str) -> None:
        """Tell a user something in a sentence."""
        self._listen(Notice(asyncio.get_running_loop().time(), text))
