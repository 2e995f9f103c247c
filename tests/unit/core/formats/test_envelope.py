"""Modei's envelopes, version 2: the vendor's fixtures, and every fault one by one."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from tests.craft import KEY, NOW, SEED, b64, issuer, key_set, trust
from tests.support.envelopes import (
    LEAF_SEED,
    ROOT_SEED,
    Tree,
    below,
    carried,
    envelope,
    fixture_root,
    platform,
    public,
    signed,
    standard,
)

from passgate.core.constraints.base import NO_CONSTRAINTS
from passgate.core.formats.envelope import agent_id_of
from passgate.core.jwks import thumbprint
from passgate.core.passport import CatalogPin, Passport
from passgate.core.reasons import Refusal
from passgate.core.trust import Trust, self_issuer
from passgate.core.verification import Acceptance, examine, verify

ACCEPT = Acceptance(frozenset({"jwt", "envelope"}))
ANYONE = Trust(
    trust(issuer(formats=["envelope"], keys=key_set())).issuers,
    self_issued=self_issuer(frozenset({"envelope", "jwt"}), ("*",), NO_CONSTRAINTS),
)
THIRD_SEED = bytes(range(2, 34))

# Worked out from the vendor's fixtures: seed, public key, agent id, issuer id.
IDS = [
    (
        ROOT_SEED,
        "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=",
        "agent_self_E545QOZLVJFyIIjZoNdBYo_IJuCUddNB",
        "self:139e3940e64b5491722088d9a0d741628fc826e09475d341a780acde3c4b8070",
    ),
    (
        LEAF_SEED,
        "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
        "agent_self_Vkdap1RjR0wChd9dvyvKtz2mUTWIOem3",
        "",
    ),
    (
        b"modei-c20.3-interop-test-seed!!!",
        "fiMzwuMFDCZhRyhItKtuxgGcP5xw9uDFznGdBWng6W8=",
        "agent_self_A-4_q60HJGOqax9gNqzxZ48yEYCrFVX6",
        "",
    ),
]
SELF_SIGNATURE = (
    "KGMwOp9+holhnLRlZwLpUardsQx2E+QWGT2/q27OrfGieXpFEA705UTkLs1hAYd3OkB9/6DuGVI2VfV9iYSHDA=="
)
ROOT_SIGNATURE = (
    "PD3mTIWy+Xqmua84otZK5OHeKwt/Mg1oskIRBh3CxQYIIU1FN5Wva/RATfZ4ICMTNfvJirSpSrD87t94tefSBg=="
)
LEAF_SIGNATURE = (
    "q6SVXu7fc0Qt9+IyQAib+T8W2d3veWh6PiCJLQjlJcAdfTMMzAJYd/vpOZ6p98q/crjrLa+vq9pR+Phi/YDTBQ=="
)


def judged(carrier: Any, known: Trust = ANYONE) -> Passport | Refusal:
    return verify(carried(carrier), known, ACCEPT)


def code(carrier: Any, known: Trust = ANYONE) -> str:
    """The code of the refusal, or of the flaw, or `ok`."""
    found = judged(carrier, known)
    if isinstance(found, Refusal):
        return found.code
    return "ok" if found.flaw is None else found.flaw.code


class TestFixtures:
    """What the vendor's own library made of fixed seeds."""

    @pytest.mark.parametrize(("seed", "key", "agent", "name"), IDS)
    def test_names_are_derived_from_keys(
        self, seed: bytes, key: str, agent: str, name: str
    ) -> None:
        assert standard(public(seed)) == key
        assert agent_id_of(public(seed)) == agent
        found = judged(signed(envelope(seed), seed))
        assert isinstance(found, Passport)
        assert found.agent == agent
        assert not name or found.issuer == name

    @pytest.mark.parametrize(
        ("key", "agent"),
        [
            (bytes(32), "agent_self_Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOz"),
            (bytes(range(32)), "agent_self_Yw3NKWbEM2aRElRIu7JbT_QSpJxzLbLI"),
        ],
    )
    def test_an_agent_id_is_a_hash_of_bytes(self, key: bytes, agent: str) -> None:
        assert agent_id_of(key) == agent

    @pytest.mark.parametrize(
        ("carrier", "size", "digest", "signature"),
        [
            (
                signed(envelope()),
                645,
                "92689b1b9a42415b2beeafe2b745e65adf881f43267c553232b57e3aed8ef4f5",
                SELF_SIGNATURE,
            ),
            (
                fixture_root(),
                637,
                "0a7aee4feb141b95b868cf3831f291d4fa45b3914672ced1eba8924171624880",
                ROOT_SIGNATURE,
            ),
            (
                below(fixture_root()),
                1362,
                "84951d69eac6927b145a314e7ebb145912c4b9935341352bbfe21691f44829e2",
                LEAF_SIGNATURE,
            ),
        ],
        ids=["self", "root", "leaf"],
    )
    def test_bytes_and_signatures_are_the_vendors(
        self, carrier: Tree, size: int, digest: str, signature: str
    ) -> None:
        """The craft makes the published bytes, and the gate verifies the published signature."""
        canonical = rfc8785.dumps(carrier["passport_json"])
        assert (len(canonical), sha256(canonical).hexdigest()) == (size, digest)
        assert carrier["signature"] == signature
        assert code(carrier) == "ok"

    def test_a_chain_is_one_passport_with_its_parents(self) -> None:
        found = judged(below(fixture_root()))
        assert isinstance(found, Passport)
        assert found.id == "pp_self_fixture_root/pp_delegate_fixture_leaf"
        assert found.issuer == IDS[0][3]
        assert found.key_id == thumbprint(public(ROOT_SEED))
        assert found.holder is not None
        assert found.holder.key == public(LEAF_SEED)
        assert [link.id for link in found.chain] == ["pp_self_fixture_root"]
        assert "delegation_chain" not in found.claims["provenance"]

    def test_times_are_cut_to_seconds(self) -> None:
        tree = envelope()
        tree["provenance"]["issued_at"] = "2026-04-22T00:00:00.999Z"
        found = judged(signed(tree))
        assert isinstance(found, Passport)
        assert (found.issued_at, found.expires_at) == (1776816000, 1779408000)


