"""What `packaging/checksums` and `packaging/publish` make of a folder of packages, as who installs it finds it."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
import tomllib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
TARGETS = {"amd64": "x86_64-unknown-linux-musl", "arm64": "aarch64-unknown-linux-musl"}
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
PROGRAMS = ["telewarden", "telewarden-operator"]
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="telewarden-e2e-"))
DIST = FOLDER / "dist"
TELEWARDEN = FOLDER / f"telewarden-{VERSION}-{TARGETS[MACHINE]}" / "telewarden"


def run(*command, **options):
    """What a command says."""
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ends with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def setUpModule():
    """A release's packages, the chart, both policies and the digests of all, in DIST."""
    unittest.addModuleCleanup(shutil.rmtree, FOLDER, ignore_errors=True)
    if "DIST" in os.environ:
        shutil.copytree(os.environ["DIST"], DIST)
    else:
        stand_in()
    with tarfile.open(archive("telewarden", TARGETS[MACHINE])) as tar:
        tar.extractall(FOLDER, filter="data")
    for metadata, name in [("metadata.yml", "policy.wasm"), ("metadata-render.yml", "render.wasm")]:
        run(TELEWARDEN, "annotate", "-m", ROOT / metadata, "-u", ROOT / "docs/kubewarden.md", ROOT / "policy.wasm", "-o", DIST / name)
    run("helm", "package", "--destination", DIST, ROOT / "deploy/chart/telewarden-operator")
    run(ROOT / "packaging/checksums", DIST)


def archive(program, target):
    return DIST / f"{program}-{VERSION}-{target}.tar.gz"


def stand_in():
    """Packages of which the command for this machine is real. The others are files that say what they stand for."""
    DIST.mkdir()
    programs = FOLDER / "programs"
    programs.mkdir()
    of_command = [*TARGETS.values(), "aarch64-apple-darwin", "x86_64-apple-darwin"]
    for program, targets in {"telewarden": of_command, "telewarden-operator": TARGETS.values()}.items():
        for target in targets:
            file = programs / program
            file.write_text(f"{program} for {target}\n")
            if (program, target) == ("telewarden", TARGETS[MACHINE]):
                run("strip", "-o", file, os.environ["TELEWARDEN"])
            file.chmod(0o755)
            run(ROOT / "packaging/archive", file, target, DIST)


class Registry:
    """docker-registry on loopback, without TLS."""

    def __init__(self, folder):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        folder.mkdir()
        (folder / "config.yml").write_text(
            f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\nhttp:\n  addr: 127.0.0.1:{port}\n")
        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log)
        self.host = f"127.0.0.1:{port}"
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.1)
        raise TimeoutError((folder / "log").read_text())

    def stop(self):
        self.process.kill()
        self.process.wait()


