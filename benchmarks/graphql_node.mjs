// The query of graphql.py in Node: node graphql_node.mjs MODULES BINDINGS < DATA prints the seconds of ours and of theirs.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [modules, bindings] = process.argv.slice(2);
process.env.NODE_ENV = "production";
const graphql = createRequire(`${modules}/`)("graphql");
const { instantiate } = await import(pathToFileURL(bindings).href);
const { sdl, query, authors, books, reviews } = JSON.parse(readFileSync(0, "utf8"));
const resolvers = {
  "Query.authors": () => authors,
  "Author.books": (author) => books[author.id],
  "Book.reviews": (book) => reviews[book.id],
};

const kept = [];
const answer = ({ coordinate, sources, keep }) => {
  const objects = sources.tag === "kept" ? [...sources.val].map((number) => kept[number]) : [undefined];
  const values = objects.map(resolvers[coordinate]);
  const first = keep ? kept.length : undefined;
  if (keep) kept.push(...values.flat());
  return { values: JSON.stringify(values), first, failures: [] };
};
const host = { resolve: (_context, calls) => calls.map(answer), convert: () => "null" };
const library = await instantiate({ imports: { resolvers: host } });
const schema = library.execution.Schema.build(sdl, Object.keys(resolvers));
const request = { document: query, context: 0 };
const ours = () => {
  kept.length = 0;
  return JSON.parse(schema.execute(request).data);
};

const native = graphql.buildSchema(sdl);
for (const [coordinate, resolve] of Object.entries(resolvers)) {
  const [type, field] = coordinate.split(".");
  native.getType(type).getFields()[field].resolve = resolve;
}
const document = graphql.parse(query);
const theirs = () => graphql.executeSync({ schema: native, document }).data;

if (JSON.stringify(ours()) !== JSON.stringify(theirs())) throw new Error("they answer differently");
const timed = (one) => {
  const start = performance.now();
  for (let at = 0; at < 8; at += 1) one();
  return (performance.now() - start) / 8e3;
};
const times = [[], []];
for (let round = 0; round < 60; round += 1) [ours, theirs].forEach((one, at) => times[at].push(timed(one)));
// The compilers of the engine have done their work after the first third.
const median = (all) => all.slice(20).sort((one, other) => one - other)[20];
console.log(JSON.stringify(times.map(median)));
