#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Real programs over lo, over the same taken over, and over rlo's own: fixed work, all of it checked."""

import hashlib
import os
import random
import signal
import socket
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../lib")]
import kernel  # pylint: disable=wrong-import-position
import ktap  # pylint: disable=wrong-import-position
import net  # pylint: disable=wrong-import-position
from servers import (ADDRESSES, RUN_LIMIT, Results, Server,  # pylint: disable=wrong-import-position
                     Watch, found, fresh, put, run, url_host)

LIMIT = 1800
REPS = int(os.environ.get("RNET_REPS", "2"))
POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def noise(size, seed):
    """Bytes that do not compress, the same each time."""
    return random.Random(seed).randbytes(size)


def sha256(path):
    """The checksum of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- PostgreSQL ------------------------------------------------------------------

CLIENTS, TRANSACTIONS = 4, 50
PG_CONF = """listen_addresses = '127.0.0.1, ::1'
unix_socket_directories = ''
shared_buffers = 32MB
fsync = off
autovacuum = off
"""


def pg_bin(name):
    """A program of the server, whichever version it is."""
    base = "/usr/lib/postgresql"
    return "%s/%s/bin/%s" % (base, sorted(os.listdir(base), key=int)[-1], name)


def sql(query):
    """The answer to a query, over the other protocol version's address each time."""
    return run("psql", "-XAtq", "-h", "::1", "-U", "postgres", "-c", query, "postgres").split()


@ktap.case(net.LANES, limit=LIMIT)
def postgresql(lane):
    """pgbench: the four sums are equal and no transaction is missing or there twice."""
    env, results = net.enter(lane), Results("PostgreSQL, pgbench", lane)
    data, template = fresh("/tmp/pg", "postgres") + "/data", "/tmp/pg-template"
    if not os.path.exists(template + "/postgresql.conf"):
        fresh(template, "postgres")
        run(*POSTGRES, pg_bin("initdb"), "--no-sync", "-A", "trust", "-U", "postgres", "--no-locale", "-D", template)
    run("cp", "-a", template, data)
    put(data + "/postgresql.conf", PG_CONF)
    watch = Watch(env)
    server = Server(POSTGRES + [pg_bin("postgres"), "-D", data], 5432)
    results.timed("load 100,000 rows", "rows/s", 100000, run, "pgbench", "-i", "-q", "-h", "127.0.0.1",
                  "-U", "postgres", "postgres")
    runs = 0
    for _ in range(REPS):
        for address in ADDRESSES:
            text = run("pgbench", "-n", "-c", str(CLIENTS), "-j", "2", "-t", str(TRANSACTIONS), "-h", address,
                       "-U", "postgres", "postgres")
            done, = found("pgbench", r"actually processed: (\d+/\d+)", text)
            ktap.equal("transactions on " + address, done, "%d/%d" % ((CLIENTS * TRANSACTIONS,) * 2))
            ktap.equal("failed", found("pgbench", r"failed transactions: (\d+)", text)[0], "0")
            results.add("transactions, %s" % address, "1/s", float(found("pgbench", r"tps = ([\d.]+)", text)[0]))
            runs += 1
    sums = [sql("SELECT sum(%s) FROM pgbench_%s" % pair)[0] for pair in
            (("abalance", "accounts"), ("tbalance", "tellers"), ("bbalance", "branches"), ("delta", "history"))]
    ktap.check(len(set(sums)) == 1, "the sums differ: %r" % sums)
    ktap.equal("rows of history", sql("SELECT count(*) FROM pgbench_history"), [str(runs * CLIENTS * TRANSACTIONS)])
    ktap.equal("rows of accounts", sql("SELECT count(*), count(DISTINCT aid) FROM pgbench_accounts"), ["100000|100000"])
    server.stop()
    watch.check(runs * CLIENTS * TRANSACTIONS * 10)


# --- nginx -----------------------------------------------------------------------

REQUESTS, THREADS = 500, 2
NGINX_CONF = """daemon off; worker_processes 1; pid /tmp/www/pid; error_log /tmp/www/error.log;
events { worker_connections 256; }
http { access_log /tmp/www/access.log; root /tmp/www/files; sendfile on;
  server { listen 127.0.0.1:8080; listen [::1]:8080; } }
"""
# Each thread stops after its share, and says so in a file; every body is compared.
WRK_LUA = """local file = io.open("/tmp/www/files/small", "rb")
local want, threads, count = file:read("*a"), {}, 0
wrong = 0
function setup(thread) table.insert(threads, thread) end
function response(status, headers, body)
  count = count + 1
  if status ~= 200 or body ~= want then wrong = wrong + 1 end
  if count == %d then
    local mark = io.open("/tmp/www/done", "a")
    mark:write("x")
    mark:close()
    wrk.thread:stop()
  end
end
function done(summary, latency, requests)
  local e, bad = summary.errors, 0
  for _, thread in ipairs(threads) do bad = bad + thread:get("wrong") end
  print(string.format("DONE %%d requests, errors %%d, wrong %%d", summary.requests,
    e.connect + e.read + e.write + e.status + e.timeout, bad))
end
"""


