"""The policy in Kubewarden's own server, where `policy-server` is on PATH or named in POLICY_SERVER. No registry offers
it, so without it these tests are skipped, and say so."""

import base64
import json
import os
import shutil
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from parts import BAD, GOOD, KEY, annotated, application, folder_of, free_port, request

POLICY_SERVER = os.environ.get("POLICY_SERVER") or shutil.which("policy-server")


@unittest.skipUnless(POLICY_SERVER, "policy-server is not here: put it on PATH, or name it in POLICY_SERVER")
class PolicyServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_of(cls)
        policy, render = annotated(cls.folder), annotated(cls.folder, "metadata-render.yml")
        policies = {
            "telewarden": {"module": f"file://{policy}"},
            "digest": {"module": f"file://{policy}", "allowedToMutate": True, "settings": {"mutation": "digest"}},
            "render": {"module": f"file://{render}", "allowedToMutate": True},
        }
        (cls.folder / "policies.yml").write_text(json.dumps(policies))
        cls.port, ready = free_port(), free_port()
        with open(cls.folder / "log", "w") as log:
            cls.process = subprocess.Popen(
                [POLICY_SERVER, "--addr", "127.0.0.1", "--port", str(cls.port), "--readiness-probe-port", str(ready),
                 "--workers", "2", "--policies", "policies.yml", "--ignore-kubernetes-connection-failure"],
                cwd=cls.folder, stdout=log, stderr=log)
        cls.addClassCleanup(cls.process.wait)
        cls.addClassCleanup(cls.process.kill)
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{ready}/readiness").close()
                return
            except urllib.error.URLError:
                if time.monotonic() > end or cls.process.poll() is not None:
                    raise AssertionError((cls.folder / "log").read_text()) from None
                time.sleep(0.3)

    def ask(self, path, document):
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": document})
        asked = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", body.encode(),
                                       {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)["response"]

    def test_it_accepts_and_refuses(self):
        good = self.ask("validate/telewarden", request("CREATE", application("argocd", GOOD)))
        self.assertTrue(good["allowed"])
        self.assertEqual(good["auditAnnotations"]["endpoints"], "1")
        refused = self.ask("validate/telewarden", request("CREATE", application("argocd", BAD)))
        self.assertEqual((refused["allowed"], refused["status"]["code"]), (False, 422))
        self.assertIn("TW111", refused["status"]["message"])
        stays = self.ask("validate/telewarden", request("UPDATE", application("argocd", BAD), application("argocd", BAD)))
        self.assertTrue(stays["allowed"])
        self.assertFalse(stays.get("warnings"))

    def test_it_mutates_where_that_is_allowed(self):
        answer = self.ask("validate/digest", request("CREATE", application("argocd", GOOD)))
        (operation,) = json.loads(base64.b64decode(answer["patch"]))
        self.assertEqual(operation["path"], "/metadata/annotations/telegraf.influxdata.com~1rendered-digest")

    def test_it_renders_raw_requests(self):
        answer = self.ask("validate_raw/render", application("argocd", GOOD))
        self.assertTrue(answer["allowed"], answer)
        patch = {operation["path"]: operation.get("value") for operation in json.loads(base64.b64decode(answer["patch"]))}
        self.assertEqual(patch["/kind"], "List")
        self.assertEqual([item["kind"] for item in patch["/items"]], ["ConfigMap", "Deployment"])

    def test_a_large_request_is_answered_up_to_its_own_limit(self):
        large = application("argocd", GOOD)
        large["status"] = {"resources": [{"name": "x" * 100}] * 10_000}
        self.assertTrue(self.ask("validate/telewarden", request("CREATE", large))["allowed"])
        large["status"]["resources"] *= 2
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.ask("validate/telewarden", request("CREATE", large))
        self.assertEqual(refused.exception.code, 413)

    def test_what_is_no_request_is_no_trap(self):
        odd = application("argocd", GOOD)
        odd["metadata"]["annotations"][KEY] = 7
        refused = self.ask("validate/telewarden", request("CREATE", odd))
        self.assertEqual((refused["allowed"], refused["status"]["code"]), (False, 422))


if __name__ == "__main__":
    unittest.main(verbosity=2)
