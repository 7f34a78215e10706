//! `telewarden fix`, with the module that is built in.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

use crate::folder::{KEY, command, err, out, place, run};

/// An Application with annotations, as a file has them.
fn application(annotations: &str) -> String {
    format!(
        "# The shop.\napiVersion: argoproj.io/v1alpha1\nkind:   Application\nmetadata:\n  name: shop # its name\n  \
         namespace: argocd\n  annotations:\n{annotations}\nspec: {{project: default, destination: {{server: \
         'https://kubernetes.default.svc', namespace: shop}}}}\n"
    )
}

fn read(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).expect("it is there")
}

const WRONG: &str = "    telegraf.influxdata.com/interval:   30   # seconds
    telegraf.influxdata.com/rubin-telegraf-operator: |
      # both of them
      - web: Web:8080/metrics   # the shop's own
      - \"cache\":
          url:   'http://cache:9121/metrics'
          intervall: 1m # slow
          metric_version: \"2\"
";

const RIGHT: &str = "    telegraf.influxdata.com/interval:   \"30s\"   # seconds
    telegraf.influxdata.com/rubin-telegraf-operator: |
      # both of them
      - web: http://web.shop.svc:8080/metrics   # the shop's own
      - \"cache\":
          url:   'http://cache.shop.svc:9121/metrics'
          interval: 1m # slow
          metric_version: 2
";

#[test]
fn what_is_certain_is_written_and_nothing_else_changes() {
    let folder = place(&[
        ("shop.yaml", &application(WRONG)),
        ("right.yaml", &application(RIGHT).replace("shop", "fair")),
    ]);
    let untouched = fs::metadata(folder.path().join("right.yaml"))
        .expect("it is there")
        .modified()
        .expect("a time");
    let output = run(folder.path(), &["fix", "."]);
    assert_eq!(read(&folder, "shop.yaml"), application(RIGHT));
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert!(
        err(&output).contains("fixed 5 places in ./shop.yaml"),
        "{}",
        err(&output)
    );
    let after = fs::metadata(folder.path().join("right.yaml"))
        .expect("it is there")
        .modified()
        .expect("a time");
    assert_eq!(untouched, after);
}

#[test]
fn a_diff_shows_it_and_writes_nothing() {
    let folder = place(&[("shop.yaml", &application(WRONG))]);
    let output = run(folder.path(), &["fix", "--diff", "shop.yaml"]);
    assert_eq!(read(&folder, "shop.yaml"), application(WRONG));
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    insta::assert_snapshot!(out(&output));

    let applied = Command::new("patch")
        .args(["-p1", "--quiet"])
        .current_dir(folder.path())
        .stdin(std::process::Stdio::piped())
        .spawn();
    // Not every machine has `patch`.
    if let Ok(mut patch) = applied {
        use std::io::Write;
        patch
            .stdin
            .take()
            .expect("a pipe")
            .write_all(&output.stdout)
            .expect("it reads");
        assert!(patch.wait().expect("it ends").success());
        assert_eq!(read(&folder, "shop.yaml"), application(RIGHT));
    }
    let again = run(folder.path(), &["fix", "--diff", "shop.yaml"]);
    if read(&folder, "shop.yaml") == application(RIGHT) {
        assert_eq!((out(&again), again.status.code()), ("", Some(0)));
    }
}

#[test]
fn a_diff_says_how_much_is_left() {
    let left = "    telegraf.influxdata.com/rubin-telegraf-operator: 'other: http://other.elsewhere.svc:80/metrics'";
    let folder = place(&[("shop.yaml", &application(left))]);
    let output = run(folder.path(), &["fix", "--diff", "shop.yaml"]);
    assert_eq!((out(&output), output.status.code()), ("", Some(1)));
    assert!(err(&output).contains("1 error"), "{}", err(&output));
}

#[test]
fn what_is_left_is_reported() {
    let wrong = format!("{WRONG}      - other: http://other.elsewhere.svc:80/metrics\n");
    let folder = place(&[("shop.yaml", &application(&wrong))]);
    for command in [&["fix", "shop.yaml"][..], &["validate", "--fix", "shop.yaml"]] {
        let output = run(folder.path(), command);
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        assert!(
            out(&output).contains("other.elsewhere.svc") && !out(&output).contains("intervall"),
            "{}",
            out(&output)
        );
        assert_eq!(read(&folder, "shop.yaml"), application(&wrong.replace(WRONG, RIGHT)));
    }
}

