// One function of two packages, by turns: node javascript.mjs OURS THEIRS NAME VALUE CALLS. Prints medians in
// seconds; so many calls are timed together.
const [ours, theirs, name, value, calls] = process.argv.slice(2);
const args = new Function(`return ${value}`)();
const { instantiate } = await import(ours);
const at = (exports) => name.split(".").reduce((found, part) => found[part], exports);
const made = at(await instantiate());
const plain = at(await import(theirs));
const told = (call) => JSON.stringify(call(...args));
if (told(made) !== told(plain)) throw new Error("they answer differently");

const BATCH = Number(calls);
const ROUNDS = 31;

function timed(call) {
  const began = process.hrtime.bigint();
  for (let left = BATCH; left > 0; left -= 1) call(...args);
  return Number(process.hrtime.bigint() - began) / BATCH / 1e9;
}

const times = [[], []];
for (let round = 0; round < ROUNDS + 3; round += 1) {
  const turn = round % 2 === 0 ? [made, plain] : [plain, made];
  for (const call of turn) {
    const seconds = timed(call);
    if (round >= 3) times[call === made ? 0 : 1].push(seconds);
  }
}
const median = (found) => found.sort((one, other) => one - other)[found.length >> 1];
console.log(JSON.stringify(times.map(median)));
