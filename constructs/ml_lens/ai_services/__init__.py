"""Patterns that consume AI through an API call."""

from ml_lens.ai_services.demographics import CustomerDemographics
from ml_lens.ai_services.face_attributes import face_attributes
from ml_lens.ai_services.face_dashboard import FaceDashboard
from ml_lens.ai_services.face_queries import FaceQueries
from ml_lens.ai_services.thresholds import FaceThresholds
from ml_lens.ai_services.upload_analysis import Analyser, Burst, ServiceMetrics, UploadAnalysis

__all__ = [
    "Analyser",
    "Burst",
    "CustomerDemographics",
    "FaceDashboard",
    "FaceQueries",
    "FaceThresholds",
    "ServiceMetrics",
    "UploadAnalysis",
    "face_attributes",
]
