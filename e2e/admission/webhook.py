"""The policy behind a real kube-apiserver.

deploy/'s ClusterAdmissionPolicies are applied to it, and turned into webhook configurations as Kubewarden's controller
does: the same rules, matchConditions, failurePolicy and timeout. `telewarden review` answers, over HTTPS.
"""

import collections
import http.server
import json
import os
import secrets
import ssl
import subprocess
import threading
import time
import unittest

from parts import GOOD, KEY, ROOT, TELEWARDEN, application, folder_of, free_port, part

DIGEST = "telegraf.influxdata.com/rendered-digest"
OTHER_GOOD = "- server: http://server.argocd.svc:8083/metrics\n"
BAD = '- redis: http://redis.elsewhere.svc:9121/metrics\n- "a b": ftp://x\n'


class Webhook:
    """Answers AdmissionReviews with `telewarden review`, under the settings of the policy that the path names."""

    def __init__(self, folder):
        self.folder = folder
        self.settings = {}
        self.calls = collections.Counter()
        self.certificate = folder / "webhook.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=webhook",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "webhook.key", "-out", self.certificate],
            check=True, capture_output=True)
        webhook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = webhook.answer(self.path.split("?")[0].strip("/"), body)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "webhook.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, policy, body):
        self.calls[policy] += 1
        settings = self.folder / f"settings-{secrets.token_hex(4)}.yaml"
        settings.write_text(json.dumps(self.settings[policy]))
        done = subprocess.run([TELEWARDEN, "review", "-", "--settings", settings], input=body, capture_output=True)
        if done.returncode not in (0, 1):
            print(done.stderr.decode())
        return done.stdout

    def configuration(self, policy, match_conditions=True):
        """What Kubewarden's controller makes of a ClusterAdmissionPolicy."""
        name, spec = policy["metadata"]["name"], policy["spec"]
        self.settings[name] = spec.get("settings", {})
        certificate = subprocess.run(["base64", "-w0", self.certificate], check=True, capture_output=True, text=True)
        port = self.server.server_address[1]
        webhook = {
            "name": f"{name}.kubewarden.admission",
            "clientConfig": {"url": f"https://127.0.0.1:{port}/{name}", "caBundle": certificate.stdout},
            "rules": spec["rules"],
            "failurePolicy": spec["failurePolicy"],
            "timeoutSeconds": 30,  # a process is started for each call, on a machine that may be busy
            "matchPolicy": "Equivalent",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        if match_conditions:
            webhook["matchConditions"] = spec["matchConditions"]
        # An error would let a request pass under `Ignore`: in a test it should not.
        webhook["failurePolicy"] = "Fail"
        kind = "MutatingWebhookConfiguration" if spec["mutating"] else "ValidatingWebhookConfiguration"
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "webhooks": [webhook],
        }


