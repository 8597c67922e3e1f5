#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""measure.py OBJECTS GCC: what the device code needs, against budget.txt beside this file.

Fails when a number is more than 5 % away from the budget, in either direction, so that the file
stays true. UPDATE=1 in the environment writes it anew.

Stack: the deepest chain of calls from each entry that a task has, by GCC's own frame sizes and call
graph (-fcallgraph-info=su). Where a call goes through a pointer, the targets are those of the table
in the object code. Not in it: libc and mbedTLS, and what the platform's functions need; printed is
how deep the stack is where the deepest call leaves for them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

OBJECTS = Path(sys.argv[1])
TOOLS = sys.argv[2].removesuffix("gcc")
BUDGET = Path(__file__).parent / "budget.txt"
TOLERANCE_PERCENT = 5
FRAME_MAX = 1024

ROOMS = ["formats", "crypto", "device"]
# No heap, no stdio, no clock.
BANNED = {"malloc", "calloc", "realloc", "free", "printf", "sprintf", "snprintf", "puts", "time", "clock", "rand"}

# What each task calls in these rooms. Tasks have ESP-IDF's names; main is the caller of kedge_start.
ENTRIES = {
    "kedge": ["kedge_agent_step"],
    "kedge_http": ["kedge_http_response_header"],
    "main": ["kedge_agent_init", "kedge_settings_load", "kedge_settings_config", "kedge_settings_fault_text"],
}

# What is called through a pointer, by its name at the call, and the tables that hold the targets. Those
# of the caller's own file are meant, if there are any.
TABLES = {
    "work": ["device/agent:table"],
    "handlers": ["device/agent:handlers"],
    "handle": ["device/poll:statuses"],
    "parse": ["device/http_headers:headers"],
    "check": ["device/trial:gate_table"],
    "checks": ["device/download:checks", "formats/partition:checks"],
    "commands": ["device/telemetry:commands"],
    "is_ok": ["formats/settings_table:table"],
    "read": ["formats/settings:types"],  # elsewhere the platform's
    "readers": ["formats/crash:readers", "formats/report:readers", "formats/telemetry:readers"],
    "end_of": ["formats/image:end_of"],
    "init": ["crypto/sigverify:kedge_sha256_ops", "crypto/mbedtls:kedge_md5_ops"],
    "update": ["crypto/sigverify:kedge_sha256_ops", "crypto/mbedtls:kedge_md5_ops"],
    "final": ["crypto/sigverify:kedge_sha256_ops", "crypto/mbedtls:kedge_md5_ops"],
}
# include/kedge/plat: what a port provides.
PLATFORM = {"random", "vitals", "may_update", "self_test", "write", "set_level", "describe", "read", "begin", "finish",
            "set_boot", "restore_record", "mark_valid", "mark_invalid", "erase", "mounted", "rename", "remove"}


def fail(text):
    sys.exit(f"footprint: {text}")


def tool(name, *args):
    return subprocess.run([TOOLS + name, *args], check=True, capture_output=True, text=True).stdout


# ---- one object file ----


class Object:
    """What one source file became: functions, calls and tables of function pointers."""

    def __init__(self, path):
        self.path = path
        self.name = f"{path.parent.name}/{path.stem}"
        self.frames = {}  # function -> bytes
        self.calls = []  # (caller, callee)
        self.pointer_calls = []  # (caller, name called)
        self.tables = {}  # room/file:table -> symbols in it
        self.read_graph(path.with_suffix(".ci").read_text())
        self.read_tables()

    def read_graph(self, text):
        for title, label in re.findall(r'^node: { title: "([^"]+)" label: "([^"]+)"', text, re.M):
            size = re.search(r"(\d+) bytes \(([a-z,]+)\)", label)
            if size:
                self.frames[title] = int(size[1])
                if size[2] != "static":
                    fail(f"{title}: its stack frame is not static")
        for source, target, at in re.findall(
                r'^edge: { sourcename: "([^"]+)" targetname: "([^"]+)" label: "([^"]+)"', text, re.M):
            if target == "__indirect_call":
                self.pointer_calls.append((source, called_at(at)))
            else:
                self.calls.append((source, target))

    def read_tables(self):
        table = None
        for line in tool("readelf", "-rW", self.path).splitlines():
            section = re.match(r"Relocation section '\.rela\.(\S+)'", line)
            if section:
                name = re.match(r"s?(?:ro)?data\.(.+?)(?:\.\d+)?$", section[1])
                table = f"{self.name}:{name[1]}" if name else None
            entry = re.search(r"R_RISCV_32\s+\w+\s+(\S+) \+ 0$", line)
            if table and entry:
                self.tables.setdefault(table, set()).add(entry[1])


def called_at(place):
    """Name that is called at file:line:column: the last one before the parenthesis."""
    file, line, column = place.rsplit(":", 2)
    lines = Path(file).read_text().splitlines()
    text = " ".join([lines[int(line) - 1][int(column) - 1:], *lines[int(line):int(line) + 2]])
    name = re.match(r".*?(\w+)(?:\[[^\]]*\])?\(", text)
    return name[1] if name else fail(f"{place}: cannot read the call")


# ---- the stack ----


