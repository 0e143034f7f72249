"""Models that answer calls: what they run on, who may call them, and how a new version takes over."""

from ml_lens.hosting.artifacts import ModelArtifact, ServedModel
from ml_lens.hosting.capacity import Instances, Serverless
from ml_lens.hosting.captures import DataCapture
from ml_lens.hosting.deployments import Deployment
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.images import ModelImage
from ml_lens.hosting.networks import EndpointNetwork

__all__ = [
    "DataCapture",
    "Deployment",
    "EndpointNetwork",
    "HostedModel",
    "Instances",
    "ModelArtifact",
    "ModelImage",
    "ServedModel",
    "Serverless",
]
