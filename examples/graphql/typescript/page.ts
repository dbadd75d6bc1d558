// A page that answers GraphQL by itself: what is typed is executed as it is typed, with resolvers in TypeScript.
import { instantiate, type Answer, type Call, type Resolvers } from "@wherry/graphql";

const SDL = `
type Query { authors: [Author!]! }
type Author { id: ID!, name: String!, books: [Book!]! }
type Book { title: String! }`;
const AUTHORS = [
  { id: "1", name: "Tove Jansson" },
  { id: "2", name: "Stanisław Lem" },
];
const BOOKS = [
  { title: "The Summer Book", by: "1" },
  { title: "Solaris", by: "2" },
  { title: "The Cyberiad", by: "2" },
];

type Author = (typeof AUTHORS)[number];

/** Fields by their coordinates: each is given all objects of a level, and answers for all of them. */
const FIELDS: Record<string, (sources: Author[]) => unknown[]> = {
  "Query.authors": () => [AUTHORS],
  "Author.books": (authors) => authors.map((author) => BOOKS.filter((book) => book.by === author.id)),
};

function answered(call: Call): Answer {
  // Nothing is kept, so that objects come back as they were answered; the root of a request is no object of ours.
  const sources = call.sources.tag === "values" ? (JSON.parse(call.sources.val) as Author[]) : [];
  return { values: JSON.stringify(FIELDS[call.coordinate]?.(sources) ?? []), failures: [] };
}

const resolvers: Resolvers = {
  resolve: (_context, calls) => calls.map(answered),
  convert: (_scalar, _direction, value) => value,
};
const { execution } = await instantiate({ imports: { resolvers } });
const schema = execution.Schema.build(SDL, Object.keys(FIELDS));

const query = document.querySelector<HTMLTextAreaElement>("#query");
const answer = document.querySelector<HTMLPreElement>("#answer");

function show(): void {
  if (query === null || answer === null) return;
  const { data, errors } = schema.execute({ document: query.value, context: 0 });
  const found = data === undefined ? errors.map((error) => error.message) : (JSON.parse(data) as unknown);
  answer.textContent = JSON.stringify(found, undefined, 2);
}

query?.addEventListener("input", show);
show();
