// Who uses the mount: what is counted for whom, and that the table stays small.

import t from 'tap'
import { Clients } from '../../src/fuse/clients.ts'

t.test('each thread and user has counters of its own', t => {
  const clients = new Clients()
  clients.request(0, 0, 1)
  clients.request(10, 0, 2).bytesWritten += 5
  clients.request(10, 1000, 3)
  clients.request(10, 0, 4).bytesWritten += 5
  clients.request(10, 0, 5)
  t.match(clients.list(), [
    { pid: 10, uid: 0, operations: 3, bytesWritten: 10, lastMs: 5 },
    { pid: 10, uid: 1000, operations: 1, bytesWritten: 0, lastMs: 3 },
    { pid: 0, uid: 0, operations: 1, lastMs: 1 },
  ])
  t.end()
})

t.test('of many, those that were active last are kept', t => {
  const clients = new Clients()
  for (let pid = 1; pid <= 1000; pid++) {
    clients.request(1, 4_294_967_295, pid)
    clients.request(pid, pid % 7, pid)
  }
  const list = clients.list()
  t.equal(list.length, 256)
  t.ok(list.some(({ pid, operations }) => pid === 1 && operations === 1000))
  t.ok(list.every(({ pid }) => pid === 1 || pid > 1000 - 256))
  t.end()
})
