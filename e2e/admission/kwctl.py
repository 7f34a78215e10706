"""The policy in Kubewarden's own engine, where `kwctl` is on PATH or named in KWCTL. No registry offers it, so without it
these tests are skipped, and say so."""

import base64
import json
import os
import shutil
import subprocess
import unittest

from parts import BAD, GOOD, ROOT, TELEWARDEN, annotated, application, folder_of, request

KWCTL = os.environ.get("KWCTL") or shutil.which("kwctl")


@unittest.skipUnless(KWCTL, "kwctl is not here: put it on PATH, or name it in KWCTL")
class Kwctl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_of(cls)
        cls.policy, cls.render = annotated(cls.folder), annotated(cls.folder, "metadata-render.yml")

    def kwctl(self, *arguments):
        done = subprocess.run([KWCTL, *map(str, arguments)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def run_policy(self, document, *arguments, module=None):
        path = self.folder / "request.json"
        path.write_text(json.dumps(document))
        return json.loads(self.kwctl("run", "-r", path, *arguments, module or self.policy))

    def test_it_accepts_and_refuses(self):
        self.assertEqual(self.run_policy(request("CREATE", application("argocd")))["auditAnnotations"]["endpoints"], "1")
        refused = self.run_policy(request("CREATE", application("argocd", BAD)))
        self.assertEqual((refused["allowed"], refused["status"]["code"]), (False, 422))
        self.assertIn("TW111", refused["status"]["message"])
        stays = self.run_policy(request("UPDATE", application("argocd", BAD), application("argocd", BAD)))
        self.assertTrue(stays["allowed"])
        self.assertFalse(stays.get("warnings"))

    def test_review_answers_as_kwctl_does(self):
        for new, settings in [(GOOD, {}), (BAD, {}), (GOOD, {"mutation": "digest"})]:
            document = request("CREATE", application("argocd", new))
            theirs = self.run_policy(document, "--settings-json", json.dumps(settings))
            (self.folder / "settings.yaml").write_text(json.dumps(settings))
            ours = subprocess.run([TELEWARDEN, "review", self.folder / "request.json", "--settings",
                                   self.folder / "settings.yaml"], capture_output=True, text=True)
            theirs = {name: value for name, value in theirs.items() if value is not None}
            self.assertEqual(json.loads(ours.stdout), theirs)

    def test_it_mutates_where_it_is_asked_to(self):
        answer = self.run_policy(request("CREATE", application("argocd")), "--settings-json", '{"mutation": "digest"}')
        (operation,) = json.loads(base64.b64decode(answer["patch"]))
        self.assertEqual(operation["path"], "/metadata/annotations/telegraf.influxdata.com~1rendered-digest")

    def test_it_warns_of_services_that_do_not_exist(self):
        # kwctl lets a policy ask for what its metadata names. In a cluster, the ClusterAdmissionPolicy names it.
        metadata = (ROOT / "metadata.yml").read_text()
        service = "contextAwareResources: [{apiVersion: v1, kind: Service}]"
        (self.folder / "aware.yml").write_text(metadata.replace("contextAwareResources: []", service))
        aware = annotated(self.folder, self.folder / "aware.yml")
        services = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [
            {"metadata": {"name": "redis"}, "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 6379}]}}]}
        masks = ["metadata.name", "spec.clusterIP", "spec.ports.port", "spec.ports.protocol", "spec.type"]
        asked = {"api_version": "v1", "kind": "Service", "namespace": "argocd", "label_selector": None,
                 "field_selector": None, "field_masks": masks}
        session = [{"type": "Exchange", "request": "!KubernetesListResourceNamespace\n" + json.dumps(asked),
                    "response": {"type": "Success", "payload": json.dumps(services)}}]
        (self.folder / "session.yml").write_text(json.dumps(session))
        replayed = ["--settings-json", '{"services": "warn"}', "--allow-context-aware",
                    "--replay-host-capabilities-interactions", self.folder / "session.yml"]
        for lines, code in [("- a: http://redis.argocd.svc:6379/\n", None), ("- a: http://redis.argocd.svc:80/\n", "TW120"),
                            ("- a: http://cache.argocd.svc:80/\n", "TW119")]:
            answer = self.run_policy(request("CREATE", application("argocd", lines)), *replayed, module=aware)
            self.assertTrue(answer["allowed"])
            warnings = answer.get("warnings") or []
            self.assertEqual([warning.split(":")[0] for warning in warnings], [code] if code else [])
            # What the audit scanner reports.
            self.assertEqual((answer.get("status") or {}).get("message", "")[:5], code or "")

    def test_it_renders_raw_requests(self):
        answer = self.run_policy(application("argocd"), "--raw", module=self.render)
        patch = {operation["path"]: operation.get("value") for operation in json.loads(base64.b64decode(answer["patch"]))}
        self.assertEqual(patch["/kind"], "List")
        self.assertEqual([item["kind"] for item in patch["/items"]], ["ConfigMap", "Deployment"])

    def test_it_is_inspected(self):
        for module, title in [(self.policy, "telewarden"), (self.render, "telewarden-render")]:
            said = self.kwctl("inspect", f"file://{module}")
            self.assertRegex(said, rf"title: +{title} ")
            self.assertRegex(said, r"execution mode: +kubewarden-wapc")

    def test_a_manifest_is_made_of_it(self):
        said = self.kwctl("scaffold", "manifest", "-t", "ClusterAdmissionPolicy", f"file://{self.policy}")
        self.assertIn("kind: ClusterAdmissionPolicy", said)
        self.assertIn("  mutating: false", said)

    def test_the_artifact_hub_package_is_what_it_would_write(self):
        said = self.kwctl("scaffold", "artifacthub", "-m", ROOT / "metadata.yml", "-q", ROOT / "questions-ui.yml")
        body = lambda text: [line.rstrip() for line in text.splitlines() if not line.startswith("createdAt:")]
        self.assertEqual(body((ROOT / "artifacthub-pkg.yml").read_text()), body(said))

    def test_it_annotates_alike(self):
        self.kwctl("annotate", "-m", ROOT / "metadata.yml", "-u", ROOT / "docs/kubewarden.md", "-o",
                   self.folder / "theirs.wasm", ROOT / "policy.wasm")
        inspect = lambda module: json.loads(subprocess.run(
            [TELEWARDEN, "inspect", "-o", "json", module], check=True, capture_output=True).stdout)
        ours, theirs = inspect(self.policy), inspect(self.folder / "theirs.wasm")
        # It signs with its own version.
        del theirs["annotations"]["io.kubewarden.kwctl"]
        self.assertEqual(ours, theirs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
