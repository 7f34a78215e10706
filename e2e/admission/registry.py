"""The module as an artifact in a real registry: Debian's docker-registry, with skopeo as an independent reader."""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import unittest
import urllib.request

from parts import ROOT, TELEWARDEN, annotated, folder_of, free_port, part

WASM = "application/vnd.wasm.content.layer.v1+wasm"
CONFIG = "application/vnd.wasm.config.v1+json"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Registry:
    """docker-registry on loopback, without TLS; with a password where one is given, as its own tests have it."""

    def __init__(self, folder, htpasswd=None):
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        auth = ""
        if htpasswd:
            (folder / "htpasswd").write_text(htpasswd)
            auth = f"auth:\n  htpasswd:\n    realm: test\n    path: {folder}/htpasswd\n"
        (folder / "config.yml").write_text(
            f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\n"
            f"http:\n  addr: 127.0.0.1:{self.port}\n{auth}")
        command = [part("docker-registry"), "serve", folder / "config.yml"]
        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.host = f"127.0.0.1:{self.port}"
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.1)
        raise TimeoutError((folder / "log").read_text())

    def stop(self):
        self.process.kill()
        self.process.wait()

    def blob(self, digest):
        """The registry's own file."""
        algorithm, value = digest.split(":")
        return self.folder / "data/docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"


