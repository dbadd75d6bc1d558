/*
 * The runner for C, on the bindings that `wherry bind --lang c` makes: runner SUITE ANSWERS. README.md has its protocol.
 *
 * Values are JSON, which jansson reads and writes. What a callback returns is copied into memory that it is lent.
 */
#include <graphql.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READING = JSON_DECODE_ANY | JSON_ALLOW_NUL, WRITING = JSON_ENCODE_ANY | JSON_COMPACT };

static void fail(const char *what) {
  fprintf(stderr, "error: %s\n", what);
  exit(1);
}

static void check(wherry_status status, wherry_error **error) {
  if (status != WHERRY_OK)
    fail(wherry_error_message(*error));
}

static json_t *parsed(graphql_string text) {
  json_error_t error;
  json_t *value = json_loadb(text.data, text.length, READING, &error);
  if (value == NULL)
    fail(error.text);
  return value;
}

static graphql_string text_of(const json_t *value) {
  graphql_string text = {json_string_value(value), json_string_length(value)};
  return text;
}

static json_t *string(graphql_string text) { return json_stringn(text.data, text.length); }

/* ---- The host: resolvers of one schema, by their rules ---- */

struct host {
  json_t *given, *kept;
  json_int_t count;
};

/* A value as JSON text that stays until the callback has returned. */
static graphql_string lent(graphql_caller *caller, const json_t *value) {
  char *text = json_dumps(value, WRITING);
  size_t length = strlen(text);
  char *copy = graphql_lend(caller, length);
  graphql_string result = {copy, length};
  memcpy(copy, text, length);
  free(text);
  return result;
}

static graphql_string lent_text(graphql_caller *caller, const char *before, graphql_string text, const char *after) {
  graphql_string result = {NULL, strlen(before) + text.length + strlen(after)};
  char *copy = graphql_lend(caller, result.length + 1);
  snprintf(copy, result.length + 1, "%s%.*s%s", before, (int)text.length, text.data, after);
  result.data = copy;
  return result;
}

/* An entry of a table by a key, which is text or a value that JSON has a text for. */
static json_t *entry(const json_t *table, const json_t *key) {
  json_t *found;
  char *text;
  if (json_is_string(key))
    return json_object_get(table, json_string_value(key));
  text = key == NULL ? NULL : json_dumps(key, WRITING);
  found = json_object_get(table, text == NULL ? "null" : text);
  free(text);
  return found;
}

/* What a rule makes of one object, as a new reference. */
static json_t *value_of(struct host *host, const json_t *rule, const json_t *source, json_t *arguments) {
  const json_t *table = json_object_get(json_object_get(host->given, "tables"), json_string_value(json_object_get(rule, "table")));
  const json_t *name;
  json_t *found = NULL;
  if (json_object_get(rule, "fail") != NULL)
    return json_null();
  if ((found = json_object_get(rule, "value")) != NULL)
    return json_incref(found);
  if (json_object_get(rule, "arguments") != NULL)
    return json_incref(arguments);
  if (json_object_get(rule, "next") != NULL)
    return json_integer(++host->count);
  if (table != NULL && (name = json_object_get(rule, "key")) != NULL)
    found = entry(table, name);
  else if (table != NULL && (name = json_object_get(rule, "argument")) != NULL)
    found = entry(table, json_object_get(arguments, json_string_value(name)));
  else if (table != NULL && (name = json_object_get(rule, "get")) != NULL)
    found = entry(table, json_object_get(source, json_string_value(name)));
  else if (table != NULL) {
    const char *key;
    json_t *list = json_array(), *value;
    json_object_foreach((json_t *)table, key, value) json_array_append(list, value);
    return list;
  } else if ((name = json_object_get(rule, "get")) != NULL)
    found = json_object_get(source, json_string_value(name));
  return found == NULL ? json_null() : json_incref(found);
}

/* Keeps a value, or each item of a list. */
static void keep(struct host *host, json_t *value) {
  size_t at;
  json_t *item;
  if (!json_is_array(value))
    json_array_append(host->kept, value);
  else
    json_array_foreach(value, at, item) keep(host, item);
}

