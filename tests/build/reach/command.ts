// Copies a file with a greeting and standard input in capitals, and ends with 7.
import { readFileSync, writeFileSync } from "node:fs";

const [, , from, to]: string[] = process.argv;
let text = "";
try {
  text = readFileSync(from, "utf8");
} catch (error) {
  console.error("cannot copy:", (error as Error).message);
  process.exit(3);
}
writeFileSync(to, `${process.env.GREETING}, ${text}`);
process.stdout.write(readFileSync(0, "utf8").toUpperCase());
process.exitCode = 7;
