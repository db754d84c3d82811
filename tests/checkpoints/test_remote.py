"""Files behind an address: only headers and needed tensors are read, and the verdict is that of the local file."""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import fsspec
import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.screens import Screen

import unitcircle as uc
from unitcircle.cli import main
from unitcircle.errors import CheckpointError

LAYERS = 48
SHARD = 2_100_000_000
HUB = "owner/model"


class Handler(BaseHTTPRequestHandler):
    """Serve a folder by ranges, and the few answers of a hub that its file system asks for."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder, served, *args, ranges=True):
        self.folder, self.served, self.ranges = folder, served, ranges
        super().__init__(*args)

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, *, body):
        path = unquote(self.path.partition("?")[0]).strip("/")
        if path.startswith("api/models/"):
            return self.send_json(self.hub_answer(path))
        name = path.rpartition("/")[2]
        file = self.folder / name
        if not file.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        size = file.stat().st_size
        begin, end = 0, size
        wanted = self.headers.get("Range")
        if wanted and self.ranges:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last) + 1 if last else size, size)
        self.send_response(206 if wanted and self.ranges else 200)
        self.send_header("Content-Length", str(end - begin))
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.send_header("ETag", f'"{name}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if body:
            with file.open("rb") as content:
                content.seek(begin)
                self.served.append((name, end - begin))
                self.wfile.write(content.read(end - begin))
        return None

    def hub_answer(self, path):
        if "/tree/" in path or "/paths-info/" in path:
            return [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                for file in sorted(self.folder.iterdir())
            ]
        return {"id": HUB, "sha": "0" * 40, "siblings": []}

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.answer(body=True)

    def send_json(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def serve():
    servers = []

    def start(folder, **options):
        served = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, folder, served, **options))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}", served

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def lstm(n=8, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "rnn.weight_hh_l0": rng.standard_normal((4 * n, n)).astype("f4") / np.float32(np.sqrt(n)),
        "rnn.weight_ih_l0": rng.standard_normal((4 * n, 3)).astype("f4"),
        "rnn.bias_ih_l0": np.zeros(4 * n, "f4"),
        "big": np.zeros((1000, 1000), "f4"),
    }


def write_sharded(folder):
    """Write a sparse model of 48 layers and 100 GB, a Mamba 2 in every layer."""
    rng = np.random.default_rng(0)
    weight_map = {}
    for shard in range(LAYERS):
        name = f"model-{shard + 1:05}-of-{LAYERS:05}.safetensors"
        prefix = f"backbone.layers.{shard}.mixer"
        small = {
            f"{prefix}.A_log": rng.uniform(0, 2, 64).astype("f4"),
            f"{prefix}.dt_bias": rng.uniform(-6, -2, 64).astype("f4"),
        }
        header, place = {}, 0
        for tensor, values in small.items():
            header[tensor] = {"dtype": "F32", "shape": [64], "data_offsets": [place, place + values.nbytes]}
            place += values.nbytes
        for k in range(12):
            rows = (SHARD // 12) // (2 * 8192)
            size = rows * 8192 * 2
            tensor = f"{prefix}.experts.{k}.weight"
            header[tensor] = {"dtype": "BF16", "shape": [rows, 8192], "data_offsets": [place, place + size]}
            place += size
        text = json.dumps(header).encode()
        with (folder / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for values in small.values():
                file.write(values.tobytes())
            file.truncate(8 + len(text) + place)
        weight_map |= dict.fromkeys(header, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def verdict(diagnosis):
    content = diagnosis.to_dict()
    return {key: content[key] for key in ("answer", "layers", "findings", "coverage", "steps")}


def test_a_sharded_model_of_100_gb_costs_megabytes_and_gives_the_local_verdict(tmp_path, serve):
    write_sharded(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) > 100e9
    address, served = serve(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    local = uc.diagnose(index, steps=4096)
    before, begin = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    remote = uc.diagnose(f"{address}/model.safetensors.index.json", steps=4096)
    seconds = time.process_time() - begin
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss
    assert len(remote.layers) == LAYERS
    assert verdict(remote) == verdict(local)
    assert sum(size for _, size in served) < 5e6
    assert seconds < 30  # processor time, with room for a busy machine: 2 s measured
    assert grown < 300_000


def test_a_file_and_a_file_system_without_range_reads(tmp_path, serve):
    save_file(lstm(), tmp_path / "m.safetensors")
    address, served = serve(tmp_path)
    (layer,) = uc.read(f"{address}/m.safetensors")
    (local,) = uc.read(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(layer.gates["f"], local.gates["f"])
    assert layer.source.file == f"{address}/m.safetensors"
    assert sum(size for _, size in served) < 100_000  # not the 4 MB of `big`
    plain, _ = serve(tmp_path, ranges=False)
    with pytest.raises(CheckpointError, match="does not give parts of a file; download it"):
        uc.read(f"{plain}/m.safetensors")


def test_other_formats_are_fetched_whole_and_named_by_their_address(tmp_path, serve):
    np.savez(tmp_path / "m.npz", **lstm())
    address, _ = serve(tmp_path)
    layers = uc.read(f"{address}/m.npz?download=true")
    assert [layer.cell for layer in layers] == ["lstm"]
    assert layers.format == "NumPy archive"
    assert layers[0].source.file == f"{address}/m.npz?download=true"
    assert uc.diagnose(f"{address}/m.npz").subject == f"{address}/m.npz"


def test_a_model_too_large_to_fetch_is_refused(tmp_path, serve):
    with (tmp_path / "m.bin").open("wb") as file:
        file.truncate(3 << 30)
    address, _ = serve(tmp_path)
    with pytest.raises(CheckpointError, match="it has 3 GB, and only safetensors are read in parts"):
        uc.read(f"{address}/m.bin")


def test_a_person_names_tensors_behind_an_address(tmp_path, serve):
    save_file({"cell.U": lstm()["rnn.weight_hh_l0"]}, tmp_path / "m.safetensors")
    address, _ = serve(tmp_path)
    (layer,) = uc.read(f"{address}/m.safetensors", tensors="cell.U", layout="torch:lstm")
    assert layer.cell == "lstm"


def test_a_repository_of_the_hub(tmp_path, serve):
    save_file(lstm(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"not fetched")
    address, served = serve(tmp_path)
    # The hub's library takes its address from the environment when it is imported.
    code = """if True:
        import sys, unitcircle as uc
        for source in sys.argv[1:]:
            (layer,) = uc.read(source)
            assert layer.cell == "lstm" and layer.source.file == source, layer
        """
    sources = [f"hf://{HUB}", f"hf://{HUB}@main", f"hf://{HUB}/model.safetensors"]
    environment = os.environ | {"HF_ENDPOINT": address, "HF_HUB_DISABLE_TELEMETRY": "1"}
    subprocess.run([sys.executable, "-c", code, *sources], check=True, env=environment, timeout=300)
    assert {name for name, _ in served} == {"model.safetensors"}
    assert max(size for _, size in served) <= 32 << 10


def test_any_file_system_and_a_folder_of_it():
    fs = fsspec.filesystem("memory")
    for name, seed in (("a.safetensors", 0), ("b.safetensors", 1)):
        values = {f"{name[0]}.{key}": value for key, value in lstm(seed=seed).items()}
        import safetensors.numpy

        fs.pipe_file(f"/model/{name}", safetensors.numpy.save(values))
    assert [layer.name for layer in uc.read("memory://model")] == ["a.rnn", "b.rnn"]
    fs.pipe_file("/empty/readme.md", b"nothing")
    with pytest.raises(CheckpointError, match="it holds no file of weights"):
        uc.read("memory://empty")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("http://127.0.0.1:9/m.safetensors", "no such file or repository"),
        ("memory://nothing/m.safetensors", "no such file or repository"),
        ("gopher://x/m.safetensors", "no address of the kind gopher:// is known"),
    ],
)
def test_what_cannot_be_reached_is_refused_with_the_address(source, words, capsys):
    with pytest.raises(CheckpointError, match=words) as raised:
        uc.read(source)
    assert str(raised.value).startswith(source)
    assert main(["diagnose", source]) == 2
    assert source in capsys.readouterr().err


def test_a_header_that_its_server_claims_to_be_huge_is_not_fetched(tmp_path, serve):
    with (tmp_path / "m.safetensors").open("wb") as file:
        file.write((10**10).to_bytes(8, "little") + b"{")
        file.truncate(2 * 10**10)
    address, served = serve(tmp_path)
    with pytest.raises(CheckpointError, match="its header claims 10000000000 bytes"):
        uc.read(f"{address}/m.safetensors")
    assert sum(size for _, size in served) < 100_000


@pytest.mark.parametrize("terminal", [True, False])
def test_a_whole_file_is_counted_on_a_terminal_and_silent_elsewhere(terminal, tmp_path, serve, monkeypatch):
    screen = Screen.of_stderr(monkeypatch, terminal)
    np.savez(tmp_path / "model.npz", weight_hh_l0=np.eye(512), weight_ih_l0=np.ones((512, 2)))
    address, _ = serve(tmp_path)
    assert len(uc.read(f"{address}/model.npz")) == 1
    assert ("MB, 0 s left" in screen.getvalue()) == terminal
    assert terminal or screen.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_headers_of_shards_are_counted_on_a_terminal(terminal, tmp_path, serve, monkeypatch):
    screen = Screen.of_stderr(monkeypatch, terminal)
    parts = lstm()
    for number, name in enumerate(parts):
        save_file({name: parts[name]}, tmp_path / f"m-{number}.safetensors")
    index = {"weight_map": {name: f"m-{number}.safetensors" for number, name in enumerate(parts)}}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    address, _ = serve(tmp_path)
    assert len(uc.read(f"{address}/m.safetensors.index.json")) == 1
    assert ("files, 0 s left" in screen.getvalue()) == terminal
    assert terminal or screen.getvalue() == ""
