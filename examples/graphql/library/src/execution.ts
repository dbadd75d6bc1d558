// Executes a field once for all objects that it is wanted of, with what graphql-js has for the parts. What is asked of the
// host is gathered until nothing else can go on. A response that would have errors graphql-js makes itself, object by
// object, of what was answered: each error is told as it should be.

import * as graphql from "graphql";
// @ts-expect-error graphql-js declares no types for its modules by themselves.
import { collectSubfields } from "graphql/execution/collectFields.mjs";
// @ts-expect-error
import { buildExecutionContext } from "graphql/execution/execute.mjs";
import { resolve, type Answer, type Call, type Sources } from "wherry:graphql/resolvers";

/** Objects that the host kept have their number under this. */
const NUMBER = Symbol("number");

export class Execution {
  #open: { call: Call; done: (answer: Answer) => void }[] = [];
  #answers = new Map<object, Map<unknown, unknown>>();
  #context: any;
  #regular = true;

  /** `resolved` has coordinates that the host resolves, and types of which it resolves something. */
  constructor(readonly resolved: Set<string>, readonly context: number, readonly given: graphql.ExecutionArgs) {}

  async response(): Promise<graphql.ExecutionResult> {
    const { operation, rootValue } = (this.#context = buildExecutionContext(this.given));
    const type = operation && this.given.schema.getRootType(operation.operation);
    const [data] = type ? await this.#select(type, [rootValue], [{ __proto__: null }], [operation]) : [];
    return data && this.#regular ? { data } : this.#objectByObject();
  }

  #objectByObject(): graphql.ExecutionResult {
    const one = (key: object, object: any, name: string): any => {
      const answers = this.#answers.get(key);
      const value = answers?.has(object) ? answers.get(object) : object?.[name];
      return typeof value === "function" ? undefined : value;
    };
    return graphql.executeSync({
      ...this.given,
      fieldResolver: (object, _args, _context, { fieldNodes, fieldName }) => one(fieldNodes[0]!, object, fieldName),
      typeResolver: (object, _context, _info, type) => one(type, object, "__typename"),
    });
  }

