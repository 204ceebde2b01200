// Node without the hooks that the test runner gives every node below it: they double the time that a process takes to
// begin, and write files where not every user may.

/** `env` with these arguments, then those of node. The process keeps its id. */
export const BARE_NODE: readonly string[] = ['-u', 'NODE_OPTIONS', process.execPath]
