"""Runs a program and kills it, with SIGKILL, right before its n-th step.

    kill_at.py LOG N PROGRAM ARGUMENT...

A step is a system call that changes a file or uses the network. What leaves both as they are is no step: a kill before
it finds the same state as a kill before the next step. So a call that waits for the disk is none, nor is a write to a
pipe or a `mkdir` of a folder that is there.

strace can kill as well (`--inject`), but counts for each thread on its own, so that what a second thread does first is
never reached. Here the calls of all threads are counted together. The name of each step is written into LOG as it is
reached. Ends as the program ended, with 137 where it was killed.
"""

import ctypes
import os
import signal
import struct
import sys

CALLS = {
    0xC000003E: {  # x86_64
        1: "write", 18: "pwrite64", 20: "writev", 296: "pwritev", 76: "truncate", 77: "ftruncate", 82: "rename",
        264: "renameat", 316: "renameat2", 86: "link", 265: "linkat", 88: "symlink", 266: "symlinkat", 87: "unlink",
        263: "unlinkat", 83: "mkdir", 258: "mkdirat", 84: "rmdir", 90: "chmod", 91: "fchmod", 268: "fchmodat",
        285: "fallocate", 42: "connect", 288: "accept4", 44: "sendto", 46: "sendmsg", 45: "recvfrom", 47: "recvmsg",
        257: "openat",
    },
    0xC00000B7: {  # aarch64
        64: "write", 68: "pwrite64", 66: "writev", 70: "pwritev", 45: "truncate", 46: "ftruncate", 38: "renameat",
        276: "renameat2", 37: "linkat", 36: "symlinkat", 35: "unlinkat", 34: "mkdirat", 52: "fchmod", 53: "fchmodat",
        47: "fallocate", 203: "connect", 242: "accept4", 206: "sendto", 211: "sendmsg", 207: "recvfrom",
        212: "recvmsg", 56: "openat",
    },
}
O_CREAT, O_TRUNC = 0o100, 0o1000
AF_UNIX = 1

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


def memory(task, address, size):
    with open(f"/proc/{task}/mem", "rb", buffering=0) as file:
        file.seek(address)
        return file.read(size)


def exists(task, folder, address):
    """Whether the path of a call is there. Its file descriptor of a folder is an int, often AT_FDCWD."""
    path = os.fsdecode(memory(task, address, 4096).split(b"\0")[0])
    folder = ctypes.c_int(folder).value
    base = f"/proc/{task}/cwd" if folder < 0 else f"/proc/{task}/fd/{folder}"
    return os.path.lexists(os.path.join(base, path))


def is_step(task, name, args):
    if name in ("write", "writev", "pwrite64", "pwritev"):
        target = os.readlink(f"/proc/{task}/fd/{args[0]}")
        return target.startswith("socket:") or target.startswith("/") and not target.startswith("/dev/")
    if name in ("mkdir", "mkdirat"):
        return not exists(task, *(args[:2] if name == "mkdirat" else (-1, args[0])))
    if name in ("unlink", "unlinkat"):
        return exists(task, *(args[:2] if name == "unlinkat" else (-1, args[0])))
    if name == "openat":
        return args[2] & O_CREAT and (args[2] & O_TRUNC or not exists(task, *args[:2]))
    if name == "connect":
        return struct.unpack("H", memory(task, args[1], 2))[0] != AF_UNIX
    return True


def step(task):
    """The name of the step that a task is about to take, if it is at one."""
    info = CallInfo()
    ptrace(CALL_INFO, task, ctypes.sizeof(info), ctypes.addressof(info))
    if info.op != ENTERED:
        return None
    if info.arch not in CALLS:
        sys.exit("kill_at.py: the calls of this processor are not known")
    name = CALLS[info.arch].get(info.nr)
    return name if name and is_step(task, name, info.args) else None


def main():
    log, wanted, program = open(sys.argv[1], "w"), int(sys.argv[2]), sys.argv[3:]
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
            # Of a killed program, nothing can be read.
            name = step(task) if started and count < wanted else None
            if name:
                count += 1
                log.write(f"{name}\n")
                log.flush()
                if count == wanted:
                    os.kill(child, signal.SIGKILL)
        elif stopped == signal.SIGTRAP and status >> 16:
            started = True
        elif not (stopped == signal.SIGSTOP and task not in seen):
            passed_on = stopped
        seen.add(task)
        ptrace(CONT_TO_CALL, task, 0, passed_on)
    sys.exit(128 + os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else os.WEXITSTATUS(ended))


main()
