"""Runs kazoo's own test-suite against an ensemble of three servers, and compares two such runs.

    suite.py run SERVER RESULTS LOGS   SERVER is `java` or the path of a ringkeeper; writes the file RESULTS
                                       and a log per module into the folder LOGS
    suite.py table JAVA RINGKEEPER     the results of two runs as a Markdown table

Needs the Python of tests/.deps. kazoo's harness starts its server with the first `java` on PATH: the launcher
beside this folder. Modules run side by side, each with servers on ports of their own; excluded.txt says what is
left out, and why. A line of results is an outcome (passed, failed, skipped) and the name of a test.
"""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import kazoo.tests


def main(arguments):
    match arguments:
        case ["run", server, results, logs]:
            outcomes = run(server, pathlib.Path(logs).resolve())
            write_results(pathlib.Path(results), outcomes)
        case ["table", java, ringkeeper]:
            print(table(read_results(java), read_results(ringkeeper)), end="")
        case _:
            sys.exit(__doc__)


def run(server, logs):
    """The outcome of every test that is not excluded, by name."""
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    excluded = read_excluded()
    modules = sorted(path.stem for path in SITE.glob("kazoo/tests/test_*.py"))
    modules = [module for module in modules if f"kazoo.tests.{module}" not in excluded]
    modules.sort(key=lambda module: (module not in LONG, module))
    at_once = JAVA_MODULES_AT_ONCE if server == "java" else MODULES_AT_ONCE
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        runs = pool.map(lambda module: run_module(module, server, excluded, logs), modules)
        return {name: outcome for outcomes in runs for name, outcome in outcomes.items()}


def run_module(module, server, excluded, logs):
    report = logs / f"{module}.xml"
    command = [sys.executable, "-m", "pytest", f"kazoo/tests/{module}.py", f"--junitxml={report}"]
    command += ["--rootdir=.", "-p", "no:cacheprovider", "-p", "no:warnings"]
    command += ["-o", "junit_family=xunit2", f"--timeout={TEST_TIMEOUT_S}"]
    command += [f"--deselect={node_id(name)}" for name in excluded if name.startswith(f"kazoo.tests.{module}.")]
    with (
        tempfile.TemporaryDirectory(prefix="ringkeeper-kazoo-") as scratch,
        claimed_ports() as port,
        open(logs / f"{module}.log", "wb") as log,
    ):
        environment = suite_environment(module, server, port, scratch)
        process = subprocess.Popen(
            command,
            cwd=SITE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # So that servers of a module that hangs can be ended with it.
        )
        try:
            process.wait(MODULE_TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode not in (0, 1):  # 1: a test failed.
        sys.exit(f"{module}: pytest ended with {process.returncode}; see {log.name}")
    return read_report(report)


def suite_environment(module, server, port, scratch):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "ZOOKEEPER_"))}
    environment |= {
        "PATH": f"{HERE.parent / 'launcher'}:{environment['PATH']}",
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # To start soon.
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": scratch,
        "ZOOKEEPER_CLASSPATH": ":".join(str(jar) for jar in sorted(DEPS.glob("java/*.jar"))),
        "ZOOKEEPER_CLUSTER_SIZE": str(SERVERS),
        "ZOOKEEPER_PORT_OFFSET": str(port),
        "ZOOKEEPER_VERSION": JAVA_VERSION,
    }
    environment.pop("RINGKEEPER_BIN", None)
    if server != "java":
        environment["RINGKEEPER_BIN"] = str(pathlib.Path(server).resolve(strict=True))
    if module in IN_CI:
        # These do more if they take themselves to be in CI: the first compares the version that the server tells with
        # the one above, the second waits until all servers have what it will read from one of them. The other modules
        # ask the server itself for its version, only if they do not.
        environment["CI"] = "true"
    return environment


@contextlib.contextmanager
def claimed_ports():
    """The first of the ports that the servers of the harness may listen on.

    Claimed as the kit's ports.rs claims them, so that no other test is given them meanwhile.
    """
    for first in range(PORTS.start, PORTS.stop, PORTS_PER_MODULE):
        with contextlib.ExitStack() as claims:
            try:
                for port in range(first, first + PORTS_PER_MODULE):
                    claim = claims.enter_context(socket.socket(socket.AF_UNIX))
                    claim.bind(f"\0ringkeeper-test-port-{port}")
                    with socket.socket() as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind(("", port))
            except OSError:
                continue
            yield first
            return
    sys.exit(f"no {PORTS_PER_MODULE} free ports in {PORTS}")


def read_report(report):
    outcomes = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        found = {child.tag for child in case}
        failed = bool(found & {"failure", "error"})
        outcomes[name] = "failed" if failed else "skipped" if "skipped" in found else "passed"
    return outcomes


def read_excluded():
    lines = (HERE / "excluded.txt").read_text().splitlines()
    return dict(line.split(None, 1) for line in lines if line and not line.startswith("#"))


def write_results(path, outcomes):
    path.write_text("".join(f"{outcomes[name]} {name}\n" for name in sorted(outcomes)))
    print(", ".join(f"{count} {outcome}" for outcome, count in collections.Counter(outcomes.values()).items()))


def read_results(path):
    return {name: outcome for outcome, name in (line.split() for line in open(path))}


def table(java, ringkeeper):
    """One row per module; a test differs when one server passes it and the other does not."""
    rows = ["| kazoo's module | tests | passed by Java | passed by ringkeeper | differences |\n", "|---|--:|--:|--:|---|\n"]
    modules = collections.defaultdict(list)
    for name in sorted(java.keys() | ringkeeper.keys()):
        modules[name.split(".")[2]].append(name)
    for module, names in [*sorted(modules.items()), ("all", [*java.keys() | ringkeeper.keys()])]:
        passed = [{name for name in names if run.get(name) == "passed"} for run in (java, ringkeeper)]
        differences = "none" if passed[0] == passed[1] else ""
        if module != "all":
            differences = ", ".join(name.split(".", 3)[3] for name in sorted(passed[0] ^ passed[1])) or "none"
        rows.append(f"| {module} | {len(names)} | {len(passed[0])} | {len(passed[1])} | {differences} |\n")
    return "".join(rows)


def node_id(name):
    """pytest's name for what excluded.txt names with dots."""
    package, tests, module, *rest = name.split(".")
    return "::".join([f"{package}/{tests}/{module}.py", *rest])


HERE = pathlib.Path(__file__).resolve().parent
DEPS = HERE.parents[1] / ".deps"
SITE = pathlib.Path(kazoo.tests.__file__).parents[2]

JAVA_VERSION = "3.9.5"

# As kazoo's harness has them by default.
SERVERS = 3

# The modules spend most of their time waiting, so more of them than cores can run at once; fewer where several
# JVMs would start at once, since some tests allow a server five seconds to come back.
MODULES_AT_ONCE = 6
JAVA_MODULES_AT_ONCE = 2

# What takes longest starts first, so that it does not run on alone.
LONG = ["test_client", "test_eventlet_handler", "test_watchers", "test_partitioner", "test_connection"]

IN_CI = ("test_build", "test_connection")

TEST_TIMEOUT_S = 180
MODULE_TIMEOUT_S = 600

PORTS = range(12_000, 32_000)
PORTS_PER_MODULE = 10 * SERVERS

if __name__ == "__main__":
    main(sys.argv[1:])