def put(*path: Any) -> Callable[[Any], Callable[[Tree], None]]:
    """Makes what sets the member at `path`."""

    def to(value: Any) -> Callable[[Tree], None]:
        def alter(tree: Tree) -> None:
            place: Any = tree
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = value

        return alter

    return to


def drop(*path: str) -> Callable[[Tree], None]:
    def alter(tree: Tree) -> None:
        place = tree
        for name in path[:-1]:
            place = place[name]
        del place[path[-1]]

    return alter


ISSUER = ("provenance", "issuer")
MALFORMED = "passport_malformed"
UNSUPPORTED = "passport_unsupported"
ORPHAN = {"type": "delegate", "id": "delegate:pp_root", "key_id": "self"}
ROOT_KEY = standard(public(ROOT_SEED))
PUBLIC_KEY = put("identity", "public_key")
LIMITS = put("permissions", 0, "constraints")

SHAPES: list[tuple[str, Callable[[Tree], None], str]] = [
    ("version as text", put("schema_version")("2"), MALFORMED),
    ("version true", put("schema_version")(True), MALFORMED),
    ("version 2.0", put("schema_version")(2.0), MALFORMED),
    ("version 1", put("schema_version")(1), UNSUPPORTED),
    ("version 3", put("schema_version")(3), UNSUPPORTED),
    ("a member too many", put("nickname")("x"), UNSUPPORTED),
    ("one in identity", put("identity", "email")("x"), UNSUPPORTED),
    ("one in provenance", put("provenance", "audience")("x"), UNSUPPORTED),
    ("one in issuer", put(*ISSUER, "domain")("x"), UNSUPPORTED),
    ("one in a permission", put("permissions", 0, "target")("x"), UNSUPPORTED),
    ("a member missing", drop("verification_evidence"), MALFORMED),
    ("null left out", drop("provenance", "gate_id"), MALFORMED),
    ("evidence", put("verification_evidence")([{"dns": "x"}]), UNSUPPORTED),
    ("evidence that is no list", put("verification_evidence")({}), MALFORMED),
    ("authority as number", put("delegation_authority")(1), MALFORMED),
    ("a name that is a number", put("identity", "agent_name")(7), MALFORMED),
    ("identity as text", put("identity")("x"), MALFORMED),
    ("chain as object", put("provenance", "delegation_chain")({}), MALFORMED),
    ("chain of none", put("provenance", "delegation_chain")([]), "chain_invalid"),
    ("issuer of another type", put(*ISSUER, "type")("root"), UNSUPPORTED),
    ("issuer of no type", put(*ISSUER, "type")(None), UNSUPPORTED),
    ("key in base64url", PUBLIC_KEY(IDS[1][1].replace("/", "_")), MALFORMED),
    ("key without padding", PUBLIC_KEY(ROOT_KEY[:-1]), MALFORMED),
    ("key with a line end", PUBLIC_KEY(ROOT_KEY + "\n"), MALFORMED),
    ("key with unused bits", PUBLIC_KEY(ROOT_KEY[:-2] + "l="), MALFORMED),
    ("key of small order", PUBLIC_KEY(standard(bytes(32))), MALFORMED),
    ("key of 31 bytes", PUBLIC_KEY(standard(bytes(31))), MALFORMED),
    ("key in other letters", PUBLIC_KEY("é" * 44), MALFORMED),
    ("key that is a number", PUBLIC_KEY(5), MALFORMED),
    ("permissions as object", put("permissions")({}), MALFORMED),
    ("permission as text", put("permissions")(["api:read"]), MALFORMED),
    ("no constraints", put("permissions")([{"permission_key": "a"}]), MALFORMED),
    ("constraints as list", LIMITS([]), MALFORMED),
    ("a text for a number", LIMITS({"core:rate:max_per_minute": "5"}), MALFORMED),
    ("a permission twice", put("permissions")(envelope()["permissions"] * 2), MALFORMED),
    ("an empty permission key", put("permissions", 0, "permission_key")(""), MALFORMED),
    ("an id with a control character", put("passport_id")("a\nb"), MALFORMED),
    ("issued at junk", put("provenance", "issued_at")("junk"), MALFORMED),
    ("issued at a number", put("provenance", "issued_at")(5), MALFORMED),
    ("without milliseconds", put("provenance", "expires_at")("2026-05-22T00:00:00Z"), MALFORMED),
    ("with an offset", put("provenance", "expires_at")("2026-05-22T00:00:00.000+00:00"), MALFORMED),
    ("on no day", put("provenance", "expires_at")("2026-02-30T00:00:00.000Z"), MALFORMED),
    ("before 1970", put("provenance", "issued_at")("1969-12-31T23:59:59.999Z"), MALFORMED),
    ("half a pin", put("provenance", "catalog_version")(3), MALFORMED),
    ("an agent of another key", put("identity", "agent_id")(IDS[1][2]), MALFORMED),
    ("an issuer of another key", put(*ISSUER, "id")("self:" + "0" * 64), MALFORMED),
    ("another key id", put(*ISSUER, "key_id")("key-1"), MALFORMED),
    ("a platform under a key's name", put(*ISSUER, "type")("platform"), MALFORMED),
    ("a delegate without parents", put(*ISSUER)(ORPHAN), "chain_invalid"),
    ("a number beyond doubles", LIMITS({"x": 1e300}), MALFORMED),
]  # fmt: skip


