"""What a webhook needs in a configuration: that nobody reads or forges its letters."""

from typing import Any

import pytest

ENVIRON = {"HOOK": "a secret of some length", "SHORT": "short"}


@pytest.mark.parametrize(
    ("url", "insecure"),
    [
        ("https://hook.example/in", False),
        ("http://127.0.0.1:9/in", False),
        ("http://[::1]/in", False),
        ("http://localhost/in", False),
        ("http://hook.example/in", True),
    ],
)
def test_a_webhook_is_protected_or_on_this_machine(load: Any, url: str, insecure: bool) -> None:
    """Or somebody has written that it need not be."""
    webhook = {"url": url, "secret": "env:HOOK", "insecure_http": insecure}
    loaded = load({"approvals": {"webhook": webhook}}, ENVIRON)
    assert loaded.config.approvals.webhook.url == url
    assert loaded.config.approvals.webhook.secret.value == ENVIRON["HOOK"]


@pytest.mark.parametrize(
    ("webhook", "words"),
    [
        ({"url": "http://hook.example/in", "secret": "env:HOOK"}, "is not protected on its way"),
        ({"url": "https://a@hook.example", "secret": "env:HOOK"}, "user or password"),
        ({"url": "ftp://hook.example", "secret": "env:HOOK"}, "must be a URL"),
        ({"url": "https://hook.example", "secret": "plain"}, "env:NAME or file:PATH"),
        ({"url": "https://hook.example"}, "secret"),
        ({"secret": "env:HOOK"}, "url"),
    ],
)
def test_any_other_is_refused(problems_of: Any, webhook: dict[str, Any], words: str) -> None:
    """With one sentence, and never with the secret in it."""
    (problem,) = problems_of({"approvals": {"webhook": webhook}}, ENVIRON)
    assert words in problem
    assert ENVIRON["HOOK"] not in problem


def test_a_short_secret_is_warned_about(load: Any) -> None:
    """It could be guessed from one letter."""
    webhook = {"url": "https://hook.example", "secret": "env:SHORT"}
    (warning,) = load({"approvals": {"webhook": webhook}}, ENVIRON).warnings
    assert "approvals.webhook.secret is shorter than 16" in warning
