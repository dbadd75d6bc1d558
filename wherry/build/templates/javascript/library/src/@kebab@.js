// Declared in wit/@kebab@.wit.
export function greet(name) {
  return `Hello, ${name}!`;
}
