//! The real InfluxDB.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{free_port, part};
use crate::eventually;

/// The token of the administrator.
pub const ADMINISTRATOR: &str = "administrators-token-of-the-e2e-tests";

/// A database on loopback with the organization `square`.
pub struct InfluxDb {
    process: Option<Child>,
    folder: TempDir,
    port: u16,
    http: reqwest::Client,
}

/// An authorization.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// What it says it is for.
    pub description: String,
    /// The token.
    pub token: String,
    /// What it permits, such as `write buckets redis`.
    pub permissions: Vec<String>,
}

/// A series with all its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// `<measurement>_<field>`
    pub name: String,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// The numbers in order.
    pub values: Vec<f64>,
}

impl InfluxDb {
    /// Starts an empty database.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn start() -> Self {
        let mut database = Self {
            process: None,
            folder: TempDir::new().expect("a folder"),
            port: free_port(),
            http: reqwest::Client::new(),
        };
        fs::write(database.token_file(), ADMINISTRATOR).expect("write the token");
        database.start_again().await;
        let setup = json!({
            "username": "administrator", "password": "a-long-password", "org": "square", "bucket": "first",
            "token": ADMINISTRATOR,
        });
        let (status, answer) = database.ask("POST", "/api/v2/setup", "", setup.to_string()).await;
        assert_eq!(status, 201, "{answer}");
        database
    }

    /// Starts it again at the same address, with the same data.
    ///
    /// # Panics
    /// If it does not answer.
    pub async fn start_again(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).expect("a log");
        let mut command = Command::new(part("TELEWARDEN_E2E_INFLUXDB"));
        command.env("HOME", self.folder.path());
        for (flag, file) in [
            ("--bolt-path", "bolt"),
            ("--engine-path", "engine"),
            ("--sqlite-path", "sqlite"),
        ] {
            command.arg(flag).arg(self.folder.path().join(file));
        }
        command
            .arg("--http-bind-address")
            .arg(format!("127.0.0.1:{}", self.port));
        command.args(["--reporting-disabled", "--log-level=error"]);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more handle"))
            .stderr(log);
        self.process = Some(command.spawn().expect("start the database"));
        let (database, log) = (&*self, self.folder.path().join("log"));
        eventually(|| async {
            match database.http.get(format!("{}/health", database.url())).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                other => Err(format!("{other:?}\n{}", fs::read_to_string(&log).unwrap_or_default())),
            }
        })
        .await;
    }

    /// Stops it, so that connections are refused.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Makes it hang: it takes connections and answers nothing, until [`Self::goes_on`].
    ///
    /// # Panics
    /// If it cannot be signalled.
    pub fn hangs(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// If it cannot be signalled.
    pub fn goes_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .expect("run kill");
        assert!(sent.success(), "no signal could be sent");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file with the administrator's token.
    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Writes another token to the file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn use_token(&self, token: &str) {
        fs::write(self.token_file(), token).expect("write the token");
    }

    /// Sends a request with a token.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn ask(&self, method: &str, path: &str, token: &str, body: String) -> (u16, String) {
        let method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.url())).body(body);
        if !token.is_empty() {
            request = request.header("Authorization", format!("Token {token}"));
        }
        let answer = request.send().await.expect("the database answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask("GET", path, ADMINISTRATOR, String::new()).await;
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    async fn organization_id(&self, name: &str) -> String {
        let found = self.get(&format!("/api/v2/orgs?org={name}")).await;
        found["orgs"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// Makes an organization.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn create_organization(&self, name: &str) {
        let body = json!({"name": name}).to_string();
        let (status, answer) = self.ask("POST", "/api/v2/orgs", ADMINISTRATOR, body).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Makes a bucket in `square`.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn create_bucket(&self, name: &str, retention_seconds: u64) {
        let rules = json!([{"type": "expire", "everySeconds": retention_seconds}]);
        let body = json!({"orgID": self.organization_id("square").await, "name": name, "retentionRules": rules});
        let (status, answer) = self
            .ask("POST", "/api/v2/buckets", ADMINISTRATOR, body.to_string())
            .await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Deletes a bucket of `square`.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn delete_bucket(&self, name: &str) {
        let found = self.get(&format!("/api/v2/buckets?org=square&name={name}")).await;
        let id = found["buckets"][0]["id"].as_str().expect("an id");
        let path = format!("/api/v2/buckets/{id}");
        let (status, answer) = self.ask("DELETE", &path, ADMINISTRATOR, String::new()).await;
        assert_eq!(status, 204, "{answer}");
    }

    /// Makes a token that can write these buckets of `square`, and do nothing else.
    ///
    /// # Panics
    /// If the database refuses, or a bucket does not exist.
    pub async fn create_token(&self, buckets: &[&str]) -> String {
        let organization = self.organization_id("square").await;
        let mut permissions = Vec::new();
        for name in buckets {
            let found = self.get(&format!("/api/v2/buckets?org=square&name={name}")).await;
            let resource = json!({"type": "buckets", "id": found["buckets"][0]["id"], "orgID": organization});
            permissions.push(json!({"action": "write", "resource": resource}));
        }
        let body = json!({"orgID": organization, "description": "a test's", "permissions": permissions});
        let path = "/api/v2/authorizations";
        let (status, answer) = self.ask("POST", path, ADMINISTRATOR, body.to_string()).await;
        assert_eq!(status, 201, "{answer}");
        let made: Value = serde_json::from_str(&answer).expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    }

    /// All series of a bucket.
    ///
    /// # Panics
    /// If the database refuses.
    pub async fn series(&self, bucket: &str) -> Vec<Series> {
        let mut url = reqwest::Url::parse(&format!("{}/query", self.url())).expect("a URL");
        url.query_pairs_mut()
            .append_pair("db", bucket)
            .append_pair("q", "SELECT * FROM /.*/ GROUP BY *");
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let found = self.get(&path).await;
        let mut all: Vec<Series> = Vec::new();
        for table in found["results"][0]["series"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            // Each table has the tags of all of them.
            let tags = table["tags"].as_object().into_iter().flatten();
            let tags = tags.map(|(tag, value)| (tag.clone(), text(value)));
            let tags: BTreeMap<_, _> = tags.filter(|(_, value)| !value.is_empty()).collect();
            let columns = table["columns"].as_array().into_iter().flatten().enumerate();
            for (index, field) in columns.skip(1) {
                let rows = table["values"].as_array().into_iter().flatten();
                let values: Vec<f64> = rows.filter_map(|row| row[index].as_f64()).collect();
                if !values.is_empty() {
                    all.push(Series {
                        name: format!("{}_{}", text(&table["name"]), text(field)),
                        tags: tags.clone(),
                        values,
                    });
                }
            }
        }
        all.sort_by(|a, b| (&a.name, &a.tags).cmp(&(&b.name, &b.tags)));
        all
    }

    /// The buckets of an organization, without the database's own and the first one.
    pub async fn buckets(&self, organization: &str) -> BTreeSet<String> {
        let found = self.get(&format!("/api/v2/buckets?org={organization}&limit=100")).await;
        let names = found["buckets"].as_array().into_iter().flatten();
        let names = names.filter_map(|bucket| bucket["name"].as_str().map(str::to_owned));
        names.filter(|name| !name.starts_with('_') && name != "first").collect()
    }

    /// How long a bucket of `square` keeps data, in seconds.
    pub async fn retention(&self, bucket: &str) -> u64 {
        let found = self.get(&format!("/api/v2/buckets?org=square&name={bucket}")).await;
        found["buckets"][0]["retentionRules"][0]["everySeconds"]
            .as_u64()
            .unwrap_or(0)
    }

    /// The authorizations of operators, by description.
    pub async fn authorizations(&self) -> Vec<Authorization> {
        let found = self.get("/api/v2/authorizations").await;
        let all = found["authorizations"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let permission = |of: &Value| {
            let resource = &of["resource"];
            let words = [&of["action"], &resource["type"], &resource["name"]];
            words.map(text).join(" ")
        };
        let all = all.map(|of| Authorization {
            description: text(&of["description"]),
            token: text(&of["token"]),
            permissions: of["permissions"]
                .as_array()
                .into_iter()
                .flatten()
                .map(permission)
                .collect(),
        });
        let mut all: Vec<_> = all.filter(|of| of.description.starts_with("telewarden ")).collect();
        all.sort_by(|a, b| a.description.cmp(&b.description));
        all
    }

    /// Writes a point, and answers the status.
    pub async fn write(&self, token: &str, organization: &str, bucket: &str) -> u16 {
        let path = format!("/api/v2/write?org={organization}&bucket={bucket}");
        self.ask("POST", &path, token, "point value=1".to_owned()).await.0
    }

    /// Runs a Flux query, and answers the status and CSV.
    pub async fn query(&self, token: &str, organization: &str, flux: &str) -> (u16, String) {
        let body = json!({"query": flux, "type": "flux"}).to_string();
        let request = self
            .http
            .post(format!("{}/api/v2/query?org={organization}", self.url()));
        let request = request.header("Authorization", format!("Token {token}"));
        let request = request.header("Content-Type", "application/json").body(body);
        let answer = request.send().await.expect("the database answers");
        (answer.status().as_u16(), answer.text().await.expect("a text"))
    }
}

impl Drop for InfluxDb {
    fn drop(&mut self) {
        self.stop();
    }
}
