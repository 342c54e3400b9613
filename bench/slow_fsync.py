"""A disk whose fsync takes as long as we say, for SQLite and PostgreSQL alike.

A small C library, compiled on the spot and loaded with LD_PRELOAD, stands in for `fsync` and `fdatasync`: it waits
and returns, so that the time is the same on every machine, and counts. Nothing measured this way is durable.

    with SlowFsync(2.0) as disk:
        subprocess.run([...], env=disk.env)
        print(disk.count())
"""

import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static atomic_ulong *calls;
static long wait_ns;

__attribute__((constructor)) static void begin(void) {
    const char *ms = getenv("SLOW_FSYNC_MS"), *path = getenv("SLOW_FSYNC_COUNT");
    wait_ns = ms ? (long)(atof(ms) * 1e6) : 0;
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, sizeof *calls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (page != MAP_FAILED) calls = page;
        close(fd);
    }
}

/* What is flushed is copied there: after a power cut the disk holds the copies and nothing newer. */
static void keep(int fd) {
    const char *kept = getenv("SLOW_FSYNC_KEEP");
    struct stat about;
    char link[64], path[4096], to[8192], part[8200], buffer[65536];
    if (!kept || fstat(fd, &about) || !S_ISREG(about.st_mode)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    const char *name = strrchr(path, '/');
    snprintf(to, sizeof to, "%s%s", kept, name ? name : path);
    snprintf(part, sizeof part, "%s.part", to);
    int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0) abort();
    off_t at = 0;
    for (ssize_t n; (n = pread(fd, buffer, sizeof buffer, at)) > 0; at += n)
        if (write(out, buffer, n) != n) abort();
    if (close(out) || rename(part, to)) abort();
}

static int flush(int fd) {
    struct timespec left = {wait_ns / 1000000000, wait_ns % 1000000000};
    keep(fd);
    if (calls) atomic_fetch_add(calls, 1);
    while (wait_ns && nanosleep(&left, &left)) {}
    return 0;
}

int fsync(int fd) { return flush(fd); }
int fdatasync(int fd) { return flush(fd); }
"""


class SlowFsync:
    """While entered, `env` is for the processes that shall find the disk so slow.

    With `keep`, each file is copied into that folder when it is flushed: what a power cut would leave.
    """

    def __init__(self, wait_ms: float, *, keep: Path | None = None) -> None:
        self.wait_ms = wait_ms
        self._keep = keep

    def __enter__(self) -> Self:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise RuntimeError("a slow disk is emulated with a C library: install a C compiler (cc)")
        self._dir = Path(tempfile.mkdtemp(prefix="slow-fsync-"))
        self._dir.chmod(0o755)  # PostgreSQL runs as somebody else
        source, self._library, self._count = (self._dir / name for name in ("slow.c", "slow.so", "count"))
        source.write_text(SOURCE)
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", self._library, source], check=True)
        self._count.write_bytes(bytes(8))
        self._count.chmod(0o666)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        shutil.rmtree(self._dir, ignore_errors=True)

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "LD_PRELOAD": str(self._library),
            "SLOW_FSYNC_MS": str(self.wait_ms),
            "SLOW_FSYNC_COUNT": str(self._count),
            **({"SLOW_FSYNC_KEEP": str(self._keep)} if self._keep else {}),
        }

    def count(self) -> int:
        """How often the disk was flushed so far."""
        return struct.unpack("Q", self._count.read_bytes())[0]
