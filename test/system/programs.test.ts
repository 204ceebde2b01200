// Programs that nobody here wrote use the mount as the filesystem that they know. What isn't installed is left out.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Level } from 'level'
import { test, type Test } from 'tap'
import { mountSkipReason, shell, startedCoffer } from '../helpers/mounted.ts'

/** files that exist on every machine which runs these tests: our own sources and their build */
const CHECKOUT = join(import.meta.dirname, '../../..')

function without(program: string): string | false {
  return existsSync(`/usr/bin/${program}`) ? false : `${program} is not installed`
}

/** a test of the tree `top` on the mount, with files to copy in `beside` */
interface Program {
  readonly name: string
  readonly skip: string | false
  readonly run: (t: Test, top: string, beside: string) => Promise<void>
}

const sqlite3: Program = {
  name: 'sqlite3, whose writers are killed',
  skip: without('sqlite3'),
  run: async (t, top) => {
    for (const journal of ['DELETE', 'WAL']) {
      const base = `${top}/${journal}.db`
      await shell(`sqlite3 ${base} 'PRAGMA journal_mode=${journal}; CREATE TABLE t(a, b)'`)
      const row = 'INSERT INTO t VALUES(1, hex(randomblob(2000)));'
      const writer = `while :; do echo "BEGIN;${row}${row}COMMIT;"; done | sqlite3 ${base}`
      await shell(`timeout -s KILL 1 bash -c '${writer}' || true`)
      await shell(`sqlite3 ${base} '.timeout 5000' '${row}${row}'`)
      const answer = await shell(
        `sqlite3 ${base} '.timeout 5000' 'PRAGMA integrity_check; SELECT count(*) % 2 FROM t'`,
      )
      t.equal(answer, 'ok\n0\n', `whole transactions, ${journal}`)
    }
  },
}

const git: Program = {
  name: 'git',
  skip: without('git'),
  run: async (t, top, beside) => {
    await shell(`
    export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b
    export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    cd ${top}; git init -q one; cd one; cp -r ${beside}/src .; git add .; git commit -qm one
    git clone -q --no-local . ../two; git gc -q; git worktree add -q ../three; cd ../two; git fsck --full
    cd ../one; git fsck --full; diff -r ../two/src ../three/src`)
    t.equal(await shell(`cd ${top}/two; git status --porcelain`), '')
  },
}

const rsync: Program = {
  name: 'rsync -aHAXS, both ways',
  skip: without('rsync'),
  run: async (t, top, beside) => {
    await shell(`
    cd ${beside}; mkdir tree; cd tree; cp -r ../src .; ln src/errors.ts linked; mkfifo fifo
    ln -s nowhere dangling; truncate -s 20M sparse; echo end >> sparse; chmod 4711 linked
    setfattr -n user.note -v text linked; setfattr -n trusted.t -v x src
    setfacl -m u:1234:rw- linked; setfacl -d -m g:4321:r-x src; chown 12:34 sparse
    rsync -aHAXS ${beside}/tree/ ${top}/tree/; rsync -aHAXS ${top}/tree/ ${beside}/back/`)
    const changes = await shell(`rsync -aHAXSnic --delete ${beside}/tree/ ${beside}/back/`)
    t.equal(changes, '', 'nothing is left to copy')
    const blocks = await shell(`stat -c %b ${top}/tree/sparse`)
    t.ok(Number(blocks) < 1000, 'holes stay holes')
  },
}

const tar: Program = {
  name: 'tar with sparse files, lists and attributes',
  skip: false,
  run: async (t, top, beside) => {
    const flags = '--acls --xattrs --xattrs-include=* --sparse'
    await shell(`
    cd ${beside}; tar ${flags} -cf ${top}/tree.tar tree; mkdir ${top}/untarred
    tar ${flags} -xpf ${top}/tree.tar -C ${top}/untarred`)
    const changes = await shell(
      `rsync -aHAXSnic --delete ${beside}/tree/ ${top}/untarred/tree/ | grep -v '^.d..t' || true`,
    )
    t.equal(changes, '')
  },
}

