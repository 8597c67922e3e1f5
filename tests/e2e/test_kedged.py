# SPDX-License-Identifier: Apache-2.0
"""kedged as a process: what it leaves on the disk, how it starts and how it ends."""

from conftest import VECTORS

IMAGE = VECTORS / "image/esp32-1.0.0.bin"


def test_what_kedged_writes_is_closed_to_other_users(data_dir, kedge, request):
    def paths():
        return set(data_dir.path.rglob("*"))

    made_by_init = paths()
    request.getfixturevalue("kedged")
    assert kedge("release", "add", IMAGE, data=data_dir.path).returncode == 0
    found = {str(p.relative_to(data_dir.path)): p for p in paths() - made_by_init}
    assert {"kedge.db", "releases", "tmp"} <= found.keys()
    assert any(name.startswith("releases/") for name in found)
    for name, path in found.items():
        expected = 0o700 if path.is_dir() else 0o600
        assert path.stat().st_mode & 0o777 == expected, (name, oct(path.stat().st_mode))
    assert data_dir.path.stat().st_mode & 0o777 == 0o755
