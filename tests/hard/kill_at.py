"""Runs a program and kills it, with SIGKILL, right before the n-th system call of a name.

    kill_at.py LOG CALL N PROGRAM ARGUMENT...

strace can kill as well (`--inject`), but counts for each thread on its own, so that what a second
thread does first is never reached. Here the calls of all threads are counted together. Each call that
changes something is written into LOG as it is reached; N = 0 kills never. Ends as the program ended,
with 137 where it was killed.
"""

import ctypes
import os
import signal
import sys

# Calls that change a file or use the network.
CALLS = {
    0xC000003E: {  # x86_64
        1: "write", 18: "pwrite64", 20: "writev", 296: "pwritev", 74: "fsync", 75: "fdatasync", 76: "truncate",
        77: "ftruncate", 82: "rename", 264: "renameat", 316: "renameat2", 86: "link", 265: "linkat", 88: "symlink",
        87: "unlink", 263: "unlinkat", 83: "mkdir", 258: "mkdirat", 90: "chmod", 91: "fchmod", 268: "fchmodat",
        73: "flock", 285: "fallocate", 41: "socket", 42: "connect", 288: "accept4", 44: "sendto", 46: "sendmsg",
        45: "recvfrom", 47: "recvmsg", 257: "openat",
    },
    0xC00000B7: {  # aarch64
        64: "write", 68: "pwrite64", 66: "writev", 70: "pwritev", 82: "fsync", 83: "fdatasync", 45: "truncate",
        46: "ftruncate", 38: "renameat", 276: "renameat2", 37: "linkat", 36: "symlinkat", 35: "unlinkat",
        34: "mkdirat", 52: "fchmod", 53: "fchmodat", 32: "flock", 47: "fallocate", 198: "socket", 203: "connect",
        242: "accept4", 206: "sendto", 211: "sendmsg", 207: "recvfrom", 212: "recvmsg", 56: "openat",
    },
}
O_CREAT = 0o100

TRACEME, CONT_TO_CALL, SETOPTIONS, CALL_INFO = 0, 24, 0x4200, 0x420E
# Marks system calls, follows forks, clones and execs, and kills the program when the tracer ends.
OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000
ALL_THREADS = 0x40000000
ENTERED = 1


class CallInfo(ctypes.Structure):
    _fields_ = [
        ("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64), ("nr", ctypes.c_uint64), ("args", ctypes.c_uint64 * 6), ("more", ctypes.c_uint64 * 4),
    ]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, task, address=0, data=0):
    return libc.ptrace(request, task, address, data)


def reached(task):
    """The name of the call that a task is about to make, if it is one that counts."""
    info = CallInfo()
    ptrace(CALL_INFO, task, ctypes.sizeof(info), ctypes.addressof(info))
    if info.op != ENTERED:
        return None
    if info.arch not in CALLS:
        sys.exit("kill_at.py: the calls of this processor are not known")
    name = CALLS[info.arch].get(info.nr)
    return None if name == "openat" and not info.args[2] & O_CREAT else name


def main():
    log, call, wanted, program = open(sys.argv[1], "w"), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    child = os.fork()
    if child == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(program[0], program)
    os.waitpid(child, 0)
    if ptrace(SETOPTIONS, child, 0, OPTIONS) != 0:
        sys.exit("kill_at.py: this machine does not allow tracing")
    ptrace(CONT_TO_CALL, child)
    count, started, ended, seen = 0, False, None, {child}
    while True:
        try:
            task, status = os.waitpid(-1, ALL_THREADS)
        except ChildProcessError:
            break
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            ended = status if task == child else ended
            continue
        stopped, passed_on = os.WSTOPSIG(status), 0
        if stopped == signal.SIGTRAP | 0x80:
            name = reached(task) if started else None
            if name:
                count += name == call
                log.write(f"{name}\n")
                log.flush()
                if name == call and count == wanted:
                    os.kill(child, signal.SIGKILL)
        elif stopped == signal.SIGTRAP and status >> 16:
            started = True
        elif not (stopped == signal.SIGSTOP and task not in seen):
            passed_on = stopped
        seen.add(task)
        ptrace(CONT_TO_CALL, task, 0, passed_on)
    sys.exit(128 + os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended))


main()
