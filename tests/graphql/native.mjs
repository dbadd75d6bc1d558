// Runs the suite with graphql-js in Node, without Wherry: node native.mjs MODULES SUITE ANSWERS

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, suite, answers] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const graphql = require("graphql");
const { validateSDL } = require("graphql/validation/validate");

const own = (object, name) => (object !== null && typeof object === "object" && Object.hasOwn(object, name) ? object[name] : null);

function answer({ tables }, rule, source, args, counts) {
  if ("fail" in rule) throw new graphql.GraphQLError(rule.fail, { extensions: rule.extensions });
  if ("value" in rule) return rule.value;
  if (rule.arguments) return args;
  if (rule.next) return (counts.next += 1);
  if (!("table" in rule)) return own(source, rule.get);
  const table = tables[rule.table];
  if ("key" in rule) return own(table, rule.key);
  if ("argument" in rule) return own(table, String(args[rule.argument]));
  return "get" in rule ? own(table, String(own(source, rule.get))) : Object.values(table);
}

function checked(definition) {
  const document = graphql.parse(definition);
  const errors = validateSDL(document);
  if (errors.length > 0) throw errors;
  const schema = graphql.buildASTSchema(document, { assumeValidSDL: true });
  const wrong = graphql.validateSchema(schema);
  if (wrong.length > 0) throw wrong;
  return schema;
}

function built(given) {
  const schema = checked(given.definition);
  for (const [coordinate, rule] of Object.entries(given.resolvers)) {
    const [name, field] = coordinate.split(".");
    const type = schema.getType(name);
    if (field !== undefined) {
      type.getFields()[field].resolve = (source, args, counts) => answer(given, rule, source, args, counts);
    } else if (graphql.isAbstractType(type)) {
      type.resolveType = (source, counts) => answer(given, rule, source, {}, counts);
    } else {
      type.serialize = (value) => {
        if (typeof value !== "string") throw new Error("Expected text.");
        return rule.prefix + value;
      };
      type.parseValue = (value) => {
        if (typeof value === "string" && value.startsWith(rule.prefix)) return value.slice(rule.prefix.length);
        throw new Error(`Expected ${rule.prefix}.`);
      };
      type.parseLiteral = (node, variables) => type.parseValue(graphql.valueFromASTUntyped(node, variables));
    }
  }
  return schema;
}

const { schemas, cases } = JSON.parse(readFileSync(suite, "utf8"));
const ready = new Map(Object.entries(schemas).map(([name, given]) => [name, built(given)]));

const does = {
  execute({ schema: name, document, variables, operation }) {
    const schema = ready.get(name);
    const parsed = graphql.parse(document);
    const errors = graphql.validate(schema, parsed);
    if (errors.length > 0) throw errors;
    return graphql.executeSync({
      schema,
      document: parsed,
      rootValue: schemas[name].root,
      contextValue: { next: 0 },
      variableValues: variables,
      operationName: operation,
    });
  },
  validate({ schema, document }) {
    return { errors: graphql.validate(ready.get(schema), graphql.parse(document)) };
  },
  parse: ({ document }) => ({ tree: graphql.parse(document) }),
  print: ({ document }) => ({ text: graphql.print(graphql.parse(document)) }),
  build: ({ document }) => ({ text: graphql.printSchema(checked(document)) }),
  introspect: ({ document }) => ({ data: graphql.introspectionFromSchema(checked(document)) }),
  import({ document }) {
    const told = JSON.parse(JSON.stringify(graphql.introspectionFromSchema(checked(document))));
    return { text: graphql.printSchema(graphql.buildClientSchema(told)) };
  },
};

const found = cases.map((one) => {
  try {
    return does[one.do](one);
  } catch (error) {
    return { errors: Array.isArray(error) ? error : [error] };
  }
});
const told = found.map(({ errors, ...rest }) => {
  const shown = (errors ?? []).map(({ message, locations, path, extensions }) => ({
    message,
    ...(locations?.length > 0 && { locations }),
    ...(path?.length > 0 && { path }),
    ...(extensions && Object.keys(extensions).length > 0 && { extensions }),
  }));
  return shown.length > 0 ? { ...rest, errors: shown } : rest;
});
writeFileSync(answers, JSON.stringify(told));