def of_buildah():
    """A storage that goes with the tests, and nothing of the machine's configuration."""
    storage = FOLDER / "storage"
    configuration = FOLDER / "home/.config/containers"
    configuration.mkdir(parents=True)
    (configuration / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    (configuration / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{storage}/graph"\nrunroot = "{storage}/run"\n')
    return {
        **os.environ,
        "PLAIN_HTTP": "1",
        "HOME": str(FOLDER / "home"),
        "CONTAINERS_STORAGE_CONF": str(configuration / "storage.conf"),
        "BUILDAH_ISOLATION": "chroot",
    }


class Release(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(FOLDER / "registry")
        cls.addClassCleanup(cls.registry.stop)
        cls.at = f"{cls.registry.host}/telewarden"
        cls.published = run(ROOT / "packaging/publish", DIST, cls.at, env=of_buildah()).split()

    def skopeo(self, *arguments):
        return run("skopeo", *arguments)

    def test_what_it_says_was_pushed_is_there(self):
        names = ["policies/telewarden", "policies/telewarden-render", "charts/telewarden-operator", *reversed(PROGRAMS)]
        self.assertEqual([name.split("@")[0] for name in self.published], [f"{self.at}/{name}" for name in names])
        for name in self.published:
            raw = self.skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{name}")
            self.assertEqual(sha256(raw.encode()), name.split("@sha256:")[1])

    def test_policies_are_pulled_as_they_were_built(self):
        environment = {**os.environ, "TELEWARDEN_PLAIN_HTTP": self.registry.host}
        for file, name in [("policy.wasm", "telewarden"), ("render.wasm", "telewarden-render")]:
            pulled = FOLDER / f"pulled-{file}"
            run(TELEWARDEN, "pull", f"registry://{self.at}/policies/{name}:v{VERSION}", "-o", pulled, env=environment)
            self.assertEqual(sha256(pulled.read_bytes()), sha256((DIST / file).read_bytes()), name)

    def test_the_chart_is_installed_from_the_registry(self):
        chart = f"oci://{self.at}/charts/telewarden-operator"
        run("helm", "pull", "--plain-http", chart, "--version", VERSION, "--destination", FOLDER)
        name = f"telewarden-operator-{VERSION}.tgz"
        self.assertEqual((FOLDER / name).read_bytes(), (DIST / name).read_bytes())
        rendered = run("helm", "template", "--plain-http", "telewarden-operator", chart, "--version", VERSION,
                       "--set", "policy.enabled=true")
        # What it runs is what is pushed beside it.
        named = set(re.findall(r"(?:image|module): (\S+)", rendered))
        registry = "ghcr.io/telewarden"
        self.assertEqual(named, {f'"{registry}/telewarden-operator:{VERSION}"', f"registry://{registry}/policies/telewarden:v{VERSION}"})

    def test_images_have_the_program_of_each_architecture_and_certificates(self):
        for program in PROGRAMS:
            image = f"docker://{self.at}/{program}:{VERSION}"
            index = json.loads(self.skopeo("inspect", "--tls-verify=false", "--raw", image))
            platforms = [entry["platform"] for entry in index["manifests"]]
            self.assertEqual(platforms, [{"os": "linux", "architecture": name} for name in TARGETS])
            for architecture, target in TARGETS.items():
                layout = FOLDER / f"{program}-{architecture}"
                self.skopeo("copy", "--src-tls-verify=false", "--override-arch", architecture, image, f"dir:{layout}")
                manifest = json.loads((layout / "manifest.json").read_text())
                blob = lambda entry, layout=layout: layout / entry["digest"].removeprefix("sha256:")
                config = json.loads(blob(manifest["config"]).read_text())
                self.assertEqual(config["architecture"], architecture)
                self.assertEqual(config["config"]["Entrypoint"], [f"/{program}"])
                self.assertEqual(config["config"]["User"], "65532:65532")
                self.assertEqual(config["config"]["Labels"]["org.opencontainers.image.version"], VERSION)
                files = {}
                for layer in manifest["layers"]:
                    with tarfile.open(blob(layer)) as tar:
                        files.update({file.name: tar.extractfile(file).read() for file in tar if file.isfile()})
                self.assertEqual(sorted(files), ["etc/ssl/certs/ca-certificates.crt", program])
                with tarfile.open(archive(program, target)) as tar:
                    built = tar.extractfile(f"{program}-{VERSION}-{target}/{program}").read()
                self.assertEqual(sha256(files[program]), sha256(built))
                pulled = sum(layer["size"] for layer in manifest["layers"])
                unpacked = sum(map(len, files.values()))
                print(f"\n{program} {architecture}: {pulled / 1e6:.1f} MB to pull, {unpacked / 1e6:.1f} MB unpacked")


class Formulas(unittest.TestCase):
    """What Homebrew does, without Homebrew: it unpacks the archive with the digest, enters its one folder, and installs."""

    def test_the_digests_are_those_of_the_archives(self):
        sums = dict(reversed(line.split("  ")) for line in (DIST / "SHA256SUMS").read_text().splitlines())
        for file in ["telewarden.rb", "telewarden-krew.yaml"]:
            text = (DIST / file).read_text()
            found = re.findall(r"(?:url|uri:) \"?(\S+?)\"?\n\s+sha256:? \"(\w+)\"", text)
            self.assertEqual(len(found), text.count("sha256"), text)
            self.assertGreaterEqual(len(found), 2, text)
            for address, digest in found:
                release, name = address.rsplit("/", 1)
                self.assertEqual(release, f"https://github.com/telewarden/telewarden/releases/download/v{VERSION}")
                self.assertEqual(sums[name], digest, name)

    def test_what_the_formula_installs_is_in_the_archive_and_does_what_its_test_says(self):
        formula = (DIST / "telewarden.rb").read_text()
        linux = formula[formula.index("on_linux"):]
        on = {"amd64": "on_intel", "arm64": "on_arm"}[MACHINE]
        name = re.search(on + r" do\s+url \"\S+/(\S+)\"", linux)[1]
        with tarfile.open(DIST / name) as tar:
            tar.extractall(FOLDER / "cellar", filter="data")
        # Homebrew enters the one folder that an archive has.
        unpacked = FOLDER / "cellar" / name.removesuffix(".tar.gz")
        program = unpacked / re.search(r"bin\.install \"(\S+)\"", formula)[1]
        self.assertTrue(os.access(program, os.X_OK))
        completions = re.search(r"generate_completions_from_executable\(bin/\"(\S+)\", \"(\S+)\"\)", formula)
        self.assertEqual(completions[1], program.name)
        for shell, begins in [("bash", "_telewarden() {"), ("zsh", "#compdef telewarden"), ("fish", "# Print an optspec")]:
            self.assertTrue(run(program, completions[2], shell).lstrip().startswith(begins), shell)
        self.assertIn('"#{bin}/telewarden --version"', formula)
        self.assertIn(VERSION, run(program, "--version"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