/* The objects whose field is wanted, as a new list. */
static json_t *sources_of(struct host *host, const graphql_sources *sources) {
  json_t *list = json_array();
  switch (sources->tag) {
  case GRAPHQL_SOURCES_ROOT:
    json_array_append(list, json_object_get(host->given, "root"));
    break;
  case GRAPHQL_SOURCES_KEPT:
    for (size_t i = 0; i < sources->value.kept.length; i++)
      json_array_append(list, json_array_get(host->kept, sources->value.kept.data[i]));
    break;
  case GRAPHQL_SOURCES_VALUES:
    json_decref(list);
    list = parsed(sources->value.values);
    break;
  }
  return list;
}

/* The same failure for each source. */
static graphql_list_failure failures_of(graphql_caller *caller, const json_t *rule, size_t count) {
  graphql_failure *failures = graphql_lend(caller, count * sizeof *failures);
  graphql_list_failure list = {failures, count};
  const json_t *extensions = json_object_get(rule, "extensions");
  graphql_option_string said = {false, {NULL, 0}};
  if (extensions != NULL) {
    said.is_some = true;
    said.value = lent(caller, extensions);
  }
  for (size_t i = 0; i < count; i++) {
    failures[i].index = (uint32_t)i;
    failures[i].message = text_of(json_object_get(rule, "fail"));
    failures[i].extensions = said;
  }
  return list;
}

static graphql_answer answer(struct host *host, graphql_caller *caller, const graphql_call *call) {
  char coordinate[256];
  graphql_answer result = {{NULL, 0}, {call->keep, (uint32_t)json_array_size(host->kept)}, {NULL, 0}};
  json_t *arguments = parsed(call->arguments), *sources = sources_of(host, &call->sources), *values = json_array();
  const json_t *rule;
  size_t at;
  json_t *source;
  snprintf(coordinate, sizeof coordinate, "%.*s", (int)call->coordinate.length, call->coordinate.data);
  rule = json_object_get(json_object_get(host->given, "resolvers"), coordinate);
  json_array_foreach(sources, at, source) json_array_append_new(values, value_of(host, rule, source, arguments));
  if (json_object_get(rule, "fail") != NULL)
    result.failures = failures_of(caller, rule, json_array_size(sources));
  if (call->keep)
    keep(host, values);
  result.values = lent(caller, values);
  json_decref(values);
  json_decref(sources);
  json_decref(arguments);
  return result;
}

static int32_t resolve(void *context, graphql_caller *caller, uint32_t request, graphql_list_call calls,
                       graphql_list_answer *out) {
  graphql_answer *answers = graphql_lend(caller, calls.length * sizeof *answers);
  (void)request;
  for (size_t i = 0; i < calls.length; i++)
    answers[i] = answer(context, caller, &calls.data[i]);
  out->data = answers;
  out->length = calls.length;
  return 0;
}

/* Adds or takes away the prefix of a scalar. */
static int32_t convert(void *context, graphql_caller *caller, graphql_string scalar, graphql_direction direction,
                       graphql_string value, graphql_result_string_string *out) {
  const struct host *host = context;
  json_t *resolvers = json_object_get(host->given, "resolvers"), *text = parsed(value), *made = NULL;
  char name[256];
  graphql_string prefix, given = text_of(text);
  snprintf(name, sizeof name, "%.*s", (int)scalar.length, scalar.data);
  prefix = text_of(json_object_get(json_object_get(resolvers, name), "prefix"));
  if (direction == GRAPHQL_DIRECTION_SERIALIZE && json_is_string(text))
    made = string(lent_text(caller, prefix.data, given, ""));
  else if (direction == GRAPHQL_DIRECTION_PARSE && json_is_string(text) && given.length >= prefix.length &&
           memcmp(given.data, prefix.data, prefix.length) == 0)
    made = json_stringn(given.data + prefix.length, given.length - prefix.length);
  out->is_err = made == NULL;
  if (made != NULL)
    out->value.ok = lent(caller, made);
  else if (direction == GRAPHQL_DIRECTION_SERIALIZE)
    out->value.err = graphql_text("Expected text.");
  else
    out->value.err = lent_text(caller, "Expected ", prefix, ".");
  json_decref(made);
  json_decref(text);
  return 0;
}

