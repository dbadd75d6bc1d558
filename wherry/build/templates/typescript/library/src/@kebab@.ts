// Implements wit/@kebab@.wit, which `wherry build` declares in build/bindings.

export function greet(name: string): string {
  return `Hello, ${name}!`;
}
