"""The policy in Kubewarden's own engine, where `kwctl` is on PATH or named in KWCTL. No registry offers it, so without it
these tests are skipped, and say so."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TELEWARDEN = os.environ["TELEWARDEN"]
KWCTL = os.environ.get("KWCTL") or shutil.which("kwctl")
KEY = "telegraf.influxdata.com/rubin-telegraf-operator"
GOOD = "- redis: http://redis.argocd.svc:9121/metrics\n"
BAD = "- redis: http://redis.elsewhere.svc:9121/metrics\n"


def application(text):
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "argocd", "namespace": "argocd", "annotations": {KEY: text}},
        "spec": {"project": "default", "destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"}},
    }


def request(operation, new, old=None):
    kind = {"group": "argoproj.io", "version": "v1alpha1", "kind": "Application"}
    resource = {"group": "argoproj.io", "version": "v1alpha1", "resource": "applications"}
    return {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource, "requestKind": kind,
        "requestResource": resource, "name": "argocd", "namespace": "argocd", "operation": operation,
        "userInfo": {"username": "somebody"}, "object": new, "oldObject": old, "dryRun": False,
    }


@unittest.skipUnless(KWCTL, "kwctl is not here: put it on PATH, or name it in KWCTL")
class Kwctl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="telewarden-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        for metadata, module in [("metadata", "policy"), ("metadata-render", "render")]:
            subprocess.run([TELEWARDEN, "annotate", "-m", ROOT / f"{metadata}.yml", "-u", ROOT / "docs/kubewarden.md",
                            ROOT / "policy.wasm", "-o", cls.folder / f"{module}.wasm"], check=True)

    def kwctl(self, *arguments):
        done = subprocess.run([KWCTL, *map(str, arguments)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def run_policy(self, document, *arguments, module="policy"):
        path = self.folder / "request.json"
        path.write_text(json.dumps(document))
        return json.loads(self.kwctl("run", "-r", path, *arguments, self.folder / f"{module}.wasm"))

    def test_it_accepts_and_refuses(self):
        self.assertEqual(self.run_policy(request("CREATE", application(GOOD)))["auditAnnotations"]["endpoints"], "1")
        refused = self.run_policy(request("CREATE", application(BAD)))
        self.assertEqual((refused["allowed"], refused["status"]["code"]), (False, 422))
        self.assertIn("TW111", refused["status"]["message"])
        stays = self.run_policy(request("UPDATE", application(BAD), application(BAD)))
        self.assertTrue(stays["allowed"])
        self.assertIn("no longer allowed, TW111", stays["warnings"][0])

    def test_review_answers_as_kwctl_does(self):
        for new, settings in [(GOOD, {}), (BAD, {}), (GOOD, {"mutation": "digest"})]:
            document = request("CREATE", application(new))
            theirs = self.run_policy(document, "--settings-json", json.dumps(settings))
            (self.folder / "settings.yaml").write_text(json.dumps(settings))
            ours = subprocess.run([TELEWARDEN, "review", self.folder / "request.json", "--settings",
                                   self.folder / "settings.yaml"], capture_output=True, text=True)
            theirs = {name: value for name, value in theirs.items() if value is not None}
            self.assertEqual(json.loads(ours.stdout), theirs)

    def test_it_mutates_where_it_is_asked_to(self):
        answer = self.run_policy(request("CREATE", application(GOOD)), "--settings-json", '{"mutation": "digest"}')
        (operation,) = json.loads(base64.b64decode(answer["patch"]))
        self.assertEqual(operation["path"], "/metadata/annotations/telegraf.influxdata.com~1rendered-digest")

    def test_it_renders_raw_requests(self):
        answer = self.run_policy(application(GOOD), "--raw", module="render")
        patch = {operation["path"]: operation.get("value") for operation in json.loads(base64.b64decode(answer["patch"]))}
        self.assertEqual(patch["/kind"], "List")
        self.assertEqual([item["kind"] for item in patch["/items"]], ["ConfigMap", "Deployment"])

    def test_it_is_inspected(self):
        for module, title in [("policy", "telewarden"), ("render", "telewarden-render")]:
            said = self.kwctl("inspect", f"file://{self.folder}/{module}.wasm")
            self.assertRegex(said, rf"title: +{title} ")
            self.assertRegex(said, r"execution mode: +kubewarden-wapc")

    def test_a_manifest_is_made_of_it(self):
        said = self.kwctl("scaffold", "manifest", "-t", "ClusterAdmissionPolicy", f"file://{self.folder}/policy.wasm")
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
            [TELEWARDEN, "inspect", "-o", "json", self.folder / f"{module}.wasm"], check=True, capture_output=True).stdout)
        ours, theirs = inspect("policy"), inspect("theirs")
        # It signs with its own version.
        del theirs["annotations"]["io.kubewarden.kwctl"]
        self.assertEqual(ours, theirs)


if __name__ == "__main__":
    unittest.main(verbosity=2)
