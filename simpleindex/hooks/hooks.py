"""The hooks of a server: one delivery for each hook of the file, begun and ended as the file changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.text import plural
from simpleindex.hooks.delivery import HookDelivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.hooks.delivery import HookContext, HookTarget
    from simpleindex.hooks.settings import HookSettings
    from simpleindex.system.followed_file import FollowedFile


class Hooks:
    """The hooks."""

    def __init__(
        self,
        file: FollowedFile[tuple[HookSettings, ...]],
        target_of: Callable[[HookSettings], HookTarget],
        context: HookContext,
    ) -> None:
        self._file = file
        self._target_of = target_of
        self._context = context
        self._running: dict[HookSettings, HookDelivery] = {}

    def line(self) -> str:
        """Return a line for the log at start."""
        return hooks_line(self._file.value)

    def start(self) -> None:
        """Begin with the hooks of the file."""
        self._take(self._file.value)

    def follow(self) -> None:
        """Look at the file, and take what changed."""
        self._take(self._file.look())

    def reload(self) -> None:
        """Do the same because of SIGHUP, and log again what is wrong with the file."""
        self._take(self._file.reload())

    def stop(self) -> None:
        """End the deliveries of all hooks."""
        for delivery in self._running.values():
            delivery.stop()
        self._running.clear()

    def _take(self, hooks: tuple[HookSettings, ...]) -> None:
        for hook in self._running.keys() - set(hooks):
            self._running.pop(hook).stop()
        self._context.positions.keep_only(frozenset(hook.name for hook in hooks))
        for hook in hooks:
            if hook not in self._running:
                self._running[hook] = delivery = HookDelivery(hook, self._target_of(hook), self._context)
                delivery.start()


def hooks_line(hooks: tuple[HookSettings, ...]) -> str:
    """Return a line that names the hooks."""
    names = ", ".join(hook.name for hook in hooks)
    return f"Events are sent to {plural(len(hooks), 'hook')}: {names}." if hooks else "There is no hook yet."
