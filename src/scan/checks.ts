// What a scan checks, one line an invariant. The words say how it is in a whole store.

export const CHECKS = {
  'database-files':
    'the files of the metadata database have the checksums and the order that they should have',
  'record-readable':
    'every record has the checksum, the version and the fields that it should have',
  'table-known': 'every record belongs to a table that this version knows',
  'counter-inode': 'every inode number has been given out by the counter of inodes',
  'counter-container': 'every container number has been given out by the counter of containers',
  'counter-block': 'every block file has an id that the counter of block files has given out',
  'name-inode': 'every name leads to an inode',
  'name-directory': 'every name lies in a directory',
  'name-type': 'a name says the type that its inode has',
  'name-hash': 'a name lies where its hash says',
  'name-container': 'a file lies in the container that its directory lies in',
  'inode-links': 'an inode counts as many links as names lead to it',
  'inode-children': 'a directory counts as many entries as it has',
  'inode-parent': 'a directory knows the directory that its name lies in',
  'inode-lost': 'an inode has a name, unless it is about to be deleted',
  'inode-container': 'every inode lies in a container',
  'inode-mapped': 'a file counts as many stored bytes as its extents cover',
  'orphan-mark': 'an inode is marked for deletion exactly when nothing names it',
  'xattr-flag': 'an inode knows whether it has extended attributes',
  'xattr-inode': 'extended attributes belong to an inode',
  'extent-inode': 'extents belong to a regular file',
  'extent-group': "a file's extents refer to the storage group of its container",
  'extent-shape':
    'extents follow each other without overlap, within the limits of chunks and files',
  'extent-block': 'the block file that an extent refers to exists',
  'extent-place': 'an extent refers to a place within its block file, of its own storage group',
  'usage-counters': 'the counters of references say what the extents of all files refer to',
  'container-root': 'a container has a top directory',
  'container-group': 'a container belongs to a storage group that exists',
  'container-files': 'a container counts as many files as it has',
  'container-bytes': 'a container counts as many bytes as its files have',
  'index-block': 'the block file that an index entry refers to exists',
  'index-place': 'an index entry refers to a place within its block file, of its own storage group',
  'block-record': 'the record of a block file stays within the limits of block files',
  'block-file': 'a block file is there, and at least as long as its record says',
  'block-header': "a block file's header names the same file, storage group and key as its record",
  'block-key': 'the key that a block file is sealed with is there',
} as const

/** What harms nobody: such entries are misses, and the next pass of the cleaner sweeps them. */
export const HARMLESS: ReadonlySet<CheckName> = new Set<CheckName>(['index-block'])

export type CheckName = keyof typeof CHECKS

export const CHECK_NAMES = Object.keys(CHECKS) as CheckName[]
