// A bar for each line of a name and a number.
import { readFileSync } from "node:fs";

for (const line of readFileSync(0, "utf-8").trim().split("\n")) {
  const [name, value] = line.split(" ");
  console.log(`${name.padEnd(8)}${"#".repeat(Math.round(value))} ${value}`);
}
