"""Charts and overlays, rendered by the real programs, checked by the command."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

TELEWARDEN = os.environ["TELEWARDEN"]

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: apps\nversion: 1.0.0\n",
    "values.yaml": "interval: 30s\nshops: [one, two]\n",
    "templates/shops.yaml": """\
{{- range .Values.shops }}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: {{ . }}
  namespace: argocd
  annotations:
    telegraf.influxdata.com/interval: {{ $.Values.interval | quote }}
    telegraf.influxdata.com/rubin-telegraf-operator: |
      - web: http://web.{{ . }}.svc:8080/metrics
spec:
  project: default
  destination: {server: "https://kubernetes.default.svc", namespace: {{ . | quote }}}
{{- end }}
""",
    "charts/database/Chart.yaml": "apiVersion: v2\nname: database\nversion: 1.0.0\n",
    "charts/database/values.yaml": "url: http://exporter.database.svc:9187/metrics\n",
    "charts/database/templates/namespace.yaml": """\
apiVersion: v1
kind: Namespace
metadata:
  name: database
  annotations:
    telegraf.influxdata.com/rubin-telegraf-operator: |
      - exporter: {{ .Values.url }}
""",
}

OVERLAY = {
    "base/kustomization.yaml": "resources: [namespace.yaml]\n",
    "base/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n",
    "prod/kustomization.yaml": "resources: [../base]\npatches: [{path: patch.yaml}]\n",
    "prod/patch.yaml": """\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  annotations:
    telegraf.influxdata.com/rubin-telegraf-operator: |
      - web: URL
""",
}


def folder_of(test, files):
    """A folder with files that goes with the test."""
    folder = tempfile.TemporaryDirectory(prefix="telewarden-e2e-")
    test.addCleanup(folder.cleanup)
    for name, text in files.items():
        path = pathlib.Path(folder.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return pathlib.Path(folder.name)


def validate(folder, *arguments):
    """The exit status and the report."""
    command = [TELEWARDEN, "validate", "--format", "json", *arguments]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


class Charts(unittest.TestCase):
    maxDiff = None

    def test_a_good_chart_has_no_findings(self):
        status, report = validate(folder_of(self, CHART), "--helm", ".")
        self.assertEqual((status, report["findings"], report["failures"]), (0, [], []))
        self.assertEqual(
            sorted(source["source"] for source in report["sources"]),
            ["Namespace/database", "argoproj.io/Application/argocd/one", "argoproj.io/Application/argocd/two"])

    def test_a_value_is_wrong_where_it_is_used(self):
        folder = folder_of(self, {**CHART, "wrong.yaml": "interval: 30 seconds\ndatabase: {url: 'ftp://exporter.database.svc'}\n"})
        status, report = validate(folder, "--helm", ".", "--values", "wrong.yaml")
        self.assertEqual(status, 1)
        self.assertEqual(
            sorted((finding["code"], finding["template"], finding["source"]) for finding in report["findings"]),
            [("TW106", "./charts/database/templates/namespace.yaml", "Namespace/database"),
             ("TW203", "./templates/shops.yaml", "argoproj.io/Application/argocd/one"),
             ("TW203", "./templates/shops.yaml", "argoproj.io/Application/argocd/two")])

    def test_what_helm_says_is_passed_on(self):
        folder = folder_of(self, {**CHART, "templates/broken.yaml": "{{ .Values.none.at.all }}\n"})
        status, report = validate(folder, "--helm", ".")
        self.assertEqual(status, 2)
        self.assertIn("nil pointer evaluating interface {}.at", report["failures"][0]["message"])


class Overlays(unittest.TestCase):
    def test_an_overlay_is_built_by_kubectl(self):
        url = "http://web.shop.svc/metrics"
        right = {name: text.replace("URL", url) for name, text in OVERLAY.items()}
        status, report = validate(folder_of(self, right), "--kustomize", "prod")
        self.assertEqual((status, report["findings"], report["sources"][0]["endpoints"]), (0, [], 1))

    def test_a_patch_is_wrong_where_it_ends_up(self):
        url = "http://web.elsewhere.svc/metrics"
        wrong = {name: text.replace("URL", url) for name, text in OVERLAY.items()}
        status, report = validate(folder_of(self, wrong), "--kustomize", "prod")
        self.assertEqual((status, [finding["code"] for finding in report["findings"]]), (1, ["TW111"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
