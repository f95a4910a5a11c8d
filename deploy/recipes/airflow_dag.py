"""The task of the stack as a task of Airflow: a window of the data interval, with retries, and backfills by Airflow.

Needs apache-airflow-providers-amazon. The values come from the outputs of the stack.
"""

from datetime import datetime, timedelta

from airflow.providers.amazon.aws.operators.ecs import EcsRunTaskOperator
from airflow.sdk import DAG

CLUSTER = "logtally"
TASK_DEFINITION = "logtally"
JOB = "s3://acme-answers/jobs/nightly.toml"
SUBNETS = ["subnet-0123456789abcdef0"]
SECURITY_GROUP = "sg-0123456789abcdef0"

with DAG(
    "logtally",
    schedule="30 9 * * *",
    start_date=datetime(2026, 11, 1),
    # The days that are missing are one run of logtally with --from and --to, since an account has one export slot.
    catchup=False,
    max_active_runs=1,
) as dag:
    EcsRunTaskOperator(
        task_id="run",
        cluster=CLUSTER,
        task_definition=TASK_DEFINITION,
        launch_type="FARGATE",
        # Without a window, a run also does what earlier nights left undone.
        overrides={"containerOverrides": [{"name": "logtally", "command": ["run", JOB]}]},
        network_configuration={
            "awsvpcConfiguration": {
                "subnets": SUBNETS,
                "securityGroups": [SECURITY_GROUP],
                "assignPublicIp": "DISABLED",
            }
        },
        awslogs_group="/ecs/logtally",
        awslogs_stream_prefix="run/logtally",
        container_name="logtally",
        # A worker that was restarted waits for the task that it has started.
        reattach=True,
        # Another run holds the window, and does it.
        skip_on_exit_code=8,
        # A run resumes what the one before has begun.
        retries=3,
        retry_delay=timedelta(minutes=30),
        execution_timeout=timedelta(hours=8),
    )