def wrk(url):
    """A fixed number of requests: wrk knows only a time, which an interrupt ends."""
    put("/tmp/www/done", "")
    with subprocess.Popen(["wrk", "-t", str(THREADS), "-c", "8", "-d", "%ds" % LIMIT, "--timeout", "60s",
                           "-s", "/tmp/www/wrk.lua", url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            ktap.wait_for("all requests are answered", lambda: process.poll() is not None or
                          os.path.getsize("/tmp/www/done") == THREADS, RUN_LIMIT)
        finally:
            process.send_signal(signal.SIGINT)
        return process.communicate()[0].decode()


@ktap.case(net.LANES, limit=LIMIT)
def nginx(lane):
    """wrk: no error, every body right; downloads have the checksum of the file."""
    env, results = net.enter(lane), Results("nginx, wrk", lane)
    files = fresh(fresh("/tmp/www") + "/files")
    put(files + "/small", noise(10000, 1))
    put(files + "/big", noise(24 << 20, 2))
    put("/tmp/www/wrk.lua", WRK_LUA % REQUESTS)
    os.chmod("/tmp/www", 0o755)
    watch = Watch(env)
    server = Server(["nginx", "-c", put("/tmp/www/conf", NGINX_CONF)], 8080)
    for _ in range(REPS):
        for address in ADDRESSES:
            url = "http://%s:8080/" % url_host(address)
            text = results.timed("requests, %s" % address, "1/s", THREADS * REQUESTS, wrk, url + "small")
            done, errors, wrong = found("wrk", r"DONE (\d+) requests, errors (\d+), wrong (\d+)", text)
            ktap.check(int(done) >= THREADS * REQUESTS, "only %s requests were answered" % done)
            ktap.equal("errors, wrong bodies on " + address, (errors, wrong), ("0", "0"))
            results.timed("download, %s" % address, "MB/s", 24 * 1.048576, run, "curl", "-sSfg",
                          "-o", "/tmp/www/got", url + "big")
            ktap.equal("sha256 of the download", sha256("/tmp/www/got"), sha256(files + "/big"))
    server.stop()
    # The log says what nginx has sent: all of it with status 200.
    lines = kernel.read("/tmp/www/access.log").splitlines()
    ktap.check(len(lines) >= REPS * 2 * (THREADS * REQUESTS + 1), "nginx logged only %d requests" % len(lines))
    ktap.equal("requests with another status", [line for line in lines if '" 200 ' not in line][:3], [])
    watch.check(REPS * 2 * THREADS * REQUESTS * 2)


# --- Redis -----------------------------------------------------------------------

KEYS, OPERATIONS = 5000, 2000


def redis_value(i):
    """The value of a key."""
    return hashlib.sha256(b"%d" % i).hexdigest() * (1 + i % 20)


def redis_read_all(address):
    """The values of all keys, by a client that is not redis-cli."""
    values = []
    with socket.create_connection((address, 6379), timeout=60) as sock, sock.makefile("rb") as reader:
        for first in range(0, KEYS, 100):
            sock.sendall(b"".join(b"GET key:%d\r\n" % i for i in range(first, first + 100)))
            for _ in range(100):
                size = int(reader.readline()[1:])
                values.append(reader.read(size + 2)[:-2].decode())
    return values


@ktap.case(net.LANES, limit=LIMIT)
def redis(lane):
    """redis-benchmark; keys written with redis-cli --pipe are all there, each with its value."""
    env, results = net.enter(lane), Results("Redis, redis-benchmark", lane)
    watch = Watch(env)
    server = Server(["redis-server", "--bind", "127.0.0.1", "::1", "--port", "6379", "--save", "", "--appendonly", "no",
                     "--dir", fresh("/tmp/redis")], 6379)
    commands = "".join("SET key:%d %s\r\n" % (i, redis_value(i)) for i in range(KEYS)).encode()
    for address in ADDRESSES:
        run("redis-cli", "-h", address, "flushall")
        text = results.timed("redis-cli --pipe, %s" % address, "keys/s", KEYS, lambda a=address: run(
            "redis-cli", "-h", a, "--pipe", stdin=commands))
        ktap.equal("pipe on " + address, found("pipe", r"errors: (\d+), replies: (\d+)", text), ("0", str(KEYS)))
        ktap.equal("DBSIZE", run("redis-cli", "-h", address, "dbsize").strip(), str(KEYS))
        ktap.check(redis_read_all(address) == [redis_value(i) for i in range(KEYS)], "values differ on " + address)
    for _ in range(REPS):
        for address in ADDRESSES:
            text = run("redis-benchmark", "-h", address, "-c", "8", "-n", str(OPERATIONS), "-d", "200",
                       "-t", "set,get,lpush", "--csv")
            rows = [line.replace('"', "").split(",") for line in text.splitlines() if line.startswith('"')][1:]
            ktap.equal("benchmarks", [row[0] for row in rows], ["SET", "GET", "LPUSH"])
            for row in rows:
                results.add("%s, %s" % (row[0], address), "1/s", float(row[1]))
    ktap.equal("LLEN", run("redis-cli", "llen", "mylist").strip(), str(REPS * 2 * OPERATIONS))
    stats = run("redis-cli", "info", "stats")
    ktap.equal("rejected connections", found("info", r"rejected_connections:(\d+)", stats)[0], "0")
    server.stop()
    watch.check(REPS * 2 * OPERATIONS * 6)


# --- DNS -------------------------------------------------------------------------

NAMES = 400
NSD_CONF = """server:
  ip-address: 127.0.0.1@5300
  ip-address: ::1@5300
  zonesdir: /tmp/nsd
  pidfile: /tmp/nsd/pid
  xfrdfile: /tmp/nsd/xfrd
  zonelistfile: /tmp/nsd/list
  username: ""
  server-count: 1
  minimal-responses: yes
remote-control:
  control-enable: no
zone:
  name: example.test
  zonefile: zone
"""


def dns_question(number, name):
    """A query for an A record."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
    return struct.pack("!6H", number, 0, 1, 0, 0, 0) + labels + b"\0\1\0\1"


def dns_addresses(address):
    """The address of each name, by a client that is not dnsperf."""
    found_addresses = []
    with socket.socket(net.family(address), socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.connect((address, 5300))
        for i in range(NAMES):
            question = dns_question(i, "host%d.example.test" % i)
            sock.send(question)
            answer = sock.recv(4096)
            number, flags, _, count = struct.unpack_from("!4H", answer)
            ktap.equal("DNS answer", (number, flags & 15, count), (i, 0, 1))
            found_addresses.append(socket.inet_ntoa(answer[len(question) + 12:][:4]))
    return found_addresses


@ktap.case(net.LANES, limit=LIMIT)
def dns(lane):
    """nsd and dnsperf over UDP and TCP: all answered, all NOERROR, none lost."""
    env, results = net.enter(lane), Results("nsd, dnsperf", lane)
    fresh("/tmp/nsd")
    hosts = ["192.0.2.%d" % (i % 250) for i in range(NAMES)]
    zone = "$TTL 60\n@ IN SOA ns.example.test. root.example.test. 1 60 60 60 60\n@ IN NS ns\nns IN A 127.0.0.1\n"
    for i, host in enumerate(hosts):
        zone += "host%d IN A %s\nhost%d IN TXT \"%s\"\n" % (i, host, i, "x" * 200)
    put("/tmp/nsd/zone", zone)
    queries = put("/tmp/nsd/queries", "".join("host%d.example.test %s\n" % (i, kind)
                                              for i in range(NAMES) for kind in ("A", "TXT")))
    watch = Watch(env)
    server = Server(["nsd", "-d", "-c", put("/tmp/nsd/conf", NSD_CONF)], 5300)
    for address in ADDRESSES:
        ktap.equal("addresses", dns_addresses(address), hosts)
    total = NAMES * 2 * 2
    for _ in range(REPS):
        for address in ADDRESSES:
            for way in ("udp", "tcp"):
                text = run("dnsperf", "-s", address, "-p", "5300", "-d", queries, "-n", "2", "-c", "4", "-q", "20",
                           "-t", "60", "-m", way)
                ktap.equal("lost over %s, %s" % (way, address), found("dnsperf", r"Queries lost: +(\d+)", text)[0], "0")
                ktap.equal("completed", found("dnsperf", r"Queries completed: +(\d+)", text)[0], str(total))
                ktap.equal("answers", found("dnsperf", r"Response codes: +(.*?)$", text)[0],
                           "NOERROR %d (100.00%%)" % total)
                results.add("%s, %s" % (way.upper(), address), "1/s",
                            float(found("dnsperf", r"Queries per second: +([\d.]+)", text)[0]))
    server.stop()
    watch.check(REPS * 2 * 2 * total)


# --- OpenSSH ---------------------------------------------------------------------

SSH_SIZE = 8 << 20
SSHD_CONF = """ListenAddress 127.0.0.1:2222
ListenAddress [::1]:2222
HostKey /tmp/ssh/host
AuthorizedKeysFile /tmp/ssh/user.pub
PidFile /tmp/ssh/pid
PermitRootLogin yes
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""


@ktap.case(net.LANES, limit=LIMIT)
def openssh(lane):
    """sftp there and scp back: the checksum stays."""
    env, results = net.enter(lane), Results("OpenSSH, sftp and scp", lane)
    fresh("/tmp/ssh")
    os.makedirs("/run/sshd", exist_ok=True)
    for name in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/tmp/ssh/" + name)
    source = put("/tmp/ssh/source", noise(SSH_SIZE, 3))
    watch = Watch(env)
    server = Server(["/usr/sbin/sshd", "-D", "-e", "-f", put("/tmp/ssh/conf", SSHD_CONF)], 2222)
    options = ["-i", "/tmp/ssh/user", "-F", "none", "-o", "StrictHostKeyChecking=no",
               "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-P", "2222"]
    for _ in range(REPS):
        for address in ADDRESSES:
            put("/tmp/ssh/batch", "put %s /tmp/ssh/there\n" % source)
            results.timed("sftp, %s" % address, "MB/s", SSH_SIZE / 1e6, run, "sftp", *options, "-b", "/tmp/ssh/batch",
                          "root@" + url_host(address))
            ktap.equal("sha256 there", sha256("/tmp/ssh/there"), sha256(source))
            results.timed("scp, %s" % address, "MB/s", SSH_SIZE / 1e6, run, "scp", *options, "-q",
                          "root@%s:/tmp/ssh/there" % url_host(address), "/tmp/ssh/back")
            ktap.equal("sha256 back", sha256("/tmp/ssh/back"), sha256(source))
            for name in ("there", "back"):
                os.unlink("/tmp/ssh/" + name)
    server.stop()
    watch.check(REPS * 2 * 2 * SSH_SIZE // 65536)


# --- NFS -------------------------------------------------------------------------

NFS_SIZE = 12 << 20


@ktap.case(net.LANES, limit=LIMIT)
def nfs(lane):
    """The kernel's NFS server and client, version 4.2: written, mounted anew, read; the checksum stays."""
    env, results = net.enter(lane), Results("NFS 4.2", lane)
    for module in ("nfsd", "nfsv4"):
        if subprocess.run(["modprobe", "-q", module], check=False).returncode:
            raise ktap.Skip("this kernel has no module %s" % module)
    export, there = fresh("/tmp/nfs") + "/export", "/tmp/nfs/mnt"
    os.makedirs(export)
    os.makedirs(there)
    kernel.mount("nfsd", "/proc/fs/nfsd", "nfsd")
    put("/etc/exports", "%s *(rw,no_root_squash,insecure,fsid=0,no_subtree_check)\n" % export)
    source = put("/tmp/nfs/source", noise(NFS_SIZE, 4))
    watch = Watch(env)
    run("exportfs", "-r")
    # It says that it cannot register with rpcbind, which only version 3 needs.
    mountd = subprocess.Popen(["rpc.mountd", "-F", "-N", "3"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # The first writer has to wait for the end of the grace time, 90 s if nothing is said.
    run("rpc.nfsd", "-N", "3", "-G", "10", "-L", "10", "2")
    try:
        for _ in range(REPS):
            for address in ADDRESSES:
                where = url_host(address) + ":/"
                for way, pair in (("write", (source, there + "/file")), ("read", (there + "/file", "/tmp/nfs/back"))):
                    # Mounted for each direction: nothing comes from the client's cache.
                    run("mount", "-t", "nfs4", "-o", "vers=4.2,proto=%s" % ("tcp6" if ":" in address else "tcp"),
                        where, there)
                    results.timed("%s, %s" % (way, address), "MB/s", NFS_SIZE / 1e6, run, "dd", "bs=1M", "conv=fsync",
                                  "if=" + pair[0], "of=" + pair[1])
                    run("umount", there)
                ktap.equal("sha256 at the server", sha256(export + "/file"), sha256(source))
                ktap.equal("sha256 back", sha256("/tmp/nfs/back"), sha256(source))
                os.unlink(export + "/file")
    finally:
        subprocess.run(["umount", "-lq", there], check=False)
        run("rpc.nfsd", "0")
        mountd.terminate()
        mountd.wait()
    watch.check(REPS * 2 * 2 * NFS_SIZE // 65536 // 2)


if __name__ == "__main__":
    sys.exit(net.main())
