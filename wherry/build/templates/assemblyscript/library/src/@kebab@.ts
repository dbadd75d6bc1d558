// Declared in wit/@kebab@.wit.
export function greet(name: string): string {
  return `Hello, ${name}!`;
}
