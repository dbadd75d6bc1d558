"""A generated package of npm: installed where nothing of Wherry is, granted little, and called very often."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.bind.corpus_guests import component
from tests.bind.npm_packages import node, npm_package, runnable

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_it_is_packed_and_installed_into_an_empty_project(tmp_path: Path) -> None:
    """`npm install && npm pack` there, `npm install` of the archive elsewhere, and a program that uses it."""
    target = npm_package(component("versions").read_bytes(), "corpus_versions", tmp_path)
    quiet = ["--no-audit", "--no-fund", "--loglevel", "error"]
    subprocess.run(["npm", "install", *quiet], cwd=target, check=True)
    done = subprocess.run(["npm", "pack", "--json"], cwd=target, check=True, capture_output=True, text=True)
    (packed,) = json.loads(done.stdout[done.stdout.index("[") :])
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    subprocess.run(["npm", "install", *quiet, str(target / packed["filename"])], cwd=project, check=True)
    target.rename(tmp_path / "gone")
    (project / "use.mjs").write_text("""
        import { instantiate } from "corpus_versions";
        const lines = [];
        const log = { write: (line) => lines.push(line.text) };
        const library = await instantiate({ imports: { logV1: log, logV2: log } });
        console.log(library.otherCodec.swap({ data: "x" }).data, lines.length);
    """)
    used = subprocess.run(["node", "use.mjs"], cwd=project, check=True, capture_output=True, text=True)
    assert used.stdout.split()[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package of resources, which imports WASI."""
    folder = tmp_path_factory.mktemp("packages")
    runnable(component("resources").read_bytes(), "corpus_resources", folder)
    return folder


def test_nothing_of_the_machine_is_granted_unless_it_is_passed(made: Path) -> None:
    """Variables, arguments, folders and the network; with them passed, they are there."""
    script = """
        import { wasi } from "./corpus_resources/dist/wasi.js";
        const names = ["environment", "exit"].map((name) => `wasi:cli/${name}@0.2.3`);
        names.push("wasi:filesystem/preopens", "wasi:sockets/instance-network");
        names.push("wasi:sockets/ip-name-lookup", "wasi:http/outgoing-handler");
        const said = (error) => error.message ?? error;
        const attempt = (call) => { try { return call(); } catch (error) { return said(error); } };
        const seen = (granted) => {
          const [cli, exit, files, network, lookup, http] = Object.values(wasi(granted, names));
          const folders = files.getDirectories().map(([, name]) => name);
          const found = [cli.getEnvironment(), cli.getArguments(), cli.initialCwd() ?? null, folders];
          return [...found, attempt(() => exit.exit({ tag: "ok" })), attempt(() => http.handle()),
            attempt(() => lookup.resolveAddresses(network.instanceNetwork(), "localhost") && "looked up")];
        };
        const passed = { args: ["a"], env: { NAME: "value" }, preopens: { "/data": "." }, network: true };
        const [, , , , , , looked] = seen(passed);
        console.log(JSON.stringify([seen({}), seen(passed).slice(0, 4), looked]));
        process.exit(0);
    """
    nothing, passed, looked = node(made, script)
    refused = ["it exited", "no network was granted", "permanent-resolver-failure"]
    assert nothing == [[], [], None, [], *refused]
    assert passed == [[["NAME", "value"]], ["a"], None, ["/data"]]
    assert looked == "looked up"


@pytest.mark.parametrize("calls", [500, pytest.param(100_000, marks=pytest.mark.slow)])
def test_calls_leave_memory_flat(calls: int, made: Path) -> None:
    """Strings, lists, resources, callbacks and errors of callbacks leave nothing behind."""
    script = f"""
        import {{ instantiate, ResultError }} from "./corpus_resources/dist/index.js";
        let live = 0;
        class File {{
          #name;
          constructor(name) {{ this.#name = name; live += 1; }}
          static shared(name) {{ return new File(name); }}
          name() {{ return this.#name; }}
          append() {{ throw new ResultError("no"); }}
          join() {{ return this; }}
          [Symbol.dispose]() {{ live -= 1; }}
        }}
        const host = {{ File, open: (names) => names.map((name) => new File(name)), weigh: () => 0n }};
        const {{ store }} = await instantiate({{ imports: {{ host }} }});
        let errors = 0;
        function work(times) {{
          for (let at = 0; at < times; at += 1) {{
            const file = new store.File("x".repeat(100));
            file.name();
            try {{ file.append(new Uint8Array(100)); }}
            catch (error) {{ errors += error.payload === "no" ? 1 : 0; }}
            for (const one of [file, ...store.open(["a", "b"])]) one[Symbol.dispose]();
          }}
        }}
        const used = () => {{
          gc();
          const {{ heapUsed, arrayBuffers, external }} = process.memoryUsage();
          return heapUsed + arrayBuffers + external;
        }};
        work({max(200, calls // 10)});
        const before = used();
        work({calls});
        console.log(JSON.stringify([used() - before, live, errors]));
        process.exit(0);
    """
    grown, live, errors = node(made, script, "--expose-gc")
    assert errors == calls + max(200, calls // 10)
    assert grown < 2 << 20
    assert live == 0
