"""Start the sandbox: MiniStack with everything in this folder added to it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from ml_lens.rehearsal.inside.journal import FOLDER_VARIABLE, Journal

POWERTOOLS_PYTHON = ("python3.11", "python3.12", "python3.13", "python3.14")


def main() -> None:
    """Install every hook and serve until told to stop."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    if os.environ.get("ML_LENS_SANDBOX_FOLLOWS_PARENT") == "1":
        threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    # Imported here: MiniStack reads its environment, and the port above all, while it is imported.
    from ml_lens.rehearsal.inside.athena import Athena
    from ml_lens.rehearsal.inside.declared import DeclaredResources
    from ml_lens.rehearsal.inside.encryption import KeyEnforcement, QueueReader
    from ml_lens.rehearsal.inside.ministack_adapter import (
        access,
        alarms,
        delivery,
        gateway,
        networks,
        resources,
        rest_api_answers,
        rest_api_types,
        rest_apis,
        running,
        sagemaker,
        scaling,
        security_groups,
        targets,
        transforms,
        workflow_logs,
        workflow_states,
        workflows,
    )
    from ml_lens.rehearsal.inside.missing_objects import MissingObjects
    from ml_lens.rehearsal.inside.rekognition import ScriptedRekognition
    from ml_lens.rehearsal.inside.scaling import Scaling

    journal = Journal(folder)
    gate, keys = access.Policies(), access.Keys()
    stores = access.Stores(gate, keys)
    gateway.treat_loopback_as_tls()
    declared = DeclaredResources(journal, lambda: (gate.account(), gate.region()))
    security_groups.keep_rules_of_security_groups()
    scales = Scaling(lambda: (gate.account(), gate.region()))
    scaling.serve_scaling(scales)
    scaling.provision_scaling(scales, declared)
    resources.declare(declared)
    gateway.authorize_batches_as_their_parts()
    gateway.accept_the_managed_key()
    gateway.hide_missing_objects(MissingObjects(gate))
    gateway.enforce_keys(KeyEnforcement(gate, keys))
    gateway.serve_rekognition(ScriptedRekognition(journal, stores))
    gateway.serve_athena(Athena(gate, stores, _execute))
    transforms.serve_transform_jobs(*sagemaker.serve_sagemaker(gate, keys), gate)
    rest_apis.refuse_in_the_words_of_the_api()
    rest_apis.say_what_is_wrong_with_a_body()
    rest_api_answers.answer_as_the_gateway(gate)
    rest_api_types.keep_all_of_a_rest_api()
    delivery.poll_queues_as_the_function(QueueReader(gate, keys))
    delivery.complete_object_events()
    delivery.deliver_events_as_the_service(gate, keys)
    running.run_functions_on_the_runtime_client()
    running.log_as_the_function(gate)
    networks.place_functions_in_their_networks(gate)
    workflows.run_tasks_in_the_role(gate)
    transforms.await_transform_jobs(gate)
    workflows.follow_executions()
    workflow_states.complete_jsonata()
    workflow_logs.create_only_what_can_run(gate)
    workflow_logs.log_events()
    targets.enforce_keys_of_topics(gate, keys)
    targets.start_targets_by_right(gate, keys)
    targets.tell_alarms_as_the_service(gate, keys)
    alarms.judge_alarms()
    resources.finish_buckets()
    running.publish_powertools(
        os.environ["MINISTACK_ACCOUNT_ID"], os.environ["MINISTACK_REGION"], POWERTOOLS_PYTHON
    )
    sys.argv = [sys.argv[0]]
    gateway.serve()


def _execute(*query: Any) -> Any:
    # Imported with the first query: DuckDB is a third of the sandbox's start.
    from ml_lens.rehearsal.inside import athena_engine

    return athena_engine.execute(*query)


def _end_with_parent(folder: Path) -> None:
    """End the whole process group when the parent, which holds the other end of our input, is gone."""
    while os.read(0, 1):
        pass
    os.chdir(tempfile.gettempdir())
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(os.getpgid(0), signal.SIGKILL)
