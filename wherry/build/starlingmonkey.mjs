// Makes a core module of a bundle: StarlingMonkey with the bundle loaded, as ComponentizeJS does it.
// node starling.mjs MODULES BUNDLE WIT WORLD OUT

import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, bundle, wit, world, out] = process.argv.slice(2);
const FEATURES = ["stdio", "random", "clocks", "http", "fetch-event"];
const own = join(modules, "@bytecodealliance", "componentize-js", "lib");
const load = async (...path) => import(pathToFileURL(join(modules, "@bytecodealliance", ...path)).href);

const { splicer } = await load("componentize-js", "lib", "spidermonkey-embedding-splicer.js");
const { default: wizer } = await load("wizer", "index.js");
const engine = await readFile(join(own, "starlingmonkey_embedding.wasm"));
const { wasm, jsBindings, exports, imports } = splicer.spliceBindings(engine, FEATURES, undefined, wit, world, false);

const folder = await mkdtemp(join(tmpdir(), "wherry-"));
try {
  const [before, after] = [join(folder, "in.wasm"), join(folder, "out.wasm")];
  await writeFile(before, wasm);
  await writeFile(join(folder, "initializer.js"), jsBindings);
  const env = { DEBUG: "", SOURCE_NAME: basename(bundle), EXPORT_CNT: `${exports.length}`, FEATURE_CLOCKS: "1" };
  exports.forEach(([name, shape], at) => {
    env[`EXPORT${at}_NAME`] = name;
    env[`EXPORT${at}_ARGS`] = `${shape.paramptr ? "*" : ""}${shape.params.join(",")}`;
    env[`EXPORT${at}_RET`] = `${shape.retptr ? "*" : ""}${shape.ret ?? ""}`;
    env[`EXPORT${at}_RETSIZE`] = `${shape.retsize}`;
  });
  imports.forEach(([, name, count], at) => {
    env[`IMPORT${at}_NAME`] = name;
    env[`IMPORT${at}_ARGCNT`] = `${count}`;
  });
  env.IMPORT_CNT = `${imports.length}`;
  const words = ["--allow-wasi", "--init-func", "componentize.wizer", `--dir=${folder}`];
  words.push(`--mapdir=/::${dirname(bundle)}`, "--wasm-bulk-memory=true", "--inherit-env=true", `-o=${after}`);
  const input = `--initializer-script-path ${join(folder, "initializer.js")} --strip-path-prefix / ${basename(bundle)}`;
  const done = spawnSync(wizer, [...words, before], { env, input, encoding: "utf-8" });
  if (done.status !== 0) {
    process.stderr.write(done.stderr.split("\nError: ")[0]);
    process.exit(1);
  }
  await writeFile(out, splicer.stubWasi(await readFile(after), FEATURES, undefined, wit, world));
} finally {
  await rm(folder, { recursive: true, force: true });
}
