// The same answer as the trivial guest gives, by node without a sandbox: `node hello_http.mjs HOST:PORT`.
import { createServer } from "node:http";

const [host, port] = process.argv[2].split(":");
createServer((request, answer) => answer.end("Hello, World!")).listen(Number(port), host);
