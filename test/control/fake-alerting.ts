// Events, mail and diagnostics of the control target in memory.

import { CofferError } from '../../src/errors.ts'
import type { MailStatus, MethodParams, MethodResult } from '../../src/control/methods.ts'

const now = '2026-01-02T03:04:05.000Z'

const fakeBundle = {
  name: 'coffer-2026.tar.gz',
  path: '/srv/store/diagnostics/coffer-2026.tar.gz',
  sizeBytes: 2048,
}

export function fakeAlerting() {
  const status: MailStatus = {
    isEnabled: false,
    settings: null,
    waiting: 0,
    dropped: 0,
    failing: null,
  }
  return {
    'alerts.acknowledge': async ({ code }: MethodParams<'alerts.acknowledge'>) => {
      if (code !== 'NO_SUCH') return { acknowledged: 1, removed: 0 }
      throw new CofferError(
        'ALERT_NOT_FOUND',
        `There is no alert ${code}. See "coffer alerts show".`,
      )
    },
    'events.show': async (): Promise<MethodResult<'events.show'>> => ({
      events: [{ index: 1, time: now, code: 'DAEMON_STARTED', severity: 'info', text: 'It runs.' }],
    }),
    'emailAlerts.configure': async (given: MethodParams<'emailAlerts.configure'>) => {
      const { relay, tls, senderName, sender, to, cc, bcc, port = 25, user = null } = given
      status.settings = { relay, tls, senderName, sender, to, cc, bcc, port, user }
      return status
    },
    'emailAlerts.enable': async () => status,
    'emailAlerts.disable': async () => status,
    'emailAlerts.status': async () => status,
    'emailAlerts.testEmail': async () => ({}),
    'emailAlerts.clearConfig': async () => status,
    'diagnostics.collect': async () => fakeBundle,
    'diagnostics.show': async () => ({ bundles: [fakeBundle] }),
    'diagnostics.delete': async () => ({}),
  }
}