  /** Writes what is selected of objects of one type, each into its row. */
  async #select(type: graphql.GraphQLObjectType, objects: any[], rows: any[], nodes: graphql.FieldNode[]): Promise<any[]> {
    const { schema, fragments, variableValues } = this.#context;
    const fields: [string, graphql.FieldNode[]][] = [...collectSubfields(schema, fragments, variableValues, type, nodes)];
    const column = (nodes: graphql.FieldNode[]) => this.#field(type, objects, nodes).catch(() => this.#irregular());
    const columns: (any[] | null)[] = [];
    if (type === schema.getMutationType()) for (const [, nodes] of fields) columns.push(await column(nodes));
    else columns.push(...(await Promise.all(fields.map(([, nodes]) => column(nodes)))));
    for (const [at, [key]] of fields.entries()) {
      for (let row = 0; row < rows.length; row += 1) rows[row][key] = columns[at]?.[row];
    }
    return rows;
  }

  async #field(parent: graphql.GraphQLObjectType, objects: any[], nodes: graphql.FieldNode[]): Promise<any[] | null> {
    const { value: name } = nodes[0]!.name;
    const field = parent.getFields()[name];
    if (!field) return name === "__typename" ? objects.map(() => parent.name) : this.#irregular();
    const args = graphql.getArgumentValues(field, nodes[0]!, this.#context.variableValues);
    return this.#complete(field.type, await this.#found(nodes[0]!, `${parent}.${name}`, field.type, objects, args), nodes);
  }

  /** What objects have at a coordinate, themselves or from the host; `key` is what that is known by. */
  async #found(key: object, coordinate: string, type: graphql.GraphQLOutputType, objects: any[], args = {}): Promise<any[]> {
    const [, name = "__typename"] = coordinate.split(".");
    const resolved = this.resolved.has(coordinate);
    const own = objects.map((one) => (resolved || typeof one?.[name] === "function" ? undefined : one?.[name]));
    if (!own.includes(undefined)) return own;
    const asked = objects.filter((one, at) => resolved || (own[at] === undefined && one?.[NUMBER] !== undefined));
    if (asked.length === 0) return own.map((one) => one ?? null);
    const named = graphql.getNamedType(type) as graphql.GraphQLAbstractType;
    const keep = [named, ...this.given.schema.getPossibleTypes(named)].some((one) => this.resolved.has(one.name));
    const found = await this.#ask(coordinate, args, asked, objects[0] === this.#context.rootValue, keep);
    const answers = this.#answers.get(key) ?? this.#answers.set(key, new Map()).get(key)!;
    asked.forEach((one, at) => answers.set(one, found[at]));
    const all = resolved ? found : own.map((one, at) => (one === undefined ? answers.get(objects[at]) ?? null : one));
    return all.map((one) => (one instanceof Error ? this.#irregular() : one));
  }

  /** Values as a response has them. */
  async #complete(type: graphql.GraphQLOutputType, values: any[], nodes: graphql.FieldNode[]): Promise<any[]> {
    const of = graphql.getNullableType(type);
    if (values.includes(null)) {
      if (of !== type) this.#irregular();
      const made = (await this.#complete(of, values.filter((one) => one !== null), nodes)).values();
      return values.map((one) => (one === null ? null : made.next().value));
    }
    if (graphql.isLeafType(of)) return values.map((one) => of.serialize(one) ?? this.#irregular());
    if (graphql.isListType(of)) {
      const lists: any[][] = values.map((one) => (Array.isArray(one) ? one : this.#irregular() ?? []));
      const items = await this.#complete(of.ofType, lists.flat(), nodes);
      let at = 0;
      return lists.map((one) => items.slice(at, (at += one.length)));
    }
    const rows = values.map(() => ({ __proto__: null }));
    if (graphql.isObjectType(of)) return this.#select(of, values, rows, nodes);
    const names = await this.#found(of, of.name, of, values);
    await Promise.all([...new Set(names)].map((name) => {
      const one = this.given.schema.getPossibleTypes(of).find((type) => type.name === name);
      const here = (_: unknown, at: number) => names[at] === name;
      return one ? this.#select(one, values.filter(here), rows.filter(here), nodes) : this.#irregular();
    }));
    return rows;
  }

  /** What the host has at a coordinate for each of some objects; an error where it has none. */
  async #ask(coordinate: string, args: unknown, objects: any[], root: boolean, keep: boolean): Promise<unknown[]> {
    if (this.#open.length === 0) setImmediate(() => this.#send(this.#open.splice(0)));
    const numbers = objects.map((one) => one?.[NUMBER]);
    const sources: Sources = root ? { tag: "root" }
      : numbers.includes(undefined) ? { tag: "values", val: JSON.stringify(objects) } : { tag: "kept", val: numbers };
    const call = { coordinate, arguments: JSON.stringify(args), sources, keep };
    const { values, first, failures } = await new Promise<Answer>((done) => this.#open.push({ call, done }));
    const found = JSON.parse(values);
    const kept = first === null ? [] : found.flat(Infinity);
    for (let at = 0; at < kept.length; at += 1) {
      if (typeof kept[at] === "object" && kept[at] !== null) kept[at][NUMBER] = first! + at;
    }
    for (const { index, message, extensions } of failures) {
      found[index] = new graphql.GraphQLError(message, { extensions: extensions && JSON.parse(extensions) });
    }
    return found;
  }

  #send(open: { call: Call; done: (answer: Answer) => void }[]): void {
    const answers = resolve(this.context, open.map(({ call }) => call));
    open.forEach(({ done }, at) => done(answers[at]!));
  }

  #irregular(): null {
    this.#regular = false;
    return null;
  }
}
