"""As much of Ray as the launcher asks of it, in this process: a task is done when it is waited for."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    pass


class TaskCancelledError(RayError):
    pass


class FakeRay:
    """Its machines may be changed; so may what becomes of a task."""

    def __init__(self, cores: Sequence[float] = (1,)) -> None:
        self.cores = [*cores]
        self.outcome: Callable[[Any], Any] = lambda _work: 0
        self.is_silent = False
        self.cancelled: list[Any] = []
        self.exceptions = SimpleNamespace(RayError=RayError, TaskCancelledError=TaskCancelledError)

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "Alive": True,
                "NodeID": "0" * 56,
                "NodeManagerHostname": "box",
                "Resources": {"CPU": n},
            }
            for n in self.cores
        ]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "0" * 56)

    def remote(self, **_options: Any) -> Callable[[Any], Any]:
        return lambda target: _Remote(target)

    def wait(
        self, tasks: list[Any], num_returns: int = 1, timeout: float = 0
    ) -> tuple[list[Any], list[Any]]:
        return ([], tasks) if self.is_silent else (tasks, [])

    def get(self, task: Any, timeout: float = 0) -> Any:
        if isinstance(task, list):
            return [self.get(one) for one in task]
        if not isinstance(task, _Task):
            return task  # what an actor has answered
        return self.outcome(task.arguments[0])

    def cancel(self, task: Any, **_options: Any) -> None:
        self.cancelled.append(task)


class _Task:
    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


class _Remote:
    """A task, or the class of an actor: whose calls are done at once."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def options(self, **_options: Any) -> "_Remote":
        return self

    def remote(self, *arguments: Any) -> Any:
        return _Actor(self._target()) if isinstance(self._target, type) else _Task(*arguments)


class _Actor:
    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=getattr(self._own, name))