/// What two findings need, what two fixes make of each other, and what only looks certain.
#[rstest]
#[case::twice("a: {url: 'http://a.shop.svc', interval: 30s, intervall: 30s}", None)]
#[case::twice_misspelt(
    "a: {url: 'http://a.shop.svc', intervall: 30s, intrval: 30s}",
    Some("a: {url: 'http://a.shop.svc', intervall: 30s, interval: 30s}")
)]
#[case::the_value_is_wrong_too("a: {url: 'http://a.shop.svc', intervall: 1s}", None)]
#[case::a_warning_may_follow(
    "{a: 'http://a.shop.svc/m', b: 'http://A.shop.svc/m'}",
    Some("{a: 'http://a.shop.svc/m', b: 'http://a.shop.svc/m'}")
)]
#[case::another_error_stays("a: &url http://A.shop.svc/m", Some("a: &url http://a.shop.svc/m"))]
fn one_fix_at_a_time(#[case] value: &str, #[case] expected: Option<&str>) {
    let file = application(&format!("    {KEY}: |\n      {value}\n"));
    let folder = place(&[("shop.yaml", &file)]);
    run(folder.path(), &["fix", "shop.yaml"]);
    let expected = application(&format!("    {KEY}: |\n      {}\n", expected.unwrap_or(value)));
    assert_eq!(read(&folder, "shop.yaml"), expected);
}

/// A YAML anchor holds the text of two annotations. A change of one would change the other.
#[test]
fn a_text_with_two_owners_is_left_alone() {
    let file = application(&format!("    other: &it 'a: http://A.shop.svc'\n    {KEY}: *it\n"));
    let folder = place(&[("shop.yaml", &file)]);
    let output = run(folder.path(), &["fix", "shop.yaml"]);
    assert_eq!(read(&folder, "shop.yaml"), file);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn lists_application_sets_and_json_are_fixed_in_their_place() {
    let set = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: argoproj.io/v1alpha1\n  kind: ApplicationSet\n  metadata: {{name: s, \
         namespace: argocd}}\n  spec:\n    generators: []\n    template:\n      metadata:\n        name: '{{{{name}}}}'\n        \
         annotations:\n          {KEY}: |\n            web: http://WEB.shop.svc:80/m\n      spec: {{project: default, destination: \
         {{server: 'https://kubernetes.default.svc', namespace: shop}}}}\n"
    );
    let json = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n \"metadata\": {{\"name\": \"shop\", \"annotations\": \
         {{\"{KEY}\": \"- web: \\\"Web:80/m\\\"\\n\"}}}}}}\n"
    );
    let folder = place(&[("set.yaml", &set), ("shop.json", &json)]);
    run(folder.path(), &["fix", "."]);
    assert_eq!(read(&folder, "set.yaml"), set.replace("WEB", "web"));
    assert_eq!(
        read(&folder, "shop.json"),
        json.replace("Web:80/m", "http://web.shop.svc:80/m")
    );
}

