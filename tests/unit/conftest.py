"""Lets a test import a function's modules as Lambda does: each function's folder is an import root."""

import os
import sys
from pathlib import Path

LAMBDA = Path(__file__).parents[2] / "lambda"

for function in (
    "endpoint_reaper",
    "erase_images",
    "experiment_verdict",
    "face_attributes",
    "forget_rollouts",
    "inference_api",
    "load_report",
    "load_worker",
    "predict_objects",
    "record_outcomes",
    "rollout_judge",
    "rollout_probe",
    "transform_summary",
):
    sys.path.insert(0, str(LAMBDA / function))

# Powertools reads these when a handler is imported.
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "unit-tests")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "MLLens")
os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
