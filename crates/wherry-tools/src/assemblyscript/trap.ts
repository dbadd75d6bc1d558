// What the compiler calls where the language would throw: the guest ends, and nobody hears why.
export function trap(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}
