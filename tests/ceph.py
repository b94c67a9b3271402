"""An object store of the suite's own: one node of Ceph, on loopback, gone with its test.

A monitor, one OSD that holds everything in memory, and a radosgw in front of them, which speaks S3.
Nobody but loopback is listened to, and nothing is asked of the machine but memory: some 150 MB.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from tests.s3 import Store, daemon, free_port, wait_for
from tests.services import is_missing

PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph")
ACCESS_KEY, SECRET_KEY = "SITREPCEPHKEY0001", "seldom-told-secret-of-the-ceph-1"
_ENOUGH_SECONDS = 60

# paxos_propose_interval: a monitor gathers changes for a second before it agrees with itself, and
# there are a dozen before the first object. With this and memory for a disk the start takes two
# seconds instead of sixteen.
# ms_mon_client_mode: without authentication there is no secure mode, which radosgw asks for first.
# mon_data_avail: a monitor stops where less than 5 % of a disk is free, however large the disk.
_SETTINGS = """
[global]
fsid = {fsid}
mon_initial_members = a
mon_host = v2:127.0.0.1:{mon}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
ms_mon_client_mode = crc
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 2000
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.02
paxos_min_wait = 0.01
run_dir = {folder}
admin_socket = {folder}/$name.asok
log_file = {folder}/$name.log
crash_dir = {folder}
[mon]
mon_data = {folder}/mon
[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
[client.rgw]
rgw_data = {folder}
rgw_frontends = beast endpoint=127.0.0.1:{port}
rgw_thread_pool_size = 64
rgw_num_rados_handles = 1
rgw_gc_obj_min_wait = 30
rgw_gc_processor_period = 30
"""


def require() -> None:
    """Skip the test where Ceph is not installed, or fail it where it must be there."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            is_missing(f"Ceph ({program})")


@contextmanager
def server() -> Iterator[Store]:
    """Start a Ceph of our own and yield it, without a bucket yet."""
    require()
    with TemporaryDirectory(prefix="sitrep-ceph-") as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        _prepare(folder, port)
        conf = ("-c", str(folder / "ceph.conf"))
        log = folder / "output"
        osd = str(uuid4())
        monitor = stack.enter_context(daemon(["ceph-mon", *conf, "-i", "a", "-f"], log=log))
        _run("ceph-osd", *conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        _run("ceph", *conf, "osd", "new", osd)
        disk = stack.enter_context(daemon(["ceph-osd", *conf, "-i", "0", "-f"], log=log))
        gate = stack.enter_context(daemon(["radosgw", *conf, "-n", "client.rgw", "-f"], log=log))
        store = Store(f"http://127.0.0.1:{port}", ACCESS_KEY, SECRET_KEY)
        wait_for(store.endpoint, log=log, needs=(monitor, disk, gate))
        _make_user(conf)
        yield store


def _prepare(folder: Path, port: int) -> None:
    """Write the settings and the first state of monitor and OSD."""
    fsid, mon = str(uuid4()), free_port()
    for name in ("mon", "osd"):
        (folder / name).mkdir()
    settings = folder / "ceph.conf"
    settings.write_text(_SETTINGS.format(fsid=fsid, mon=mon, port=port, folder=folder))
    monmap = str(folder / "monmap")
    _run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{mon}]", "--fsid", fsid, monmap)
    _run("ceph-mon", "-c", str(settings), "-i", "a", "--mkfs", "--monmap", monmap)


def _make_user(conf: tuple[str, ...]) -> None:
    keys = (f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}")
    user = ("user", "create", "--uid=sitrep", "--display-name=sitrep")
    _run("radosgw-admin", *conf, "-n", "client.rgw", *user, *keys)


def _run(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_ENOUGH_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} exited {done.returncode}: {done.stderr[-2000:]}")
