//! `telewarden explain`

use std::fmt::Write;

use clap::ValueEnum;
use telewarden::{EndpointAnswer, Outcome, RenderAnswer, Rendered};
use telewarden_policy::data_flow::{DataFlow, FlowSource, Output, Telegraf};
use telewarden_policy::diagnostic::rules;
use telewarden_policy::protocol::Database;

use super::Status;
use super::check::{self, Keep, Look};
use super::output::{self, plain};
use super::report::human;
use super::report::human::no_source;
use super::rule::{document, unknown};

/// Show what is scraped, how often, where metrics are sent, and which objects are created
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    selection: check::Selection,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Text
    Human,
    /// A Mermaid flowchart
    Mermaid,
}

pub(crate) fn run(args: &Args) -> Status {
    // What somebody who has seen a finding may ask.
    if let [path] = args.selection.paths.as_slice()
        && !path.exists()
        && let Some(code) = path.to_str()
    {
        match rules::find(code) {
            Some(rule) => return output::print(&document(rule)),
            None if is_code(code) => return unknown(code),
            None => {}
        }
    }
    let mut checked = check::check(&args.selection, Look::ForFindings, Keep::Answers);
    let report = std::mem::take(&mut checked.report);
    let answer = checked.into_answer();
    let printed = match args.format {
        Format::Human => output::print(&words(&answer)),
        Format::Mermaid => output::print(&picture(&answer)),
    };
    let findings = human::findings(&report);
    if !findings.is_empty() {
        output::say_styled(findings.trim_end());
    }
    report
        .failures
        .iter()
        .for_each(|failure| output::say_styled(human::failure(failure)));
    if report.is_empty() {
        output::say(no_source(&report));
    }
    printed.max(report.status(false))
}

