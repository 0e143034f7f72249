"""What API Gateway says when it answers by itself: problems as RFC 9457 writes them."""

import json
from dataclasses import dataclass

from aws_cdk import aws_apigateway as apigateway

_BUSY_SECONDS, _QUOTA_SECONDS, _AWAY_SECONDS = 1, 3600, 5


@dataclass(frozen=True)
class _Problem:
    kinds: tuple[str, ...]
    """Kinds of gateway responses that tell it."""
    status: int | None
    """``None`` leaves the status to the gateway."""
    title: str
    detail: str
    retry_after: int | None = None


_PROBLEMS = (
    _Problem(
        ("BAD_REQUEST_BODY",),
        400,
        "Bad Request",
        "The body is not what the schema allows: $context.error.validationErrorString",
    ),
    _Problem(
        ("BAD_REQUEST_PARAMETERS",),
        400,
        "Bad Request",
        "A header or parameter is not allowed: $context.error.validationErrorString",
    ),
    _Problem(("UNAUTHORIZED",), 401, "Unauthorized", "The request shows no valid access token."),
    # The gateway knows no difference between a path that is not there and a request without a signature.
    _Problem(
        ("MISSING_AUTHENTICATION_TOKEN",),
        403,
        "Forbidden",
        "The request is not signed, or there is nothing at this path for this method.",
    ),
    # Its own words would name the role, the account and the API.
    _Problem(
        ("ACCESS_DENIED",),
        403,
        "Forbidden",
        "Whoever makes this request, or from where, is not allowed to.",
    ),
    _Problem(
        ("INVALID_SIGNATURE", "EXPIRED_TOKEN"), 403, "Forbidden", "The signature or token is not valid now."
    ),
    _Problem(("INVALID_API_KEY",), 403, "Forbidden", "The header x-api-key holds no key of a consumer."),
    _Problem(("WAF_FILTERED",), 403, "Forbidden", "The request was filtered out."),
    _Problem(("RESOURCE_NOT_FOUND",), 404, "Not Found", "There is nothing at this path."),
    _Problem(
        ("REQUEST_TOO_LARGE",),
        413,
        "Content Too Large",
        "The body is too large; send fewer instances at a time.",
    ),
    _Problem(
        ("UNSUPPORTED_MEDIA_TYPE",),
        415,
        "Unsupported Media Type",
        "The body has to be application/json, and the header has to say so.",
    ),
    _Problem(
        ("THROTTLED",), 429, "Too Many Requests", "Too many calls at once; wait a little.", _BUSY_SECONDS
    ),
    _Problem(
        ("QUOTA_EXCEEDED",), 429, "Too Many Requests", "The quota of the day is used up.", _QUOTA_SECONDS
    ),
    _Problem(
        ("INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT"),
        503,
        "Service Unavailable",
        "No prediction could be made in time.",
        _AWAY_SECONDS,
    ),
    _Problem(
        ("API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE"),
        500,
        "Internal Server Error",
        "No prediction could be made.",
    ),
    _Problem(("DEFAULT_4XX",), None, "Request Refused", "The request cannot be answered as it is."),
    _Problem(("DEFAULT_5XX",), None, "Internal Server Error", "No prediction could be made."),
)


def tell_problems(api: apigateway.RestApi) -> None:
    """Make every answer that API Gateway gives by itself a problem, in words of this API and none of its own.

    Nothing of the account shows in them. ``instance`` is the request id, by which the logs are found.
    """
    for problem in _PROBLEMS:
        headers = {"Content-Type": "'application/problem+json'", "Cache-Control": "'no-store'"}
        if problem.retry_after is not None:
            headers["Retry-After"] = f"'{problem.retry_after}'"
        if problem.status == 401:
            headers["WWW-Authenticate"] = "'Bearer'"
        for kind in problem.kinds:
            api.add_gateway_response(
                "".join(part.capitalize() for part in kind.split("_")),
                type=apigateway.ResponseType.of(kind),
                status_code=str(problem.status) if problem.status else None,
                response_headers=headers,
                # The gateway looks templates up by what is accepted, and keeps to this one where nothing fits.
                templates={"application/json": _template(problem)},
            )


def _template(problem: _Problem) -> str:
    members = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": "urn:uuid:$context.requestId",
    }
    return json.dumps({name: value for name, value in members.items() if value is not None})