const restic: Program = {
  name: 'restic',
  skip: without('restic'),
  run: async (t, top, beside) => {
    await shell(`
    export RESTIC_PASSWORD=x; repository=${top}/restic; cache=${beside}/cache
    r() { restic -q -r $repository --cache-dir $cache "$@"; }
    r init; r backup ${beside}/src; r backup ${beside}/src; r check --read-data
    r restore latest --target ${beside}/restored
    diff -r ${beside}/src ${beside}/restored${beside}/src; r forget --keep-last 1 --prune`)
    t.pass('restored')
  },
}

const borg: Program = {
  name: 'borg',
  skip: without('borg'),
  run: async (t, top, beside) => {
    await shell(`
    export BORG_PASSPHRASE=x BORG_BASE_DIR=${beside}/borg; cd ${beside}
    borg init -e repokey ${top}/borg; borg create ${top}/borg::one src
    borg check --verify-data ${top}/borg; mkdir borged; cd borged; borg extract ${top}/borg::one
    diff -r src ../src`)
    t.pass('extracted')
  },
}

const fio: Program = {
  name: 'fio',
  skip: without('fio'),
  run: async (t, top) => {
    const common = `--directory=${top} --size=6M --verify=crc32c --do_verify=1 --verify_fatal=1 --verify_state_save=0`
    const jobs = [
      '--name=sequential --rw=write --bs=256k --numjobs=2',
      '--name=random --rw=randrw --bs=8k --numjobs=2',
      '--name=direct --rw=randwrite --bs=16k --direct=1 --ioengine=libaio --iodepth=8',
      '--name=mapped --rw=randrw --bs=4k --ioengine=mmap',
      '--name=synced --rw=write --bs=64k --fsync=16',
    ]
    for (const job of jobs) await shell(`fio ${common} ${job} --minimal >/dev/null; rm ${top}/*.0`)
    t.pass(`${jobs.length} jobs`)
  },
}

const leveldb: Program = {
  name: 'a LevelDB',
  skip: false,
  run: async (t, top) => {
    const level = new Level<string, string>(join(top, 'level'))
    const value = 'v'.repeat(500)
    for (let batch = 0; batch < 20; batch += 1) {
      const puts = Array.from({ length: 500 }, (_, index) => ({
        type: 'put' as const,
        key: `${batch}-${index}`,
        value,
      }))
      await level.batch(puts, { sync: batch % 5 === 0 })
    }
    await level.close()
    await level.open()
    t.equal((await level.keys().all()).length, 10_000)
    await level.close()
  },
}

const stressNg: Program = {
  name: 'stress-ng, in short',
  skip: without('stress-ng'),
  run: async (t, top) => {
    const stressors = ['hdd', 'dentry', 'rename', 'link', 'symlink', 'seek', 'fallocate', 'flock']
    const line = stressors.map(name => `--${name} 1`).join(' ')
    await shell(
      `stress-ng --temp-path ${top} ${line} --hdd-bytes 16M --fallocate-bytes 16M --dentries 200 ` +
        `--verify --timeout 5 >/dev/null`,
    )
    t.pass(stressors.join(' '))
  },
}

const PROGRAMS = [sqlite3, git, rsync, tar, restic, borg, fio, leveldb, stressNg]

test('programs on the mount', { skip: mountSkipReason }, async t => {
  const coffer = await startedCoffer(t, 'c')
  const beside = join(coffer.base, 'beside')
  await shell(`mkdir ${beside}; cp -a ${CHECKOUT}/src ${beside}/src`)
  for (const { name, skip, run } of PROGRAMS) {
    await t.test(name, { skip }, async t => {
      await run(t, join(coffer.mount, 'c'), beside)
    })
  }
})
