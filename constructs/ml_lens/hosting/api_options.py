"""What few APIs need otherwise than it is."""

from dataclasses import dataclass
from typing import Protocol

from aws_cdk import Duration, Size, Token
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam

from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.api_access import ApiReach


class RecordsPredictions(Protocol):
    """What keeps predictions until their outcomes are known: ``Outcomes``."""

    @property
    def table(self) -> dynamodb.ITable:
        """Holds them."""

    @property
    def days(self) -> int:
        """How many days a prediction is kept."""

    def grant_record_predictions(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` add predictions."""


class AssignsVariants(Protocol):
    """What decides which variant answers whom: ``Experiment``."""

    @property
    def table(self) -> dynamodb.ITable:
        """Holds its state."""

    def grant_read_assignment(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let ``grantee`` read the state."""


@dataclass(frozen=True, kw_only=True)
class ApiOptions:
    """What few APIs need otherwise than it is."""

    reach: ApiReach | None = None
    """From where it is reached. Default: from the internet."""
    web_acl_arn: str | None = None
    """A regional web ACL of AWS WAF that filters calls. Default: none."""
    outcomes: RecordsPredictions | None = None
    """Keeps which variant made a prediction, to be joined with its outcome. Default: nothing is kept."""
    experiment: AssignsVariants | None = None
    """Lets the same variant answer the same subject, which callers name in the header ``x-subject``. Default: the
    weights of the endpoint decide for each call."""
    answer_within: Duration | None = None
    """Time until a call is given up, 5 to 28 seconds; a little more than the slowest answer of the model. Default: 20
    seconds."""
    largest_body: Size | None = None
    """Largest body of a request, 1 KiB to 4 MiB. Default: 1 MiB."""
    account_logging: bool = False
    """Whether to let API Gateway write logs, by the one role that it has for a whole account and Region. An account
    in which nobody has ever done so needs that once, or no API with logs can be deployed. The setting names the role
    of this stack from then on: in a sandbox it goes with the stack, and other APIs stop logging."""

    def check(self, props: PropChecks) -> None:
        """Record what cannot be used."""
        (self.reach or ApiReach()).check(props)
        props.number(
            "options.answer_within",
            self.seconds,
            low=5,
            high=28,
            unit="seconds",
            way_out="API Gateway itself gives up after 29 seconds; a model that takes longer needs batch inference",
        )
        props.number(
            "options.largest_body",
            self.bytes,
            low=1024,
            high=4 * 1024 * 1024,
            unit="bytes",
            way_out="serverless inference takes 4 MiB; send more by batch inference",
        )
        if self.web_acl_arn is not None and not Token.is_unresolved(self.web_acl_arn):
            props.require(
                ":regional/webacl/" in self.web_acl_arn,
                "options.web_acl_arn",
                f"{self.web_acl_arn!r} is no web ACL of the Region; its ARN holds ':regional/webacl/'",
            )

    @property
    def seconds(self) -> int:
        """Time until a call is given up."""
        return int((self.answer_within or Duration.seconds(20)).to_seconds())

    @property
    def bytes(self) -> int:
        """Largest body."""
        return int((self.largest_body or Size.mebibytes(1)).to_bytes())
