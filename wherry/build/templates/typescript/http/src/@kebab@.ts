// Answers requests, as workers do.

export default {
  async fetch(request: Request): Promise<Response> {
    const name = new URL(request.url).searchParams.get("name") ?? "World";
    return new Response(`Hello, ${name}!\n`);
  },
};