class TestShape:
    """Check 4: each fault signed as if it were right."""

    @pytest.mark.parametrize(
        ("alter", "expected"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES]
    )
    def test_of_the_envelope(self, alter: Callable[[Tree], None], expected: str) -> None:
        tree = envelope()
        alter(tree)
        assert code(signed(tree)) == expected

    def test_a_self_issued_one_is_pinned_to_nothing(self) -> None:
        """It could name any older price."""
        tree = envelope()
        tree["provenance"] |= {
            "gate_id": "gate", "catalog_version": 1, "catalog_content_hash": "sha256:00",
        }  # fmt: skip
        assert code(signed(tree)) == MALFORMED

    @pytest.mark.parametrize(
        ("carrier", "expected"),
        [
            ({**signed(envelope()), "x": 1}, UNSUPPORTED),
            ({"passport_json": envelope()}, MALFORMED),
            ({"passport_json": [], "signature": SELF_SIGNATURE}, MALFORMED),
            ({"passport_json": envelope(), "signature": SELF_SIGNATURE.rstrip("=")}, MALFORMED),
            ({"passport_json": envelope(), "signature": SELF_SIGNATURE + "\n"}, MALFORMED),
            (
                {
                    "passport_json": envelope(),
                    "signature": SELF_SIGNATURE.replace("+", "-").replace("/", "_"),
                },
                MALFORMED,
            ),
            ({"passport_json": envelope(), "signature": ROOT_SIGNATURE}, "signature_invalid"),
        ],
    )
    def test_of_what_carries_it(self, carrier: Any, expected: str) -> None:
        assert code(carrier) == expected

    @pytest.mark.parametrize(
        "raw",
        [
            b"[]",
            b"{}",
            b'{"passport_json":1,"passport_json":2,"signature":"x"}',
            b"no json",
        ],
    )
    def test_what_is_no_envelope_is_no_passport(self, raw: bytes) -> None:
        found = verify(b64(raw), ANYONE, ACCEPT)
        assert isinstance(found, Refusal)
        assert found.code == MALFORMED
        assert verify("a+b", ANYONE, ACCEPT) == Refusal(
            MALFORMED,
            "A passport is three parts of base64url, joined by dots, or one that is an envelope.",
        )

    def test_numbers_are_judged_as_they_are_signed(self) -> None:
        """10.0 is signed as 10, and what a double cannot hold is not read as something near it."""
        tree = envelope()
        tree["permissions"][0]["constraints"] = {"core:rate:max_per_minute": 10}
        text = json.dumps(signed(tree))
        spelt = verify(b64(text.replace(": 10}", ": 10.0}").encode()), ANYONE, ACCEPT)
        assert isinstance(spelt, Passport)
        assert spelt.permissions[0].constraints.values == {"core:rate:max_per_minute": 10}
        tree["permissions"][0]["constraints"] = {"x": [0.1, {"y": 0.5}]}
        text = json.dumps(signed(tree))
        assert isinstance(verify(b64(text.encode()), ANYONE, ACCEPT), Passport)
        near = text.replace("0.1,", "0.10000000000000000001,")
        assert near != text
        found = verify(b64(near.encode()), ANYONE, ACCEPT)
        assert isinstance(found, Refusal)
        assert found.code == MALFORMED
        huge = text.replace("0.1,", "1e999999999,")
        assert isinstance(verify(b64(huge.encode()), ANYONE, ACCEPT), Refusal)

    def test_one_byte_more_than_64_kib_is_too_large(self) -> None:
        """Also of a chain, which doubles with each parent."""
        chain = [fixture_root()]
        seeds = [ROOT_SEED]
        for depth in range(5):
            seed = bytes([depth + 40]) * 32
            chain.append(
                below(
                    *chain,
                    child=seed,
                    by=seeds[-1],
                    name="pp_" + str(depth) * 200,
                    alter=lambda tree: tree.update(delegation_authority=True),
                )
            )
            seeds.append(seed)
        sizes = [len(carried(each)) for each in chain]
        assert sizes[-1] > 2 * sizes[-2]
        assert [code(each) for each in chain[1:4]] == ["ok"] * 3
        big = envelope(passport_id="p" * 200)
        big["identity"]["agent_name"] = "n" * 65536
        assert code(signed(big)) == "passport_too_large"


