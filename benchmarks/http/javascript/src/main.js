// The smallest application in JavaScript.
export default {
  fetch: () => new Response("Hello, World!"),
};
