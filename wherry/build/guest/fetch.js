// What stands between an application and the `fetch` event, by which requests come: `export default { fetch }`
// as workers have it, or a listener of its own.

let listens = false;
const add = globalThis.addEventListener;
globalThis.addEventListener = (type, ...rest) => {
  listens ||= type === "fetch";
  add(type, ...rest);
};

export function answerWith({ default: application }) {
  const handler = typeof application === "function" ? { fetch: application } : application;
  if (typeof handler?.fetch !== "function") {
    if (listens) return;
    throw new Error('the module answers nothing: `export default { fetch }` or `addEventListener("fetch", …)`');
  }
  add("fetch", (event) => {
    const context = { waitUntil: (promise) => event.waitUntil(promise) };
    event.respondWith((async () => handler.fetch(event.request, {}, context))());
  });
}