class TestIssuers:
    """Checks 5 and 6: whose key signs by each type of issuer."""

    @pytest.mark.parametrize("kind", ["platform", "gate"])
    def test_platforms_and_gates_are_entries_with_keys(self, kind: str) -> None:
        tree = platform()
        tree["provenance"]["issuer"]["type"] = kind
        found = judged(signed(tree, SEED))
        assert isinstance(found, Passport)
        assert (found.issuer, found.agent, found.key_id) == ("iss_lab", "agent-7", "key-1")
        assert code(signed(tree, ROOT_SEED)) == "signature_invalid"
        tree["provenance"]["issuer"]["key_id"] = "key-2"
        assert code(signed(tree, SEED)) == "key_unknown"
        tree["provenance"]["issuer"]["id"] = "iss_other"
        assert code(signed(tree, SEED)) == "issuer_unknown"

    def test_an_issuer_of_other_formats_is_not_trusted(self) -> None:
        assert code(signed(platform(), SEED), trust()) == "issuer_untrusted"

    def test_a_key_is_nobody_where_none_is_accepted(self) -> None:
        closed = trust(issuer(formats=["envelope"], keys=key_set()))
        assert code(signed(envelope()), closed) == "issuer_unknown"
        assert examine(carried(signed(envelope())), closed, ACCEPT)[1] is None
        assert examine(carried(signed(envelope())), ANYONE, ACCEPT)[1] is not None

    def test_a_catalog_is_kept(self) -> None:
        tree = platform()
        tree["provenance"] |= {
            "gate_id": "gate", "catalog_version": 3, "catalog_content_hash": "sha256:ab",
        }  # fmt: skip
        root = signed({**tree, "delegation_authority": True}, SEED)
        found = judged(root)
        assert isinstance(found, Passport)
        assert found.kept_pins == {"gate": CatalogPin(3, "sha256:ab")}
        leaf = judged(below(root, child=ROOT_SEED, by=LEAF_SEED))
        assert isinstance(leaf, Passport)
        assert leaf.kept_pins == found.kept_pins

    def test_a_gate_without_a_catalog_is_told_all_the_same(self) -> None:
        tree = platform()
        tree["provenance"]["gate_id"] = "gate"
        found = judged(signed(tree, SEED))
        assert isinstance(found, Passport)
        assert found.pins == {}

    def test_the_cache_keeps_it_while_keys_stay(self) -> None:
        """A self-issued one has no keys that could change."""
        from passgate.core.verified_cache import VerifiedCache

        cache = VerifiedCache()
        first = verify(carried(signed(envelope())), ANYONE, ACCEPT, cache)
        assert verify(carried(signed(envelope())), ANYONE, ACCEPT, cache) is first
        assert NOW.age_of(ANYONE.issuer_of(IDS[0][3]).keys.read_at) == 0.0  # type: ignore[union-attr]  # it is there


