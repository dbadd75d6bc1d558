/*
 * A library of books, asked in GraphQL: library 'QUERY' ['VARIABLES'], which are JSON. Prints the response.
 *
 * A resolver is a function from an object and arguments to a value, all of them JSON, which jansson reads and writes. What lies
 * between these and the bindings is `resolve`: it is called once for all fields of a level.
 */
#include <graphql.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char SDL[] = "type Query { authors: [Author!]! author(id: ID!): Author }\n"
                          "type Author { id: ID! name: String! books: [Book!]! }\n"
                          "type Book { title: String! author: Author! }\n";

static const char *const AUTHORS[] = {"Tove Jansson", "Stanisław Lem"};

static const struct {
  const char *title;
  size_t author;
} BOOKS[] = {{"The Summer Book", 0}, {"Solaris", 1}, {"The Cyberiad", 1}};

enum { AUTHOR_COUNT = sizeof AUTHORS / sizeof *AUTHORS, BOOK_COUNT = sizeof BOOKS / sizeof *BOOKS };

static json_t *author_at(size_t at) {
  char id[24];
  snprintf(id, sizeof id, "%zu", at + 1);
  return json_pack("{s:s, s:s}", "id", id, "name", AUTHORS[at]);
}

static json_t *authors(const json_t *source, const json_t *arguments) {
  json_t *all = json_array();
  (void)source;
  (void)arguments;
  for (size_t i = 0; i < AUTHOR_COUNT; i++)
    json_array_append_new(all, author_at(i));
  return all;
}

static json_t *author(const json_t *source, const json_t *arguments) {
  size_t id = strtoul(json_string_value(json_object_get(arguments, "id")), NULL, 10);
  (void)source;
  return id >= 1 && id <= AUTHOR_COUNT ? author_at(id - 1) : json_null();
}

static json_t *books(const json_t *source, const json_t *arguments) {
  size_t id = strtoul(json_string_value(json_object_get(source, "id")), NULL, 10);
  json_t *found = json_array();
  (void)arguments;
  for (size_t i = 0; i < BOOK_COUNT; i++)
    if (BOOKS[i].author + 1 == id)
      json_array_append_new(found, json_pack("{s:s, s:I}", "title", BOOKS[i].title, "by", (json_int_t)BOOKS[i].author));
  return found;
}

static json_t *author_of(const json_t *source, const json_t *arguments) {
  (void)arguments;
  return author_at((size_t)json_integer_value(json_object_get(source, "by")));
}

static const struct {
  const char *coordinate;
  json_t *(*resolve)(const json_t *source, const json_t *arguments);
} RESOLVERS[] = {{"Query.authors", authors}, {"Query.author", author}, {"Author.books", books}, {"Book.author", author_of}};

enum { RESOLVER_COUNT = sizeof RESOLVERS / sizeof *RESOLVERS };

/* ---- From the bindings to resolvers ---- */

static json_t *parsed(graphql_string text) { return json_loadb(text.data, text.length, JSON_DECODE_ANY, NULL); }

/* JSON in memory that stays until the callback has returned. */
static graphql_string lent(graphql_caller *caller, const json_t *value) {
  size_t length = json_dumpb(value, NULL, 0, JSON_ENCODE_ANY);
  char *text = graphql_lend(caller, length);
  graphql_string view = {text, length};
  json_dumpb(value, text, length, JSON_ENCODE_ANY);
  return view;
}

static graphql_string answered(graphql_caller *caller, const graphql_call *call) {
  json_t *arguments = parsed(call->arguments), *values = json_array(), *sources, *source;
  graphql_string text;
  size_t at;
  sources = call->sources.tag == GRAPHQL_SOURCES_VALUES ? parsed(call->sources.value.values) : json_pack("[n]");
  for (size_t i = 0; i < RESOLVER_COUNT; i++)
    if (strlen(RESOLVERS[i].coordinate) == call->coordinate.length &&
        memcmp(RESOLVERS[i].coordinate, call->coordinate.data, call->coordinate.length) == 0)
      json_array_foreach(sources, at, source) json_array_append_new(values, RESOLVERS[i].resolve(source, arguments));
  text = lent(caller, values);
  json_decref(values);
  json_decref(sources);
  json_decref(arguments);
  return text;
}

static int32_t resolve(void *context, graphql_caller *caller, uint32_t request, graphql_list_call calls,
                       graphql_list_answer *out) {
  graphql_answer *answers = graphql_lend(caller, calls.length * sizeof *answers);
  (void)context;
  (void)request;
  memset(answers, 0, calls.length * sizeof *answers);
  for (size_t i = 0; i < calls.length; i++)
    answers[i].values = answered(caller, &calls.data[i]);
  out->data = answers;
  out->length = calls.length;
  return 0;
}

/* There are no scalars of its own in the schema. */
static int32_t convert(void *context, graphql_caller *caller, graphql_string scalar, graphql_direction direction,
                       graphql_string value, graphql_result_string_string *out) {
  (void)context;
  (void)scalar;
  (void)direction;
  (void)value;
  (void)out;
  return graphql_fail(caller, "no scalar is converted");
}

/* ---- The command ---- */

static void print(graphql_response response) {
  if (response.data.is_some)
    printf("%.*s\n", (int)response.data.value.length, response.data.value.data);
  for (size_t i = 0; i < response.errors.length; i++) {
    const graphql_problem *problem = &response.errors.data[i];
    fprintf(stderr, "error: %.*s", (int)problem->message.length, problem->message.data);
    if (problem->locations.length > 0)
      fprintf(stderr, " (line %u, column %u)", problem->locations.data[0].line, problem->locations.data[0].column);
    fprintf(stderr, "\n");
  }
}

static int failed(wherry_error *error, graphql_instance *instance) {
  fprintf(stderr, "error: %s\n", wherry_error_message(error));
  wherry_error_free(error);
  graphql_close(instance);
  return 1;
}

int main(int argc, char **argv) {
  const graphql_imports imports = {NULL, {resolve, convert}};
  graphql_string coordinates[RESOLVER_COUNT];
  graphql_list_string resolved = {coordinates, RESOLVER_COUNT};
  graphql_result_schema_list_problem built;
  graphql_request request;
  graphql_response response;
  graphql_instance *instance = NULL;
  wherry_error *error;
  if (argc != 2 && argc != 3) {
    fprintf(stderr, "usage: library QUERY [VARIABLES]\n");
    return 2;
  }
  for (size_t i = 0; i < RESOLVER_COUNT; i++)
    coordinates[i] = graphql_text(RESOLVERS[i].coordinate);
  memset(&request, 0, sizeof request);
  request.document = graphql_text(argv[1]);
  if (argc == 3) {
    request.variables.is_some = true;
    request.variables.value = graphql_text(argv[2]);
  }
  if (graphql_open(NULL, &imports, &instance, &error) != WHERRY_OK ||
      graphql_schema_build(instance, graphql_text(SDL), resolved, &built, &error) != WHERRY_OK ||
      graphql_schema_execute(instance, built.value.ok, &request, &response, &error) != WHERRY_OK)
    return failed(error, instance);
  print(response);
  graphql_close(instance);
  return response.errors.length == 0 ? 0 : 1;
}
