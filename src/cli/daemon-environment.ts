// The environment of a daemon in the background: what it uses, and nothing else that the caller's shell happens to have.
// Settings of Node and of the dynamic linker above all are made for other programs.

/** Names that are kept. Certificates: relays whose certificates only this machine trusts. */
const KEPT = new Set([
  'PATH',
  'HOME',
  'LANG',
  'TZ',
  'TMPDIR',
  'DEBUG',
  'XDG_RUNTIME_DIR',
  'UV_THREADPOOL_SIZE',
  'NOTIFY_SOCKET',
  'CREDENTIALS_DIRECTORY',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
])
const KEPT_PREFIXES = ['LC_', 'COFFER_']
/** A test of the addon with sanitizers loads them so. */
const SANITIZER = 'COFFER_UNDER_SANITIZER'
const KEPT_FOR_SANITIZER = new Set(['LD_PRELOAD', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS'])

type Environment = Readonly<Record<string, string | undefined>>

export function daemonEnvironment(env: Environment): Record<string, string> {
  const isSanitized = (env[SANITIZER] ?? '') !== ''
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    const isKept =
      KEPT.has(name) ||
      KEPT_PREFIXES.some(prefix => name.startsWith(prefix)) ||
      (isSanitized && KEPT_FOR_SANITIZER.has(name))
    if (isKept && value !== undefined) kept[name] = value
  }
  return kept
}