def granting(**limits: Any) -> Callable[[Tree], None]:
    return put("permissions")([{"permission_key": "api:read", "constraints": limits}])


def parent_of(alter: Callable[[Tree], None] | None = None) -> Tree:
    tree = envelope(passport_id="pp_root", delegation_authority=True)
    if alter is not None:
        alter(tree)
    return signed(tree)


HOURS = [{"days": ["mon"], "from": "09:00", "to": "17:00"}]
PAIRS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("a lower limit", {"max_daily_cost": 10}, {"max_daily_cost": 5}, "ok"),
    ("the same limit", {"max_daily_cost": 10}, {"max_daily_cost": 10}, "ok"),
    ("a higher limit", {"max_daily_cost": 10}, {"max_daily_cost": 11}, "chain_widened"),
    ("a limit left out", {"max_daily_cost": 10}, {}, "ok"),
    ("a limit of its own", {}, {"max_daily_cost": 5}, "chain_widened"),
    ("fewer models", {"allowed_models": ["a", "b"]}, {"allowed_models": ["b"]}, "ok"),
    ("another model", {"allowed_models": ["a"]}, {"allowed_models": ["b"]}, "chain_widened"),
    ("the same rate", {"core:rate:max_per_minute": 10}, {"core:rate:max_per_minute": 10}, "ok"),
    ("a lower rate", {"core:rate:max_per_hour": 9}, {"core:rate:max_per_hour": 5}, "chain_widened"),
    ("true for 1", {"x": 1}, {"x": True}, "chain_widened"),
    ("the same object", {"x": {"y": [1, "a"]}}, {"x": {"y": [1, "a"]}}, "ok"),
    ("another object", {"x": {"y": 1}}, {"x": {"y": 2}}, "chain_widened"),
    ("another member", {"x": {"y": 1}}, {"x": {"z": 1}}, "chain_widened"),
    ("a longer list", {"x": [1]}, {"x": [1, 1]}, "chain_widened"),
    ("other hours", {"operating_hours": HOURS}, {"operating_hours": HOURS[0]}, "chain_widened"),
]  # fmt: skip


