//! The recipes of `deploy/recipes/`: each has a form that its service takes, and names what the stack makes.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::stack::deploy;
use crate::support::python;

fn read(file: &str) -> String {
    fs::read_to_string(deploy("recipes").join(file)).expect("a recipe")
}

/// A recipe in YAML, as JSON.
fn yaml(file: &str) -> Value {
    let convert =
        "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let mut command = python::snippet(convert);
    let printed = python::output(command.arg(deploy("recipes").join(file)));
    serde_json::from_str(&printed).expect("JSON")
}

/// Runs the console script of a Python package over a recipe.
fn check(script: &str, arguments: &[&str], file: &str) -> String {
    let bin = python::interpreter().with_file_name(script);
    let mut command = std::process::Command::new(bin);
    python::output(command.args(arguments).arg(deploy("recipes").join(file)))
}

#[test]
fn kubernetes_takes_the_cron_job() {
    check(
        "kubernetes-validate",
        &["--strict", "--quiet"],
        "eks-cronjob.yaml",
    );
    let job = yaml("eks-cronjob.yaml");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["args"][0], "run");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    // The image has one folder that can be written.
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/tmp");
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert_eq!(pod["restartPolicy"], "Never");
    let rules = &job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"];
    assert_eq!(rules[0]["onExitCodes"]["containerName"], container["name"]);
    assert_eq!(rules[0]["onExitCodes"]["values"], json!([2, 6, 8]));
}

#[test]
fn github_takes_the_workflow() {
    check(
        "check-jsonschema",
        &["--builtin-schema", "vendor.github-workflows"],
        "github-actions.yml",
    );
    let text = read("github-actions.yml");
    // The script of its last step, with a container that ends in each way.
    let script = text.split("run: |\n").nth(1).expect("a script");
    for (ends, expected) in [(0, 0), (8, 0), (3, 3), (9, 9)] {
        let docker = format!("docker() {{ return {ends}; }}\n");
        let mut shell = std::process::Command::new("bash");
        shell.args(["-e", "-o", "pipefail", "-c", &(docker + script)]);
        let status = shell.status().expect("bash runs");
        assert_eq!(status.code(), Some(expected), "{ends}");
    }
}

