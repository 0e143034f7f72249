"""What every pattern stands on: posture, keys, buckets by role, queues, functions, audit, alarms and the network."""

from ml_lens.foundation.audit import AuditTrail
from ml_lens.foundation.endpoint_policies import Perimeter
from ml_lens.foundation.function_networks import FunctionNetwork
from ml_lens.foundation.functions import PythonFunction
from ml_lens.foundation.messaging import WorkQueue
from ml_lens.foundation.network import MlNetwork
from ml_lens.foundation.observability import AlarmTopic
from ml_lens.foundation.posture import Posture
from ml_lens.foundation.props import PropError
from ml_lens.foundation.storage import DerivedDataBucket, TemporaryInputBucket

__all__ = [
    "AlarmTopic",
    "AuditTrail",
    "DerivedDataBucket",
    "FunctionNetwork",
    "MlNetwork",
    "Perimeter",
    "Posture",
    "PropError",
    "PythonFunction",
    "TemporaryInputBucket",
    "WorkQueue",
]
