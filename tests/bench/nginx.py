"""nginx as the API behind every peer, and as the peer that checks nothing."""

import json
from pathlib import Path

ANSWER = json.dumps({"answer": "x" * 109})
"""What the API says to any request: 123 bytes."""


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
    return (
        f"server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json; "
        f"location / {{ return 200 '{ANSWER}'; }} }}"
    )


def proxy_location(port: int, upstream: int) -> str:
    """nginx before the API with keepalive on both sides and no check of any kind."""
    return (
        f"upstream api {{ server 127.0.0.1:{upstream}; keepalive 256; "
        "keepalive_requests 1000000000; }\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://api; "
        'proxy_http_version 1.1; proxy_set_header Connection ""; } }'
    )


def stream_location(port: int, upstream: int) -> str:
    """nginx as for `proxy_location`, for long bodies: nothing goes to disk, buffers are large."""
    return (
        f"server {{ listen 127.0.0.1:{port} backlog=4096; client_max_body_size 0; "
        "client_body_buffer_size 256k; "
        f"location / {{ proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; "
        'proxy_set_header Connection ""; proxy_request_buffering off; '
        "proxy_max_temp_file_size 0; proxy_buffer_size 64k; proxy_buffers 16 64k; } }"
    )
