"""Where the real parts are, as `e2e/admission/run` says, and what all suites send to them."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TELEWARDEN = os.environ["TELEWARDEN"]
KEY = "telegraf.influxdata.com/rubin-telegraf-operator"
GOOD = "- redis: http://redis.argocd.svc:9121/metrics\n"
BAD = "- redis: http://redis.elsewhere.svc:9121/metrics\n"


def part(name):
    return os.environ["TELEWARDEN_PART_" + name.replace("-", "_").upper()]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def folder_of(suite):
    """A folder that goes with the suite."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="telewarden-e2e-"))
    suite.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
    return folder


def annotated(folder, metadata="metadata.yml"):
    """The module with its metadata, as it is published."""
    module = folder / f"{pathlib.Path(metadata).stem}.wasm"
    subprocess.run([TELEWARDEN, "annotate", "-m", ROOT / metadata, "-u", ROOT / "docs/kubewarden.md",
                    ROOT / "policy.wasm", "-o", module], check=True)
    return module


def application(name, text=GOOD, **metadata):
    annotations = {} if text is None else {KEY: text}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "annotations": annotations, **metadata},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://example.com/r", "path": "."},
            "destination": {"namespace": "argocd", "server": "https://kubernetes.default.svc"},
        },
    }


def request(operation, new, old=None):
    """An AdmissionRequest about an Application."""
    kind = {"group": "argoproj.io", "version": "v1alpha1", "kind": "Application"}
    resource = {"group": "argoproj.io", "version": "v1alpha1", "resource": "applications"}
    return {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource, "requestKind": kind,
        "requestResource": resource, "name": "argocd", "namespace": "argocd", "operation": operation,
        "userInfo": {"username": "somebody"}, "object": new, "oldObject": old, "dryRun": False,
    }
