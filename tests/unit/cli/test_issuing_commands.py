"""The commands of the issuing side: issuer, issue, revoke, inspect, verify."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from tests.craft import revoked_ids
from tests.support.envelopes import carried, envelope, signed
from typer.testing import CliRunner

from passgate.authority.csp_minting import delegate_csp
from passgate.authority.keys import load_issuer
from passgate.cli.app import app
from passgate.core.revocation import RevocationList, read_revocation_list
from passgate.testing import TestIssuer, mint


def run(*arguments: object, token: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=token)


def good(*arguments: object, token: str | None = None) -> str:
    result = run(*arguments, token=token)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def bad(code: int, sentence: str, *arguments: object, token: str | None = None) -> None:
    """The command ends with `code` and one line on standard error that holds `sentence`."""
    result = run(*arguments, token=token)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("passgate: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


@pytest.fixture
def issuer(tmp_path: Path) -> Path:
    good("issuer", "new", "--id", "iss_lab", "--out", tmp_path / "issuer")
    return tmp_path / "issuer"


def issue(issuer: Path, *options: str) -> dict[str, Any]:
    out = good(
        "issue",
        "--issuer",
        issuer,
        "--agent",
        "agent_7",
        "--permission",
        "api:*",
        "--json",
        *options,
    )
    found: dict[str, Any] = json.loads(out)
    return found


def listed(issuer: Path) -> RevocationList:
    signer = load_issuer(issuer)
    return read_revocation_list(
        (issuer / "revocations.jwt").read_bytes(),
        "iss_lab",
        {signer.kid: signer.key.public_key().public_bytes_raw()},
        now=4e9,
        plain_allowed=False,
    )


def test_an_issuer_is_made_with_all_that_a_gate_needs(tmp_path: Path) -> None:
    out = good("issuer", "new", "--id", "iss_lab", "--out", tmp_path / "a")
    assert {path.name for path in (tmp_path / "a").iterdir()} >= {
        "issuer.key",
        "jwks.json",
        "revocations.jwt",
    }
    assert f'keys: "file:{tmp_path}/a/jwks.json"' in out
    assert f'revocations: "file:{tmp_path}/a/revocations.jwt"' in out
    assert listed(tmp_path / "a").passports == revoked_ids()


def test_an_issuer_as_json(tmp_path: Path) -> None:
    made = json.loads(good("issuer", "new", "--id", "iss_lab", "--out", tmp_path, "--json"))
    assert made["id"] == "iss_lab"
    assert made["kid"] == load_issuer(tmp_path).kid
    assert Path(made["jwks"]).is_file()


def test_keys_are_never_overwritten(issuer: Path) -> None:
    before = (issuer / "issuer.key").read_bytes()
    bad(1, "never overwritten", "issuer", "new", "--id", "iss_lab", "--out", issuer)
    assert (issuer / "issuer.key").read_bytes() == before


def test_an_issuer_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    bad(2, "the issuer id", "issuer", "new", "--id", "", "--out", tmp_path)
    (tmp_path / "file").write_text("")
    bad(1, "cannot be written", "issuer", "new", "--id", "i", "--out", tmp_path / "file" / "x")


def test_a_passport_is_printed_alone_and_verifies(issuer: Path) -> None:
    out = good("issue", "--issuer", issuer, "--agent", "agent_7", "--permission", "api:*")
    assert out.count("\n") == 1
    verified = good("verify", "--jwks", issuer / "jwks.json", token=out)
    assert json.loads(verified)["sub"] == "agent_7"


def test_everything_that_was_asked_for_is_issued(issuer: Path) -> None:
    issued = issue(
        issuer,
        "--permission=shop:buy",
        "--constraint=core:rate:max_per_minute=60",
        '--constraint=core:scope:method_allowlist=["GET"]',
        "--constraint=core:cost:cumulative_window=weekly",
        "--constraint=core:cost:max_cumulative=500",
        "--aud=gate_a",
        "--aud=gate_b",
        "--ttl=12h",
        "--name=Lab agent",
    )
    claims = issued["claims"]
    assert claims["permissions"] == ["api:*", "shop:buy"]
    assert claims["constraints"] == {
        "core:rate:max_per_minute": 60,
        "core:scope:method_allowlist": ["GET"],
        "core:cost:cumulative_window": "weekly",
        "core:cost:max_cumulative": 500,
    }
    assert claims["aud"] == ["gate_a", "gate_b"]
    assert claims["exp"] - claims["iat"] == 12 * 3600
    assert claims["agent_name"] == "Lab agent"
    assert issued["id"] == claims["jti"]
    inspected = json.loads(good("inspect", issued["passport"]))
    assert inspected["claims"] == claims
    assert inspected["shape"] == "a passport"


def test_an_unknown_constraint_is_warned_about_and_minted(issuer: Path) -> None:
    result = run(
        "issue", "--issuer", issuer, "--agent", "a", "--permission", "*", "--constraint", "x:y=z"
    )
    assert result.exit_code == 0
    assert "does not know x:y" in result.stderr
    assert json.loads(good("inspect", token=result.stdout))["claims"]["constraints"] == {"x:y": "z"}


@pytest.mark.parametrize(
    ("code", "sentence", "options"),
    [
        (1, "unknown constraint: x:y", ["--constraint=x:y=1", "--strict"]),
        (1, "core:rate:max_per_minute", ["--constraint=core:rate:max_per_minute=many"]),
        (2, "KEY=VALUE", ["--constraint=core:rate:max_per_minute"]),
        (2, "KEY=VALUE", ["--constraint==5"]),
        (2, "given twice", ["--constraint=a=1", "--constraint=a=2"]),
        (2, "no one reading", ['--constraint=a={"b": 1, "b": 2}']),
        (2, "no one reading", ["--constraint=a=NaN"]),
        (2, "--ttl must be a duration", ["--ttl=forever"]),
        (2, "--ttl must be a duration", ["--ttl=0s"]),
        (1, "the agent id", ["--agent="]),
        (1, "a permission", ["--permission=a*b"]),
    ],
)
def test_what_cannot_be_issued_is_refused_with_the_reason(
    issuer: Path, code: int, sentence: str, options: list[str]
) -> None:
    bad(code, sentence, "issue", "--issuer", issuer, "--agent=a", "--permission=a", *options)


def test_a_deeply_nested_value_is_text_or_refused_but_never_a_crash(issuer: Path) -> None:
    result = run(
        "issue", "--issuer", issuer, "--agent=a", "--permission=a", "--constraint=x=" + "[" * 50_000
    )
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output


def test_issuing_without_an_issuer_says_how_to_make_one(tmp_path: Path) -> None:
    bad(1, "passgate issuer new", "issue", "--issuer", tmp_path, "--agent=a", "--permission=a")


def test_a_key_open_to_others_is_not_used(issuer: Path) -> None:
    (issuer / "issuer.key").chmod(0o644)
    bad(1, "chmod 600", "issue", "--issuer", issuer, "--agent=a", "--permission=a")
    bad(1, "chmod 600", "revoke", "--issuer", issuer, "pass_1")


def test_a_long_life_is_warned_about(issuer: Path) -> None:
    result = run("issue", "--issuer", issuer, "--agent=a", "--permission=a", "--ttl=91d")
    assert result.exit_code == 0
    assert "max_lifetime" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["pass_1"], "passports"),
        (["agent_1"], "agents"),
        (["bot", "--kind", "agent"], "agents"),
        (["agent_1", "--kind", "passport"], "passports"),
        (["k1", "--kind", "key"], "keys"),
    ],
)
def test_what_is_revoked_is_on_the_signed_list(
    issuer: Path, arguments: list[str], kind: str
) -> None:
    out = good("revoke", "--issuer", issuer, *arguments, "--reason", "lost")
    assert f"Revoked {kind[:-1]} {arguments[0]}." in out
    assert getattr(listed(issuer), kind) == revoked_ids(arguments[0])
    assert "Already revoked" in good("revoke", "--issuer", issuer, *arguments)


def test_an_issuer_revokes_itself_and_no_other(issuer: Path) -> None:
    bad(2, "only itself", "revoke", "--issuer", issuer, "iss_other", "--kind=issuer")
    good("revoke", "--issuer", issuer, "iss_lab")
    assert listed(issuer).issuer_revoked


def test_revoking_the_signing_key_is_warned_about(issuer: Path) -> None:
    result = run("revoke", "--issuer", issuer, load_issuer(issuer).kid)
    assert result.exit_code == 0
    assert "signs the list itself" in result.stderr


def test_a_list_is_signed_anew(issuer: Path) -> None:
    before = listed(issuer)
    outcome = json.loads(good("revoke", "--issuer", issuer, "--resign", "--json"))
    assert (outcome["added"], outcome["entries"], outcome["id"]) == (0, 0, None)
    assert outcome["iat"] > (before.issued_at or 0)
    assert outcome["exp"] == listed(issuer).expires_at


def test_an_issuer_changes_its_key(issuer: Path) -> None:
    """The new one signs, the old one verifies until it is withdrawn by its name."""
    old = load_issuer(issuer).kid
    asked = ("issue", "--issuer", issuer, "--agent", "a", "--permission", "api:*")
    before = good(*asked)

    out = good("issuer", "rotate", "--issuer", issuer)

    new = load_issuer(issuer).kid
    assert f"Issuer iss_lab signs with key {new}." in out
    assert f"Key {old} still verifies; end that with --retire {old}" in out
    for token in (before, good(*asked)):
        good("verify", "--jwks", issuer / "jwks.json", token=token)
    assert listed(issuer).kid == new
    retired = json.loads(good("issuer", "rotate", "--issuer", issuer, "--retire", old, "--json"))
    assert retired == {"id": "iss_lab", "kid": new, "keys": [new], "retired": old}
    bad(1, "key_unknown", "verify", "--jwks", issuer / "jwks.json", token=before)
    bad(1, "rotate first", "issuer", "rotate", "--issuer", issuer, f"--retire={new}")


def test_keys_that_cannot_be_changed_say_why(issuer: Path, tmp_path: Path) -> None:
    bad(1, "none of the issuer's keys", "issuer", "rotate", "--issuer", issuer, "--retire=x")
    bad(1, "does not exist", "issuer", "rotate", "--issuer", tmp_path)
    bad(1, "cannot be written", "issuer", "rotate", "--issuer", tmp_path / "none")


def test_revoking_wrongly_says_what_is_missing(issuer: Path) -> None:
    bad(2, "--resign", "revoke", "--issuer", issuer)
    bad(2, "need an ID", "revoke", "--issuer", issuer, "--resign", "--kind=agent")
    bad(2, "say with --kind", "revoke", "--issuer", issuer, "something")
    bad(2, "the kind must be one of", "revoke", "--issuer", issuer, "x", "--kind=device")
    (issuer / "revocations.jwt").unlink()
    bad(1, "restore it", "revoke", "--issuer", issuer, "pass_1")


def test_inspecting_says_that_nothing_was_verified(issuer: Path) -> None:
    result = run("inspect", mint(claims={"exp": 10**15, "nbf": "soon", "note": "\x1b[2J"}))
    assert result.exit_code == 0
    assert "NOT VERIFIED" in result.stderr
    assert "\x1b" not in result.stdout
    shown = json.loads(result.stdout)
    assert shown["verified"] is False
    assert shown["header"]["typ"] == "passport+jwt"
    assert shown["times"]["exp"] == "beyond the calendar"
    assert "nbf" not in shown["times"]
    assert shown["shape"].startswith("refused: ")


def test_a_list_is_inspected_as_one(issuer: Path) -> None:
    shown = json.loads(good("inspect", "-", token=(issuer / "revocations.jwt").read_text()))
    assert shown["shape"] == "a revocation list"
    assert shown["claims"]["revoked"] == []


def test_an_envelope_is_inspected_as_one() -> None:
    """Also one that a gate would refuse."""
    shown = json.loads(good("inspect", carried(signed(envelope()))))
    assert shown["shape"] == "an envelope"
    assert shown["claims"]["passport_id"] == "pp_self_fixture_00000001"
    broken = json.loads(good("inspect", carried(signed(envelope(schema_version=3)))))
    assert broken["shape"].startswith("refused: ")


@pytest.mark.parametrize(
    "token", ["abc", "e30", "W10", "a.b", "a.b.c", "e30.e30.x.y", "e30.é.x", "W.W.W"]
)
def test_what_is_no_token_cannot_be_inspected(token: str) -> None:
    bad(1, "no compact JWS", "inspect", token)


def test_a_token_must_come_from_somewhere() -> None:
    bad(2, "there is no token", "inspect", token="")
    bad(2, "there is no token", "inspect", "-", token=" \n")
    bad(2, "there is no token", "verify", "--jwks", "x", token="")


def test_claims_that_are_no_object_are_shown_and_refused() -> None:
    shown = json.loads(good("inspect", TestIssuer().sign(b"[1]", {"alg": "EdDSA", "kid": "k"})))
    assert (shown["claims"], shown["times"]) == ([1], {})


def test_verifying_prints_the_claims_and_says_what_was_not_judged(issuer: Path) -> None:
    issued = issue(issuer)
    result = run("verify", issued["passport"], "--jwks", issuer / "jwks.json")
    assert json.loads(result.stdout) == issued["claims"]
    assert "audience and revocation were not judged" in result.stderr


def test_a_refused_passport_ends_with_its_reason_code(issuer: Path) -> None:
    jwks = issuer / "jwks.json"
    passport = issue(issuer, "--ttl=1h")["passport"]
    bad(1, "permission_denied", "verify", passport, "--jwks", jwks, "--action", "shop:buy")
    good("verify", passport, "--jwks", jwks, "--action", "api:search")
    bad(1, "signature_invalid", "verify", _flipped(passport), "--jwks", jwks)
    bad(1, "passport_malformed", "verify", "abc", "--jwks", jwks)
    bad(1, "key_unknown", "verify", mint(), "--jwks", jwks)
    bad(1, "passport_unsupported", "verify", mint(claims={"act": {}}), "--jwks", jwks)
    theirs = issuer / "theirs.json"
    theirs.write_text(json.dumps(TestIssuer().jwks))
    bad(1, "passport_expired", "verify", mint(now=1e9), "--jwks", theirs)
    bad(1, "passport_lifetime", "verify", mint(ttl_s=91 * 86_400), "--jwks", theirs)
    good("verify", mint(), "--jwks", theirs)


def _flipped(token: str) -> str:
    head, _, tail = token.rpartition(".")
    return f"{head}.{'B' if tail[0] == 'A' else 'A'}{tail[1:]}"


def test_verifying_needs_one_thing_to_verify_by(issuer: Path, tmp_path: Path) -> None:
    bad(2, "either --jwks", "verify", "x")
    bad(2, "either --jwks", "verify", "x", "--jwks", "a", "--config", "b")
    bad(1, "cannot be read", "verify", "x", "--jwks", tmp_path / "none")
    (tmp_path / "text").write_text("text")
    bad(1, "not unambiguous JSON", "verify", "x", "--jwks", tmp_path / "text")
    private = issuer / "issuer.key"
    (tmp_path / "private").write_text('{"keys": [' + private.read_text() + "]}")
    bad(1, "shows its private part", "verify", "x", "--jwks", tmp_path / "private")


@pytest.fixture
def config(issuer: Path, tmp_path: Path) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text(
        f"""
