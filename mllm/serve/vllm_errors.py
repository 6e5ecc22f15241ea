"""Our errors in vLLM's hierarchy, so that its routes tell them with our status and our sentence alone.

In: an `MllmError`. Out: an error that vLLM takes for one of its own.
"""

from __future__ import annotations

from vllm.exceptions import GracefulHTTPError, VLLMValidationError

from mllm.errors import MllmError
from mllm.serve.http_errors import status_of


class RefusedError(GracefulHTTPError, VLLMValidationError):
    """A request that cannot be answered.

    Args:
        reason: why.
        parameter: of the request.
    """

    def __init__(self, reason: MllmError, *, parameter: str) -> None:
        Exception.__init__(self, str(reason))
        self.reason = reason
        self.message = str(reason)
        self.http_status = status_of(reason)
        self.parameter = parameter
        self.value = None

    def __str__(self) -> str:
        return self.message
