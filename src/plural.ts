// Counts in sentences: "1 file", "2 files".

/**
 * Returns the count and its noun, in the plural unless there is one.
 * @param many the plural where it isn't the noun with an s
 */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Returns the count, its noun and the verb that agrees with it: `1 file is`, `2 files are`. */
export function pluralWith(count: number, one: string, verbs: readonly [string, string]): string {
  return `${plural(count, one)} ${count === 1 ? verbs[0] : verbs[1]}`
}
