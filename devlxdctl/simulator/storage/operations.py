"""Operations: changes that run in the background and are waited for."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devlxdctl.simulator.storage.model import OperationPlan, new_operation_id


class StorageError(Exception):
    """A request or an operation that fails with an HTTP status and a text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass
class _Operation:
    id: str
    ended: asyncio.Event
    timer: asyncio.TimerHandle | None = None
    """Ends the operation, or removes it after its end."""
    end: Callable[[], None] = lambda: None
    error: StorageError | None = None

    def as_json(self) -> dict[str, object]:
        status, code = ("Success", 200) if self.ended.is_set() else ("Running", 103)
        return {"id": self.id, "status": status, "status_code": code, "err": ""}


class Operations:
    """All operations of a host. A finished operation is removed after `lifetime` seconds."""

    def __init__(self, plans: Mapping[str, OperationPlan], lifetime: float) -> None:
        self._plans = plans
        self._lifetime = lifetime
        self._operations: dict[str, _Operation] = {}

    def start(
        self, kind: str, change: Callable[[], None], abandon: Callable[[], None] | None = None
    ) -> dict[str, object]:
        """Start an operation and return its API object.

        `change` is applied when the operation ends, and may raise StorageError. An operation that takes
        no time ends before this returns, but is reported as running, as on real hosts. `abandon` is called
        if the operation ends without calling `change`.
        """
        operation = _Operation(new_operation_id(), asyncio.Event())
        self._operations[operation.id] = operation
        started = operation.as_json()
        plan = self._plans.get(kind, OperationPlan())

        def end() -> None:
            if plan.error is not None:
                operation.error = StorageError(plan.status, plan.error)
                if abandon is not None:
                    abandon()
            else:
                try:
                    change()
                except StorageError as error:
                    operation.error = error
            operation.ended.set()
            operation.timer = loop.call_later(self._lifetime, self._operations.pop, operation.id, None)

        operation.end = end
        loop = asyncio.get_running_loop()
        if plan.seconds:
            operation.timer = loop.call_later(plan.seconds, end)
        else:
            end()
        return started

    async def wait(self, operation_id: str, timeout: str) -> dict[str, object]:
        """Wait for the end of an operation and return its API object.

        `timeout` is the query parameter: seconds; empty or negative: no limit. Raises StorageError with
        the error of a failed operation, and if the timeout ends.
        """
        if timeout and not re.fullmatch(r"[+-]?[0-9]{1,18}", timeout):
            raise StorageError(400, "Invalid timeout value")
        operation = self._find(operation_id)
        limit = int(timeout or -1)
        if not operation.ended.is_set():
            try:
                await asyncio.wait_for(operation.ended.wait(), limit if limit >= 0 else None)
            except asyncio.TimeoutError:
                raise StorageError(500, "context deadline exceeded") from None
        if operation.error is not None:
            raise operation.error
        return operation.as_json()

    def cancel(self, operation_id: str) -> None:
        """Accept the cancellation of a running operation, which then succeeds nevertheless (measured)."""
        if self._find(operation_id).ended.is_set():
            raise StorageError(400, "Only running operations can be cancelled")

    def finish(self) -> None:
        """End all running operations now, the oldest first."""
        for operation in list(self._operations.values()):
            if not operation.ended.is_set():
                if operation.timer is not None:
                    operation.timer.cancel()
                operation.end()

    def clear(self) -> None:
        """Lose all operations, as the end of the daemon does. Running ones change nothing."""
        for operation in self._operations.values():
            if operation.timer is not None:
                operation.timer.cancel()
        self._operations.clear()

    def _find(self, operation_id: str) -> _Operation:
        try:
            return self._operations[operation_id]
        except KeyError:
            raise StorageError(404, "Operation not found") from None
