const name = process.argv.length > 1 ? process.argv[1] : "World";
console.log(`Hello, ${name}!`);
