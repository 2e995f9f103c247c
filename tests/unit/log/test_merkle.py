"""The tree is that of RFC 6962, so that any transparency tool can check it."""

import pytest

from passgate.log.merkle import (
    EMPTY_ROOT,
    Frontier,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_inclusion,
)

# The inputs and roots of the Certificate Transparency reference implementation's own tests.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def test_published_roots_are_reached_by_appending() -> None:
    """Every size of the reference tree has the reference root."""
    tree = Frontier()
    assert tree.root() == EMPTY_ROOT
    for hashed, root in zip(HASHES, ROOTS, strict=True):
        tree.append(hashed)
        assert tree.root().hex() == root


@pytest.mark.parametrize("split", range(9))
def test_extending_is_appending(split: int) -> None:
    """A frontier grown in two steps, or restored from its hashes, has the same root."""
    tree = Frontier()
    tree.extend(HASHES[:split])
    restored = Frontier(tree.size, tree.hashes)
    restored.extend(HASHES[split:])
    assert restored.root().hex() == ROOTS[-1]
    assert restored.size == 8


def test_a_copy_grows_alone() -> None:
    """Appending to a copy leaves the original as it was."""
    tree = Frontier()
    tree.append(HASHES[0])
    tree.copy().append(HASHES[1])
    assert tree.root().hex() == ROOTS[0]


def test_a_frontier_needs_one_hash_per_bit() -> None:
    """Hashes that cannot belong to the size are refused."""
    with pytest.raises(ValueError, match="one hash for each bit"):
        Frontier(3, HASHES[:1])


def test_a_leaf_cannot_pose_as_a_node() -> None:
    """The same bytes hash differently as leaf and as node."""
    assert leaf_hash(HASHES[0] + HASHES[1]) != node_hash(HASHES[0], HASHES[1])


@pytest.mark.parametrize("size", range(1, 20))
def test_each_leaf_can_be_proven_and_no_other(size: int) -> None:
    """A path proves its own leaf, at its own index, in its own tree, and nothing else."""
    hashes = [leaf_hash(bytes([n])) for n in range(size)]
    root = root_of(hashes)
    for index, hashed in enumerate(hashes):
        path = inclusion_proof(hashes, index)
        assert verify_inclusion(hashed, index, size, path, root)
        assert not verify_inclusion(leaf_hash(b"other"), index, size, path, root)
        assert not verify_inclusion(hashed, index, size, path, EMPTY_ROOT)
        assert not verify_inclusion(hashed, index, size, [*path, root], root)
        if path:
            assert not verify_inclusion(hashed, index, size, path[:-1], root)
        if size > 1:
            assert not verify_inclusion(hashed, (index + 1) % size, size, path, root)
    assert not verify_inclusion(hashes[0], size, size, [], root)


def test_there_is_no_path_to_a_leaf_that_is_not_there() -> None:
    """Asking beyond the tree is an error, not an empty path."""
    with pytest.raises(IndexError):
        inclusion_proof(HASHES, 8)
