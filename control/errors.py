"""What can go wrong between thorctl and thord. Each error says what to do about it, and which exit status it means."""

from control import exit_status


class ThordError(Exception):
    """The operation failed.

    Attributes:
        code: a word for programs, stable.
        status: the exit status of thorctl.
    """

    code = "failed"
    status = exit_status.FAILED

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code:
            self.code = code


class UsageError(ThordError):
    """The request makes no sense, or the settings are wrong."""

    code = "bad_request"
    status = exit_status.USAGE


class NotRunningError(ThordError):
    """Nobody listens on the socket."""

    code = "not_running"
    status = exit_status.NOT_RUNNING


class NoAnswerError(ThordError):
    """Somebody listens on the socket, but does not answer."""

    code = "no_answer"


class NotPermittedError(ThordError):
    """This user may not do that."""

    code = "not_permitted"
    status = exit_status.NOT_PERMITTED


class NotFoundError(ThordError):
    """There is no such thing."""

    code = "not_found"
    status = exit_status.NOT_FOUND


_BY_HTTP_STATUS = {400: UsageError, 401: NotPermittedError, 403: NotPermittedError, 404: NotFoundError, 422: UsageError}


def from_http(http_status: int, code: str | None, message: str) -> ThordError:
    """The error that an answer of thord stands for."""
    return _BY_HTTP_STATUS.get(http_status, ThordError)(message, code)
