"""What an endpoint promises, what it runs on and where."""

from aws_cdk import Duration

from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropChecks
from ml_lens.hosting.capacity import Instances, Serverless, check_instances, check_serverless
from ml_lens.hosting.captures import DataCapture
from ml_lens.hosting.deployments import Deployment
from ml_lens.hosting.networks import EndpointNetwork

_LONGEST_ANSWER = Duration.seconds(60)


def check_endpoint(
    props: PropChecks,
    posture: Posture,
    network: EndpointNetwork | None,
    capacity: Instances | Serverless,
    deployment: Deployment,
    latency_slo: Duration,
    capture: DataCapture,
) -> None:
    """Refuse what cannot be promised, recorded or run, by itself or together."""
    _check_latency(props, latency_slo)
    capture.check(props)
    if isinstance(capacity, Serverless):
        check_serverless(props, capacity, deployment, networked=network is not None, recorded=capture.enabled)
    else:
        check_instances(props, capacity, posture, deployment)
        _check_network(props, network, posture)


def _check_latency(props: PropChecks, latency_slo: Duration) -> None:
    if latency_slo.is_unresolved():
        props.refuse(
            "latency_slo",
            "is a token, and must be known when the template is made; give Duration.millis(200)",
        )
        return
    props.require(
        1 <= latency_slo.to_milliseconds(integral=False) <= _LONGEST_ANSWER.to_milliseconds(),
        "latency_slo",
        f"{latency_slo.to_human_string()} is out of range; allowed are 1 millisecond to 1 minute, after which "
        "SageMaker gives a call up: give the 99th percentile you promise, for example Duration.millis(200)",
    )


def _check_network(props: PropChecks, network: EndpointNetwork | None, posture: Posture) -> None:
    if props.require(
        network is not None,
        "network",
        "is missing, and instances outside a network of yours could reach anything; give EndpointNetwork(vpc=…, "
        "security_groups=…), or use Serverless()",
    ):
        assert network is not None  # noqa: S101  (for the type checker)
        network.check(props, posture)
