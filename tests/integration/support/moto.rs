//! A server with AWS's interfaces (moto), on a free port of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::program::{STATES, forget_aws};
use super::python;
use super::server::Server;

/// The Region of the tests.
pub const REGION: &str = "ap-northeast-2";

/// The most events of one PutLogEvents.
const EVENTS_IN_A_PUT: usize = 10_000;

/// A running server. Dropping it ends it, also while a test panics.
pub struct Moto(Server);

impl Moto {
    /// The server for tests whose buckets and log groups have names of their own. It ends with the process, which closes
    /// the server's standard input.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts an empty server and waits until it listens, for about a second.
    pub fn start() -> Self {
        Self::start_with([])
    }

    /// Starts a server with more environment variables, such as those of `tools/moto_server.py`.
    pub fn start_with<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let mut command = python::tool("moto_server.py");
        command
            // moto's exports write local times, AWS's write UTC.
            .env("TZ", "UTC")
            .envs(variables);
        Self(Server::start(command))
    }

    /// `http://127.0.0.1:PORT`
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The port of this machine that it listens on.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// The environment with which a program uses this server as its endpoint.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment_of(&self.endpoint())
    }

    /// The server's log so far: a line for each request, such as `… "GET /bucket?list-type=2 HTTP/1.1" 200 -`.
    pub fn log(&self) -> String {
        self.0.log()
    }

    /// Makes one call, named as in boto3. Panics with the service's error if it fails.
    pub fn call(&self, service: &str, operation: &str, arguments: Value) -> Value {
        let call = json!({"service": service, "operation": operation, "arguments": arguments});
        self.calls(vec![call]).remove(0)
    }

    /// Makes several calls through one process, as `tools/aws.py` describes them.
    pub fn calls(&self, calls: Vec<Value>) -> Vec<Value> {
        let folder = TempDir::new().expect("a temporary folder");
        self.calls_in(folder.path(), calls)
    }

    fn calls_in(&self, folder: &Path, calls: Vec<Value>) -> Vec<Value> {
        let input = folder.join("calls.json");
        fs::write(&input, Value::from(calls).to_string())
            .expect("the temporary folder is writable");
        let mut command = python::tool("aws.py");
        forget_aws(&mut command);
        command
            .arg(folder)
            .envs(self.environment())
            .env("AWS_DEFAULT_REGION", REGION)
            .stdin(fs::File::open(&input).expect("just written"));
        serde_json::from_str(&python::output(&mut command)).expect("aws.py prints a JSON list")
    }

    /// Requires credentials with sufficient policies for every further request.
    pub fn enforce_policies(&self) {
        let post = "import sys, urllib.request as web; \
                    web.urlopen(web.Request(sys.argv[1], b'0', {'Content-Type': 'text/plain'})).read()";
        let url = format!("{}/moto-api/reset-auth", self.endpoint());
        python::output(python::snippet(post).arg(url));
    }

    /// Creates a user whose policy allows these actions on all resources; returns the access key and the secret.
    pub fn create_user(&self, name: &str, actions: &[&str]) -> [(&'static str, String); 2] {
        let allow = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
        let policy = json!({"Version": "2012-10-17", "Statement": [allow]}).to_string();
        let call = |operation: &str, arguments: Value| json!({"service": "iam", "operation": operation, "arguments": arguments});
        let answers = self.calls(vec![
            call("create_user", json!({"UserName": name})),
            call(
                "put_user_policy",
                json!({"UserName": name, "PolicyName": "all", "PolicyDocument": policy}),
            ),
            call("create_access_key", json!({"UserName": name})),
        ]);
        let key = |part: &str| {
            let text = answers[2]["AccessKey"][part].as_str();
            text.expect("a key has two parts").to_owned()
        };
        [
            ("AWS_ACCESS_KEY_ID", key("AccessKeyId")),
            ("AWS_SECRET_ACCESS_KEY", key("SecretAccessKey")),
        ]
    }

    /// Creates users with these names and policies; returns the access key and the secret of each.
    pub fn users_with(
        &self,
        users: &[(String, &Value)],
    ) -> BTreeMap<String, [(&'static str, String); 2]> {
        let call = |operation: &str, arguments: Value| json!({"service": "iam", "operation": operation, "arguments": arguments});
        let calls = users.iter().flat_map(|(name, policy)| {
            let policy = policy.to_string();
            [
                call("create_user", json!({"UserName": name})),
                call(
                    "put_user_policy",
                    json!({"UserName": name, "PolicyName": "all", "PolicyDocument": policy}),
                ),
                call("create_access_key", json!({"UserName": name})),
            ]
        });
        let answers = self.calls(calls.collect());
        let keys = answers.chunks(3).map(|answers| {
            let part = |part: &str| {
                let text = answers[2]["AccessKey"][part].as_str();
                text.expect("a key has two parts").to_owned()
            };
            [
                ("AWS_ACCESS_KEY_ID", part("AccessKeyId")),
                ("AWS_SECRET_ACCESS_KEY", part("SecretAccessKey")),
            ]
        });
        let names = users.iter().map(|(name, _)| name.clone());
        names.zip(keys).collect()
    }

    /// The export tasks of log groups whose names contain a text, as the service describes them.
    pub fn export_tasks(&self, of: &str) -> Vec<Value> {
        let answer = self.call("logs", "describe_export_tasks", json!({}));
        let tasks = answer["exportTasks"].as_array().cloned();
        tasks
            .unwrap_or_default()
            .into_iter()
            .filter(|task| {
                task["logGroupName"]
                    .as_str()
                    .is_some_and(|group| group.contains(of))
            })
            .collect()
    }

    pub fn create_bucket(&self, bucket: &str) {
        let region = json!({"LocationConstraint": REGION});
        self.call(
            "s3",
            "create_bucket",
            json!({"Bucket": bucket, "CreateBucketConfiguration": region}),
        );
    }

    pub fn put_object(&self, bucket: &str, key: &str, body: &[u8]) {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(body)
            .expect("the temporary file is writable");
        let body = json!({"$file": file.path()});
        self.call(
            "s3",
            "put_object",
            json!({"Bucket": bucket, "Key": key, "Body": body}),
        );
    }

    /// Puts every file below a folder. A key is `prefix` and the file's relative path.
    pub fn put_folder(&self, bucket: &str, prefix: &str, folder: &Path) {
        let calls = super::program::files_below(folder)
            .into_iter()
            .map(|path| {
                let key = format!("{prefix}/{path}");
                let body = json!({"$file": folder.join(&path)});
                let arguments = json!({"Bucket": bucket, "Key": key, "Body": body});
                json!({"service": "s3", "operation": "put_object", "arguments": arguments})
            })
            .collect();
        self.calls(calls);
    }

    /// The body of an object.
    pub fn get_object(&self, bucket: &str, key: &str) -> Vec<u8> {
        let folder = TempDir::new().expect("a temporary folder");
        let arguments = json!({"Bucket": bucket, "Key": key});
        let call = json!({"service": "s3", "operation": "get_object", "arguments": arguments});
        let answer = self.calls_in(folder.path(), vec![call]).remove(0);
        let path = answer["Body"]["$file"]
            .as_str()
            .expect("the body is in a file");
        fs::read(path).expect("aws.py wrote it")
    }

    /// The objects of a bucket under a prefix, as S3 lists them (`Key`, `Size`, `ETag`, …), in the order of their keys;
    /// at most 1000.
    pub fn list_objects(&self, bucket: &str, prefix: &str) -> Vec<Value> {
        let answer = self.call(
            "s3",
            "list_objects_v2",
            json!({"Bucket": bucket, "Prefix": prefix}),
        );
        match &answer["Contents"] {
            Value::Array(objects) => objects.clone(),
            _ => Vec::new(),
        }
    }

    /// The keys of a bucket under a prefix, sorted, without the states of runs; at most 1000.
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        self.all_keys(bucket, prefix)
            .into_iter()
            .filter(|key| !key.split('/').any(|segment| segment == STATES))
            .collect()
    }

    /// The keys of a bucket under a prefix, sorted, with the states of runs; at most 1000.
    pub fn all_keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        self.list_objects(bucket, prefix)
            .iter()
            .map(|object| object["Key"].as_str().expect("a key is a text").to_owned())
            .collect()
    }

    pub fn create_log_group(&self, group: &str) {
        self.call("logs", "create_log_group", json!({"logGroupName": group}));
    }

    pub fn create_log_stream(&self, group: &str, stream: &str) {
        self.call(
            "logs",
            "create_log_stream",
            json!({"logGroupName": group, "logStreamName": stream}),
        );
    }

    /// Puts events (epoch milliseconds, message) into a stream. Creates the group and the stream if they do not exist.
    /// Panics if the service refuses an event, such as one older than 14 days.
    pub fn put_events<M: AsRef<str>>(&self, group: &str, stream: &str, events: &[(i64, M)]) {
        let mut events: Vec<Value> = events
            .iter()
            .map(
                |(timestamp, message)| json!({"timestamp": timestamp, "message": message.as_ref()}),
            )
            .collect();
        // The events of a request must be in the order of time.
        events.sort_by_key(|event| event["timestamp"].as_i64());
        let call = |operation: &str, arguments: Value| {
            json!({"service": "logs", "operation": operation, "arguments": arguments,
                   "unless": ["ResourceAlreadyExistsException"]})
        };
        let mut calls = vec![
            call("create_log_group", json!({"logGroupName": group})),
            call(
                "create_log_stream",
                json!({"logGroupName": group, "logStreamName": stream}),
            ),
        ];
        calls.extend(events.chunks(EVENTS_IN_A_PUT).map(|events| {
            let arguments =
                json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
            call("put_log_events", arguments)
        }));
        for answer in &self.calls(calls)[2..] {
            let rejected = &answer["rejectedLogEventsInfo"];
            assert!(
                rejected.is_null(),
                "events of {group} {stream} are outside the last 14 days: {rejected}"
            );
        }
    }
}

/// The environment with which a program uses `endpoint` for all AWS services.
pub fn environment_of(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
    ]
}
