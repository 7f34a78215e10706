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
import urllib.error
import urllib.request

import sigstore
from parts import ROOT, TELEWARDEN, annotated, folder_of, free_port, part

WASM = "application/vnd.wasm.content.layer.v1+wasm"
CONFIG = "application/vnd.wasm.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


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


class Front:
    """In front of a registry: passes on what it is asked, but for paths that it answers by itself."""

    def __init__(self, upstream, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                done = answer(self)
                if done is not None:
                    status, kind, body = done
                else:
                    request = urllib.request.Request(f"http://{upstream}{self.path}", headers={
                        "Accept": self.headers.get("Accept", "*/*")})
                    try:
                        with urllib.request.urlopen(request) as passed:
                            status, kind, body = passed.status, passed.headers["Content-Type"], passed.read()
                    except urllib.error.HTTPError as error:
                        status, kind, body = error.code, error.headers["Content-Type"], error.read()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Signed(unittest.TestCase):
    """`--key` and `--certificate-identity`. Signatures are made with openssl, and put beside the module in both of cosign's
    forms: at a tag, and as a manifest that refers to the module's."""

    telewarden, push = Artifacts.telewarden, Artifacts.push

    @classmethod
    def setUpClass(cls):
        Artifacts.setUpClass.__func__(cls)
        # One for all, because the module takes a while to compile. Signatures are asked for each time.
        cls.cache, cls.docker = cls.folder / "cache", cls.folder / "docker"
        cls.docker.mkdir()
        cls.sigstore = sigstore.Sigstore(cls.folder / "sigstore")
        cls.elsewhere = sigstore.Sigstore(cls.folder / "elsewhere")

    def key(self, name, *algorithm):
        private, public = self.folder / f"{name}.key", self.folder / f"{name}.pub"
        sigstore.new_key(private, *algorithm)
        sigstore.openssl("pkey", "-in", private, "-pubout", "-out", public)
        return private, public

    def keys(self):
        yield self.key("p256")
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

    def manifest(self, name, at, media_type=MANIFEST, **manifest):
        """Puts a manifest at a tag, or at its digest."""
        data = json.dumps({"schemaVersion": 2, "mediaType": media_type, **manifest}).encode()
        self.send("PUT", f"{name}/manifests/{at or sha256(data)}", data, **{"Content-Type": media_type})
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}

    @staticmethod
    def parts(address):
        """The repository's name, and the digest."""
        at, digest = address.removeprefix("registry://").split("@")
        return at.split("/", 1)[1].split(":")[0], digest

    def put_documents(self, address, *signed):
        """Beside a module, in cosign's first form."""
        name, digest = self.parts(address)
        layers = [{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json", **self.blob(name, text),
                   "annotations": annotations} for text, annotations in signed]
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **self.blob(name, b"{}")}
        self.manifest(name, digest.replace(":", "-") + ".sig", layers=layers, config=config)

    def put_bundles(self, address, *bundles, predicate="https://sigstore.dev/cosign/sign/v1"):
        """In its second form. This registry does not index what refers to a manifest, so that a tag does."""
        name, digest = self.parts(address)
        subject = {"mediaType": MANIFEST, "digest": digest, "size": self.registry.blob(digest).stat().st_size}
        referrers = []
        for bundle in bundles:
            data = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
            about = {"artifactType": sigstore.MEDIA_TYPE,
                     "annotations": {"dev.sigstore.bundle.content": "dsse-envelope",
                                     "dev.sigstore.bundle.predicateType": predicate}}
            layer = {"mediaType": sigstore.MEDIA_TYPE, **self.blob(name, data)}
            config = {"mediaType": "application/vnd.oci.empty.v1+json", **self.blob(name, b"{}")}
            manifest = self.manifest(name, None, layers=[layer], config=config, subject=subject, **about)
            referrers.append({**manifest, **about})
        self.manifest(name, digest.replace(":", "-"), INDEX, manifests=referrers)

    def sign_document(self, address, private, about=None):
        """Signs a module with a key, or puts beside it a signature that is about another."""
        name, digest = self.parts(address)
        text = sigstore.document(f"{self.registry.host}/{name}", about or digest)
        signature = {"dev.cosignproject.cosign/signature": base64.b64encode(sigstore.sign(private, text)).decode()}
        self.put_documents(address, (text, signature))

    def sign_bundle(self, address, private, about=None):
        _, digest = self.parts(address)
        self.put_bundles(address, sigstore.key_bundle(private, sigstore.statement(about or digest)))

    def with_keys(self, name):
        """A module for each kind of key and each form, not yet signed, with how that is done."""
        for private, public in self.keys():
            for form, sign in [("document", self.sign_document), ("bundle", self.sign_bundle)]:
                with self.subTest(key=private.stem, form=form):
                    yield self.push(f"{name}-{private.stem}-{form}"), sign, private, public

    def with_identity(self, name):
        """The same for an identity: how a signature is made, and how it is put beside the module."""
        for form, make, put in [("document", sigstore.Sigstore.document, self.put_documents),
                                ("bundle", sigstore.Sigstore.bundle, self.put_bundles)]:
            with self.subTest(form=form):
                address = self.push(f"{name}-{form}")
                at, digest = self.parts(address)
                yield address, make, put, (at, digest)

    def identity(self, subject=sigstore.WORKFLOW, issuer=sigstore.ISSUER, root=None, regexp=False):
        return [f"--certificate-identity{'-regexp' if regexp else ''}", subject, "--certificate-oidc-issuer", issuer,
                "--trusted-root", root or self.sigstore.root()]

    def used(self, address, *arguments):
        pulled = self.telewarden("pull", address, *arguments)
        self.assertEqual(pulled.stdout.strip().split("@")[1], address.split("@")[1])
        self.telewarden("render", ROOT / "examples/argocd.yaml", "--policy", address, *arguments)

    def refused(self, address, arguments, *expected, plain=None):
        output = self.folder / "refused.wasm"
        for command in [["pull", address, "-o", output],
                        ["render", ROOT / "examples/argocd.yaml", "--policy", address]]:
            done = self.telewarden(*command, *arguments, code=2, plain=plain)
            self.assertEqual(done.stdout, "")
            self.assertFalse(output.exists())
            for text in expected:
                self.assertIn(text, done.stderr)

    def test_a_module_that_was_signed_with_a_key_is_pulled_and_run(self):
        for address, sign, private, public in self.with_keys("signed"):
            sign(address, private)
            self.used(address, "--key", public)

    def test_a_module_that_an_identity_signed_is_pulled_and_run(self):
        for address, make, put, about in self.with_identity("identity"):
            put(address, make(self.sigstore, *about))
            self.used(address, *self.identity())
            self.used(address, *self.identity(r"https://github\.com/telewarden/.*@refs/tags/v\d+", regexp=True))
            put(address, make(self.sigstore, *about, "jo@example.com", "https://accounts.example.com"))
            self.used(address, *self.identity("jo@example.com", "https://accounts.example.com"))

    def test_one_of_several_signatures_is_enough(self):
        for address, make, put, about in self.with_identity("several"):
            garbage = (b"{}", {"dev.cosignproject.cosign/signature": "AAAA"}) if put == self.put_documents else b"garbage"
            put(address, garbage, make(self.elsewhere, *about), make(self.sigstore, *about))
            self.used(address, *self.identity())

    def test_a_registry_may_index_what_refers_to_a_module(self):
        address = self.push("referrers")
        name, digest = self.parts(address)
        self.put_bundles(address, self.sigstore.bundle(name, digest))
        path = f"/v2/{name}/manifests/{digest.replace(':', '-')}"
        with urllib.request.urlopen(urllib.request.Request(f"http://{self.registry.host}{path}", headers={
                "Accept": INDEX})) as answer:
            index = answer.read()
        asked = []

        def answer(request):
            asked.append(request.path)
            if request.path.startswith(f"/v2/{name}/referrers/{digest}?"):
                return 200, INDEX, index
            return (404, "text/plain", b"no") if request.path == path else None

        front = self.front(answer)
        arguments = ["--key", self.key("unused")[1]]
        self.refused(address.replace(self.registry.host, front.host), arguments, "not signed with this key", plain=[front.host])
        done = self.telewarden("pull", address.replace(self.registry.host, front.host), *self.identity(), plain=[front.host])
        self.assertEqual(done.stdout.strip().split("@")[1], digest)
        self.assertNotIn(path, asked)

    def front(self, answer):
        front = Front(self.registry.host, answer)
        self.addCleanup(front.server.server_close)
        self.addCleanup(front.server.shutdown)
        return front

    def test_a_module_without_a_signature_is_refused(self):
        address = self.push("unsigned")
        for arguments in [["--key", self.key("p256")[1]], self.identity()]:
            self.refused(address, arguments, "is not signed", "cosign sign")
        # A list of what is in it is no signature.
        name, digest = self.parts(address)
        self.put_bundles(address, self.sigstore.bundle(name, digest), predicate="https://spdx.dev/Document")
        self.refused(address, self.identity(), "is not signed", "cosign sign")

    def test_another_key_is_refused(self):
        for address, sign, private, _ in self.with_keys("other-key"):
            sign(address, private)
            _, public = self.key("other")
            self.refused(address, ["--key", public], "is not signed with this key")

    def test_another_identity_is_refused(self):
        for address, make, put, about in self.with_identity("other-identity"):
            put(address, make(self.sigstore, *about))
            found = f"was made by `{sigstore.WORKFLOW}` (issuer `{sigstore.ISSUER}`)"
            self.refused(address, self.identity("jo@example.com"), "is not signed by `jo@example.com`", found)
            self.refused(address, self.identity("telewarden", regexp=True), "matches `telewarden`", found)
            self.refused(address, self.identity(issuer="https://example.com"), "(issuer `https://example.com`)", found)
            self.refused(address, ["--key", self.key("p256")[1]], "is not signed with this key")
            # Sigstore's public instance knows nothing of it.
            self.refused(address, self.identity()[:4], "is not signed by")

    def test_a_key_is_no_identity(self):
        for address, sign, private, _ in self.with_keys("no-identity"):
            sign(address, private)
            self.refused(address, self.identity(), "was made with a key")

    def test_a_certificate_that_had_expired_is_refused(self):
        for address, make, put, about in self.with_identity("expired"):
            put(address, make(self.sigstore, *about, at=601))
            self.refused(address, self.identity(), "xpired")

    def test_another_authority_and_another_log_are_refused(self):
        for address, make, put, about in self.with_identity("elsewhere"):
            put(address, make(self.sigstore, *about))
            other = self.sigstore.root(certificateAuthorities=self.elsewhere)
            self.refused(address, self.identity(root=other), "certificate chain")
            other = self.sigstore.root(tlogs=self.elsewhere)
            self.refused(address, self.identity(root=other), "log key")

    def test_an_entry_of_the_log_for_another_signature_is_refused(self):
        for address, make, put, about in self.with_identity("entry"):
            this, other = (make(self.sigstore, *about) for _ in range(2))
            if put == self.put_documents:
                this[1]["dev.sigstore.cosign/bundle"] = other[1]["dev.sigstore.cosign/bundle"]
            else:
                material = "verificationMaterial"
                this[material]["tlogEntries"] = other[material]["tlogEntries"]
            put(address, this)
            self.refused(address, self.identity(), "log entry")

    def test_a_promise_of_the_log_that_is_not_its_own_is_refused(self):
        for address, make, put, about in self.with_identity("promise"):
            text = json.dumps(make(self.sigstore, *about)[1] if put == self.put_documents else make(self.sigstore, *about))
            self.assertIn("1704067260", text)
            changed = json.loads(text.replace("1704067260", "1704067261"))
            put(address, (sigstore.document(*about), changed) if put == self.put_documents else changed)
            self.refused(address, self.identity(), "is not valid")

    def test_a_signature_of_another_module_is_refused(self):
        for address, sign, private, public in self.with_keys("other-digest"):
            sign(address, private, about=sha256(b"another"))
            self.refused(address, ["--key", public], sha256(b"another"), "another module")
        for address, make, put, (name, _) in self.with_identity("other-digest"):
            put(address, make(self.sigstore, name, sha256(b"another")))
            self.refused(address, self.identity(), sha256(b"another"), "another module")

    def test_garbage_is_refused(self):
        address = self.push("garbage")
        self.put_bundles(address, b"garbage", b"[]", b"{}", b'{"dsseEnvelope": {"payload": 1}}')
        annotations = {f"dev.sigstore.cosign/{name}": "garbage" for name in ["certificate", "chain", "bundle"]}
        self.put_documents(address, (b"garbage", {"dev.cosignproject.cosign/signature": "garbage", **annotations}))
        for arguments in [["--key", self.key("p256")[1]], self.identity()]:
            self.refused(address, arguments, "is not signed", "signature 1 of 5", "signature 5 of 5")

    def test_what_is_too_long_is_not_read(self):
        address = self.push("long")
        long = b" " * 300_000
        self.put_bundles(address, long)
        self.put_documents(address, (long, {"dev.cosignproject.cosign/signature": "AAAA"}))
        self.refused(address, self.identity(), "is not signed", "cosign sign")
        _, digest = self.parts(address)
        for path in [f"manifests/{digest.replace(':', '-')}.sig", f"referrers/{digest}"]:
            front = self.front(lambda request: (200, INDEX, b" " * 5_000_000) if path in request.path else None)
            at = address.replace(self.registry.host, front.host)
            self.refused(at, self.identity(), "longer than 4194304 bytes", plain=[front.host])

    def test_what_is_no_key_and_no_trusted_root_is_refused(self):
        address = self.push("no-key")
        private, public = self.key("p256")
        self.refused(address, ["--key", private], "p256.key", "public key in PEM")
        self.refused(address, self.identity(root=public), "p256.pub", "trusted root")
        self.refused(address, self.identity("(", regexp=True), "`(` is not a regular expression")

    def test_the_arguments_say_one_thing(self):
        address = self.push("arguments")
        _, public = self.key("p256")
        self.refused(address, ["--key", public, *self.identity()], "cannot be used with")
        self.refused(address, [*self.identity(), "--certificate-identity-regexp", "x"], "cannot be used with")
        for some in [self.identity()[:2], self.identity()[2:4], self.identity()[4:]]:
            self.refused(address, some, "required")
        for policy in [[], ["--policy", self.wasm]]:
            done = self.telewarden("render", ROOT / "examples/argocd.yaml", *policy, *self.identity(), code=2)
            self.assertIn("`--certificate-identity` is for modules from a registry", done.stderr)


# user:secret, as `htpasswd -B` writes it. It opens nothing but the registry of this test.
HTPASSWD = "user:$2y$05$C2vPJwGOLQIzQnJObDrhle46FsGWPHcJk3OFec/zdAxkONU77b/Ra\n"

if __name__ == "__main__":
    unittest.main(verbosity=2)
