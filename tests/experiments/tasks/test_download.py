"""Published files: where they are looked for, and that nothing unchecked is ever handed out."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.screens import Screen

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._download import fetch

CONTENT = b"sixty thousand digits" * 100_000
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
NAME = "mnist/train.gz"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("UNITCIRCLE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "unitcircle"


@pytest.fixture
def source():
    """A source on loopback: its address, and the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            found = self.path in {"/train.gz", "/short"}
            self.send_response(200 if found else 404)
            # A source that breaks off: more is promised than comes.
            self.send_header("Content-Length", str(len(CONTENT) + (self.path == "/short")))
            self.end_headers()
            if found:
                self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("checksum", [SHA256, MD5])
def test_a_file_is_fetched_once_and_kept(cache, source, checksum):
    url, asked = source
    path = fetch(NAME, f"{url}/train.gz", checksum)
    assert path == cache / NAME
    # Whoever may open the folder may read the file.
    assert path.stat().st_mode & 0o666 == path.parent.stat().st_mode & 0o666
    assert path.read_bytes() == CONTENT
    assert fetch(NAME, f"{url}/train.gz", checksum) == path
    assert asked == ["/train.gz"]


def test_a_source_that_breaks_off_leaves_nothing(cache, source):
    url, _ = source
    with pytest.raises(ArgumentError, match="must be"):
        fetch(NAME, f"{url}/short", "sha256:" + hashlib.sha256(CONTENT + b"!").hexdigest())
    assert list((cache / "mnist").iterdir()) == []


def test_a_fetched_file_with_another_checksum_is_refused_and_not_kept(cache, source):
    url, _ = source
    wrong = "sha256:" + "0" * 64
    with pytest.raises(ArgumentError, match="must be the published file") as error:
        fetch(NAME, f"{url}/train.gz", wrong)
    message = str(error.value)
    for part in (NAME, f"{url}/train.gz", "0" * 64, SHA256.removeprefix("sha256:"), "UNITCIRCLE_DATA"):
        assert part in message
    assert list((cache / "mnist").iterdir()) == []


@pytest.mark.parametrize("place", ["/missing", ":nothing"])
def test_a_source_out_of_reach_is_named(cache, source, place):
    url, _ = source
    # Port 1 answers nobody.
    url = "http://127.0.0.1:1/train.gz" if place == ":nothing" else url + place
    with pytest.raises(ArgumentError, match="must be fetched once") as error:
        fetch(NAME, url, SHA256)
    assert url in str(error.value)
    assert str(cache / NAME) in str(error.value)
    assert list((cache / "mnist").iterdir()) == []
    assert SHA256.removeprefix("sha256:") in str(error.value)


def test_a_users_folder_is_read_and_checked_and_nothing_is_fetched(cache, tmp_path):
    url = "http://127.0.0.1:1/train.gz"
    with pytest.raises(ArgumentError, match=r"folder must hold train\.gz"):
        fetch(NAME, url, SHA256, folder=tmp_path)
    (tmp_path / "train.gz").write_bytes(CONTENT)
    assert fetch(NAME, url, SHA256, folder=tmp_path) == tmp_path / "train.gz"
    (tmp_path / "train.gz").write_bytes(CONTENT[:-1])
    with pytest.raises(ArgumentError, match="must be the published file"):
        fetch(NAME, url, SHA256, folder=tmp_path)
    assert not cache.exists()


def test_the_environment_names_a_folder_that_goes_before_the_cache(cache, tmp_path, monkeypatch):
    own = tmp_path / "own"
    (own / "mnist").mkdir(parents=True)
    (own / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("UNITCIRCLE_DATA", str(own))
    assert fetch(NAME, "http://127.0.0.1:1/train.gz", MD5) == own / NAME


def test_what_an_earlier_release_has_fetched_is_found(tmp_path, monkeypatch):
    # On macOS and Windows the cache is elsewhere now.
    monkeypatch.delenv("UNITCIRCLE_DATA", raising=False)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "Library" / "Caches" / project)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    old = tmp_path / "cache" / "unitcircle" / NAME
    old.parent.mkdir(parents=True)
    old.write_bytes(CONTENT)
    assert fetch(NAME, "http://127.0.0.1:1/train.gz", SHA256) == old


def test_a_damaged_file_in_the_cache_is_refused(cache):
    (cache / "mnist").mkdir(parents=True)
    (cache / NAME).write_bytes(b"half")
    with pytest.raises(ArgumentError, match="must be the published file"):
        fetch(NAME, "http://127.0.0.1:1/train.gz", SHA256)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://somewhere/train.gz", "train.gz"])
def test_only_http_is_fetched(url):
    with pytest.raises(ArgumentError, match="must begin with http"):
        fetch(NAME, url, SHA256)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_download_is_counted_on_a_terminal_and_silent_elsewhere(cache, source, terminal, monkeypatch):
    screen = Screen.of_stderr(monkeypatch, terminal)
    fetch(NAME, f"{source[0]}/train.gz", SHA256)
    assert ("MB of train.gz, 0 s left" in screen.getvalue()) == terminal
    assert terminal or screen.getvalue() == ""
