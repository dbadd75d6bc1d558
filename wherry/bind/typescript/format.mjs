// Formats files as prettier has them: `node format.mjs TOOLS FILE...`, each in its place.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [tools, ...files] = process.argv.slice(2);
const prettier = await import(
  pathToFileURL(path.join(tools, "node_modules/prettier/index.mjs")).href
);

for (const file of files) {
  const text = await readFile(file, "utf8");
  await writeFile(file, await prettier.format(text, { filepath: file }));
}
