// Implements wit/@kebab@.wit, which `wherry build` declares in build/bindings.

/** @param {string} name */
export function greet(name) {
  return `Hello, ${name}!`;
}
