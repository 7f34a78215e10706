//! What a repository sets: `telewarden.yaml`, comments that silence warnings, and baselines.

use std::fs;
use std::path::Path;

use rstest::rstest;
use serde_json::{Value, json};

use crate::folder::{KEY, err, out, place, run};

fn codes(folder: &Path, args: &[&str]) -> Vec<String> {
    let args: Vec<_> = ["validate", "--format", "json"].iter().chain(args).copied().collect();
    let output = run(folder, &args);
    let report: Value = serde_json::from_str(out(&output)).unwrap_or_else(|_| panic!("no JSON: {}", err(&output)));
    let findings = report["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| finding["code"].as_str().expect("text").to_owned())
        .collect()
}

/// Two endpoints with one URL: a warning, TW113, on the line that ends with `mark`.
fn warned(name: &str, mark: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n  annotations:\n    {KEY}: |\n      - a: \
         http://a.{name}.svc/metrics\n      - b: http://a.{name}.svc/metrics{mark}\n"
    )
}

const HOSTS: &str = "{endpoints: {hosts: [\"*.allowed.example\"]}}";
const POLICY: &str = "apiVersion: policies.kubewarden.io/v1
kind: ClusterAdmissionPolicy
metadata: {name: telewarden}
spec:
  module: registry://x/y:v1
  settings:
    endpoints: {hosts: [\"*.allowed.example\"]}
";

#[rstest]
#[case::inline(&format!("settings: {HOSTS}\n"), "")]
#[case::file("settings: cluster/settings.yaml\n", HOSTS)]
#[case::policy("settings: cluster/settings.yaml\n", POLICY)]
#[case::policies("settings: cluster/settings.yaml\n", &format!("{POLICY}---\n{POLICY}"))]
fn settings_are_found(#[case] project: &str, #[case] settings: &str) {
    let file = warned("shop", "");
    let folder = place(&[
        ("telewarden.yaml", project),
        ("cluster/settings.yaml", settings),
        ("apps/deep/shop.yaml", &file),
        ("apps/other.yaml", "topology: standalone\n"),
    ]);
    let refused = ["TW111", "TW111"];
    assert_eq!(codes(folder.path(), &["apps"]), refused);
    assert_eq!(codes(&folder.path().join("apps/deep"), &["."]), refused);
    assert_eq!(codes(folder.path(), &["--no-config", "apps"]), ["TW113"]);
    // An option goes before the file.
    assert_eq!(
        codes(folder.path(), &["--settings", "apps/other.yaml", "apps"]),
        ["TW113"]
    );
    let explained = run(folder.path(), &["render", "apps"]);
    assert_eq!(explained.status.code(), Some(1), "{}", err(&explained));
}

#[test]
fn a_repository_ends_at_its_root() {
    let folder = place(&[
        ("telewarden.yaml", &format!("settings: {HOSTS}\n")),
        ("repository/.git/HEAD", ""),
        ("repository/shop.yaml", &warned("shop", "")),
    ]);
    assert_eq!(codes(&folder.path().join("repository"), &["."]), ["TW113"]);
}

#[test]
fn policies_that_differ_are_no_settings() {
    let other = POLICY.replace("allowed", "other").replace("telewarden", "second");
    let folder = place(&[
        ("both.yaml", &format!("{POLICY}---\n{other}")),
        ("shop.yaml", &warned("shop", "")),
    ]);
    let output = run(folder.path(), &["validate", "--settings", "both.yaml", "shop.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("`second`"), "{}", err(&output));
}

#[test]
fn settings_within_a_file_are_pointed_at() {
    let folder = place(&[
        (
            "telewarden.yaml",
            "strict: true\nsettings:\n  endpoints:\n    max: many\n",
        ),
        ("policy.yaml", &POLICY.replace("hosts:", "hotss:")),
        ("shop.yaml", &warned("shop", "")),
    ]);
    let output = run(folder.path(), &["validate", "shop.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(out(&output).contains("--> telewarden.yaml:4:10"), "{}", out(&output));
    let output = run(
        folder.path(),
        &["validate", "--no-config", "--settings", "policy.yaml", "shop.yaml"],
    );
    assert!(out(&output).contains("--> policy.yaml:7:17"), "{}", out(&output));
}

#[test]
fn paths_are_passed_over() {
    let folder = place(&[
        (
            "telewarden.yaml",
            "skip: [\"charts/*/templates\", \"**/testdata\", old.yaml]\n",
        ),
        ("charts/a/templates/x/a.yaml", &warned("a", "")),
        ("apps/testdata/b.yaml", &warned("b", "")),
        ("old.yaml", &warned("c", "")),
        ("apps/old.yaml", &warned("d", "")),
    ]);
    assert_eq!(codes(folder.path(), &["."]), ["TW113"]);
    assert_eq!(codes(&folder.path().join("apps"), &[".."]), ["TW113"]);
    // What is named is meant.
    assert_eq!(codes(folder.path(), &["old.yaml", "apps"]), ["TW113", "TW113"]);
}

#[rstest]
#[case("", 0, &["TW113"])]
#[case("strict: true\n", 1, &["TW113"])]
#[case("rules: {TW113: error}\n", 1, &["TW113"])]
#[case("rules: {TW113: warning}\n", 0, &["TW113"])]
#[case("rules: {TW113: off}\nstrict: true\n", 0, &[])]
fn rules_have_levels(#[case] project: &str, #[case] status: i32, #[case] expected: &[&str]) {
    let folder = place(&[("telewarden.yaml", project), ("shop.yaml", &warned("shop", ""))]);
    assert_eq!(codes(folder.path(), &["."]), expected);
    assert_eq!(run(folder.path(), &["validate", "."]).status.code(), Some(status));
}

#[rstest]
#[case("rules: {TW111: off}\n", "telewarden.yaml:1:16", "TW111 is an error")]
#[case("rules: {TW999: off}\n", "telewarden.yaml:1:9", "there is no rule `TW999`")]
#[case("rules: {TW113: loud}\n", "telewarden.yaml:1:16", "`off`, `warning` or `error`")]
#[case("skip: charts\n", "telewarden.yaml:1:7", "list of paths")]
#[case("skip: [\"a[\"]\n", "telewarden.yaml:1:8", "invalid pattern")]
#[case("topology: standalone\n", "telewarden.yaml:1:1", "go below `settings`")]
#[case("strict: maybe\n", "telewarden.yaml:1:9", "`true` or `false`")]
#[case("settings: nowhere.yaml\n", "nowhere.yaml", "cannot read the settings")]
#[case("- a\n", "telewarden.yaml", "one map")]
#[case("a: [\n", "telewarden.yaml", "not YAML")]
fn what_is_wrong_with_the_file_is_said(#[case] project: &str, #[case] place_of: &str, #[case] message: &str) {
    let folder = place(&[("telewarden.yaml", project), ("shop.yaml", &warned("shop", ""))]);
    for command in ["validate", "render", "explain", "fix"] {
        let output = run(folder.path(), &[command, "."]);
        assert_eq!(output.status.code(), Some(2), "{command}: {}", err(&output));
        assert!(
            err(&output).contains(place_of) && err(&output).contains(message),
            "{}",
            err(&output)
        );
    }
}

#[test]
fn init_writes_a_file_that_changes_nothing() {
    let folder = place(&[("shop.yaml", &warned("shop", ""))]);
    let output = run(folder.path(), &["init"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(codes(folder.path(), &["."]), ["TW113"]);
    let written = fs::read_to_string(folder.path().join("telewarden.yaml")).expect("it is there");
    assert!(written.starts_with("# "));
    let again = run(folder.path(), &["init", "."]);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("it is there already"), "{}", err(&again));
}

/// The parts of the file that `init` writes, without their comment signs.
fn parts_of_init(written: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut is_part = false;
    for line in written.lines() {
        let text = line.strip_prefix("# ").unwrap_or_default();
        let key = text.split(' ').next().and_then(|word| word.strip_suffix(':'));
        if key.is_some_and(|key| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase())) {
            parts.push(String::new());
            is_part = true;
        } else if !text.starts_with("  ") {
            is_part = false;
        }
        if let Some(part) = parts.last_mut().filter(|_| is_part) {
            *part += &format!("{text}\n");
        }
    }
    parts
}

#[test]
fn each_part_that_init_writes_is_valid_alone_and_with_the_others() {
    let folder = place(&[
        ("apps/shop.yaml", &warned("shop", "")),
        ("cluster/telewarden-policy.yaml", POLICY),
        ("telewarden-baseline.json", "{\"version\": 1, \"warnings\": []}"),
    ]);
    let root = folder.path();
    assert_eq!(run(root, &["init"]).status.code(), Some(0));
    let file = root.join("telewarden.yaml");
    let mut parts = parts_of_init(&fs::read_to_string(&file).expect("it is there"));
    let keys: Vec<_> = parts.iter().filter_map(|part| part.split(':').next()).collect();
    assert_eq!(keys, ["settings", "skip", "rules", "strict", "baseline"]);
    parts.push(parts.concat());
    for part in parts {
        fs::write(&file, &part).expect("it is written");
        let output = run(root, &["validate", "apps"]);
        assert!(output.status.code() < Some(2), "{part}{}", err(&output));
    }
}

#[rstest]
#[case("telewarden.yml")]
#[case(".telewarden.yaml")]
fn a_file_of_another_name_is_said_to_be_not_read(#[case] name: &str) {
    let folder = place(&[(name, "strict: true\n"), ("shop.yaml", &warned("shop", ""))]);
    let output = run(folder.path(), &["validate", "shop.yaml"]);
    assert_eq!(output.status.code(), Some(0));
    let expected = format!("warning: `{name}` is not read: rename it to `telewarden.yaml`");
    assert!(err(&output).contains(&expected), "{}", err(&output));
    let folder = place(&[(name, ""), ("shop.yaml", &warned("shop", ""))]);
    let output = run(folder.path(), &["validate", "shop.yaml"]);
    assert!(!err(&output).contains("rename"), "{}", err(&output));
}

#[test]
fn invalid_settings_cannot_be_used_by_any_command() {
    let folder = place(&[
        ("typo.yaml", "topologie: standalone\n"),
        ("shop.yaml", &warned("shop", "")),
    ]);
    for arguments in [&["policies"][..], &["validate", "shop.yaml"], &["render", "shop.yaml"]] {
        let output = run(folder.path(), &[arguments, &["--settings", "typo.yaml"]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_policy_without_settings_means_the_defaults() {
    let policy = POLICY.split("  settings:").next().expect("a part");
    let folder = place(&[("policy.yaml", policy), ("shop.yaml", &warned("shop", ""))]);
    let output = run(folder.path(), &["validate", "--settings", "policy.yaml", "shop.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let expected = "note: policy.yaml has no `spec.settings`: the defaults count";
    assert!(err(&output).contains(expected), "{}", err(&output));
}

#[rstest]
#[case::values("replicas: 1\nsettings:\n  endpoints: {max: 0}\n", "settings.yaml:3:20")]
#[case::values_of_another_chart("telewarden-operator:\n  settings:\n    endpoints: {max: 0}\n", "settings.yaml:3:22")]
#[case::settings_beside_settings("topology: endpoint\nsettings: {}\n", "settings.yaml:1:1")]
#[case::another_object("apiVersion: v1\nkind: ConfigMap\n", "settings.yaml:2:1")]
fn settings_are_read_from_values_of_the_chart(#[case] settings: &str, #[case] at: &str) {
    let folder = place(&[("settings.yaml", settings), ("shop.yaml", &warned("shop", ""))]);
    let output = run(folder.path(), &["validate", "--settings", "settings.yaml", "shop.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    let said = format!("{}{}", out(&output), err(&output));
    assert!(said.contains(at), "{said}");
}

#[test]
fn what_skip_hides_is_said() {
    let folder = place(&[
        (
            "telewarden.yaml",
            "skip: [\"charts/*/templates\", old, \"apps/*/none\"]\n",
        ),
        ("charts/a/templates/a.yaml", &warned("a", "")),
        ("old/b.yaml", &warned("b", "")),
        ("apps/c.yaml", &warned("c", "")),
    ]);
    let output = run(folder.path(), &["validate", "-v", "--format", "json", "."]);
    let said = err(&output);
    assert!(said.contains("note: passed over `./old`, which `skip` names"), "{said}");
    assert!(
        said.contains("note: passed over `./charts/a/templates`, which"),
        "{said}"
    );
    assert!(
        said.contains("warning: `apps/*/none` in `skip` matches nothing"),
        "{said}"
    );
    assert_eq!(said.matches("matches nothing").count(), 1, "{said}");
    assert!(said.contains("skipped 2 paths of `skip`"), "{said}");
    let report: Value = serde_json::from_str(out(&output)).expect("it is JSON");
    let skipped = &report["summary"]["skipped"];
    assert_eq!(skipped["bySkip"], json!(["./charts/a/templates", "./old"]));
    assert_eq!(skipped["unusedSkip"], json!(["apps/*/none"]));
    // Nothing is known of folders that were not searched.
    let output = run(folder.path(), &["validate", "old/b.yaml", "charts"]);
    assert!(!err(&output).contains("matches nothing"), "{}", err(&output));
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_cannot_be_read() {
    let folder = place(&[("shop.yaml", &warned("shop", ""))]);
    std::os::unix::fs::symlink("nope.yaml", folder.path().join("a.yaml")).expect("a link");
    for path in [".", "a.yaml"] {
        let output = run(folder.path(), &["validate", path]);
        assert_eq!(output.status.code(), Some(2));
        let said = err(&output);
        assert!(said.contains("error[TW601]: cannot read"), "{said}");
        assert!(
            said.contains("a.yaml`: it links to `nope.yaml`, which does not exist"),
            "{said}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_is_not_followed() {
    let secret = place(&[("token.yaml", "token: 5ecret: x")]);
    let folder = place(&[
        ("apps/shop.yaml", &warned("shop", "")),
        ("common/base.yaml", &warned("base", "")),
    ]);
    let link = |target: &std::path::Path, name: &str| {
        std::os::unix::fs::symlink(target, folder.path().join(name)).expect("a link");
    };
    link(&secret.path().join("token.yaml"), "apps/out.yaml");
    link(std::path::Path::new("../common/base.yaml"), "apps/base.yaml");
    let output = run(folder.path(), &["validate", "apps"]);
    assert_eq!(output.status.code(), Some(2));
    let said = err(&output);
    assert!(said.contains("it is a link to a file outside of the folder"), "{said}");
    assert!(said.contains("apps/out.yaml") && !said.contains("5ecret"), "{said}");
    // A link within the working folder is followed.
    assert!(said.contains("2 sources"), "{said}");
    // Whoever names the file wants it read.
    let output = run(folder.path(), &["validate", "apps/out.yaml"]);
    assert!(err(&output).contains("5ecret"), "{}", err(&output));
}

#[rstest]
#[case::applications(
    "sources: {applications: false}",
    "Applications are not read: the settings say `sources.applications: false`"
)]
#[case::namespaces(
    "sources: {namespaces: false}",
    "Namespaces are not read: the settings say `sources.namespaces: false`"
)]
fn what_the_settings_turn_off_is_said(#[case] settings: &str, #[case] expected: &str) {
    let application = include_str!("../../../e2e/mistakes/good.yaml");
    let files = [
        ("settings.yaml", settings),
        ("a.yaml", application),
        ("b.yaml", &warned("b", "")),
    ];
    let folder = place(&files);
    let output = run(
        folder.path(),
        &["validate", "--settings", "settings.yaml", "a.yaml", "b.yaml"],
    );
    let said = err(&output);
    assert!(said.contains(expected), "{said}");
    assert!(!said.contains("without an annotation"), "{said}");
    assert_eq!(said.matches("are not read").count(), 1, "{said}");
}

#[test]
fn the_code_of_no_rule_is_not_taken_for_a_file() {
    let folder = place(&[]);
    for command in ["explain", "rule"] {
        let output = run(folder.path(), &[command, "TW999"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains("unknown rule `TW999`"), "{}", err(&output));
    }
}

#[rstest]
#[case::beside("  # telewarden: ignore TW113 because both are wanted", &[])]
#[case::above("", &[])]
#[case::lower_case(" # telewarden: ignore tw113", &[])]
#[case::several(" # telewarden: ignore TW113, TW114", &["TW605"])]
#[case::another_rule(" # telewarden: ignore TW114", &["TW113", "TW605"])]
#[case::no_rule(" # telewarden: ignore", &["TW113", "TW605"])]
#[case::unknown_rule(" # telewarden: ignore TW999", &["TW113", "TW605"])]
fn a_comment_silences_a_warning(#[case] comment: &str, #[case] expected: &[&str]) {
    let mut file = warned("shop", comment);
    if comment.is_empty() {
        file = file.replace(
            "      - b:",
            "      # telewarden: ignore TW113 because both are wanted\n      # Really.\n      - b:",
        );
    }
    let folder = place(&[("shop.yaml", &file)]);
    assert_eq!(codes(folder.path(), &["."]), expected);
    let strict = run(folder.path(), &["validate", "--strict", "."]).status.code();
    assert_eq!(strict, Some(i32::from(!expected.is_empty())));
}

#[test]
fn a_comment_does_not_silence_an_error() {
    let file = warned("shop", "").replace(
        "a.shop.svc/metrics\n      - b",
        "a.b.svc/metrics # telewarden: ignore TW111\n      - b",
    );
    let folder = place(&[("shop.yaml", &file)]);
    assert_eq!(codes(folder.path(), &["."]), ["TW111", "TW605"]);
    let output = run(folder.path(), &["validate", "."]);
    assert!(out(&output).contains("errors cannot be ignored"), "{}", out(&output));
}

#[test]
fn a_baseline_leaves_out_what_was_there() {
    let folder = place(&[("apps/a.yaml", &warned("a", "")), ("apps/b.yaml", &warned("b", ""))]);
    let (root, baseline) = (folder.path(), ["--baseline", "known.json"]);
    let written = run(
        root,
        &[
            "validate",
            "--strict",
            "--baseline",
            "known.json",
            "--write-baseline",
            "apps",
        ],
    );
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));
    assert!(
        err(&written).contains("2 warnings in the baseline"),
        "{}",
        err(&written)
    );
    assert!(codes(root, &[&baseline[..], &["apps"]].concat()).is_empty());

    // Lines may move, and the command may run elsewhere.
    fs::write(root.join("apps/a.yaml"), format!("# moved\n{}", warned("a", ""))).expect("it is written");
    assert!(codes(&root.join("apps"), &["--baseline", "../known.json", "."]).is_empty());

    // The same once more is new.
    fs::write(
        root.join("apps/a.yaml"),
        format!("{}      - c: http://a.a.svc/metrics\n", warned("a", "")),
    )
    .expect("it is written");
    assert_eq!(codes(root, &[&baseline[..], &["apps"]].concat()), ["TW113"]);

    fs::remove_file(root.join("apps/b.yaml")).expect("it was there");
    let gone = run(root, &[&["validate"], &baseline[..], &["apps"]].concat());
    assert!(
        err(&gone).contains("1 warning of known.json no longer occur"),
        "{}",
        err(&gone)
    );

    fs::write(root.join("telewarden.yaml"), "baseline: known.json\n").expect("it is written");
    assert_eq!(codes(root, &["apps"]), ["TW113"]);
}

#[test]
fn a_baseline_holds_no_errors_and_has_to_be_one() {
    let file = warned("shop", "").replace(
        "http://a.shop.svc/metrics\n      - b",
        "http://a.other.svc/metrics\n      - b",
    );
    let bad = "{\"version\": 2, \"warnings\": []}";
    let folder = place(&[("shop.yaml", &file), ("bad.json", bad), ("list.json", "[]")]);
    let root = folder.path();
    let written = run(root, &["validate", "--baseline", "known.json", "--write-baseline", "."]);
    assert_eq!(written.status.code(), Some(1), "{}", err(&written));
    assert_eq!(codes(root, &["--baseline", "known.json", "shop.yaml"]), ["TW111"]);
    for (file, message) in [
        ("bad.json", "has version 2"),
        ("none.json", "cannot read"),
        ("shop.yaml", "not a baseline: it is not JSON"),
        ("list.json", "not a baseline: it does not hold `version` and `warnings`"),
    ] {
        let output = run(root, &["validate", "--baseline", file, "shop.yaml"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains(message), "{}", err(&output));
        assert!(!err(&output).contains("struct"), "{}", err(&output));
    }
}
