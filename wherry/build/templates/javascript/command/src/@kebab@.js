const name = process.argv[2] ?? "World";
console.log(`Hello, ${name}!`);