/* ---- The cases ---- */

static json_t *errors_of(graphql_list_problem problems) {
  json_t *result = json_object(), *errors = json_array();
  for (size_t i = 0; i < problems.length; i++) {
    const graphql_problem *problem = &problems.data[i];
    json_t *error = json_object(), *locations = json_array(), *path = json_array();
    json_object_set_new(error, "message", string(problem->message));
    for (size_t j = 0; j < problem->locations.length; j++) {
      const graphql_location *at = &problem->locations.data[j];
      json_array_append_new(locations, json_pack("{s:I, s:I}", "line", (json_int_t)at->line, "column", (json_int_t)at->column));
    }
    for (size_t j = 0; j < problem->path.length; j++) {
      const graphql_step *step = &problem->path.data[j];
      json_array_append_new(path, step->tag == GRAPHQL_STEP_FIELD ? string(step->value.field) : json_integer(step->value.item));
    }
    if (json_array_size(locations) > 0)
      json_object_set(error, "locations", locations);
    if (json_array_size(path) > 0)
      json_object_set(error, "path", path);
    if (problem->extensions.is_some)
      json_object_set_new(error, "extensions", parsed(problem->extensions.value));
    json_decref(locations);
    json_decref(path);
    json_array_append_new(errors, error);
  }
  if (json_array_size(errors) > 0)
    json_object_set(result, "errors", errors);
  json_decref(errors);
  return result;
}

static json_t *error_of(graphql_problem problem) {
  graphql_list_problem one = {&problem, 1};
  return errors_of(one);
}

/* An answer of one member. */
static json_t *answered(const char *name, json_t *value) {
  json_t *result = json_object();
  json_object_set_new(result, name, value);
  return result;
}

static json_t *execute(graphql_instance *instance, graphql_schema schema, const json_t *given, graphql_string document) {
  const json_t *variables = json_object_get(given, "variables"), *operation = json_object_get(given, "operation");
  char *texts[2] = {json_dumps(json_object_get(given, "root"), WRITING), NULL};
  graphql_request request = {.document = document};
  graphql_response response;
  wherry_error *error;
  json_t *result;
  request.root.is_some = true;
  request.root.value = graphql_text(texts[0]);
  if (operation != NULL) {
    request.operation.is_some = true;
    request.operation.value = text_of(operation);
  }
  if (variables != NULL) {
    texts[1] = json_dumps(variables, WRITING);
    request.variables.is_some = true;
    request.variables.value = graphql_text(texts[1]);
  }
  check(graphql_schema_execute(instance, schema, &request, &response, &error), &error);
  result = errors_of(response.errors);
  if (response.data.is_some)
    json_object_set_new(result, "data", parsed(response.data.value));
  free(texts[0]);
  free(texts[1]);
  return result;
}

static json_t *parse(graphql_instance *instance, graphql_string document, bool prints) {
  graphql_result_string_problem tree, text;
  wherry_error *error;
  check(graphql_parse(instance, document, &tree, &error), &error);
  if (tree.is_err)
    return error_of(tree.value.err);
  if (!prints)
    return answered("tree", parsed(tree.value.ok));
  /* What was lent by one call may be given to the next. */
  check(graphql_print(instance, tree.value.ok, &text, &error), &error);
  return text.is_err ? error_of(text.value.err) : answered("text", string(text.value.ok));
}

