"""A Sigstore of our own, made with openssl: an authority that certifies keys for identities, and a log of signatures."""

import base64
import datetime
import hashlib
import json
import subprocess

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
WORKFLOW = "https://github.com/telewarden/telewarden/.github/workflows/release.yml@refs/tags/v1"
ISSUER = "https://token.actions.githubusercontent.com"
# When certificates begin; they hold for ten minutes.
BEGIN = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)

CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = {folder}/database
new_certs_dir = {folder}
certificate = {folder}/authority.crt
private_key = {folder}/authority.key
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = optional
[extensions]
keyUsage = critical, digitalSignature
extendedKeyUsage = codeSigning
subjectAltName = critical, {subject}
1.3.6.1.4.1.57264.1.8 = ASN1:UTF8String:{issuer}
"""


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data)


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **options).stdout


def new_key(path, *algorithm):
    openssl("genpkey", "-out", path, "-algorithm", *(algorithm or ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]))
    return path


def sign(key, data):
    """With ECDSA, or with Ed25519, which signs files alone."""
    file = key.with_suffix(".data")
    file.write_bytes(data)
    is_ecdsa = b"ED25519" not in openssl("pkey", "-in", key, "-noout", "-text")
    return openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", file, *(["-digest", "sha256"] if is_ecdsa else []))


def document(name, digest):
    """What cosign signs in its first form."""
    return json.dumps({
        "critical": {
            "identity": {"docker-reference": name},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": None,
    }).encode()


def statement(digest, predicate="https://sigstore.dev/cosign/sign/v1"):
    """What it signs since version 3."""
    return json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": predicate,
        "predicate": {},
    }).encode()


def envelope(key, payload):
    kind = "application/vnd.in-toto+json"
    signature = sign(key, b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    return {"payload": b64(payload), "payloadType": kind, "signatures": [{"sig": b64(signature)}]}


def key_bundle(key, payload):
    return {"mediaType": MEDIA_TYPE, "verificationMaterial": {"publicKey": {"hint": ""}},
            "dsseEnvelope": envelope(key, payload)}


class Sigstore:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        new_key(folder / "authority.key")
        openssl("req", "-x509", "-new", "-key", folder / "authority.key", "-subj", "/CN=authority", "-days", "3650",
                "-addext", "basicConstraints=critical,CA:TRUE", "-out", folder / "authority.crt")
        (folder / "database").touch()
        self.log = new_key(folder / "log.key")
        self.log_key = openssl("pkey", "-in", self.log, "-pubout", "-outform", "DER")
        self.log_id = sha256(self.log_key).digest()
        self.certified = 0

    def root(self, **other):
        """Where its trusted root is, with some of it from another Sigstore."""
        root = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [{
                "baseUrl": "https://log.example.com", "hashAlgorithm": "SHA2_256", "logId": {"keyId": b64(self.log_id)},
                "publicKey": {"rawBytes": b64(self.log_key), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                              "validFor": {"start": "2020-01-01T00:00:00Z"}},
            }],
            "certificateAuthorities": [{
                "uri": "https://authority.example.com", "validFor": {"start": "2020-01-01T00:00:00Z"},
                "certChain": {"certificates": [{"rawBytes": b64(self.der(self.folder / "authority.crt"))}]},
            }],
        }
        path = self.folder / "trusted_root.json"
        for part, sigstore in other.items():
            root[part] = json.loads(sigstore.root().read_text())[part]
            path = self.folder / f"trusted_root-{part}.json"
        path.write_text(json.dumps(root))
        return path

    @staticmethod
    def der(certificate):
        return openssl("x509", "-in", certificate, "-outform", "DER")

    def certify(self, subject, issuer):
        """A key, and its certificate for an identity."""
        self.certified += 1
        name = self.folder / str(self.certified)
        key, certificate = new_key(name.with_suffix(".key")), name.with_suffix(".crt")
        kind = "email" if "@" in subject and "/" not in subject else "URI"
        configuration = CONFIGURATION.format(folder=self.folder, subject=f"{kind}:{subject}", issuer=issuer)
        name.with_suffix(".cnf").write_text(configuration)
        request = openssl("req", "-new", "-key", key, "-subj", "/CN=unused")
        name.with_suffix(".csr").write_bytes(request)
        time = lambda minutes: (BEGIN + datetime.timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%SZ")
        openssl("ca", "-batch", "-notext", "-config", name.with_suffix(".cnf"), "-in", name.with_suffix(".csr"),
                "-out", certificate, "-startdate", time(0), "-enddate", time(10))
        return key, certificate

    def promise(self, body, at):
        """What the log answers: that it will take up an entry, and when it came."""
        entry = {"body": b64(body), "integratedTime": int(BEGIN.timestamp()) + at, "logID": self.log_id.hex(), "logIndex": 0}
        canonical = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        return b64(sign(self.log, canonical)), entry

    def document(self, name, digest, subject=WORKFLOW, issuer=ISSUER, at=60):
        """A signature in the first form: a document, and the annotations of its layer."""
        key, certificate = self.certify(subject, issuer)
        text = document(name, digest)
        signature = b64(sign(key, text))
        body = json.dumps({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": {"data": {"hash": {"algorithm": "sha256", "value": sha256(text).hexdigest()}},
                     "signature": {"content": signature, "publicKey": {"content": b64(certificate.read_bytes())}}},
        }).encode()
        promise, entry = self.promise(body, at)
        return text, {
            "dev.cosignproject.cosign/signature": signature,
            "dev.sigstore.cosign/certificate": certificate.read_text(),
            "dev.sigstore.cosign/chain": (self.folder / "authority.crt").read_text(),
            "dev.sigstore.cosign/bundle": json.dumps({"SignedEntryTimestamp": promise, "Payload": entry}),
        }

    def bundle(self, name, digest, subject=WORKFLOW, issuer=ISSUER, at=60):
        """A signature as a bundle."""
        key, certificate = self.certify(subject, issuer)
        payload = statement(digest)
        signed = envelope(key, payload)
        body = json.dumps({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": {"envelopeHash": {"algorithm": "sha256", "value": sha256(b"whatever").hexdigest()},
                     "payloadHash": {"algorithm": "sha256", "value": sha256(payload).hexdigest()},
                     "signatures": [{"signature": signed["signatures"][0]["sig"], "verifier": b64(certificate.read_bytes())}]},
        }).encode()
        promise, entry = self.promise(body, at)
        # The log's only entry.
        root = sha256(b"\0" + body).digest()
        note = f"log.example.com\n1\n{b64(root)}\n"
        checkpoint = b64(self.log_id[:4] + sign(self.log, note.encode()))
        return {
            "mediaType": MEDIA_TYPE, "dsseEnvelope": signed,
            "verificationMaterial": {"certificate": {"rawBytes": b64(self.der(certificate))}, "tlogEntries": [{
                "logIndex": "0", "logId": {"keyId": b64(self.log_id)}, "kindVersion": {"kind": "dsse", "version": "0.0.1"},
                "integratedTime": str(entry["integratedTime"]), "canonicalizedBody": b64(body),
                "inclusionPromise": {"signedEntryTimestamp": promise},
                "inclusionProof": {"logIndex": "0", "rootHash": b64(root), "treeSize": "1", "hashes": [],
                                   "checkpoint": {"envelope": f"{note}\n— log.example.com {checkpoint}\n"}},
            }]},
        }