gate: {{id: gate_lab, data_dir: {tmp_path}/data}}
upstream: {{url: "http://127.0.0.1:1"}}
issuers:
  - id: iss_lab
    keys: file:{issuer}/jwks.json
    revocations: file:{issuer}/revocations.jwt
    permissions: ["api:*"]
actions:
  default: method_path
"""
    )
    return path


def test_a_passport_is_judged_as_the_gate_would(issuer: Path, config: Path) -> None:
    issued = issue(issuer, "--permission=shop:buy")
    passport = issued["passport"]
    out = good("verify", passport, "--config", config, "--action", "api:search")
    assert json.loads(out) == issued["claims"]
    bad(1, "permission_denied", "verify", passport, "--config", config, "--action", "shop:buy")
    elsewhere = issue(issuer, "--aud=gate_other")["passport"]
    bad(1, "audience_mismatch", "verify", elsewhere, "--config", config)
    good("verify", issue(issuer, "--aud=gate_lab")["passport"], "--config", config)
    bad(1, "issuer_unknown", "verify", mint(), "--config", config)
    bad(1, "passport_malformed", "verify", "abc", "--config", config)
    good("revoke", "--issuer", issuer, issued["id"])
    bad(1, "passport_revoked", "verify", passport, "--config", config)


def test_a_source_that_cannot_be_read_is_an_error_of_its_own(issuer: Path, config: Path) -> None:
    passport = issue(issuer)["passport"]
    (issuer / "revocations.jwt").write_text("garbage")
    bad(1, "three parts of base64url", "verify", passport, "--config", config)
    (issuer / "jwks.json").write_text("garbage")
    bad(1, "key set is not unambiguous JSON", "verify", passport, "--config", config)


def test_a_configuration_that_cannot_be_used_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "gate.yaml").write_text("gat: {}\n")
    result = run("verify", mint(), "--config", tmp_path / "gate.yaml")
    assert result.exit_code == 2
    assert "gate.yaml:1" in result.stderr


def test_a_part_is_handed_on(issuer: Path, tmp_path: Path) -> None:
    """From a passport that may delegate, with the key that it is bound to."""
    key = tmp_path / "holder.key"
    parent = issue(issuer, f"--holder-key=new:{key}", "--may-delegate")["passport"]
    below = ("delegate", "--key", key, "--agent", "helper", "--permission", "api:search")

    child = good(*below, f"--holder-key=new:{tmp_path / 'child.key'}", token=parent).strip()
    verified = json.loads(good("verify", "--jwks", issuer / "jwks.json", child))

    assert verified["sub"] == "agent_7/helper"
    assert verified["cnf"]["jwk"] != issue(issuer, f"--holder-key={key}")["claims"]["cnf"]["jwk"]
    bad(1, "may not delegate", *below[:2], tmp_path / "child.key", *below[3:], child)
    bad(1, "permits what its parent does not", *below[:-1], "shop:buy", parent)
    bad(1, "another key", *below[:2], tmp_path / "child.key", *below[3:], parent)
    bad(2, "--ttl", *below, "--ttl=soon", parent)
    bad(1, "does not exist", *below[:2], tmp_path / "none.key", *below[3:], parent)


def test_only_a_bound_passport_may_delegate(issuer: Path, tmp_path: Path) -> None:
    """And a key is made only where there is none."""
    asked = ("issue", "--issuer", issuer, "--agent", "a", "--permission", "api:*")

    bad(1, "bound to its holder's key", *asked, "--may-delegate")
    good(*asked, f"--holder-key=new:{tmp_path / 'a.key'}")
    bad(1, "never overwritten", *asked, f"--holder-key=new:{tmp_path / 'a.key'}")
    bad(1, "cannot be written", *asked, f"--holder-key=new:{tmp_path / 'none' / 'a.key'}")


CSP = ("--format", "csp", "--principal", "p-1", "--model", "model-1", "--aud", "gate_a")


def test_a_csp_token_is_issued_shown_and_verified(issuer: Path) -> None:
    """With its levels, for a quarter of an hour, and for what its scope covers."""
    made = issue(issuer, *CSP, "--assurance", "ial=2", "--assurance", "fal=1")
    claims, token = made["claims"], made["passport"]

    assert (claims["ial"], claims["fal"], claims["exp"] - claims["iat"]) == (2, 1, 900)
    assert "aal" not in claims
    assert json.loads(good("inspect", token=token))["shape"] == "a csp passport"
    jwks = issuer / "jwks.json"
    shown = good("verify", "--jwks", jwks, "--action", "api:search", token=token)
    assert json.loads(shown)["sub"] == "p-1"
    bad(1, "permission_denied", "verify", token, "--jwks", jwks, "--action", "shop:buy")
    wild = ("issue", "--issuer", issuer, "--agent", "a", "--permission", "*", *CSP)
    everything = good(*wild).strip()
    bad(1, "permission_denied", "verify", everything, "--jwks", jwks, "--action", "api:search")


def test_a_delegated_csp_token_is_verified_with_its_parents(issuer: Path) -> None:
    """And refused without them."""
    root = issue(issuer, *CSP)["passport"]
    child = delegate_csp(
        load_issuer(issuer),
        root,
        agent="bob",
        model="m",
        audience="gate_a",
        scope=["api:search"],
        now=time.time(),
    ).token
    jwks = issuer / "jwks.json"

    good("verify", child, "--jwks", jwks, "--parents", root)
    bad(1, "chain_invalid", "verify", child, "--jwks", jwks)
    bad(1, "passport_malformed", "verify", child, "--jwks", jwks, "--parents", "")


@pytest.mark.parametrize(
    ("sentence", "options"),
    [
        ("--format is jwt or csp", ["--format", "envelope"]),
        ("are for --format csp", ["--principal", "p-1"]),
        ("are for --format csp", ["--model", "m"]),
        ("are for --format csp", ["--assurance", "ial=2"]),
        ("needs --principal", ["--format", "csp"]),
        ("exactly one --aud", [*CSP, "--aud", "gate_b"]),
        ("has no constraints", [*CSP, "--constraint", "core:rate:max_per_minute=1"]),
        ("has no constraints", [*CSP, "--may-delegate"]),
        ("--assurance is a level", [*CSP, "--assurance", "ial"]),
        ("--assurance is a level", [*CSP, "--assurance", "ial=4"]),
        ("--assurance is a level", [*CSP, "--assurance", "ial=1", "--assurance", "ial=2"]),
    ],
)
def test_options_of_the_other_format_are_wrong_use(
    issuer: Path, sentence: str, options: list[str]
) -> None:
    """Nothing is minted that would not say what was asked for."""
    bad(
        2,
        sentence,
        *("issue", "--issuer", issuer, "--agent", "a", "--permission", "api:*"),
        *options,
    )


def test_a_level_that_nobody_knows_is_not_minted(issuer: Path) -> None:
    """The names of the levels are csp's."""
    made = ("issue", "--issuer", issuer, "--agent", "a", "--permission", "api:*", *CSP)
    bad(1, "a level of assurance is one of", *made, "--assurance", "loa=2")