#[cfg(unix)]
#[test]
fn a_file_keeps_its_permissions_and_its_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = place(&[("shop.yaml", &application(WRONG))]);
    let (file, link) = (folder.path().join("shop.yaml"), folder.path().join("link.yaml"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is mine");
    symlink("shop.yaml", &link).expect("a link");
    run(folder.path(), &["fix", "link.yaml"]);
    assert_eq!(read(&folder, "shop.yaml"), application(RIGHT));
    assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
    assert_eq!(
        fs::metadata(&file).expect("it is there").permissions().mode() & 0o777,
        0o640
    );
}

#[test]
fn standard_input_is_not_written() {
    let folder = place(&[]);
    let mut child = command(folder.path())
        .args(["fix", "-"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    use std::io::Write;
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(application(WRONG).as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("standard input cannot be written"),
        "{}",
        err(&output)
    );
}

/// The findings of a file, as code and message, and the number of those that `fix` can fix.
fn findings(folder: &TempDir, name: &str) -> (Vec<(String, String)>, usize) {
    let output = run(folder.path(), &["validate", "--format", "json", name]);
    let report: Value = serde_json::from_str(out(&output)).unwrap_or_else(|_| panic!("{name}: {}", err(&output)));
    let findings = report["findings"].as_array().expect("a list");
    let text = |finding: &Value, field: &str| finding[field].as_str().expect("text").to_owned();
    let all = findings
        .iter()
        .map(|finding| (text(finding, "code"), text(finding, "message")));
    let fixable = findings.iter().filter(|finding| !finding["fix"].is_null());
    (all.collect(), fixable.count())
}

/// Every file of `e2e/mistakes`: what `fix` writes has fewer findings and no new ones, and nothing is left to fix.
#[test]
fn the_mistakes_of_the_corpus_are_fixed_or_left_alone() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../e2e/mistakes");
    let (mut fixed, mut left_alone) = (0, 0);
    for group in fs::read_dir(corpus).expect("it is there") {
        let group = group.expect("it is there").path();
        let Ok(files) = fs::read_dir(&group) else { continue };
        let files = files.map(|file| file.expect("it is there").path());
        let mistakes: Vec<_> = files
            .filter(|file| file.extension().is_some_and(|it| it == "yaml") && !file.ends_with("expected.yaml"))
            .filter_map(|file| {
                let name = file.file_name().expect("it has one").to_string_lossy().into_owned();
                // What is not UTF-8 is left alone in any case.
                let text = String::from_utf8(fs::read(file).expect("it is there"));
                text.ok().map(|text| (name, text))
            })
            .collect();
        let files: Vec<_> = mistakes.iter().map(|(name, text)| (&**name, &**text)).collect();
        let folder = place(&files);
        run(folder.path(), &["fix", "."]);
        for (name, mistake) in files {
            let written = read(&folder, name);
            if written == mistake {
                left_alone += 1;
                continue;
            }
            fixed += 1;
            let (after, fixable) = findings(&folder, name);
            let (mut before, _) = findings(&place(&[(name, mistake)]), name);
            let number = before.len();
            for finding in &after {
                let known = before.iter().position(|one| one == finding);
                before.remove(known.unwrap_or_else(|| panic!("{name}: {finding:?} is new")));
            }
            assert!(after.len() < number, "{name}: nothing became better");
            assert_eq!(fixable, 0, "{name}: more could be fixed:\n{written}");
        }
    }
    assert!(
        fixed >= 20 && left_alone >= 150,
        "{fixed} fixed, {left_alone} left alone"
    );
}

#[test]
fn reports_have_the_fix() {
    let folder = place(&[("shop.yaml", &application(WRONG))]);
    let json: Value =
        serde_json::from_str(out(&run(folder.path(), &["validate", "--format", "json", "."]))).expect("JSON");
    let fix = json["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|finding| finding["code"] == "TW201");
    let fix = &fix.expect("it is found")["fix"];
    assert_eq!(fix["replacement"], "interval");
    assert_eq!(
        (&fix["line"], &fix["column"], &fix["endColumn"]),
        (&14.into(), &11.into(), &20.into())
    );
    assert!(json["summary"]["fixable"].as_u64() >= Some(5), "{json:#}");

    let sarif: Value =
        serde_json::from_str(out(&run(folder.path(), &["validate", "--format", "sarif", "."]))).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("a list");
    let result = results
        .iter()
        .find(|result| result["ruleId"] == "TW201")
        .expect("it is found");
    let change = &result["fixes"][0]["artifactChanges"][0];
    assert_eq!(
        change["artifactLocation"],
        result["locations"][0]["physicalLocation"]["artifactLocation"]
    );
    assert_eq!(change["replacements"][0]["insertedContent"]["text"], "interval");
    assert_eq!(change["replacements"][0]["deletedRegion"]["startLine"], 14);
}

/// A part of a file, as it is written and as it should be.
type Pair = (String, String);

fn url() -> impl Strategy<Value = Pair> {
    let scheme = prop::sample::select(vec!["", "http://", "HTTPS://"]);
    let host = prop::sample::select(vec![
        "web",
        "Web",
        "WEB.shop.svc",
        "web.shop",
        "web.shop.svc",
        "web.Shop.svc.",
        "web.shop.svc.cluster.local",
    ]);
    let rest = prop::sample::select(vec!["/metrics", ":8080/M?x=%41", ":9121/"]);
    (scheme, host, rest).prop_map(|(scheme, host, rest)| {
        let fine = match host {
            "web.shop.svc.cluster.local" => host,
            _ => "web.shop.svc",
        };
        // A word before a path may be anything.
        let is_clear = host.contains('.') || rest.starts_with(':');
        let scheme = if is_clear { scheme } else { "http://" };
        let is_fine = !scheme.is_empty() && host == fine;
        let right_scheme = if scheme.is_empty() { "http://" } else { scheme };
        let wrong = format!("{scheme}{host}{rest}");
        let right = match is_fine {
            true => wrong.clone(),
            false => format!("{right_scheme}{fine}{rest}"),
        };
        (wrong, right)
    })
}

fn option() -> impl Strategy<Value = Pair> {
    prop::sample::select(vec![
        ("intervall: 30s", "interval: 30s"),
        ("intrval: 1m", "interval: 1m"),
        ("interval: 30 s", "interval: 30s"),
        ("tagexclud: [a]", "tagexclude: [a]"),
        ("fieldinclude: x", "fieldinclude: [\"x\"]"),
        ("ignore-timestamp: true", "ignore_timestamp: true"),
        ("insecure_skip_verify: 'true'", "insecure_skip_verify: true"),
        ("timeout: 5s", "timeout: 5s"),
    ])
    .prop_map(|(wrong, right)| (wrong.to_owned(), right.to_owned()))
}

/// An annotation's text, wrong and right.
fn endpoints() -> impl Strategy<Value = Pair> {
    let endpoint = (
        url(),
        option(),
        prop::sample::select(vec!["", " # why", "   # ü: '\"'"]),
    );
    prop::collection::vec(endpoint, 1..4).prop_map(|endpoints| {
        let (mut wrong, mut right) = (String::new(), String::new());
        for (number, (url, option, comment)) in endpoints.into_iter().enumerate() {
            // Two endpoints with one URL would be a finding of their own.
            let line = |url: &str, option: &str| {
                format!("- e{number}:\n    url: {url}{number}{comment}\n    {option}\n    # nothing\n")
            };
            wrong += &line(&url.0, &option.0);
            right += &line(&url.1, &option.1);
        }
        (wrong, right)
    })
}

/// Ways to write a text as an annotation's value.
fn written(text: &str, style: u8) -> String {
    match style {
        0 => {
            let lines: Vec<_> = text.lines().map(|line| format!("      {line}\n")).collect();
            format!("|\n{}", lines.concat())
        }
        _ => format!(
            "\"{}\"\n",
            text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
        ),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever the layout, the file afterwards is the right one byte for byte, and it validates.
    #[test]
    fn only_the_places_change(files in prop::collection::vec((endpoints(), 0..2_u8, any::<bool>(), any::<bool>()), 8)) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut expected: Vec<(PathBuf, String)> = Vec::new();
        for (number, ((wrong, right), style, windows, mark)) in files.into_iter().enumerate() {
            let file = |text: &str| {
                let annotations = format!("    other: 'Web:80 # x'\n    {KEY}: {}", written(text, style));
                let mut file = application(&annotations).replace("name: shop", &format!("name: shop{number}"));
                if windows {
                    file = file.replace('\n', "\r\n");
                }
                if mark {
                    file.insert(0, '\u{feff}');
                }
                file
            };
            let path = folder.path().join(format!("{number}.yaml"));
            fs::write(&path, file(&wrong)).expect("it is written");
            expected.push((path, file(&right)));
        }
        let output = run(folder.path(), &["fix", "."]);
        for (path, right) in expected {
            prop_assert_eq!(fs::read_to_string(path).expect("it is there"), right, "{}", out(&output));
        }
        prop_assert!(!out(&output).contains("error["), "{}", out(&output));
    }
}

/// More fixes than are tested one by one. Other errors stay.
#[test]
fn many_findings_of_one_source_are_fixed() {
    let endpoints = |option: &str, odd: &str| {
        let endpoint = |number: usize| {
            let odd = if number % 9 == 4 { odd } else { "" };
            format!(
                "      - web-{number}:\n          url: http://web-{number}.shop.svc{odd}/metrics\n          {option}: 1m\n"
            )
        };
        (0..40).map(endpoint).collect::<String>()
    };
    let text = |option, odd| application(&format!("    {KEY}: |\n{}", endpoints(option, odd).trim_end()));
    let folder = place(&[("shop.yaml", &text("intervall", ":0"))]);
    let output = run(folder.path(), &["fix", "shop.yaml"]);
    assert_eq!(
        read(&folder, "shop.yaml"),
        text("interval", ":0"),
        "{}{}",
        out(&output),
        err(&output)
    );
    assert!(err(&output).contains("fixed 40 places"), "{}", err(&output));
}