class Half:
    """In front of a registry: passes everything on, but stops in the middle of what is large."""

    def __init__(self, upstream):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                request = urllib.request.Request(f"http://{upstream}{self.path}", headers={
                    "Accept": self.headers.get("Accept", "*/*")})
                with urllib.request.urlopen(request) as answer:
                    body = answer.read()
                    self.send_response(answer.status)
                    for name in ["Content-Type", "Docker-Content-Digest"]:
                        if answer.headers.get(name):
                            self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body if len(body) < 100_000 else body[: len(body) // 2])
                self.close_connection = True

            do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Artifacts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = folder_of(cls)
        cls.registry = Registry(cls.folder / "registry")
        cls.addClassCleanup(cls.registry.stop)
        cls.wasm = annotated(cls.folder)

    def setUp(self):
        self.cache = self.folder / f"cache-{self.id().rsplit('.', 1)[1]}"
        self.docker = self.folder / f"docker-{self.id().rsplit('.', 1)[1]}"
        self.docker.mkdir()

    def telewarden(self, *arguments, code=0, plain=None):
        environment = {**os.environ, "TELEWARDEN_CACHE": str(self.cache), "DOCKER_CONFIG": str(self.docker),
                       "TELEWARDEN_PLAIN_HTTP": ",".join(plain if plain is not None else [self.registry.host])}
        done = subprocess.run([TELEWARDEN, *map(str, arguments)], capture_output=True, text=True, env=environment)
        self.assertEqual(done.returncode, code, done.stderr)
        if code:
            print(f"\n{done.stderr.strip()}")
        return done

    def push(self, name):
        done = self.telewarden("push", self.wasm, f"registry://{self.registry.host}/{name}:v1")
        return done.stdout.strip()

    def kept(self):
        """What is in the cache, each under the digest that it has."""
        files = [path for path in (self.cache / "artifacts").glob("**/*") if path.is_file()]
        for path in files:
            self.assertEqual(f"sha256:{path.name}", sha256(path.read_bytes()))
        return files

    def skopeo(self, *arguments):
        done = subprocess.run([part("skopeo"), *map(str, arguments)], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def layer(self, address):
        manifest = json.loads(self.skopeo("inspect", "--raw", "--tls-verify=false", address.replace("registry", "docker")))
        return manifest["layers"][0]["digest"]

    def test_what_is_pushed_is_read_by_others(self):
        address = self.push("pushed")
        at = address.replace("registry://", "docker://")
        raw = self.skopeo("inspect", "--raw", "--tls-verify=false", at)
        self.assertTrue(address.endswith(sha256(raw)), address)
        manifest = json.loads(raw)
        self.assertEqual(manifest["config"]["mediaType"], CONFIG)
        self.assertEqual([layer["mediaType"] for layer in manifest["layers"]], [WASM])
        annotations = manifest["annotations"]
        self.assertEqual(annotations["io.kubewarden.policy.title"], "telewarden")
        self.assertIn("org.opencontainers.image.source", annotations)
        self.assertNotIn("io.kubewarden.policy.usage", annotations)
        self.skopeo("copy", "--src-tls-verify=false", at, f"dir:{self.folder}/copy")
        layer = manifest["layers"][0]["digest"].removeprefix("sha256:")
        self.assertEqual((self.folder / "copy" / layer).read_bytes(), self.wasm.read_bytes())
        # And what another tool copies is pulled.
        self.skopeo("copy", "--dest-tls-verify=false", f"dir:{self.folder}/copy", f"docker://{self.registry.host}/copied:v2")
        pulled = self.folder / "pulled.wasm"
        printed = self.telewarden("pull", f"registry://{self.registry.host}/copied:v2", "-o", pulled).stdout.strip()
        self.assertEqual(pulled.read_bytes(), self.wasm.read_bytes())
        self.assertEqual(printed.split("@")[1], address.split("@")[1])

    def test_a_module_is_run_by_digest_from_the_cache(self):
        address = self.push("run")
        expected = self.telewarden("render", ROOT / "examples/argocd.yaml").stdout
        render = lambda **options: self.telewarden("render", ROOT / "examples/argocd.yaml", "--policy", address, **options)
        self.assertEqual(render().stdout, expected)
        self.assertEqual(len(self.kept()), 2)
        # The registry is not asked again: it is not even spoken to in its own language.
        self.assertEqual(render(plain=[]).stdout, expected)
        # A damaged file is found out and fetched again.
        for path in self.kept():
            path.write_bytes(path.read_bytes()[:-1] + b"!")
        self.assertEqual(render().stdout, expected)
        self.assertEqual(len(self.kept()), 2)

    def test_a_corrupted_blob_is_refused(self):
        address = self.push("corrupted")
        blob = self.registry.blob(self.layer(address))
        sound = blob.read_bytes()
        self.addCleanup(blob.write_bytes, sound)
        blob.write_bytes(sound[:1000] + bytes([sound[1000] ^ 1]) + sound[1001:])
        self.telewarden("pull", address, code=2)
        self.assertEqual(self.kept(), [])

    def test_a_wrong_digest_is_refused(self):
        address = self.push("digest")
        wrong = f"{address.split('@')[0]}@{sha256(b'else')}"
        self.telewarden("pull", wrong, code=2)
        # Somebody put another manifest where this one was.
        manifest = self.registry.blob(address.split("@")[1])
        sound = manifest.read_bytes()
        self.addCleanup(manifest.write_bytes, sound)
        manifest.write_bytes(sound.replace(b"telewarden", b"telewurden", 1))
        self.telewarden("pull", address, code=2)
        self.assertEqual(self.kept(), [])

    def test_a_registry_that_stops_half_way_leaves_nothing(self):
        address = self.push("half")
        half = Half(self.registry.host)
        self.addCleanup(half.server.server_close)
        self.addCleanup(half.server.shutdown)
        self.telewarden("pull", address.replace(self.registry.host, half.host), code=2, plain=[half.host])
        self.assertEqual(self.kept(), [])

    def test_a_registry_is_spoken_to_without_tls_only_where_that_is_asked_for(self):
        done = self.telewarden("push", self.wasm, f"registry://{self.registry.host}/tls:v1", code=2, plain=[])
        self.assertIn("--plain-http", done.stderr)

    def test_nobody_is_there(self):
        host = f"127.0.0.1:{free_port()}"
        self.telewarden("pull", f"registry://{host}/nobody:v1", code=2, plain=[host])
        self.telewarden("pull", f"registry://{self.registry.host}/nothing:v1", code=2)

    def test_credentials_come_from_docker_s_configuration(self):
        locked = Registry(self.folder / "locked", HTPASSWD)
        self.addCleanup(locked.stop)
        to = f"registry://{locked.host}/locked:v1"
        done = self.telewarden("push", self.wasm, to, code=2, plain=[locked.host])
        self.assertIn(f"docker login {locked.host}", done.stderr)
        secret = base64.b64encode(b"user:secret").decode()
        (self.docker / "config.json").write_text(json.dumps({"auths": {locked.host: {"auth": secret}}}))
        self.telewarden("push", self.wasm, to, plain=[locked.host])
        self.telewarden("pull", to, plain=[locked.host])
        wrong = base64.b64encode(b"user:wrong").decode()
        (self.docker / "config.json").write_text(json.dumps({"auths": {locked.host: {"auth": wrong}}}))
        self.telewarden("pull", to, code=2, plain=[locked.host])

    def test_what_is_not_annotated_is_not_pushed(self):
        self.telewarden("push", ROOT / "policy.wasm", f"registry://{self.registry.host}/plain:v1", code=2)


class Signed(unittest.TestCase):
    """`--key`. Signatures are made with openssl, and put beside the module as cosign puts them there."""

    setUpClass = Artifacts.__dict__["setUpClass"]
    setUp = Artifacts.setUp
    telewarden, push = Artifacts.telewarden, Artifacts.push

    def key(self, name, *algorithm):
        private, public = self.folder / f"{name}.key", self.folder / f"{name}.pub"
        subprocess.run(["openssl", "genpkey", "-out", private, "-algorithm", *algorithm], check=True, capture_output=True)
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
        return private, public

    def keys(self):
        yield self.key("p256", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        yield self.key("ed25519", "ED25519")

    def send(self, method, path, data=None, **headers):
        url = path if path.startswith("http") else f"http://{self.registry.host}/v2/{path}"
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request) as answer:
            return answer.headers

    def blob(self, name, data):
        location = self.send("POST", f"{name}/blobs/uploads/")["Location"]
        joint = "&" if "?" in location else "?"
        self.send("PUT", f"{location}{joint}digest={sha256(data)}", data, **{"Content-Type": "application/octet-stream"})
        return {"digest": sha256(data), "size": len(data)}

    def sign(self, address, private, about=None):
        """Signs a module, or puts beside it a signature that is about another."""
        name, digest = address.removeprefix("registry://").split("@")
        name = name.split("/", 1)[1].split(":")[0]
        document = json.dumps({
            "critical": {
                "identity": {"docker-reference": f"{self.registry.host}/{name}"},
                "image": {"docker-manifest-digest": about or digest},
                "type": "cosign container image signature",
            },
            "optional": None,
        }).encode()
        (self.folder / "document").write_bytes(document)
        command = ["openssl", "pkeyutl", "-sign", "-inkey", private, "-rawin", "-in", self.folder / "document"]
        if "ed25519" not in private.name:
            command += ["-digest", "sha256"]
        signature = subprocess.run(command, check=True, capture_output=True).stdout
        layer = {
            "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", **self.blob(name, document),
            "annotations": {"dev.cosignproject.cosign/signature": base64.b64encode(signature).decode()},
        }
        media_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": media_type, "layers": [layer],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(name, b"{}")},
        }).encode()
        tag = digest.replace(":", "-") + ".sig"
        self.send("PUT", f"{name}/manifests/{tag}", manifest, **{"Content-Type": media_type})

    def test_a_signed_module_is_pulled_and_run(self):
        for private, public in self.keys():
            with self.subTest(private.stem):
                address = self.push(f"signed-{private.stem}")
                self.sign(address, private)
                pulled = self.telewarden("pull", address, "--key", public)
                self.assertEqual(pulled.stdout.strip().split("@")[1], address.split("@")[1])
                self.telewarden("render", ROOT / "examples/argocd.yaml", "--policy", address, "--key", public)

    def refused(self, address, public, *expected):
        output = self.folder / "refused.wasm"
        for command in [["pull", address, "-o", output],
                        ["render", ROOT / "examples/argocd.yaml", "--policy", address]]:
            done = self.telewarden(*command, "--key", public, code=2)
            self.assertEqual(done.stdout, "")
            self.assertFalse(output.exists())
            for text in expected:
                self.assertIn(text, done.stderr)

    def test_a_module_without_a_signature_is_refused(self):
        _, public = self.key("p256", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.refused(self.push("unsigned"), public, "is not signed", "cosign sign")

    def test_another_key_is_refused(self):
        address = self.push("other-key")
        for private, _ in self.keys():
            self.sign(address, private)
            _, public = self.key("other", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
            self.refused(address, public, "is not signed with this key")

    def test_a_signature_of_another_module_is_refused(self):
        address = self.push("other-digest")
        for private, public in self.keys():
            self.sign(address, private, about=sha256(b"another"))
            self.refused(address, public, sha256(b"another"), "another module")

    def test_what_is_no_public_key_is_refused(self):
        address = self.push("no-key")
        private, _ = self.key("p256", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.refused(address, private, "p256.key", "public key in PEM")


# user:secret, as `htpasswd -B` writes it. It opens nothing but the registry of this test.
HTPASSWD = "user:$2y$05$C2vPJwGOLQIzQnJObDrhle46FsGWPHcJk3OFec/zdAxkONU77b/Ra\n"

if __name__ == "__main__":
    unittest.main(verbosity=2)
