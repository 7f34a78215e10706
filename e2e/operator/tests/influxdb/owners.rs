//! Whose bucket is it, when names are the same.

use serde_json::json;
use telewarden_e2e_operator::{Application, Cluster, InfluxDb, annotation};

use crate::provided::{cluster, has_buckets, has_tokens, operator, settings};

/// Everything that is called `shop`, with the bucket of each. All are deployed to the namespace `shop`.
const SHOPS: [(&str, &str); 4] = [
    ("Namespace/shop", "Namespace:shop"),
    ("argoproj.io/Application/argocd/shop", "shop"),
    ("argoproj.io/Application/team-a/shop", "team_a:shop"),
    ("argoproj.io/Application/team-b/shop", "team_b:shop"),
];

async fn put(cluster: &Cluster, source: &str) {
    let annotations = json!({"telewarden.io/endpoints": annotation("shop", &["server"])});
    let object = match source.rsplit('/').nth(1) {
        Some("Namespace") | None => {
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": annotations}})
        }
        Some(namespace) => {
            let mut object = Application::named("shop").object();
            object["metadata"] = json!({"name": "shop", "namespace": namespace, "annotations": annotations});
            object
        }
    };
    cluster.put(&object).await;
}

async fn sources_of_one_name_have_buckets_and_tokens_of_their_own(topology: &str) {
    let (cluster, database) = (cluster().await, InfluxDb::start().await);
    cluster.namespace("shop").await;
    for name in ["team-a", "team-b"] {
        cluster.namespace_of_applications(name).await;
    }
    let everywhere = json!({
        "destinations": [{"server": "*", "namespace": "*"}], "sourceNamespaces": ["team-a", "team-b"],
    });
    cluster.project("default", everywhere).await;
    let mut settings = settings(&database, "bucketsAndTokens");
    settings["topology"] = json!(topology);
    settings["sources"] = json!({"applicationNamespaces": ["team-a", "team-b"]});
    let _operator = operator(&cluster, &database, &settings).await;
    for (source, _) in SHOPS {
        put(&cluster, source).await;
    }
    let found = has_tokens(&cluster, &database, &SHOPS.map(|(source, _)| source)).await;
    has_buckets(&database, &SHOPS.map(|(_, bucket)| bucket)).await;
    for (source, own) in SHOPS {
        for (_, bucket) in SHOPS {
            let status = database.write(&found[source], "square", bucket).await;
            let expected = if bucket == own { 204 } else { 403 };
            assert_eq!(status, expected, "{source} writes {bucket}");
        }
    }
    // One of them goes. The tokens of the others stay.
    let team_a = cluster.of("team-a", "argoproj.io", "v1alpha1", "Application");
    team_a.delete("shop", &Default::default()).await.expect("delete one");
    let others = [SHOPS[0].0, SHOPS[1].0, SHOPS[3].0];
    let left = has_tokens(&cluster, &database, &others).await;
    for source in others {
        assert_eq!(left[source], found[source], "{source}");
    }
    assert_eq!(database.write(&found[SHOPS[2].0], "square", "team_a:shop").await, 401);
    has_buckets(&database, &SHOPS.map(|(_, bucket)| bucket)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_one_name_share_nothing() {
    sources_of_one_name_have_buckets_and_tokens_of_their_own("application").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_of_one_name_share_nothing_where_each_endpoint_has_a_telegraf() {
    sources_of_one_name_have_buckets_and_tokens_of_their_own("endpoint").await;
}