/// True for text that can only be meant as the code of a rule.
fn is_code(text: &str) -> bool {
    let digits = text
        .get(..2)
        .filter(|start| start.eq_ignore_ascii_case("TW"))
        .map(|_| &text[2..]);
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn words(answer: &RenderAnswer) -> String {
    let mut text = String::new();
    let outcomes = answer.sources.iter().filter(|source| source.outcome != Outcome::Idle);
    for source in outcomes {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &format!("{}\n", plain(&source.source));
        match source.outcome {
            Outcome::Refused => text += "  is refused: what runs for it goes on as it is\n",
            Outcome::Skipped => text += "  is not rendered here\n",
            Outcome::Rendered | Outcome::Idle => {}
        }
        if !source.endpoints.is_empty() {
            text += "  scrapes\n";
        }
        for endpoint in &source.endpoints {
            text += &format!("    {}\n", plain(&scraped(endpoint)));
        }
        text += &of_rendered(&source.rendered);
    }
    if let Some(shared) = &answer.shared {
        text += match shared.configurations.len() {
            0 | 1 => "\nOne Telegraf for all of them\n",
            _ => "\nTelegrafs for all of them\n",
        };
        text += &of_rendered(shared);
    }
    text
}

fn scraped(endpoint: &EndpointAnswer) -> String {
    let EndpointAnswer {
        name,
        plugin,
        urls,
        interval,
        measurement,
    } = endpoint;
    let mut text = match urls.as_slice() {
        [] => format!("{name}: the plugin {plugin}"),
        urls => format!("{name}: {}", urls.join(", ")),
    };
    if let Some(interval) = interval {
        text += &format!(", every {interval}");
    }
    match measurement {
        Some(measurement) => text += &format!(", as {measurement}"),
        None => text += ", under the metrics' own names",
    }
    text
}

fn of_rendered(rendered: &Rendered) -> String {
    let mut text = String::new();
    let alone = RenderAnswer {
        shared: Some(rendered.clone()),
        ..RenderAnswer::default()
    };
    let outputs = DataFlow::of(&alone).outputs;
    if !outputs.is_empty() {
        text += "  sends to\n";
    }
    for Output { plugin, details } in outputs {
        let parts: Vec<_> = std::iter::once(plugin).chain(details).collect();
        text += &format!("    {}\n", plain(&parts.join(", ")));
    }
    if !rendered.databases.is_empty() {
        text += "  has the operator provide\n";
    }
    for Database {
        url,
        organization,
        bucket,
        retention_seconds,
        token,
        ..
    } in &rendered.databases
    {
        let hours = retention_seconds / 3600;
        let place = format!("organization {organization} of {url}");
        text += &format!("    bucket {}, in {}, for {hours} h\n", plain(bucket), plain(&place));
        if let Some(token) = token {
            text += &format!(
                "    a token that can only write it, in Secret {}\n",
                plain(&token.secret)
            );
        }
    }
    if !rendered.objects.is_empty() {
        let namespace = rendered.namespace.as_deref().unwrap_or_default();
        text += &format!("  exists in namespace {} as\n", plain(namespace));
    }
    for object in &rendered.objects {
        let part = |value: &serde_json::Value| plain(value.as_str().unwrap_or_default());
        text += &format!("    {} {}\n", part(&object["kind"]), part(&object["metadata"]["name"]));
    }
    text
}

/// <https://mermaid.js.org/syntax/flowchart.html>
fn picture(answer: &RenderAnswer) -> String {
    let DataFlow {
        sources,
        telegrafs,
        outputs,
    } = DataFlow::of(answer);
    let mut text = "flowchart LR\n".to_owned();
    let mut arrows = String::new();
    // Writing to a string cannot fail.
    for (number, FlowSource { source, endpoints }) in sources.iter().enumerate() {
        _ = writeln!(text, "  subgraph s{number}[\"{}\"]", label(&[source]));
        for (index, endpoint) in endpoints.iter().enumerate() {
            let every = endpoint.interval.as_ref().map(|interval| format!("every {interval}"));
            let lines = [
                &endpoint.name,
                &endpoint.urls.join(" "),
                every.as_deref().unwrap_or_default(),
            ];
            _ = writeln!(text, "    e{number}_{index}[\"{}\"]", label(&lines));
            if let Some(telegraf) = endpoint.telegraf {
                _ = writeln!(arrows, "  e{number}_{index} --> t{telegraf}");
            }
        }
        text += "  end\n";
    }
    for (number, Telegraf { name, outputs, .. }) in telegrafs.iter().enumerate() {
        _ = writeln!(text, "  t{number}([\"{}\"])", label(&["Telegraf", name]));
        for output in outputs {
            _ = writeln!(arrows, "  t{number} --> o{output}");
        }
    }
    for (number, Output { plugin, details }) in outputs.iter().enumerate() {
        let lines: Vec<_> = std::iter::once(plugin).chain(details).map(String::as_str).collect();
        _ = writeln!(text, "  o{number}[(\"{}\")]", label(&lines));
    }
    text + &arrows
}

/// A label's lines, with Mermaid's and HTML's special characters escaped. Names can contain any text.
fn label(lines: &[&str]) -> String {
    let escaped = lines.iter().filter(|line| !line.is_empty()).map(|line| {
        let escape = |c: char| match c {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' | '\\' => format!("#{};", c as u32),
            c => c.to_string(),
        };
        plain(line).chars().map(escape).collect::<String>()
    });
    escaped.collect::<Vec<_>>().join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> RenderAnswer {
        let conf = "[[inputs.prometheus]]\nalias = \"redis\"\n[[outputs.health]]\nservice_address = \"http://:8888\"\n\
                    [[outputs.influxdb_v2]]\nbucket = \"argocd\"\norganization = \"square\"\nurls = [\"http://db:8086\"]\n";
        let endpoint = serde_json::json!({
            "name": "redis", "plugin": "prometheus", "urls": ["http://redis.argocd.svc:9121/metrics"],
            "interval": "60s", "measurement": "prometheus_redis",
        });
        serde_json::from_value(serde_json::json!({
            "protocol": 1, "diagnostics": [],
            "sources": [{
                "index": 0, "source": "argoproj.io/Application/argocd/argo\"cd", "outcome": "rendered",
                "endpoints": [endpoint], "namespace": "argocd",
                "configurations": [{"name": "telegraf-argocd", "files": {"telegraf.conf": conf}}],
                "objects": [{"kind": "ConfigMap", "metadata": {"name": "telegraf-argocd"}}],
            }],
        }))
        .expect("an answer")
    }

    #[test]
    fn it_is_said_in_words() {
        let expected = "argoproj.io/Application/argocd/argo\"cd\n  scrapes\n    redis: \
            http://redis.argocd.svc:9121/metrics, every 60s, as prometheus_redis\n  sends to\n    \
            influxdb_v2, http://db:8086, organization square, bucket argocd\n  exists in namespace argocd as\n    \
            ConfigMap telegraf-argocd\n";
        assert_eq!(words(&answer()), expected);
    }

    #[test]
    fn what_the_operator_provides_is_said() {
        let mut answer = answer();
        let database = serde_json::json!({
            "holder": "argoproj.io/Application/argocd/argocd", "url": "http://db:8086", "organization": "square",
            "bucket": "argocd", "retentionSeconds": 86400, "token": {"secret": "telegraf-0123", "key": "influx-token"},
        });
        answer.sources[0].rendered.databases = vec![serde_json::from_value(database).expect("a database")];
        let expected = "  has the operator provide\n    bucket argocd, in organization square of http://db:8086, for 24 h\n    \
            a token that can only write it, in Secret telegraf-0123\n  exists in";
        let said = words(&answer);
        assert!(said.contains(expected), "{said}");
    }

    #[test]
    fn it_is_drawn_and_names_stay_text() {
        let expected = "flowchart LR\n  subgraph s0[\"argoproj.io/Application/argocd/argo#34;cd\"]\n    \
            e0_0[\"redis<br>http://redis.argocd.svc:9121/metrics<br>every 60s\"]\n  end\n  \
            t0([\"Telegraf<br>telegraf-argocd\"])\n  \
            o0[(\"influxdb_v2<br>http://db:8086<br>organization square<br>bucket argocd\")]\n  e0_0 --> t0\n  \
            t0 --> o0\n";
        assert_eq!(picture(&answer()), expected);
    }
}