class Stack:
    def __init__(self, objects):
        self.frames = {function: size for obj in objects for function, size in obj.frames.items()}
        self.callees = {}
        self.leaves = set()  # call into the platform
        self.known = {}  # function -> (bytes, chain, bytes where the deepest platform call leaves)
        tables = {table: self.functions(obj, symbols) for obj in objects for table, symbols in obj.tables.items()}
        for obj in objects:
            self.add_calls(obj, tables)
        named = {table for names in TABLES.values() for table in names}
        for table, functions in tables.items():
            if functions and table not in named:
                fail(f"measure.py does not say who calls the functions in {table}")

    def functions(self, obj, symbols):
        """Those of the symbols that are functions: its own static ones by file, or global."""
        own = {function.rsplit(":", 1)[-1]: function for function in obj.frames}
        return {own.get(symbol, symbol) for symbol in symbols if own.get(symbol, symbol) in self.frames}

    def add_calls(self, obj, tables):
        for caller, callee in obj.calls:
            self.callees.setdefault(caller, set()).add(callee)
        for caller, name in obj.pointer_calls:
            found = [table for table in TABLES.get(name, []) if table in tables]
            own = [table for table in found if table.startswith(f"{obj.name}:")]
            if name in PLATFORM and not own:
                self.leaves.add(caller)
            elif found:
                self.callees.setdefault(caller, set()).update(*(tables[table] for table in own or found))
            else:
                fail(f"{obj.name}.c: '{name}' is called through a pointer: say in measure.py where to")

    def of(self, function, above=()):
        if function in above:
            fail(f"recursion: {' > '.join([*above[above.index(function):], function])}")
        if function not in self.known:
            frame = self.frames.get(function, 0)
            below = [self.of(callee, (*above, function)) for callee in self.callees.get(function, ())]
            deepest = max(below, key=lambda each: each[0], default=(0, [], None))
            leaves = [each[2] for each in below if each[2] is not None]
            leaves += [0] if function in self.leaves else []
            self.known[function] = (frame + deepest[0], [function, *deepest[1]],
                                    frame + max(leaves) if leaves else None)
        return self.known[function]


# ---- numbers ----


def room_numbers(room, objects):
    paths = [obj.path for obj in objects if obj.path.parent.name == room]
    total = tool("size", "-t", *paths).splitlines()[-1].split()
    text, data, bss = map(int, total[:3])
    frame, function = max((size, title) for obj in objects if obj.path in paths for title, size in obj.frames.items())
    print(f"{room}: text {text} data {data} bss {bss}, largest frame {frame} in {function.rsplit(':', 1)[-1]}")
    if data or bss:
        fail(f"{room} has writable globals")
    if frame > FRAME_MAX:
        fail(f"{function} needs {frame} bytes of stack, the limit is {FRAME_MAX}")
    banned = BANNED & set(re.findall(r" U (\S+)", tool("nm", "-u", *paths)))
    if banned:
        fail(f"{room} uses {', '.join(banned)}, which is not for a device")
    return {f"{room}.text": text, f"{room}.data": data, f"{room}.bss": bss, f"{room}.frame": frame}


def stack_numbers(stack):
    numbers = {}
    for task, entries in ENTRIES.items():
        for entry in entries:
            if entry not in stack.frames:
                fail(f"{entry} is not there: put measure.py's ENTRIES right")
        found = [stack.of(entry) for entry in entries]
        size, chain, _ = max(found, key=lambda each: each[0])
        leaves = max((each[2] for each in found if each[2] is not None), default=None)
        numbers[f"stack.{task}"] = size
        print(f"stack {task}: {size} in {' > '.join(each.rsplit(':', 1)[-1] for each in chain)}")
        if leaves is not None:
            print(f"    deepest call into the platform at {leaves}")
    return numbers


def struct_numbers():
    lines = tool("nm", "-S", OBJECTS / "sizes/sizes.o").splitlines()
    return {f"sizeof.{name}": int(size, 16) for size, name in re.findall(r" (\w+) \w size_of_(\w+)", "\n".join(lines))}


# ---- the budget ----


def read_budget():
    if not BUDGET.exists():
        return {}
    rows = re.findall(r"^([\w.]+) +(\d+)$", BUDGET.read_text(), re.M)
    return {name: int(value) for name, value in rows}


def write_budget(numbers):
    rows = "".join(f"{name:<30} {value:>6}\n" for name, value in numbers.items())
    BUDGET.write_text("# Bytes, for rv32imc. `make budget` writes it, ctest footprint_rv32imc compares: a number\n"
                      f"# that is more than {TOLERANCE_PERCENT} % off fails. docs/footprint.md says what each is.\n{rows}")


def compare(numbers, budget):
    faults = [f"{name}: in the budget and not measured" for name in budget.keys() - numbers.keys()]
    for name, value in numbers.items():
        if name not in budget:
            faults.append(f"{name}: {value}, not in the budget")
        elif abs(value - budget[name]) * 100 > TOLERANCE_PERCENT * budget[name]:
            faults.append(f"{name}: {value}, the budget says {budget[name]}")
    return faults


def main():
    objects = [Object(path) for room in ROOMS for path in sorted((OBJECTS / room).glob("*.o"))]
    numbers = {}
    for room in ROOMS:
        numbers.update(room_numbers(room, objects))
    numbers.update(stack_numbers(Stack(objects)))
    numbers.update(struct_numbers())
    if os.environ.get("UPDATE"):
        write_budget(numbers)
    faults = compare(numbers, read_budget())
    if faults:
        fail("more than 5 % away from tests/footprint/budget.txt:\n    " + "\n    ".join(faults) +
             "\nIf it is meant, run `make budget` and commit the file with the change that did it.")


main()
