// The JavaScript interpreter: what componentize-qjs makes a component of.

const shown = (value) =>
  typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));

// Runs a snippet and returns what it printed.
export function execute(source) {
  let printed = "";
  globalThis.console = {
    log: (...values) => {
      printed += values.map(shown).join(" ") + "\n";
    },
  };
  try {
    (0, eval)(source);
  } catch (error) {
    throw String(error);
  }
  return printed;
}
