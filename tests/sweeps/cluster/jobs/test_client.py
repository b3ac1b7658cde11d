"""Clusters behind TLS and behind proxies: small servers that answer as Ray's do."""

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import grpc
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from raw_server import OK, PACE_SECONDS, Answer, RawServer, answer_with, raw_server, repeat

from sweeps.bounded_http import MEGABYTE, Limits, bounded_session
from sweeps.cluster.authentication import authenticate
from sweeps.cluster.jobs import bounded_client
from sweeps.cluster.jobs.client import connect
from sweeps.cluster.jobs.submissions import all_submitted, find_submitted, logs
from sweeps.errors import ClusterError

TOKEN = "t" * 64


@dataclass
class ApiServer:
    """What a Ray head answers to a client of jobs, over TLS.

    A proxy in front of it requires `proxy_authorization`. With a version of None it is not a Ray head. With `hangs` it
    does not list its jobs until the event is set.
    """

    certificate: Path
    proxy_authorization: str | None = None
    version: str | None = field(default_factory=lambda: version("ray"))
    redirects_to: str | None = None
    hangs: threading.Event | None = None
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    address: str = ""

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, object]:
        """Status and body; paths but those of Ray are not found."""
        self.seen.append((path, headers))
        if self.proxy_authorization is not None and headers.pop("authorization", None) != self.proxy_authorization:
            return 407, {}
        if self.version is None:
            return 404, {}
        if path == "/api/authentication_mode":
            return 200, {"authentication_mode": "token"}
        if path == "/api/jobs/" and self.hangs is not None:
            self.hangs.wait()
        given = headers.get("authorization") or headers.get("x-ray-authorization")
        if given != f"Bearer {TOKEN}":
            return 403 if given else 401, {}
        return {"/api/version": (200, {"ray_version": self.version}), "/api/jobs/": (200, [])}.get(path, (404, {}))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key, and a certificate for 127.0.0.1 that it has signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    path = tmp_path / "certificate.pem"
    pem, secret = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(pem, secret, serialization.NoEncryption()) + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    for name in ("RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "RAY_JOB_HEADERS", "RAY_JOB_VERIFY", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    api = ApiServer(certificate)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            status, body = api.answer(path, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(status if api.redirects_to is None else 302)
            if api.redirects_to is not None:
                self.send_header("Location", api.redirects_to + path)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *arguments: object) -> None:
            """Log nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(api.certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        api.address = f"https://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, args=[0.01])
        thread.start()
        yield api
        http.shutdown()
        thread.join()


def test_a_certificate_of_an_authority_that_is_named_is_trusted(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_VERIFY", str(server.certificate))
    assert connect(server.address).list_jobs() == []
    path, headers = server.seen[-1]
    assert (path, headers["authorization"]) == ("/api/jobs/", f"Bearer {TOKEN}")


def test_a_certificate_that_is_not_trusted_is_refused_with_what_to_set(server: ApiServer) -> None:
    with pytest.raises(ClusterError, match=r"self-signed certificate.*set RAY_JOB_VERIFY") as refusal:
        connect(server.address)
    assert TOKEN not in str(refusal.value)
    assert server.seen == []


def test_a_missing_file_of_certificates_is_refused(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_VERIFY", "/nowhere/ca.pem")
    with pytest.raises(ClusterError, match=r"/nowhere/ca\.pem does not exist"):
        connect(server.address)


def test_headers_for_a_proxy_are_sent_and_the_token_moves_to_another_header(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.proxy_authorization = "Bearer of-the-proxy"
    monkeypatch.setenv("RAY_JOB_VERIFY", str(server.certificate))
    with pytest.raises(ClusterError, match="not 407"):
        connect(server.address)
    monkeypatch.setenv(
        "RAY_JOB_HEADERS", json.dumps({"Authorization": server.proxy_authorization, "Cookie": "session=1"})
    )
    assert connect(server.address).list_jobs() == []
    assert server.seen[-1][1]["cookie"] == "session=1"


@pytest.mark.parametrize("written", ["planted", '["planted"]', '{"planted": 1}'])
def test_invalid_headers_are_refused_without_their_text(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("RAY_JOB_HEADERS", written)
    with pytest.raises(ClusterError, match="RAY_JOB_HEADERS must be a JSON object") as refusal:
        connect(server.address)
    assert "planted" not in str(refusal.value)


def test_a_header_that_cannot_be_sent_is_refused_without_its_text(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_HEADERS", json.dumps({"Authorization": "planted\nsecret"}))
    with pytest.raises(ClusterError, match="without line breaks") as refusal:
        connect(server.address)
    assert "planted" not in str(refusal.value)


def redirected(server: ApiServer, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> None:
    monkeypatch.setenv("RAY_JOB_VERIFY", str(server.certificate))
    monkeypatch.setenv("RAY_JOB_HEADERS", json.dumps(headers))
    server.proxy_authorization = headers.get("Authorization")


PROXY = {"Authorization": "Bearer of-the-proxy", "X-Secret": "hunter2"}


@pytest.mark.parametrize("headers", [{}, {"X-Secret": "hunter2"}, PROXY])
def test_the_token_and_the_headers_of_a_proxy_follow_no_redirect_of_a_probe(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    redirected(server, monkeypatch, headers)
    with raw_server(answer_with(b"{}")) as other:
        server.redirects_to = other.url
        with pytest.raises(ClusterError, match=f"redirects to {other.host}, and credentials must not follow"):
            connect(server.address)
    assert other.seen == []


@pytest.mark.parametrize("headers", [{}, {"X-Secret": "hunter2"}, PROXY])
def test_the_token_and_the_headers_of_a_proxy_follow_no_redirect_of_a_job(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
) -> None:
    redirected(server, monkeypatch, headers)
    client = connect(server.address)
    with raw_server(answer_with(b"[]")) as other:
        server.redirects_to = other.url
        with pytest.raises(ClusterError, match=f"failed to list its jobs: redirects to {other.host}"):
            all_submitted(client)
    assert ("x-ray-authorization" if "Authorization" in headers else "authorization") in server.seen[-1][1]
    assert other.seen == []


def test_a_cluster_with_another_version_of_ray_is_refused(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_VERIFY", str(server.certificate))
    server.version = "1.13.0"
    with pytest.raises(ClusterError, match=r"must run Ray .* not 1\.13\.0"):
        connect(server.address)


def test_a_server_that_is_not_rays_is_refused(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_VERIFY", str(server.certificate))
    server.version = None
    with pytest.raises(ClusterError, match="does not answer as a Ray cluster's API server"):
        connect(server.address)


@pytest.fixture
def head_with_tls(certificate: Path) -> Iterator[str]:
    """The address of a head that answers over TLS to who shows a certificate of its authority."""
    pem = certificate.read_bytes()
    credentials = grpc.ssl_server_credentials([(pem, pem)], pem, require_client_auth=True)
    answer = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    head = grpc.server(ThreadPoolExecutor(1))
    head.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", {"CheckAlive": answer})]
    )
    port = head.add_secure_port("127.0.0.1:0", credentials)
    head.start()
    yield f"127.0.0.1:{port}"
    head.stop(None).wait()


def test_a_head_with_tls_is_asked_by_rays_own_settings(
    head_with_tls: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ClusterError, match="RAY_USE_TLS=1"):
        authenticate(head_with_tls)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_TLS_CA_CERT", "/nowhere/ca.pem")
    with pytest.raises(ClusterError, match=r"'/nowhere/ca\.pem' is not"):
        authenticate(head_with_tls)
    for name in ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_SERVER_CERT"):
        monkeypatch.setenv(name, str(certificate))
    authenticate(head_with_tls)


def test_uploads_may_take_longer_than_answers(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_JOB_VERIFY", str(server.certificate))
    client = connect(server.address)
    timeouts, answer = [], requests.Response()
    answer.status_code = 200
    monkeypatch.setattr(client._session, "request", lambda *_, timeout, **__: timeouts.append(timeout) or answer)
    client._do_request("PUT", "/api/packages/gcs/p.zip", data=b"package")
    client._do_request("GET", "/api/jobs/")
    assert timeouts == [bounded_client.UPLOAD_SECONDS, bounded_client.ANSWER_SECONDS]


def test_a_server_that_stops_answering_is_reported_after_the_timeout(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_VERIFY", str(server.certificate))
    client = connect(server.address)
    monkeypatch.setattr(bounded_client, "ANSWER_SECONDS", 0.2)
    server.hangs = threading.Event()
    try:
        with pytest.raises(ClusterError, match=r"the cluster failed to list its jobs: .*timed out"):
            all_submitted(client)
    finally:
        server.hangs.set()


def test_an_answer_that_nests_without_end_is_not_rays() -> None:
    with (
        raw_server(answer_with(b"[" * 100_000)) as server,
        pytest.raises(ClusterError, match="does not answer as a Ray cluster's API server"),
    ):
        connect(server.url)


def test_a_probe_reads_no_endless_answer() -> None:
    with (
        raw_server(repeat(OK + b"\r\n", bytes(2**20))) as server,
        pytest.raises(ClusterError, match=r"does not answer \(sends more than 1 MB\)"),
    ):
        connect(server.url)


def test_a_probe_whose_answer_drips_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.cluster.jobs.client.PROBE_TIMEOUT_SECONDS", 0.3)
    with (
        raw_server(repeat(OK + b"\r\n", b" ", PACE_SECONDS)) as server,
        pytest.raises(ClusterError, match=r"does not answer \(.*timed out"),
    ):
        connect(server.url)


JOB = {"type": "SUBMISSION", "submission_id": "mine-1", "entrypoint": "", "metadata": {"sweeps.sweep": "mine-1"}}


@contextmanager
def cluster_with_logs(log_answer: Answer) -> Iterator[RawServer]:
    """A cluster without a token that lists one job, and answers `log_answer` if asked for its log."""
    pages = {
        "/api/authentication_mode": {"authentication_mode": "disabled"},
        "/api/version": {"ray_version": version("ray"), "version": "4"},
        "/api/jobs/": [JOB | {"status": "FAILED"}],
    }

    def answer(connection: socket.socket, head: str) -> None:
        path = head.split(" ")[1]
        if path in pages:
            answer_with(json.dumps(pages[path]).encode(), "200 OK", "Connection: close")(connection, head)
        else:
            log_answer(connection, head)

    with raw_server(answer) as server:
        yield server


def test_a_log_that_is_too_large_is_refused_and_hides_no_state() -> None:
    with cluster_with_logs(repeat(OK + b"\r\n", bytes(65536))) as server:
        client = connect(server.url)
        client._session = bounded_session(Limits(answer_bytes=MEGABYTE))
        submitted = find_submitted(client, "mine-1")
        assert (submitted.state, submitted.last_line) == (
            "FAILED",
            "its log is too large to read from here: read it on the cluster with `ray job logs mine-1`",
        )
        with pytest.raises(ClusterError, match=r"sends more than 1 MB for the log .* with `ray job logs mine-1`"):
            list(logs(client, submitted, follow=True))


def test_a_log_that_drips_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with cluster_with_logs(repeat(OK + b"\r\n", b" ", PACE_SECONDS)) as server:
        client = connect(server.url)
        submitted = all_submitted(client)[0]
        monkeypatch.setattr(bounded_client, "ANSWER_SECONDS", 0.3)
        with pytest.raises(ClusterError, match=r"failed to return the log of a job: .*timed out"):
            list(logs(client, submitted, follow=False))


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_revoked_meanwhile_is_reported(status: int) -> None:
    with cluster_with_logs(answer_with(b"no", f"{status} No")) as server:
        client = connect(server.url)
        with pytest.raises(ClusterError, match=f"rejects the token \\(status {status}\\): set RAY_AUTH_TOKEN"):
            list(logs(client, all_submitted(client)[0], follow=False))
