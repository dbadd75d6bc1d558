// The application of the suite, in JavaScript.

const routes = {
  "/hello": () => text("Hello, World!"),
  "/echo": (request) =>
    new Response(request.body, { headers: { "content-type": request.headers.get("content-type") ?? "" } }),
  "/json": greet,
  "/fetch": pass,
  "/trap": () => {
    throw new Error("asked to");
  },
  "/slow": async () => {
    await new Promise((done) => setTimeout(done, 300));
    return text("At last");
  },
};

async function greet(request) {
  try {
    const { name } = await request.json();
    return new Response(JSON.stringify({ greeting: `Hello, ${name}!` }), {
      headers: { "content-type": "application/json" },
    });
  } catch (error) {
    return text(String(error), 400);
  }
}

async function pass(request) {
  try {
    const answer = await fetch(new URL(request.url).searchParams.get("url"));
    return new Response(answer.body, { status: answer.status });
  } catch (error) {
    return text(String(error), 502);
  }
}

function text(body, status = 200) {
  return new Response(body, { status, headers: { "content-type": "text/plain" } });
}

export default {
  fetch: (request) => (routes[new URL(request.url).pathname] ?? (() => text("not found", 404)))(request),
};
