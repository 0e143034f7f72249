"""Rules of the security pillar."""

from typing import Final

from ml_lens.rules.rule import Rule
from ml_lens.rules.security import (
    access,
    audit,
    container_storage,
    data_buckets,
    data_lake,
    derived_data,
    feature_store,
    hosting,
    images,
    inference_access,
    job_guardrails,
    jobs,
    logs,
    networks,
    notebook_access,
    notebooks,
    separation,
    vpc_endpoints,
)

RULES: Final[tuple[Rule, ...]] = (
    *access.RULES,
    *audit.RULES,
    *container_storage.RULES,
    *data_buckets.RULES,
    *data_lake.RULES,
    *derived_data.RULES,
    *feature_store.RULES,
    *hosting.RULES,
    *images.RULES,
    *inference_access.RULES,
    *job_guardrails.RULES,
    *jobs.RULES,
    *logs.RULES,
    *networks.RULES,
    *notebook_access.RULES,
    *notebooks.RULES,
    *separation.RULES,
    *vpc_endpoints.RULES,
)
