// The same answer as the trivial guest gives, in one isolate of workerd for all requests.
export default {
  fetch() {
    return new Response("Hello, World!");
  },
};
