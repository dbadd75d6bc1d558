// What the component finds of WASI: clocks, randomness and output, and beyond that what is granted.
import { cli, http } from "@bytecodealliance/preview2-shim";
import { WASIShim } from "@bytecodealliance/preview2-shim/instantiation";

/** What the component may reach of its surroundings: nothing, unless it stands here. */
export interface Wasi {
  /** Its arguments. */
  args?: readonly string[] | undefined;
  /** Its environment variables. */
  env?: Readonly<Record<string, string>> | undefined;
  /** Folders by the names that it knows them by, with all that is in them. Node alone has folders. */
  preopens?: Readonly<Record<string, string>> | undefined;
  /** Whether it may connect to others, all of them. */
  network?: boolean | undefined;
}

type Bag = Record<string, unknown>;

/** The interfaces of WASI, by the names under which the component asks for them. */
export function wasi(granted: Wasi, wanted: readonly string[]): Bag {
  const network = granted.network ?? false;
  const shim = new WASIShim({
    cli: { ...cli, exit: { exit: ended, exitWithCode: ended } },
    http: network ? http : { ...http, outgoingHandler: { handle: refused } },
    sandbox: {
      args: [...(granted.args ?? [])],
      enableNetwork: network,
      env: { ...granted.env },
      preopens: { ...granted.preopens },
    },
  } as unknown as ConstructorParameters<typeof WASIShim>[0]);
  const all = shim.getImportObject() as unknown as Bag;
  const environment = all["wasi:cli/environment"] as Bag;
  all["wasi:cli/environment"] = { ...environment, initialCwd: () => undefined };
  return Object.fromEntries(
    wanted.map((name) => {
      const found = all[name] ?? all[name.split("@")[0] ?? name];
      if (found === undefined)
        throw new TypeError(`\`${name}\` is not there in JavaScript`);
      return [name, found];
    }),
  );
}

function ended(): never {
  throw new WebAssembly.RuntimeError("it exited");
}

function refused(): never {
  // The error of the interface, which the component may handle.
  throw Object.assign(new Error("no network was granted"), {
    payload: { tag: "HTTP-request-denied" },
  });
}
