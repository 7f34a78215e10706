"""The operator that the technote planned: kopf, and one Telegraf for each annotated Application.

It applies what telewarden-operator applies for an annotation of `- name: url` lines under the default settings, and
leaves out the rest: it checks nothing, asks no AppProject, deletes nothing, and elects no leader. bench/operator compares
what it applied with what the module renders.
"""

import os
import string
from pathlib import Path

import kopf
import kubernetes
import yaml

ANNOTATION = "telegraf.influxdata.com/rubin-telegraf-operator"
AT_ONCE = int(os.environ.get("AT_ONCE", "16"))

HEAD = """\
[agent]
collection_jitter = "5s"
flush_interval = "60s"
interval = "60s"
metric_batch_size = 5000
metric_buffer_limit = 100000
omit_hostname = true
skip_processors_after_aggregators = true
"""
INPUT = string.Template("""
[[inputs.prometheus]]
alias = "$name"
content_length_limit = 5000000
metric_version = 2
name_override = "prometheus_$name"
urls = ["$url"]

[inputs.prometheus.tags]
prometheus_app = "$bucket"
""")
OUTPUTS = string.Template("""
[[outputs.health]]
service_address = "http://:8888"

[[outputs.influxdb_v2]]
bucket = "$bucket"
organization = "default"
token = "$${INFLUX_TOKEN}"
urls = ["http://influxdb.influxdb.svc:8086"]
""")
OBJECTS = string.Template((Path(__file__).parent / "objects.yaml").read_text())

core = apps = None


@kopf.on.startup()
def connect(settings, **_):
    global core, apps
    settings.execution.max_workers = AT_ONCE
    kubernetes.config.load_config()
    configuration = kubernetes.client.Configuration.get_default_copy()
    configuration.connection_pool_maxsize = AT_ONCE
    client = kubernetes.client.ApiClient(configuration)
    core, apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)


@kopf.on.resume("argoproj.io", "v1alpha1", "applications", annotations={ANNOTATION: kopf.PRESENT})
@kopf.on.create("argoproj.io", "v1alpha1", "applications", annotations={ANNOTATION: kopf.PRESENT})
@kopf.on.update("argoproj.io", "v1alpha1", "applications", annotations={ANNOTATION: kopf.PRESENT})
def apply(name, namespace, spec, annotations, **_):
    endpoints = {key: url for entry in yaml.safe_load(annotations[ANNOTATION]) for key, url in entry.items()}
    bucket = name.replace("-", "_")
    inputs = [INPUT.substitute(name=key, url=url, bucket=bucket) for key, url in sorted(endpoints.items())]
    text = OBJECTS.substitute(name=name, source=namespace, namespace=spec["destination"]["namespace"])
    config_map, deployment = yaml.safe_load_all(text)
    config_map["data"] = {"telegraf.conf": "".join([HEAD, *inputs, OUTPUTS.substitute(bucket=bucket)])}
    for patch, body in (
        (core.patch_namespaced_config_map, config_map),
        (apps.patch_namespaced_deployment, deployment),
    ):
        metadata = body["metadata"]
        patch(
            metadata["name"],
            metadata["namespace"],
            body,
            field_manager="telewarden",
            force=True,
            _content_type="application/apply-patch+yaml",
        )
