// For all commands the last of repeated options wins, but the values of some add up: these are joined before yargs sees them.

interface Repeatable {
  /** words of the command line that have such options */
  readonly commands: readonly string[]
  readonly options: readonly string[]
  readonly separator: string
}

/** No argument of a program can hold it, so that any path passes. */
const UNTYPEABLE = '\0'

const repeatables: readonly Repeatable[] = [
  { commands: ['email-alerts'], options: ['to', 'cc', 'bcc'], separator: ',' },
  { commands: ['start', 'run'], options: ['passphrase-file'], separator: UNTYPEABLE },
]

/**
 * `--to a@x --to b@x` as `--to=a@x,b@x`.
 * @param args the command line in our spelling
 */
export function joinRepeated(args: readonly string[]): string[] {
  const repeatable = repeatables.find(({ commands }) => commands.some(word => args.includes(word)))
  return repeatable === undefined ? [...args] : join(args, repeatable)
}

/** The values of an option without a separator that people type. */
export function splitRepeated(joined: string): string[] {
  return joined.split(UNTYPEABLE)
}

function join(args: readonly string[], { options, separator }: Repeatable): string[] {
  const others: string[] = []
  const joined = new Map<string, string[]>()
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? ''
    const [, option = '', inline] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? []
    const value = inline ?? args[index + 1]
    const isMissing = value === undefined || (inline === undefined && value.startsWith('--'))
    if (isMissing || !options.includes(option)) {
      others.push(word)
      continue
    }
    if (inline === undefined) index++
    joined.set(option, [...(joined.get(option) ?? []), value])
  }
  const values = [...joined].map(([option, each]) => `--${option}=${each.join(separator)}`)
  return [...others, ...values]
}