#[test]
fn step_functions_take_the_state_machine() {
    check("statelint", &[], "step-functions.asl.json");
    let machine: Value = serde_json::from_str(&read("step-functions.asl.json")).expect("JSON");
    let states = machine["States"].as_object().expect("states");
    let next_of = |state: &Value| -> Vec<String> {
        let lists = ["Catch", "Choices"]
            .iter()
            .filter_map(|key| state[*key].as_array());
        let inner = lists.flatten().map(|one| &one["Next"]);
        let own = [&state["Next"], &state["Default"]];
        inner
            .chain(own)
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    // Every state is reached from the first.
    let mut reached = BTreeSet::new();
    let mut open = vec![machine["StartAt"].as_str().expect("a name").to_owned()];
    while let Some(name) = open.pop() {
        let state = states
            .get(&name)
            .unwrap_or_else(|| panic!("no state {name}"));
        if reached.insert(name) {
            open.extend(next_of(state));
        }
    }
    assert_eq!(reached.len(), states.len(), "{reached:?}");
    let choices = states["Which failure"]["Choices"]
        .as_array()
        .expect("a list");
    let next = |code: u8| {
        let choice = choices
            .iter()
            .find(|choice| choice["NumericEquals"] == code);
        choice.map(|choice| choice["Next"].as_str().expect("a name"))
    };
    assert_eq!(
        (next(8), next(3)),
        (Some("Done"), Some("Wait for the export slot"))
    );
    // Not started: no exit code to compare.
    assert_eq!(choices[0]["IsPresent"], false);
}

/// Airflow is too large for these tests, so the file runs with stand-ins for what it imports.
#[test]
fn the_dag_starts_the_task_of_the_stack() {
    let run = r#"
import json, runpy, sys, types
made = {}
class Dag:
    def __init__(self, name, **settings): made["dag"] = {"name": name} | {key: str(value) for key, value in settings.items()}
    def __enter__(self): return self
    def __exit__(self, *_): pass
def operator(**settings): made["task"] = {key: value if isinstance(value, (str, int, list, dict)) else str(value) for key, value in settings.items()}
for name in ["airflow", "airflow.providers", "airflow.providers.amazon", "airflow.providers.amazon.aws", "airflow.providers.amazon.aws.operators"]:
    sys.modules[name] = types.ModuleType(name)
sys.modules["airflow.sdk"] = types.SimpleNamespace(DAG=Dag)
sys.modules["airflow.providers.amazon.aws.operators.ecs"] = types.SimpleNamespace(EcsRunTaskOperator=operator)
runpy.run_path(sys.argv[1])
json.dump(made, sys.stdout)
"#;
    let mut command = python::snippet(run);
    let printed = python::output(command.arg(deploy("recipes").join("airflow_dag.py")));
    let made: Value = serde_json::from_str(&printed).expect("JSON");
    let task = &made["task"];
    assert_eq!(
        task["overrides"]["containerOverrides"][0]["name"],
        "logtally"
    );
    assert_eq!(
        task["overrides"]["containerOverrides"][0]["command"][0],
        "run"
    );
    assert_eq!(task["awslogs_group"], "/ecs/logtally");
    // The stream's prefix of the task definition, then the container.
    assert_eq!(task["awslogs_stream_prefix"], "run/logtally");
    assert_eq!(task["skip_on_exit_code"], 8);
    assert_eq!(made["dag"]["max_active_runs"], "1");
}

#[test]
fn batch_takes_the_backfill() {
    assert_eq!(
        check(
            "cfn-lint",
            &["--non-zero-exit-code", "informational", "--"],
            "batch.yaml"
        ),
        ""
    );
    ensure_outputs_of_the_stack(
        "batch.yaml",
        &[
            "JobLocation",
            "ExportsLocation",
            "AnswersLocation",
            "TaskRoleArn",
            "ExecutionRoleArn",
            "LogGroupName",
            "SecurityGroupId",
        ],
    );
}

#[test]
fn ecs_takes_the_workers() {
    assert_eq!(
        check(
            "cfn-lint",
            &["--non-zero-exit-code", "informational", "--"],
            "workers.yaml"
        ),
        ""
    );
    ensure_outputs_of_the_stack(
        "workers.yaml",
        &[
            "ClusterName",
            "TaskRoleArn",
            "LogGroupName",
            "SecurityGroupId",
        ],
    );
    // The port and the name that the documentation has.
    let recipe = read("workers.yaml");
    assert!(recipe.contains("[worker, --listen, \"0.0.0.0:50051\""));
    let workers = "dns://workers.logtally.local:50051";
    let documented = fs::read_to_string("docs/cluster.md").expect("the page");
    assert!(recipe.contains(workers) && documented.contains(workers));
}

/// The names of a recipe's parameters that are outputs of the stack.
fn ensure_outputs_of_the_stack(recipe: &str, names: &[&str]) {
    let stack = fs::read_to_string(deploy("cloudformation.yaml")).expect("the template");
    let outputs = stack.split("\nOutputs:\n").nth(1).expect("outputs");
    let recipe = read(recipe);
    for name in names {
        assert!(recipe.contains(&format!("  {name}:\n")), "{name}");
        assert!(
            outputs.contains(&format!("  {name}:\n")),
            "{name} is no output of the stack"
        );
    }
}

/// The actions of the statements of the policy `job`, by their `Sid`, without those of `ddl --apply`.
fn actions_of_the_job(template: &str, role: &str) -> Vec<String> {
    let policy = template
        .split(&format!("\n  {role}:\n"))
        .nth(1)
        .and_then(|text| text.split("PolicyName: job\n").nth(1))
        .expect("the policy");
    let end = ["# ddl --apply", "- PolicyName:", "\n\n"]
        .iter()
        .filter_map(|end| policy.find(end))
        .min();
    let lines = policy[..end.expect("an end")].lines().map(str::trim);
    let is_action = |line: &&str| {
        line.starts_with("- Sid:")
            || line.starts_with("Action:")
            || ["- logs:", "- cloudwatch:", "- s3:"]
                .iter()
                .any(|start| line.starts_with(start))
    };
    lines.filter(is_action).map(str::to_owned).collect()
}

#[test]
fn the_function_may_do_what_the_task_of_the_stack_may() {
    let linted = check(
        "cfn-lint",
        &["--non-zero-exit-code", "informational", "--"],
        "lambda.yaml",
    );
    assert_eq!(linted, "");
    ensure_outputs_of_the_stack(
        "lambda.yaml",
        &[
            "JobLocation",
            "ExportsLocation",
            "AnswersLocation",
            "LogGroupName",
            "TopicArn",
        ],
    );
    let stack = fs::read_to_string(deploy("cloudformation.yaml")).expect("the template");
    let of_task = actions_of_the_job(&stack, "TaskRole");
    assert!(of_task.len() > 10, "{of_task:?}");
    assert_eq!(actions_of_the_job(&read("lambda.yaml"), "Role"), of_task);
}
