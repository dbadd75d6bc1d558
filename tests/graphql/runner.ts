// The runner for TypeScript, on the bindings that `wherry bind` wrote; as JavaScript: node runner.mjs SUITE ANSWERS
import { readFileSync, writeFileSync } from "node:fs";

import { instantiate, ResultError } from "@wherry/graphql";
import type { Answer, Call, Direction, Graphql, Problem, Resolvers, Schema, Sources } from "@wherry/graphql";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Fields = { [name: string]: Json };

interface Rule {
  value?: Json;
  fail?: string;
  extensions?: Json;
  get?: string;
  arguments?: true;
  next?: true;
  table?: string;
  argument?: string;
  key?: string;
  prefix?: string;
}

interface Given {
  definition: string;
  root: Json;
  resolvers: Record<string, Rule>;
  tables: Record<string, Fields>;
}

interface Case {
  do: "execute" | "validate" | "parse" | "print" | "build" | "introspect" | "import";
  document: string;
  schema?: string;
  operation?: string;
  variables?: Json;
}

const own = (object: Json | undefined, name: string): Json =>
  object instanceof Object && Object.hasOwn(object, name) ? ((object as Fields)[name] ?? null) : null;
const keyOf = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));

/** The resolvers of one schema, by their rules; objects that may be asked for more are kept. */
class Host implements Resolvers {
  #given: Given | undefined;
  #kept: Json[] = [];
  #count = 0;

  /** Before each request. */
  begin(given: Given): void {
    this.#given = given;
    this.#kept = [];
    this.#count = 0;
  }

  resolve(_context: number, calls: Call[]): Answer[] {
    return calls.map((call) => this.#answer(call));
  }

  convert(scalar: string, direction: Direction, value: string): string {
    const prefix = this.#rule(scalar).prefix ?? "";
    const text = JSON.parse(value) as Json;
    if (direction === "serialize") {
      if (typeof text !== "string") throw new ResultError("Expected text.");
      return JSON.stringify(prefix + text);
    }
    if (typeof text === "string" && text.startsWith(prefix)) return JSON.stringify(text.slice(prefix.length));
    throw new ResultError(`Expected ${prefix}.`);
  }

  #rule(coordinate: string): Rule {
    return this.#given?.resolvers[coordinate] ?? { value: null };
  }

  #answer(call: Call): Answer {
    const rule = this.#rule(call.coordinate);
    const args = JSON.parse(call.arguments) as Fields;
    const sources = this.#sources(call.sources);
    const values = sources.map((source) => this.#value(rule, source, args));
    const { fail, extensions } = rule;
    const why = extensions === undefined ? {} : { extensions: JSON.stringify(extensions) };
    const failures = fail === undefined ? [] : sources.map((_, index) => ({ index, message: fail, ...why }));
    const first = call.keep ? { first: this.#kept.length } : {};
    if (call.keep) this.#keep(values);
    return { values: JSON.stringify(values), failures, ...first };
  }

  #sources(sources: Sources): Json[] {
    switch (sources.tag) {
      case "root":
        return [this.#given?.root ?? null];
      case "kept":
        return Array.from(sources.val, (number) => this.#kept[number] ?? null);
      case "values":
        return JSON.parse(sources.val) as Json[];
    }
  }

  #keep(value: Json): void {
    if (Array.isArray(value)) for (const item of value) this.#keep(item);
    else this.#kept.push(value);
  }

  #value(rule: Rule, source: Json, args: Fields): Json {
    if (rule.fail !== undefined) return null;
    if (rule.value !== undefined) return rule.value;
    if (rule.arguments) return args;
    if (rule.next) return (this.#count += 1);
    if (rule.table === undefined) return own(source, rule.get ?? "");
    const table = this.#given?.tables[rule.table];
    if (rule.key !== undefined) return own(table, rule.key);
    if (rule.argument !== undefined) return own(table, keyOf(args[rule.argument] ?? null));
    if (rule.get !== undefined) return own(table, keyOf(own(source, rule.get)));
    return Object.values(table ?? {});
  }
}

function errors(problems: Problem[]): { errors?: object[] } {
  const found = problems.map(({ message, locations, path, extensions }) => ({
    message,
    ...(locations.length > 0 && { locations }),
    ...(path.length > 0 && { path: path.map((step) => step.val) }),
    ...(extensions !== undefined && { extensions: JSON.parse(extensions) as Json }),
  }));
  return found.length > 0 ? { errors: found } : {};
}

class Runner {
  readonly #host: Host;
  readonly #library: Graphql;
  readonly #schemas: Map<string, [Given, Schema]>;

  constructor(host: Host, library: Graphql, schemas: Record<string, Given>) {
    this.#host = host;
    this.#library = library;
    const built = (given: Given): Schema =>
      library.execution.Schema.build(given.definition, Object.keys(given.resolvers));
    this.#schemas = new Map(Object.entries(schemas).map(([name, given]) => [name, [given, built(given)]]));
  }

  answer(one: Case): object {
    try {
      return this.#done(one);
    } catch (error) {
      if (!(error instanceof ResultError)) throw error;
      const problems = error.payload as Problem | Problem[];
      return errors(Array.isArray(problems) ? problems : [problems]);
    }
  }

  #done(one: Case): object {
    const { document } = one;
    const { Schema, parse, print } = this.#library.execution;
    switch (one.do) {
      case "execute":
        return this.#executed(one);
      case "validate":
        return errors(this.#known(one)[1].validate(document));
      case "parse":
        return { tree: JSON.parse(parse(document)) as Json };
      case "print":
        return { text: print(parse(document)) };
      case "build":
        return { text: Schema.build(document, []).print() };
      case "introspect":
        return { data: JSON.parse(Schema.build(document, []).introspect()) as Json };
      case "import":
        return { text: Schema.buildFromIntrospection(Schema.build(document, []).introspect(), []).print() };
    }
  }

  #executed(one: Case): object {
    const [given, schema] = this.#known(one);
    this.#host.begin(given);
    const { data, errors: problems } = schema.execute({
      document: one.document,
      operation: one.operation,
      variables: one.variables === undefined ? undefined : JSON.stringify(one.variables),
      root: JSON.stringify(given.root),
      context: 0,
    });
    return { ...(data !== undefined && { data: JSON.parse(data) as Json }), ...errors(problems) };
  }

  #known(one: Case): [Given, Schema] {
    const found = this.#schemas.get(one.schema ?? "");
    if (found === undefined) throw new Error(`there is no schema ${String(one.schema)}`);
    return found;
  }
}

const [suite = "", answers = ""] = process.argv.slice(2);
const { schemas, cases } = JSON.parse(readFileSync(suite, "utf8")) as { schemas: Record<string, Given>; cases: Case[] };
const host = new Host();
const runner = new Runner(host, await instantiate({ imports: { resolvers: host } }), schemas);
writeFileSync(answers, JSON.stringify(cases.map((one) => runner.answer(one))));
