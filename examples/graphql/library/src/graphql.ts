// graphql-js, behind wit/graphql.wit.

import * as graphql from "graphql";
// @ts-expect-error graphql-js declares no types for its modules by themselves.
import { validateSDL } from "graphql/validation/validate.mjs";
import type { Problem, Request, Response } from "wherry:graphql/execution";
import { convert } from "wherry:graphql/resolvers";
import { Execution } from "./execution.js";

class Schema {
  #resolved = new Set<string>();
  #known = new Map<string, graphql.DocumentNode | Problem[]>();

  constructor(readonly schema: graphql.GraphQLSchema, resolved: string[]) {
    const wrong = graphql.validateSchema(schema);
    if (wrong.length > 0) throw wrong;
    for (const coordinate of resolved) this.#resolve(coordinate);
  }

  static build(definition: string, resolved: string[]): Schema {
    const document = () => parsed(definition, validateSDL);
    return attempt(() => new Schema(graphql.buildASTSchema(document(), { assumeValidSDL: true }), resolved));
  }

  static buildFromIntrospection(told: string, resolved: string[]): Schema {
    return attempt(() => new Schema(graphql.buildClientSchema(JSON.parse(told)), resolved));
  }

  print(): string {
    return graphql.printSchema(this.schema);
  }

  introspect(): string {
    return JSON.stringify(graphql.introspectionFromSchema(this.schema));
  }

  validate(text: string): Problem[] {
    const known = this.#read(text);
    return Array.isArray(known) ? known : [];
  }

  async execute({ document: text, operation: operationName, variables, root, context }: Request): Promise<Response> {
    const document = this.#read(text);
    if (Array.isArray(document)) return { data: null, errors: document };
    const [rootValue, variableValues] = [root && JSON.parse(root), variables && JSON.parse(variables)];
    const given = { schema: this.schema, document, operationName, rootValue, variableValues };
    const { data, errors = [] } = await new Execution(this.#resolved, context, given).response();
    return { data: data === undefined ? null : JSON.stringify(data), errors: errors.map(problem) };
  }

  /** A document, or what is wrong with it. A thousand are known; then the oldest goes. */
  #read(text: string): graphql.DocumentNode | Problem[] {
    const read = () => parsed(text, (document) => graphql.validate(this.schema, document));
    const known = this.#known.get(text) ?? attempt<graphql.DocumentNode | Problem[]>(read, (problems) => problems);
    if (this.#known.size >= 1000) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(text, known);
    return known;
  }

  /** Notes what the host resolves. */
  #resolve(coordinate: string): void {
    const [name = "", field] = coordinate.split(".");
    const type = this.schema.getType(name);
    if (field === undefined && graphql.isScalarType(type) && !graphql.isSpecifiedScalarType(type)) {
      type.serialize = (value) => JSON.parse(convert(name, "serialize", JSON.stringify(value)));
      type.parseValue = (value) => JSON.parse(convert(name, "parse", JSON.stringify(value)));
      type.parseLiteral = (node, variables) => type.parseValue(graphql.valueFromASTUntyped(node, variables));
    } else if (field === undefined ? graphql.isAbstractType(type) : graphql.isObjectType(type) && type.getFields()[field]) {
      this.#resolved.add(coordinate).add(name);
    } else throw new graphql.GraphQLError(`There is nothing to resolve at "${coordinate}".`);
  }
}

export const execution = {
  Schema,
  parse: (text: string): string => attempt(() => JSON.stringify(graphql.parse(text)), ([one]) => raise(one)),
  print: (tree: string): string => attempt(() => graphql.print(JSON.parse(tree)), ([one]) => raise(one)),
};

/** An error as the interface has it. */
function problem({ message, locations = [], path = [], extensions = {} }: Partial<graphql.GraphQLError> & Error): Problem {
  return {
    message,
    locations: [...locations],
    path: path.map((step) => (typeof step === "string" ? { tag: "field", val: step } : { tag: "item", val: step })),
    extensions: Object.keys(extensions).length > 0 ? JSON.stringify(extensions) : null,
  };
}

/** A document in which nothing is wrong. */
function parsed(text: string, validate: (document: graphql.DocumentNode) => readonly Error[]): graphql.DocumentNode {
  const document = graphql.parse(text);
  const wrong = validate(document);
  if (wrong.length > 0) throw wrong;
  return document;
}

/** What a function gives, or what `otherwise` makes of what is wrong. */
function attempt<T>(work: () => T, otherwise: (problems: Problem[]) => T = raise): T {
  try {
    return work();
  } catch (errors) {
    return otherwise([errors as Error].flat().map(problem));
  }
}

function raise(problem: unknown): never {
  throw problem;
}
