// Calls whose parameters can't be right, made from the schemas that the daemon itself publishes.

import type { Discovery } from '../../src/control/methods.ts'

/** JSON Schema, as far as parameters use it. */
interface Schema {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
}

export interface WrongCall {
  readonly method: string
  /** As JSON text: a huge value is made once and not once a call. */
  readonly params: string
  /** What the complaint has to name. */
  readonly names: string
}

/** A value of every JSON type. */
const samples: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'true',
  number: '0.5',
  string: '"text"',
  array: '[]',
  object: '{}',
}

/** A quarter of what a line may have. */
const HUGE_CHARACTERS = 256 * 1024
const HUGE_NUMBERS = ['1e308', '-1e308', '9007199254740993']
const DEPTH = 24

const hugeString = JSON.stringify('x'.repeat(HUGE_CHARACTERS))
const hugeArray = `[${Array.from({ length: HUGE_CHARACTERS / 2 }, () => '0').join(',')}]`
const deepArray = '['.repeat(DEPTH) + ']'.repeat(DEPTH)

/** Properties that objects have anyhow, and one that none has. */
const strangers = ['__proto__', 'constructor', 'toString', 'no-such-parameter']

/** Each parameter with a value of each wrong type, without it, with others; parameters that are no object. */
export function wrongCalls(discovery: Discovery): WrongCall[] {
  return discovery.methods.flatMap(({ name: method, params }) => {
    const { properties = {}, required = [] } = params as Schema
    const wholes = Object.entries(samples).filter(([type]) => type !== 'object')
    return [
      ...wholes.map(([, sample]) => ({ method, params: sample, names: '' })),
      { method, params: deepArray, names: '' },
      ...strangers.map(names => ({ method, params: `{${JSON.stringify(names)}:{}}`, names })),
      ...required.map(names => ({ method, params: '{}', names })),
      ...Object.entries(properties).flatMap(([names, schema]) =>
        wrongValues(schema).map(value => ({ method, params: `{"${names}":${value}}`, names })),
      ),
    ]
  })
}

function wrongValues(schema: Schema): string[] {
  const types = typesOf(schema)
  const others = Object.entries(samples)
    .filter(([type]) => !types.has(type))
    .map(([, sample]) => sample)
  return [
    ...others,
    hugeString,
    hugeArray,
    deepArray,
    ...HUGE_NUMBERS,
    ...(schema.items === undefined ? [] : wrongItems(schema.items)),
  ]
}

/** No huge ones again. */
function wrongItems(items: Schema): string[] {
  const types = typesOf(items)
  return Object.entries(samples).flatMap(([type, sample]) => (types.has(type) ? [] : `[${sample}]`))
}

/** An integer is a type of its own here, so that a fraction counts as another one. */
function typesOf({ type, anyOf = [] }: Schema): Set<string> {
  return new Set([
    ...(type === undefined ? [] : [type]),
    ...anyOf.flatMap(one => [...typesOf(one)]),
  ])
}
