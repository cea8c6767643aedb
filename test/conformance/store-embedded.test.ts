// The embedded store: raft and kv on real disks, in one process.
import { startCluster } from '../store/cluster.ts'
import { storeSuite } from './store.ts'

storeSuite({ name: 'embedded', start: (count, options) => startCluster(count, options) })
