// A component becomes JavaScript and core modules: `node transpile.mjs TOOLS COMPONENT FOLDER`. What the JavaScript
// imports goes to `imports.json`.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [tools, component, folder] = process.argv.slice(2);
const transpiler =
  "node_modules/@bytecodealliance/jco-transpile/vendor/js-component-bindgen-component.js";
const { $init, generate } = await import(
  pathToFileURL(path.join(tools, transpiler)).href
);
await $init;

const options = {
  name: "component",
  map: [],
  instantiation: { tag: "async" },
  noTypescript: true,
  noNodejsCompat: true,
  base64Cutoff: 0,
  // Errors of results come as they are; `runtime.ts` makes exceptions of them.
  noComponentErrorWrapping: true,
  noNamespacedExports: false,
  // What numbers have to be is checked before, in `checks.ts`.
  strict: false,
};

const disposing = new RegExp(
  [
    String.raw`Object\.defineProperty\((rsc\d+), symbolDispose, \{ writable: true, value: function \(\) \{`,
    String.raw`finalizationRegistry(\d+)\.unregister\(\1\);`,
    String.raw`const handleEntry = rscTableRemove\(handleTable(\d+), handle\d+\);`,
    String.raw`\1\[symbolDispose\] = emptyFunc;`,
    String.raw`\1\[symbolRscHandle\] = undefined;`,
  ].join(String.raw`\s*`),
  "g",
);

const counting = new RegExp(
  [
    String.raw`let i = 0;`,
    String.raw`for \(const \[key, value\] of entries(\d+)\) \{`,
    String.raw`const base = result\1 \+ i \* `,
  ].join(String.raw`\s*`),
  "g",
);

/**
 * The JavaScript with its faults mended. Modules allow no function called `arguments`; what is exported keeps the name.
 * Resources in a list share variables, so that each would dispose of the last: it has to be of itself. Tables of
 * handles remember what is long gone. Maps count their entries by a variable that is that of a list around them, or of
 * another map. And whether calls are logged is asked of the environment several times a call.
 */
function mended(text) {
  return text
    .replaceAll(
      counting,
      "let at$1 = 0;\nfor (const [key, value] of entries$1) {\nlet i = at$1++;\nconst base = result$1 + i * ",
    )
    .replaceAll("function arguments(", "function arguments$(")
    .replace(
      "if (!globalThis?.process?.env?.JCO_DEBUG) { return; }",
      "if (!JCO_DEBUG) { return; }",
    )
    .replace(
      "const _debugLog =",
      "const JCO_DEBUG = globalThis?.process?.env?.JCO_DEBUG;\n  const _debugLog =",
    )
    .replaceAll(
      "table[handle << 1] = table[0] | T_FLAG;",
      "if (own) table._createdReps?.delete(rep);\n    table[handle << 1] = table[0] | T_FLAG;",
    )
    .replaceAll("arguments: arguments,", "arguments: arguments$,")
    .replaceAll(/(return \{.*) arguments,/g, "$1 arguments: arguments$,")
    .replaceAll(
      disposing,
      "Object.defineProperty($1, symbolDispose, { writable: true, value: function () {\n" +
        "finalizationRegistry$2.unregister(this);\n" +
        "const handleEntry = rscTableRemove(handleTable$3, this[symbolRscHandle]);\n" +
        "this[symbolDispose] = emptyFunc;\n" +
        "this[symbolRscHandle] = undefined;",
    );
}

try {
  const made = generate(await readFile(component), options);
  await mkdir(folder, { recursive: true });
  for (const [name, data] of made.files) {
    const text = name.endsWith(".js")
      ? mended(Buffer.from(data).toString())
      : data;
    await writeFile(path.join(folder, name), text);
  }
  await writeFile(
    path.join(folder, "imports.json"),
    JSON.stringify(made.imports),
  );
} catch (error) {
  // The component that transpiles ends with what it knows, which need not be an `Error`.
  console.error(String(error?.payload ?? error?.message ?? error));
  process.exitCode = 1;
}
