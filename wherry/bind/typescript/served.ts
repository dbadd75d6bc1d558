// What runs in a worker that `worker.ts` starts.
import { instantiate } from "./index.js";
import { served } from "./remote.js";

served(instantiate);