class TestChains:
    """Checks 4, 6 and 10 of a chain."""

    @pytest.mark.parametrize(
        ("held", "given", "expected"), [row[1:] for row in PAIRS], ids=[row[0] for row in PAIRS]
    )
    def test_constraints_of_a_child(
        self, held: dict[str, Any], given: dict[str, Any], expected: str
    ) -> None:
        assert code(below(parent_of(granting(**held)), alter=granting(**given))) == expected

    @pytest.mark.parametrize("pattern", ["api:*", "*"])
    def test_a_star_covers_nothing_but_itself(self, pattern: str) -> None:
        wide = put("permissions")([{"permission_key": pattern, "constraints": {}}])
        assert code(below(parent_of(wide))) == "chain_widened"
        assert code(below(parent_of(wide), alter=wide)) == "ok"

    def test_a_child_must_not_outlive_its_parent(self) -> None:
        """By a millisecond."""
        later = put("provenance", "expires_at")("2026-05-22T00:00:00.001Z")
        assert code(below(fixture_root(), alter=later)) == "chain_widened"

    def test_a_parent_must_be_allowed_to_delegate(self) -> None:
        assert code(below(signed(envelope()))) == "chain_invalid"

    def test_a_child_is_signed_by_its_parents_key(self) -> None:
        assert code(below(fixture_root(), by=LEAF_SEED)) == "signature_invalid"

    @pytest.mark.parametrize(
        ("alter", "expected"),
        [
            (put(*ISSUER, "id")("delegate:pp_other"), "chain_invalid"),
            (put(*ISSUER, "key_id")("key-1"), "chain_invalid"),
            (put("passport_id")("pp_self_fixture_root"), "chain_invalid"),
            (put("passport_id")("a/b"), "chain_invalid"),
            (put("identity", "agent_id")("agent_self_" + "A" * 32), MALFORMED),
            (put("provenance", "delegation_chain")([1]), MALFORMED),
            (put("provenance", "delegation_chain")([fixture_root()] * 6), "chain_too_deep"),
        ],
    )
    def test_one_fault_in_the_leaf(self, alter: Callable[[Tree], None], expected: str) -> None:
        assert code(below(fixture_root(), alter=alter)) == expected

    def test_who_issues_for_itself_has_no_parents(self) -> None:
        """The vendor's verifier takes it."""
        tree = envelope(LEAF_SEED)
        tree["provenance"]["delegation_chain"] = [fixture_root()]
        assert code(signed(tree)) == "chain_invalid"

    def test_a_chain_begins_with_a_root(self) -> None:
        root = fixture_root()
        middle = below(root, alter=lambda tree: tree.update(delegation_authority=True))
        assert code(below(middle, child=THIRD_SEED, by=LEAF_SEED)) == "chain_invalid"

    def test_inner_chains_are_those_before(self) -> None:
        """The vendor's verifier never compares them."""
        root = fixture_root()

        def without(tree: Tree) -> None:
            tree["delegation_authority"] = True

        middle = below(root, alter=without, name="pp_middle")
        good = below(root, middle, child=THIRD_SEED, by=LEAF_SEED, name="pp_leaf")
        assert code(good) == "ok"
        found = judged(good)
        assert isinstance(found, Passport)
        assert found.id == "pp_self_fixture_root/pp_middle/pp_leaf"

        other = signed({**root["passport_json"], "passport_id": "pp_self_fixture_root"})
        other["passport_json"] = {**other["passport_json"], "permissions": []}
        stranger = below(other, alter=without, name="pp_middle")
        assert code(below(root, stranger, child=THIRD_SEED, by=LEAF_SEED)) == "chain_invalid"

        def bare(tree: Tree) -> None:
            without(tree)
            tree["provenance"]["delegation_chain"] = None

        loose = below(root, alter=bare, name="pp_middle")
        assert code(below(root, loose, child=THIRD_SEED, by=LEAF_SEED)) == "chain_invalid"

    def test_a_root_in_the_middle_is_no_root(self) -> None:
        root = fixture_root()
        second = signed(envelope(LEAF_SEED, delegation_authority=True), LEAF_SEED)
        assert code(below(root, second, child=THIRD_SEED, by=LEAF_SEED)) == "chain_invalid"

    def test_a_platforms_chain_ends_in_its_issuer(self) -> None:
        root = signed(platform(delegation_authority=True), SEED)
        found = judged(below(root, child=ROOT_SEED, by=LEAF_SEED))
        assert isinstance(found, Passport)
        assert found.flaw is None
        assert found.issuer == "iss_lab"
        assert public(SEED) == KEY