class Cluster:
    """etcd and kube-apiserver, without nodes."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.parts = []
        etcd_port, peer_port = free_port(), free_port()
        self.start("etcd", part("etcd"), f"--data-dir={folder}/etcd",
                   f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
                   f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
                   f"--listen-peer-urls=http://127.0.0.1:{peer_port}", "--unsafe-no-fsync")
        subprocess.run(["openssl", "genrsa", "-out", folder / "accounts.key", "2048"], check=True, capture_output=True)
        (folder / "tokens.csv").write_text("admin,admin,admin,system:masters\n")
        self.start("kube-apiserver", part("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{etcd_port}",
                   f"--secure-port={self.port}", "--bind-address=127.0.0.1", f"--cert-dir={folder}/certs",
                   f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC",
                   "--service-account-issuer=https://localhost", f"--service-account-key-file={folder}/accounts.key",
                   f"--service-account-signing-key-file={folder}/accounts.key",
                   "--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount")
        self.eventually(lambda: self.kubectl("get", "--raw=/readyz").stdout == "ok")

    def start(self, name, *command):
        with open(self.folder / f"{name}.log", "w") as log:
            self.parts.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))

    def stop(self):
        for started in reversed(self.parts):
            started.kill()
            started.wait()

    def kubectl(self, *arguments, document=None):
        command = [part("kubectl"), f"--server=https://127.0.0.1:{self.port}", "--insecure-skip-tls-verify",
                   "--token=admin", f"--cache-dir={self.folder}/kubectl", *map(str, arguments)]
        document = None if document is None else json.dumps(document)
        environment = {**os.environ, "KUBECONFIG": "/dev/null"}
        return subprocess.run(command, input=document, capture_output=True, text=True, env=environment)

    def eventually(self, condition, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                logs = "".join(path.read_text()[-3000:] for path in self.folder.glob("*.log"))
                raise TimeoutError(f"not after {seconds} s\n{logs}")
            time.sleep(0.3)


class Admission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_of(cls)
        cls.webhook = Webhook(cls.folder)
        cls.cluster = Cluster(cls.folder)
        cls.addClassCleanup(cls.cluster.stop)
        for crds in ["e2e/operator/crds/argocd.yaml", "e2e/admission/crds.yaml"]:
            cls.cluster.kubectl("apply", "-f", ROOT / crds)
        for resource in ["applications", "applicationsets", "clusteradmissionpolicies"]:
            cls.cluster.eventually(lambda resource=resource: cls.cluster.kubectl("get", resource, "-A").returncode == 0)
        cls.cluster.kubectl("create", "namespace", "argocd")
        for manifest in ["cluster-admission-policy", "cluster-admission-policy-namespaces"]:
            done = cls.cluster.kubectl("apply", "-f", ROOT / "deploy" / f"{manifest}.yaml")
            assert done.returncode == 0, done.stderr
        cls.apply_policies()

    @classmethod
    def policies(cls):
        return json.loads(cls.cluster.kubectl("get", "clusteradmissionpolicies", "-o", "json").stdout)["items"]

    @classmethod
    def apply_policies(cls, policies=None, match_conditions=True):
        """Makes the webhooks those of these policies, by default those of deploy/, and waits until they are called."""
        for kind in ["validating", "mutating"]:
            cls.cluster.kubectl("delete", f"{kind}webhookconfigurations", "--all")
        for policy in policies or cls.policies():
            configuration = cls.webhook.configuration(policy, match_conditions)
            done = cls.cluster.kubectl("apply", "-f", "-", document=configuration)
            assert done.returncode == 0, done.stderr
        # The API server learns of a webhook a moment after it is made: a bad object is tried until it is refused.
        probe = application("probe", "[")
        create = lambda: cls.cluster.kubectl("create", "--dry-run=server", "-f", "-", document=probe)
        cls.cluster.eventually(lambda: "TW001" in create().stderr)

    def setUp(self):
        self.name = f"a{secrets.token_hex(4)}"

    def accepted(self, *arguments, document=None):
        done = self.cluster.kubectl(*arguments, document=document)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def refused(self, *arguments, document=None, because=()):
        done = self.cluster.kubectl(*arguments, document=document)
        self.assertNotEqual(done.returncode, 0, "it was accepted")
        self.assertIn("denied the request", done.stderr)
        for reason in because:
            self.assertIn(reason, done.stderr)
        self.assertEqual(done.stderr.strip().count("\n"), 0, f"more than a paragraph: {done.stderr}")
        return done.stderr

    def create(self, document):
        return self.accepted("create", "-f", "-", document=document)

    def patch(self, patch, kind="application"):
        return ["patch", kind, self.name, "-n", "argocd", "--type=merge", "-p", json.dumps(patch)]

    def annotate(self, text):
        return self.patch({"metadata": {"annotations": {KEY: text}}})

    def get(self, kind="application"):
        return json.loads(self.accepted("get", kind, self.name, "-n", "argocd", "-o", "json").stdout)

    def calls(self):
        return self.webhook.calls["telewarden-applications"]

    def test_a_bad_annotation_is_refused_on_create_and_on_update(self):
        because = ["4 problems: (1) TW111 at line 1, column 10 of annotation", "(2) TW101", "allowed: `*.argocd.svc`"]
        said = self.refused("create", "-f", "-", document=application(self.name, BAD), because=because)
        print(f"\n{said}")
        self.create(application(self.name))
        self.refused(*self.annotate(BAD), because=because)
        self.accepted(*self.annotate(OTHER_GOOD))
        self.refused(*self.patch({"spec": {"destination": {"namespace": "dev"}}}), because=["TW111"])

    def test_what_has_no_annotation_and_what_did_not_change_costs_no_call(self):
        self.create(application(self.name))
        before = self.calls()
        # Argo CD's status writes, of the whole object for want of a subresource.
        for revision in range(5):
            self.accepted(*self.patch({"status": {"sync": {"status": "Synced", "revision": str(revision)}}}))
        self.accepted(*self.patch({"metadata": {"labels": {"a": "b"}, "annotations": {"argocd.argoproj.io/refresh": "hard"}}}))
        self.accepted(*self.patch({"spec": {"source": {"path": "elsewhere"}}}))
        self.create(application(f"{self.name}-plain", None))
        self.assertEqual(self.calls() - before, 0)
        self.accepted(*self.annotate(OTHER_GOOD))
        self.assertEqual(self.calls() - before, 1)
        self.accepted(*self.patch({"spec": {"project": "other"}}))
        self.assertEqual(self.calls() - before, 2)
        self.accepted(*self.patch({"metadata": {"annotations": {"telegraf.influxdata.com/interval": "30s"}}}))
        self.assertEqual(self.calls() - before, 3)
        # One of ours goes, and one stays.
        self.accepted(*self.patch({"metadata": {"annotations": {"telegraf.influxdata.com/interval": None}}}))
        self.assertEqual(self.calls() - before, 4)
        self.accepted(*self.annotate(None))
        self.accepted("delete", "application", self.name, "-n", "argocd")
        self.assertEqual(self.calls() - before, 4)

    def test_odd_objects_do_not_break_the_conditions(self):
        odd = application(self.name)
        odd["spec"] = {"destination": {}}
        self.refused("create", "-f", "-", document=odd, because=["TW401"])
        del odd["spec"]["destination"]
        del odd["metadata"]["annotations"]
        self.create(odd)
        self.refused(*self.annotate(GOOD), because=["TW401"])

    def test_a_namespace_is_checked(self):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "annotations": {KEY: BAD}}}
        self.refused("create", "-f", "-", document=namespace, because=["TW111"])
        namespace["metadata"]["annotations"][KEY] = f"- redis: http://redis.{self.name}.svc:9121/metrics\n"
        self.create(namespace)
        before = self.webhook.calls["telewarden-namespaces"]
        self.accepted("label", "namespace", self.name, "a=b")
        self.assertEqual(self.webhook.calls["telewarden-namespaces"], before)

    def test_a_template_is_checked_as_far_as_it_is_decided(self):
        def application_set(text):
            template = application("{{name}}", text)
            del template["apiVersion"], template["kind"]
            generators = [{"list": {"elements": [{"name": "one"}]}}]
            return {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "ApplicationSet",
                "metadata": {"name": self.name, "namespace": "argocd"},
                "spec": {"generators": generators, "template": template},
            }

        # Whether the hosts are allowed is decided too: the template's namespace has no hole.
        self.refused("create", "-f", "-", document=application_set("- a: ftp://redis.argocd.svc\n"), because=["TW106"])
        said = self.create(application_set("- a: http://{{name}}.argocd.svc/metrics\n")).stderr
        self.assertIn("Warning: TW407: placeholders are checked when the ApplicationSet creates Applications", said)
        before = self.webhook.calls["telewarden-applicationsets"]
        self.accepted(*self.patch({"spec": {"syncPolicy": {"preserveResourcesOnDeletion": True}}}, "applicationset"))
        self.assertEqual(self.webhook.calls["telewarden-applicationsets"], before)

    def test_what_was_admitted_before_stays_free(self):
        self.create(application(self.name, finalizers=["resources-finalizer.argocd.argoproj.io/background"]))
        policies = self.policies()
        for policy in policies:
            policy["spec"]["settings"] = {"endpoints": {"schemes": ["https"]}}
        self.addCleanup(self.apply_policies)

        self.apply_policies(policies)
        self.refused("create", "-f", "-", document=application(f"{self.name}-2"), because=["TW106"])
        self.accepted(*self.patch({"status": {"sync": {"status": "OutOfSync"}}}))
        self.refused(*self.annotate(OTHER_GOOD), because=["TW106"])

        # Without the conditions everything reaches the policy, which decides the same.
        self.apply_policies(policies, match_conditions=False)
        before = self.calls()
        said = self.accepted(*self.patch({"status": {"sync": {"status": "Synced"}}})).stderr
        self.assertNotIn("TW106", said)
        self.refused(*self.annotate(OTHER_GOOD), because=["TW106"])
        self.accepted("delete", "application", self.name, "-n", "argocd", "--wait=false")
        self.assertIn("deletionTimestamp", self.get()["metadata"])
        # Even a change that would be refused passes now, and so does the finalizer's end.
        self.accepted(*self.annotate(BAD))
        self.accepted(*self.patch({"metadata": {"finalizers": None}}))
        self.assertGreaterEqual(self.calls() - before, 4)
        gone = self.cluster.kubectl("get", "application", self.name, "-n", "argocd")
        self.assertIn("NotFound", gone.stderr)

    def test_mutation_writes_a_digest_that_nobody_can_forge(self):
        settings = self.folder / "mutation.yaml"
        settings.write_text("mutation: digest\n")
        printed = subprocess.run([TELEWARDEN, "policies", "--settings", settings, "--only", "applications"],
                                 check=True, capture_output=True, text=True)
        (self.folder / "policies.yaml").write_text(printed.stdout)
        policy = self.accepted("create", "--dry-run=client", "-o", "json", "-f", self.folder / "policies.yaml")
        self.addCleanup(self.apply_policies)
        self.apply_policies([json.loads(policy.stdout)])

        digest = lambda: self.get()["metadata"].get("annotations", {}).get(DIGEST)
        self.create(application(self.name))
        first = digest()
        self.assertRegex(first, "^sha256:[0-9a-f]{64}$")
        self.accepted(*self.annotate(OTHER_GOOD))
        self.assertNotEqual(digest(), first)
        self.refused(*self.patch({"metadata": {"annotations": {DIGEST: "sha256:0"}}}), because=["TW315"])
        # Argo CD's status writes cost no call; what resets the annotation costs one, and has it written again.
        second, before = digest(), self.calls()
        self.accepted(*self.patch({"status": {"sync": {"status": "Synced"}}}))
        self.assertEqual(self.calls(), before)
        self.accepted(*self.patch({"metadata": {"annotations": {DIGEST: None}}}))
        self.assertEqual(digest(), second)
        # What nothing is rendered for any more loses it.
        self.accepted(*self.annotate(None))
        self.assertIsNone(digest())

    def test_a_request_of_megabytes_is_answered(self):
        large = application(self.name, BAD)
        large["status"] = {"resources": [{"kind": "Pod", "name": "x" * 80} for _ in range(8_000)]}
        self.refused("create", "-f", "-", document=large, because=["TW111"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
