"""Models that answer calls: what they run on, who may call them, and how a new version takes over."""

from ml_lens.hosting.api_access import ApiAccess, ApiReach, Throttle
from ml_lens.hosting.api_options import ApiOptions
from ml_lens.hosting.artifacts import ModelArtifact, ServedModel
from ml_lens.hosting.batch_inference import BatchInference
from ml_lens.hosting.batch_options import BatchJobs, BatchSource
from ml_lens.hosting.callers import CallOrigin
from ml_lens.hosting.capacity import Instances, Serverless
from ml_lens.hosting.captures import DataCapture
from ml_lens.hosting.deployments import Deployment
from ml_lens.hosting.experiment import Experiment
from ml_lens.hosting.experiment_options import ExperimentRules, Shift
from ml_lens.hosting.hosted_model import HostedModel
from ml_lens.hosting.images import ModelImage
from ml_lens.hosting.inference_api import InferenceApi
from ml_lens.hosting.load_options import LoadPayloads, LoadPlan
from ml_lens.hosting.load_test import LoadTest
from ml_lens.hosting.model_artifacts import ModelArtifacts
from ml_lens.hosting.model_library import ModelLibrary
from ml_lens.hosting.networks import EndpointNetwork
from ml_lens.hosting.on_demand_endpoint import OnDemandEndpoint
from ml_lens.hosting.on_demand_options import OnDemandFleet
from ml_lens.hosting.outcomes import Outcomes
from ml_lens.hosting.pipelines import InferencePipeline
from ml_lens.hosting.probes import Probes
from ml_lens.hosting.rollout import Rollout
from ml_lens.hosting.rollout_plan import RolloutChecks, RolloutPlan

__all__ = [
    "ApiAccess",
    "ApiOptions",
    "ApiReach",
    "BatchInference",
    "BatchJobs",
    "BatchSource",
    "CallOrigin",
    "DataCapture",
    "Deployment",
    "EndpointNetwork",
    "Experiment",
    "ExperimentRules",
    "HostedModel",
    "InferenceApi",
    "InferencePipeline",
    "Instances",
    "LoadPayloads",
    "LoadPlan",
    "LoadTest",
    "ModelArtifact",
    "ModelArtifacts",
    "ModelImage",
    "ModelLibrary",
    "OnDemandEndpoint",
    "OnDemandFleet",
    "Outcomes",
    "Probes",
    "Rollout",
    "RolloutChecks",
    "RolloutPlan",
    "ServedModel",
    "Serverless",
    "Shift",
    "Throttle",
]
