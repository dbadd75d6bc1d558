// What the compiler calls where the language would throw: the guest says why, and ends.
import { getStderr } from "./imports/STDERR";

let telling = false;

export function trap(message: string | null, file: string | null, line: u32, column: u32): void {
  // Telling may fail as well, for want of memory.
  if (!telling) {
    telling = true;
    const what = message === null ? "it was aborted" : message;
    const where = file === null ? "" : ` in ${file}(${line},${column})`;
    const told = String.UTF8.encode(`${what}${where}\n`).slice(0, 4096);
    getStderr().blockingWriteAndFlush(Uint8Array.wrap(told));
  }
  unreachable();
}