/* Builds a schema and does one of three things with it. */
static json_t *build(graphql_instance *instance, graphql_string document, const char *what) {
  graphql_list_string none = {NULL, 0};
  graphql_result_schema_list_problem built, again;
  graphql_string text;
  wherry_error *error;
  json_t *result;
  check(graphql_schema_build(instance, document, none, &built, &error), &error);
  if (built.is_err)
    return errors_of(built.value.err);
  if (strcmp(what, "build") != 0)
    check(graphql_schema_introspect(instance, built.value.ok, &text, &error), &error);
  if (strcmp(what, "introspect") == 0) {
    result = answered("data", parsed(text));
  } else if (strcmp(what, "build") == 0) {
    check(graphql_schema_print(instance, built.value.ok, &text, &error), &error);
    result = answered("text", string(text));
  } else {
    check(graphql_schema_build_from_introspection(instance, text, none, &again, &error), &error);
    if (again.is_err) {
      result = errors_of(again.value.err);
    } else {
      check(graphql_schema_print(instance, again.value.ok, &text, &error), &error);
      result = answered("text", string(text));
      check(graphql_schema_close(instance, again.value.ok, &error), &error);
    }
  }
  check(graphql_schema_close(instance, built.value.ok, &error), &error);
  return result;
}

struct built {
  graphql_schema schema;
  json_t *given;
};

static json_t *case_of(graphql_instance *instance, struct host *host, json_t *one, const struct built *built) {
  const char *what = json_string_value(json_object_get(one, "do"));
  graphql_string document = text_of(json_object_get(one, "document"));
  graphql_list_problem problems;
  wherry_error *error;
  if (strcmp(what, "execute") == 0) {
    json_t *result;
    host->given = built->given;
    host->kept = json_array();
    host->count = 0;
    json_object_set(one, "root", json_object_get(host->given, "root"));
    result = execute(instance, built->schema, one, document);
    json_decref(host->kept);
    return result;
  }
  if (strcmp(what, "validate") == 0) {
    check(graphql_schema_validate(instance, built->schema, document, &problems, &error), &error);
    return errors_of(problems);
  }
  if (strcmp(what, "parse") == 0 || strcmp(what, "print") == 0)
    return parse(instance, document, strcmp(what, "print") == 0);
  return build(instance, document, what);
}

/* A schema with the coordinates of its resolvers. */
static graphql_schema schema_of(graphql_instance *instance, json_t *given) {
  json_t *resolvers = json_object_get(given, "resolvers"), *rule;
  graphql_string *names = malloc((json_object_size(resolvers) + 1) * sizeof *names);
  graphql_list_string resolved = {names, 0};
  graphql_result_schema_list_problem built;
  wherry_error *error;
  const char *name;
  json_object_foreach(resolvers, name, rule) names[resolved.length++] = graphql_text(name);
  check(graphql_schema_build(instance, text_of(json_object_get(given, "definition")), resolved, &built, &error), &error);
  if (built.is_err)
    fail("a schema is refused");
  free(names);
  return built.value.ok;
}

int main(int argc, char **argv) {
  struct host host = {NULL, NULL, 0};
  graphql_options options = {.timeout = "300s"};
  graphql_imports imports = {&host, {resolve, convert}};
  graphql_instance *instance = NULL;
  wherry_error *error;
  json_error_t wrong;
  json_t *suite = argc == 3 ? json_load_file(argv[1], JSON_ALLOW_NUL, &wrong) : NULL;
  json_t *schemas = json_object_get(suite, "schemas"), *answers = json_array(), *given, *one;
  struct built *built = malloc((json_object_size(schemas) + 1) * sizeof *built);
  const char *name;
  size_t at, count = 0;
  if (suite == NULL)
    fail("runner SUITE ANSWERS");
  check(graphql_open(&options, &imports, &instance, &error), &error);
  json_object_foreach(schemas, name, given) {
    built[count].given = given;
    built[count++].schema = schema_of(instance, given);
  }
  json_array_foreach(json_object_get(suite, "cases"), at, one) {
    const json_t *wanted = json_object_get(schemas, json_string_value(json_object_get(one, "schema")));
    size_t which = 0;
    while (which + 1 < count && built[which].given != wanted)
      which++;
    json_array_append_new(answers, case_of(instance, &host, one, &built[which]));
  }
  if (json_dump_file(answers, argv[2], JSON_COMPACT) != 0)
    fail("the answers cannot be written");
  graphql_close(instance);
  json_decref(answers);
  json_decref(suite);
  free(built);
  return 0;
}
