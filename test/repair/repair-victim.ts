// A process that repairs a store and dies where COFFER_FAULT says.   node repair-victim.js DIRECTORY

import { OpenStore } from '../helpers/open-store.ts'

const [directory = ''] = process.argv.slice(2)
const store = await OpenStore.open(directory)
await store.storage.repairer.start(undefined).done
await store.close()
